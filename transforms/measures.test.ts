import fc from "fast-check";
import { divide, formatDecimal, parseDecimal } from "../schema/decimal";
import { Accumulation } from "./accumulate";
import { type Fields } from "./measure-states";
import { avg, count, first, last, max, min, sum, sumProduct, vwap, type Measure } from "./measures";

/** A row at a time, with an id. */
type At = readonly [row: Fields, time?: number, id?: string | number | null];

function measure(one: Measure, rows: readonly At[]): unknown {
  const accumulation = new Accumulation({ result: one });
  const group = accumulation.create();
  for (const [row, time = 0, id = null] of rows) accumulation.add(group, row, time, id);
  return accumulation.results(group.freeze())["result"];
}

const column = (...values: unknown[]): At[] => values.map((p) => [{ p }]);
const pairs = (...values: [unknown, unknown][]): At[] => values.map(([p, q]) => [{ p, q }]);

describe("measures of one field", () => {
  it.each<[string, Measure, unknown[], unknown]>([
    ["count counts rows, with or without values", count(), ["1", null, undefined], 3],
    ["count of nothing is 0", count(), [], 0],
    ["sum skips what is not there", sum("p"), ["1.5", null, undefined, "-0.25"], "1.25"],
    ["sum of nothing is null", sum("p"), [null, undefined], null],
    ["sum of zeros is 0, canonical", sum("p"), ["0.00", "-0"], "0"],
    ["sum of decimals is exact text", sum("p"), ["0.1", "0.2"], "0.3"],
    [
      "sum of decimals goes beyond numbers",
      sum("p"),
      ["99999999999999999999.1", "0.00000001"],
      "99999999999999999999.10000001",
    ],
    ["sum of numbers is a number, without the errors of floats", sum("p"), [0.1, 0.2, null], 0.3],
    ["sum with a scale of 0", sum("p", { scale: 0 }), ["5", "-7"], "-2"],
    ["sum with a great scale", sum("p", { scale: 18 }), ["0.000000000000000001", "1"], "1.000000000000000001"],
    ["min skips what is not there", min("p"), [null, "3", "2.50", undefined], "2.5"],
    ["min of nothing is null", min("p"), [null], null],
    ["min of negatives", min("p"), ["-1", "-10", "9"], "-10"],
    ["max is canonical text", max("p"), ["007.50", "3"], "7.5"],
    ["max compares by size, not by text", max("p"), ["9", "10"], "10"],
    ["max of numbers is a number", max("p"), [3, -1, 3.5], 3.5],
    ["max of numbers tells apart what rounds to the same", max("p"), [1e-12, 2e-12, 0], 2e-12],
    ["min of numbers tells apart what rounds to the same", min("p"), [2e-12, 1e-12, 1], 1e-12],
    ["max of texts and numbers goes by size", max("p"), [5, "6", 5.5], "6"],
    ["min of texts and numbers goes by size", min("p"), [5, "6", "5.5"], 5],
    ["avg skips what is not there", avg("p"), ["1", null, "2"], "1.5"],
    ["avg of nothing is null", avg("p"), [null, undefined], null],
    ["avg rounds to 8 digits", avg("p"), ["1", "1", "0"], "0.66666667"],
    ["avg rounds half to even, down", avg("p"), ["0.00000001", "0"], "0"],
    ["avg rounds half to even, up", avg("p"), ["0.00000003", "0"], "0.00000002"],
    ["avg rounds half to even, below zero", avg("p"), ["-0.00000003", "0"], "-0.00000002"],
    ["avg with a scale", avg("p", { scale: 2 }), ["1", "1", "0"], "0.67"],
    ["avg of numbers is decimal text", avg("p"), [1, 2], "1.5"],
  ])("%s", (_name, one, values, expected) => {
    expect(measure(one, column(...values))).toEqual(expected);
  });

  it("does not depend on the sign of the first zero", () => {
    for (const zeros of [
      [-0, 0],
      [0, -0],
    ])
      expect(measure(max("p"), column(...zeros))).toBe(0);
    for (const zeros of [
      ["-0", "0.0"],
      ["0", "-0"],
    ])
      expect(measure(min("p"), column(...zeros))).toBe("0");
  });

  it.each([
    ["5", 5],
    [5, "5"],
  ])("takes the text where a text and a number are equal: %p, %p", (...values) => {
    expect(measure(max("p"), column(...values))).toBe("5");
    expect(measure(min("p"), column(...values))).toBe("5");
  });

  it("refuses more digits than its scale, rather than rounding in silence", () => {
    expect(() => measure(sum("p"), column("0.123456789"))).toThrow("p is “0.123456789”");
    expect(measure(sum("p", { scale: 9 }), column("0.123456789"))).toBe("0.123456789");
  });
});

