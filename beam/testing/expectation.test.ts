import { runInNewContext } from "node:vm";
import fc from "fast-check";
import { Expectation, type Found } from "./expectation";

const ONLY = { start: -Infinity, end: Infinity, timestamp: 0, pane: "only" } as const;
const in60s = (minute: number, pane: Found<unknown>["place"]["pane"] = "on time") => ({
  start: minute * 60_000,
  end: (minute + 1) * 60_000,
  timestamp: (minute + 1) * 60_000 - 1,
  pane,
});

const found = <T>(...values: T[]): Found<T>[] => values.map((value) => ({ value, place: ONLY }));

/** What is said when `came` came. */
function complaintsOf<T>(
  came: readonly Found<T>[],
  expected: (expectation: Expectation<T>) => void,
  name = "candles",
): string[] {
  const expectation = new Expectation<T>(name);
  expected(expectation);
  return expectation.complaints(came);
}

describe("what is as expected is no complaint", () => {
  test("in any order, as often as said", () => {
    fc.assert(
      fc.property(fc.array(fc.jsonValue()), fc.func(fc.integer()), (values, shuffle) => {
        const shuffled = values
          .map((value, at) => ({ value, by: shuffle(at) }))
          .sort((a, b) => a.by - b.by)
          .map(({ value }) => value);
        expect(complaintsOf(found(...values), (e) => e.containsInAnyOrder(shuffled).hasSize(values.length))).toEqual(
          [],
        );
        expect(complaintsOf(found(...values, "one more"), (e) => e.containsInAnyOrder(shuffled))).toHaveLength(1);
        expect(complaintsOf(found(...values), (e) => e.containsInAnyOrder([...shuffled, "one more"]))).toHaveLength(1);
      }),
    );
  });

  class Row {
    constructor(readonly id: number) {}
  }

  test.each<[string, unknown, unknown]>([
    ["fields in another order", { a: 1, b: { c: 2, d: 3 } }, { b: { d: 3, c: 2 }, a: 1 }],
    ["a field that is undefined", { a: 1, b: undefined }, { a: 1 }],
    ["an instance, and plain fields", new Row(1), { id: 1 }],
    ["bytes of another class", Buffer.from([1]), new Uint8Array([1])],
    [
      "values of another realm",
      runInNewContext("[{ a: [new Date(5)], m: new Map([[1, 2]]) }]"),
      [{ a: [new Date(5)], m: new Map([[1, 2]]) }],
    ],
    ["NaN", NaN, NaN],
  ])("%s is the same", (_what, came, expected) => {
    expect(complaintsOf(found(came), (e) => e.containsInAnyOrder([expected]))).toEqual([]);
  });

  test.each<[string, unknown, unknown]>([
    ["1 and '1'", 1, "1"],
    ["1 and 1n", 1, 1n],
    ["0 and -0", 0, -0],
    ["null and nothing", { a: null }, {}],
    ["a date and its text", new Date(0), "1970-01-01T00:00:00.000Z"],
    [
      "deep down",
      { a: { b: { c: { d: { e: { f: { g: 1 } } } } } } },
      { a: { b: { c: { d: { e: { f: { g: 2 } } } } } } },
    ],
    ["far down a list", Array(500).fill(1), [...(Array(499).fill(1) as number[]), 2]],
    ["far down a text", "x".repeat(20_000), `${"x".repeat(19_999)}y`],
  ])("%s are not the same", (_what, came, expected) => {
    expect(complaintsOf(found(came), (e) => e.containsInAnyOrder([expected]))).toHaveLength(1);
  });

  test("20,000 elements in another order are compared in no time", () => {
    const rows = Array.from({ length: 20_000 }, (_, id) => ({ id, name: `row ${id}` }));
    expect(complaintsOf(found(...rows), (e) => e.containsInAnyOrder([...rows].reverse()))).toEqual([]);
  });
});

