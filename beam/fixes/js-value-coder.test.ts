import * as fc from "fast-check";
import { Reader, Writer } from "protobufjs";
import { codeJavaScriptValues } from "./js-value-coder";
import { Context } from "apache-beam/coders/coders";
import { GeneralObjectCoder } from "apache-beam/coders/js_coders";

const coder = new GeneralObjectCoder<unknown>();

function encode(value: unknown, context = Context.needsDelimiters): Uint8Array {
  const writer = new Writer();
  coder.encode(value, writer, context);
  return writer.finish();
}

const roundTrip = (value: unknown) => coder.decode(new Reader(encode(value)), Context.needsDelimiters);
const stockBytes = [...encode(["text", 42, 1.5, true, { a: 1 }, null])];

test("without the fix values arrive as others", () => {
  expect(roundTrip(1_700_000_000_000)).toBe(-807_049_216);
  expect([roundTrip(NaN), roundTrip(Infinity)]).toEqual([0, 0]);
  expect(roundTrip(-0)).toBe(0);
  expect([roundTrip(new Date(5)), roundTrip(new Set([1])), roundTrip(Promise.resolve(1))]).toEqual([{}, {}, {}]);
  expect(roundTrip(new Uint8Array([7]))).toEqual({ 0: 7 });
  expect(() => roundTrip(5n)).toThrow("Cannot read properties of undefined");
  expect((roundTrip({ bytes: Buffer.from([7]) }) as { bytes: object }).bytes).toHaveProperty("_bsontype", "Binary");
});

describe("with the fix", () => {
  beforeAll(() => {
    codeJavaScriptValues();
    codeJavaScriptValues();
  });

  test("what was right has the same bytes as before", () => {
    expect([...encode(["text", 42, 1.5, true, { a: 1 }, null])]).toEqual(stockBytes);
  });

  test.each([
    1_700_000_000_000,
    2 ** 31,
    -(2 ** 53) + 1,
    2 ** 53,
    2 ** 64,
    0,
    -0,
    NaN,
    Infinity,
    -Infinity,
    1.5,
    5e-324,
  ])("the number %p arrives as it is", (value) => expect(roundTrip(value)).toBe(value));

  test.each([
    ["a date", new Date(5)],
    ["a date before 1970", new Date(-62e12)],
    ["bytes", new Uint8Array([0, 255])],
    ["a bigint of any size", -(2n ** 70n)],
    ["nested arrays", [[new Date(5)], [1n, [new Uint8Array([1])]]]],
  ])("%s arrives as it is", (_, value) => expect(roundTrip(value)).toStrictEqual(value));

  test("an invalid date stays one", () => {
    expect((roundTrip(new Date(NaN)) as Date).getTime()).toBeNaN();
  });

  test("bytes inside an object arrive as a buffer", () => {
    expect(roundTrip({ deep: { bytes: new Uint8Array([7, 8]) } })).toEqual({ deep: { bytes: Buffer.from([7, 8]) } });
  });

  test("undefined is null by itself and left out of objects", () => {
    expect(roundTrip([undefined, { a: undefined, b: 1 }])).toStrictEqual([null, { b: 1 }]);
  });

  test("an instance arrives as its fields", () => {
    class Point {
      constructor(readonly x: number) {}
    }
    expect(roundTrip(new Point(3))).toEqual({ x: 3 });
  });

  test.each([
    ["Map", new Map([["a", 1]])],
    ["Set", new Set([1])],
    ["RegExp", /x/],
    ["Float64Array", new Float64Array(1)],
    ["function", () => 1],
    ["symbol", Symbol("x")],
  ])("a %s is refused by name", (name, value) => {
    expect(() => encode(value)).toThrow(`A ${name} cannot travel between the steps of a pipeline`);
  });

  test("a promise is refused with what to do", () => {
    expect(() => encode(Promise.resolve(1))).toThrow(
      "A Promise cannot travel between the steps of a pipeline: wait for it",
    );
  });

  test("bytes that are no value are refused", () => {
    expect(() => coder.decode(new Reader(new Uint8Array([1, 63])), Context.needsDelimiters)).toThrow(
      "begins with byte 63",
    );
  });

  test("equal numbers have equal bytes, different ones different bytes", () => {
    const otherNaN = new Float64Array(new BigUint64Array([0x7ff8_dead_beef_0001n]).buffer)[0];
    expect(encode(otherNaN)).toEqual(encode(NaN));
    fc.assert(
      fc.property(fc.double(), fc.double(), (a, b) => {
        expect(Buffer.compare(encode(a), encode(b)) === 0).toBe(Object.is(a, b));
      }),
    );
  });

  // BSON's own rules inside objects: -0 is 0, text has no zero byte in a key, and $ref makes a reference.
  const inObjects = fc.dictionary(
    fc.string({ minLength: 1 }).filter((key) => !/[$_\0]/.test(key) && key !== "toBSON"),
    fc.letrec((tie) => ({
      value: fc.oneof(
        { depthSize: "small" },
        fc.string(),
        fc.double().map((value) => value || 0),
        fc.maxSafeInteger(),
        fc.boolean(),
        fc.constant(null),
        fc.date({ noInvalidDate: true }),
        fc.array(tie("value")),
      ),
    })).value,
  );
  const anything = fc.letrec((tie) => ({
    value: fc.oneof(
      { depthSize: "small" },
      fc.string(),
      fc.double(),
      fc.maxSafeInteger(),
      fc.bigInt(),
      fc.boolean(),
      fc.constant(null),
      fc.date(),
      fc.uint8Array(),
      inObjects,
      fc.array(tie("value")),
    ),
  })).value;

  test.each([Context.needsDelimiters, Context.wholeStream])("anything arrives as it is (%s)", (context) => {
    fc.assert(
      fc.property(anything, (value) => {
        expect(coder.decode(new Reader(encode(value, context)), context)).toEqual(value);
      }),
    );
  });
});
