// Pieces of JSON text, compared with what JSON.parse makes of the whole.
import fc from "fast-check";
import { elementsAt, isJson, pathOf, textAt } from "./json-text";

it.each([
  ['{"a": 1.10, "b": 2}', "a", "1.10"],
  ['{"a":{"b":[1 , 2]}}', "a.b", "[1 , 2]"],
  [' {"data" : "x\\"}," } ', "data", '"x\\"},"'],
  ['{"a":"\\\\","b":-0.0e+5}', "b", "-0.0e+5"],
  ['{"\\u0061":true}', "a", "true"],
  ['{"a":1,"a":2}', "a", "2"],
  ['{"b":{"a":1},"a":null}', "a", "null"],
  ['{"__proto__":7}', "__proto__", "7"],
  [" 12 ", ".", "12"],
  ["[]", ".", "[]"],
])("%s has at %s %s", (json, path, expected) => {
  expect(textAt(json, pathOf(path))).toBe(expected);
});

it.each([
  ['{"a":1}', "b"],
  ['{"a":1}', "a.b"],
  ['["a"]', "a"],
  ['"a"', "a"],
  ["{}", "a"],
])("%s has nothing at %s", (json, path) => {
  expect(textAt(json, pathOf(path))).toBeNull();
});

it("takes an array apart, each element as it was written", () => {
  const json = '{"results":[ {"p":0.10000000000000000001}, "a,]b" ,[1,[2]],\n-1e400, null ]}';
  expect(elementsAt(json, ["results"])).toEqual([
    '{"p":0.10000000000000000001}',
    '"a,]b"',
    "[1,[2]]",
    "-1e400",
    "null",
  ]);
  expect(elementsAt("[]", [])).toEqual([]);
  expect(elementsAt("[ ]", [])).toEqual([]);
  expect(elementsAt("{}", [])).toBeNull();
  expect(elementsAt('{"results":{}}', ["results"])).toBeNull();
});

it("finds what JSON.parse finds, in any JSON", () => {
  fc.assert(
    fc.property(
      fc.array(fc.jsonValue()),
      fc.string(),
      fc.constantFrom(undefined, 1, "\t"),
      (elements, name, indent) => {
        const json = JSON.stringify({ other: elements, [name]: elements }, null, indent);
        const found = elementsAt(json, [name]);
        expect(found?.map((text) => JSON.parse(text) as unknown)).toEqual(JSON.parse(JSON.stringify(elements)));
      },
    ),
  );
});

it("goes as deep as a text does", () => {
  const deep = "[".repeat(200_000) + "]".repeat(200_000);
  expect(isJson(deep)).toBe(true);
  expect(elementsAt(deep, [])).toEqual([deep.slice(1, -1)]);
});

it.each(["", "{", "[1,]", "{'a':1}", "NaN", '{"a":1}x'])("%j is not JSON", (text) => {
  expect(isJson(text)).toBe(false);
});