describe("complaints read well", () => {
  test("containsInAnyOrder", () => {
    const came = found({ symbol: "BTC", open: 1 }, { symbol: "ETH", open: 2 }, { symbol: "ETH", open: 2 });
    expect(
      complaintsOf(came, (e) =>
        e.containsInAnyOrder([
          { symbol: "BTC", open: 3 },
          { symbol: "ETH", open: 2 },
        ]),
      ),
    ).toEqual([
      `candles: expected 2 elements in any order, 3 came
  expected, but did not come:
    { symbol: 'BTC', open: 3 }
  came, but was not expected:
    { symbol: 'BTC', open: 1 }
    { symbol: 'ETH', open: 2 }`,
    ]);
  });

  test("many differences: the first ten", () => {
    const rows = Array.from({ length: 13 }, (_, at) => at);
    const [complaint] = complaintsOf(found(...rows), (e) => e.containsInAnyOrder([0]));
    expect(complaint).toContain("expected 1 element in any order, 13 came\n  came, but was not expected:\n    1\n");
    expect(complaint).toMatch(/\n {4}10\n {4}… and 2 more$/);
  });

  test("isEmpty, hasSize", () => {
    expect(complaintsOf(found("a", "b"), (e) => e.isEmpty().hasSize(1))).toEqual([
      "candles: expected no elements, 2 came\n  came:\n    'a'\n    'b'",
      "candles: expected 1 element, 2 came\n  came:\n    'a'\n    'b'",
    ]);
    expect(complaintsOf([], (e) => e.hasSize(3))).toEqual(["candles: expected 3 elements, 0 came"]);
  });

  test("satisfies: what its check throws, be it an error or not", () => {
    const throwing = (thrown: unknown) => () => {
      throw thrown;
    };
    expect(
      complaintsOf(found(1), (e) => e.satisfies(throwing(new Error("too few"))).satisfies(throwing("a text"))),
    ).toEqual(["candles: too few\n  came:\n    1", "candles: a text\n  came:\n    1"]);
  });

  test("satisfies: a check that is async would never be waited for", async () => {
    const check = async () => {
      throw new Error("nobody would hear this");
    };
    expect(complaintsOf(found(1), (e) => e.satisfies(check as unknown as () => void))).toEqual([
      "candles: satisfies takes a check that is not async: its promise would not be waited for",
    ]);
    await new Promise((resolve) => setImmediate(resolve));
  });

  test("windows and panes are named", () => {
    const came = [{ value: 1, place: in60s(0) }];
    const complaints = complaintsOf(came, (e) => {
      e.inWindow(0, 60_000).onTime().isEmpty();
      e.inWindow("1970-01-01T00:00:00Z").isEmpty();
      e.late().hasSize(1);
    });
    expect(complaints).toEqual([
      "candles, in the window from 1970-01-01T00:00:00.000Z to 1970-01-01T00:01:00.000Z, on time: expected no elements, 1 came\n  came:\n    1",
      "candles, in the window from 1970-01-01T00:00:00.000Z: expected no elements, 1 came\n  came:\n    1",
      "candles, late: expected 1 element, 0 came",
    ]);
  });
});

test("windows and panes narrow what is looked at", () => {
  const came = [
    { value: "a", place: in60s(0) },
    { value: "b", place: in60s(1) },
    { value: "a again", place: in60s(0, "late") },
    { value: "anywhere", place: ONLY },
  ];
  const complaints = complaintsOf(came, (e) => {
    e.inWindow(0).containsInAnyOrder(["a", "a again"]);
    e.inWindow(0).late().containsInAnyOrder(["a again"]);
    e.inWindow(0, 1).isEmpty();
    e.onTime().containsInAnyOrder(["a", "b", "anywhere"]);
    e.hasSize(4);
  });
  expect(complaints).toEqual([]);
  expect(() => new Expectation("x").inWindow("noon")).toThrow("“noon” is not a time");
});

test("an expectation after the run is refused, since nothing would check it", () => {
  const expectation = new Expectation<number>("candles");
  const narrowed = expectation.late();
  expectation.complaints([]);
  expect(() => expectation.isEmpty()).toThrow("candles: the pipeline has run; say before run() what to expect");
  expect(() => narrowed.isEmpty()).toThrow("candles: the pipeline has run");
  expect(() => expectation.onTime().isEmpty()).toThrow("candles: the pipeline has run");
});