describe("measures of two fields", () => {
  it.each<[string, Measure, [unknown, unknown][], unknown]>([
    ["sumProduct has twice the digits", sumProduct("p", "q"), [["0.00000001", "0.00000001"]], "0.0000000000000001"],
    [
      "sumProduct skips rows without one of them",
      sumProduct("p", "q"),
      [
        ["2", "3"],
        [null, "5"],
        ["7", null],
      ],
      "6",
    ],
    ["sumProduct of nothing is null", sumProduct("p", "q"), [[null, "1"]], null],
    [
      "sumProduct of negatives",
      sumProduct("p", "q"),
      [
        ["-2", "3"],
        ["4", "-0.5"],
      ],
      "-8",
    ],
    ["sumProduct of numbers is a number", sumProduct("p", "q"), [[0.5, 3]], 1.5],
    ["sumProduct with a scale", sumProduct("p", "q", { scale: 9 }), [["0.000000001", "2"]], "0.000000002"],
    [
      "vwap weighs",
      vwap("p", "q"),
      [
        ["10", "1"],
        ["20", "3"],
      ],
      "17.5",
    ],
    [
      "vwap rounds once, half to even",
      vwap("p", "q"),
      [
        ["0.00000001", "1"],
        ["0", "1"],
      ],
      "0",
    ],
    ["vwap of nothing is null", vwap("p", "q"), [[null, null]], null],
    [
      "vwap of no volume is null",
      vwap("p", "q"),
      [
        ["1", "0"],
        ["2", "0"],
      ],
      null,
    ],
    [
      "vwap leaves out quantities without a price",
      vwap("p", "q"),
      [
        ["10", "1"],
        [null, "9"],
      ],
      "10",
    ],
    [
      "vwap leaves out prices without a quantity",
      vwap("p", "q"),
      [
        ["10", "1"],
        ["99", null],
      ],
      "10",
    ],
  ])("%s", (_name, one, values, expected) => {
    expect(measure(one, pairs(...values))).toEqual(expected);
  });
});

describe("first and last", () => {
  it.each<[string, Measure, At[], unknown]>([
    [
      "go by time",
      first("p"),
      [
        [{ p: "b" }, 2],
        [{ p: "a" }, 1],
        [{ p: "c" }, 3],
      ],
      "a",
    ],
    [
      "go by time, last",
      last("p"),
      [
        [{ p: "b" }, 2],
        [{ p: "c" }, 3],
        [{ p: "a" }, 1],
      ],
      "c",
    ],
    [
      "then by id, as numbers",
      first("p"),
      [
        [{ p: "b" }, 1, 10],
        [{ p: "a" }, 1, 9],
      ],
      "a",
    ],
    [
      "then by id, as numbers, last",
      last("p"),
      [
        [{ p: "b" }, 1, 10],
        [{ p: "a" }, 1, 9],
      ],
      "b",
    ],
    [
      "then by the value",
      first("p"),
      [
        [{ p: "b" }, 1, 1],
        [{ p: "a" }, 1, 1],
      ],
      "a",
    ],
    [
      "then by the value, last",
      last("p"),
      [
        [{ p: "b" }, 1, 1],
        [{ p: "a" }, 1, 1],
      ],
      "b",
    ],
    [
      "take a value that is not there for null",
      first("p"),
      [
        [{}, 1],
        [{ p: 1 }, 2],
      ],
      null,
    ],
    ["keep booleans", last("p"), [[{ p: true }, 1]], true],
    ["are null of nothing", first("p"), [], null],
  ])("%s", (_name, one, rows, expected) => {
    expect(measure(one, rows)).toEqual(expected);
    expect(measure(one, [...rows].reverse())).toEqual(expected);
  });
});

describe("quotients", () => {
  const text = (min: number) => fc.integer({ min, max: 10 ** 9 }).map((n) => formatDecimal(BigInt(n), 4));

  it("are rounded once, from exact sums", () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(text(-(10 ** 9)), text(0)), { minLength: 1, maxLength: 20 }), (rows) => {
        const units = rows.map((row) => row.map((value) => parseDecimal(value, 8) ?? 0n)) as [bigint, bigint][];
        const prices = units.reduce((total, [p]) => total + p, 0n);
        const products = units.reduce((total, [p, q]) => total + p * q, 0n);
        const volume = units.reduce((total, [, q]) => total + q, 0n);
        const expected = (quotient: bigint | null) => (quotient === null ? null : formatDecimal(quotient, 8));
        expect(measure(avg("p"), pairs(...rows))).toBe(expected(divide(prices, BigInt(rows.length))));
        expect(measure(vwap("p", "q"), pairs(...rows))).toBe(expected(divide(products, volume)));
      }),
    );
  });
});
