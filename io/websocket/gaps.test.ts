import fc from "fast-check";
import { Gaps } from "./gaps";

const missing = (gaps: Gaps) => gaps.all().map(({ key, from, to }) => `${key} ${from}-${to}`);

function after(ids: readonly number[], most = 1000) {
  const gaps = new Gaps(most);
  const lost = ids.flatMap((id) => gaps.see("A", id, 0, 0));
  return { gaps, missing: missing(gaps), lost: lost.map(({ from, to }) => `${from}-${to}`) };
}

it.each<[string, number[], string[]]>([
  ["none", [5, 6, 7], []],
  ["one", [5, 7], ["A 6-6"]],
  ["many", [5, 9, 12], ["A 6-8", "A 10-11"]],
  ["one that came late", [5, 7, 6], []],
  ["one that came in the middle of others", [5, 11, 8], ["A 6-7", "A 9-10"]],
  ["none, where records come twice", [5, 5, 6, 5, 6], []],
])("missing: %s", (_name, ids, expected) => {
  expect(after(ids)).toMatchObject({ missing: expected, lost: [] });
});

it("keys have ids of their own", () => {
  const gaps = new Gaps(1000);
  for (const [key, id] of [
    ["A", 1],
    ["B", 100],
    ["A", 3],
    ["B", 101],
  ] as const)
    gaps.see(key, id, 0, 0);
  expect(missing(gaps)).toEqual(["A 2-2"]);
});

it("is what did not come, in whatever order the others did", () => {
  const idsIn = fc.uniqueArray(fc.integer({ min: 1, max: 60 }), { minLength: 1 });
  fc.assert(
    fc.property(idsIn, (ids) => {
      const gaps = new Gaps(1000);
      for (const id of ids) gaps.see("A", id, 0, 0);
      // What is older than the first one is not missed: nobody knows whether it was given before.
      const [first = 0] = ids;
      const expected = Array.from({ length: Math.max(...ids) - first }, (_, at) => first + at).filter(
        (id) => !ids.includes(id),
      );
      const found = gaps.all().flatMap(({ from, to }) => Array.from({ length: to - from + 1 }, (_, at) => from + at));
      expect(found).toEqual(expected);
      // Nothing is lost by writing it down.
      expect(missing(new Gaps(1000, gaps.toText()))).toEqual(missing(gaps));
    }),
  );
});

describe("an id that is far off", () => {
  it.each([
    ["alone is nonsense", [5, 9_000_000_000_000, 6, 8], ["A 7-7"], []],
    ["alone, in front, is nonsense", [50_000, 3, 50_001], [], []],
    [
      "with a next one is a long absence: of what is missing only the newest are asked for",
      [5, 5000, 5001, 5003],
      ["A 4000-4999", "A 5002-5002"],
      ["6-3999"],
    ],
    ["backwards, with a next one: ids begin anew", [50_000, 50_002, 3, 4, 6], ["A 5-5"], ["50001-50001"]],
    ["after another such one is still nonsense", [5, 9_000_000, 4_000_000, 6], [], []],
  ])("%s", (_name, ids, expected, lost) => {
    expect(after(ids)).toMatchObject({ missing: expected, lost });
  });
});

it("a gap is asked for once, when its grace is over", () => {
  const gaps = new Gaps(1000);
  gaps.see("A", 1, 0, 0);
  gaps.see("A", 5, 100, 7);
  expect(gaps.due(50)).toBe(150);
  expect(gaps.next(149, 50)).toBeNull();
  expect(gaps.next(150, 50)).toEqual({ key: "A", from: 2, to: 4, at: 7 });
  expect([gaps.next(200, 50), gaps.due(50)]).toEqual([null, null]);
  expect([gaps.take("A", 3), gaps.take("A", 3), gaps.take("A", 9), gaps.take("B", 3)]).toEqual([
    true,
    false,
    false,
    false,
  ]);
  expect(gaps.lose({ key: "A", from: 1, to: 9 })).toBe(2);
  expect(gaps.all()).toEqual([]);
});

it("where it shows that some are missing is kept, also where one id was not believed at first", () => {
  const gaps = new Gaps(1000);
  for (const [at, id] of [5, 7, 5000, 5001, 5003].entries()) gaps.see("A", id, 0, at);
  const expected = [
    { key: "A", from: 6, to: 6, at: 1 },
    { key: "A", from: 4000, to: 4999, at: 2 },
    { key: "A", from: 5002, to: 5002, at: 4 },
  ];
  expect(gaps.all()).toEqual(expected);
  expect(new Gaps(1000, gaps.toText()).all()).toEqual(expected);
  expect(new Gaps(1000, '[["A",9,[3,4]]]').all()).toEqual([{ key: "A", from: 3, to: 4, at: 0 }]);
  expect([gaps.knows("A"), gaps.knows("B")]).toEqual([true, false]);
});

it.each(["", "{", "[]", "{}", "[1]", '[["A"]]', '[["A",1,[2]]]', '[["A",1,[2,"3"]]]', '[["A",1.5]]', "null"])(
  "what was noted as %s says nothing",
  (text) => {
    expect(new Gaps(1000, text).all()).toEqual([]);
  },
);

it("holds so much and no more", () => {
  const gaps = new Gaps(1000);
  const lost = Array.from({ length: 10_003 }, (_, at) => gaps.see("A", 2 * at, 0, 0)).flat();
  expect(gaps.all()).toHaveLength(10_000);
  expect(lost).toHaveLength(2);
  for (let key = 0; key < 10_003; key += 1) gaps.see(String(key), 1, 0, 0);
  expect(JSON.parse(gaps.toText())).toHaveLength(10_000);
});
