import fc from "fast-check";
import { rescale } from "../schema/decimal";
import { Accumulation } from "./accumulate";
import { type Fields } from "./measure-states";
import { compareIds } from "./order";
import { toUnits } from "./units";
import { avg, count, first, last, max, min, sum, sumProduct, vwap, type Measures } from "./measures";

describe("the units of a quantity", () => {
  it.each<[unknown, number, number | bigint | null]>([
    ["1", 8, 100_000_000],
    ["1.5", 2, 150],
    ["-1.5", 2, -150],
    ["-0", 0, 0],
    ["-5", 0, -5],
    ["007.10", 2, 710],
    ["1.500000", 1, 15],
    ["0.00000001", 8, 1],
    ["9999999.99999999", 8, 999_999_999_999_999],
    ["90071992547409930", 0, 90_071_992_547_409_930n],
    ["123456789012345678901234567890.12345678", 8, 12_345_678_901_234_567_890_123_456_789_012_345_678n],
    [0, 8, 0],
    [-0, 8, 0],
    [1.5, 2, 150],
    [-1.5, 0, -2],
    [0.125, 2, 12],
    [0.1, 8, 10_000_000],
    [1e-10, 8, 0],
    [1.5e-7, 8, 15],
    [1e21, 2, 10n ** 23n],
    [Number.MAX_SAFE_INTEGER, 0, 9_007_199_254_740_991n],
    [null, 8, null],
    [undefined, 8, null],
  ])("of %p at %p digits are %p", (value, scale, expected) => {
    expect(toUnits(value, scale, "f")).toBe(expected);
  });

  it.each<[unknown, number]>([
    ...["", ".", "1.", ".5", "1..2", "1.2.3", " 1", "1e5", "+1", "-", "--1", "1,5", "NaN", "٣"].map(
      (text): [string, number] => [text, 8],
    ),
    ["1.123456789", 8],
    ["1.5", 0],
    ["1x", 0],
    ["1-", 0],
    ["1.23456789x", 8],
    [Number.NaN, 8],
    [Number.POSITIVE_INFINITY, 8],
    [true, 8],
    [new Date(0), 8],
    [10n, 8],
  ])("there are none in %p at %p digits, and the field is named", (value, scale) => {
    expect(() => toUnits(value, scale, "price")).toThrow(/^price is /);
  });

  it("says what to do when there are too many digits", () => {
    expect(() => toUnits("1.123", 2, "price")).toThrow(
      "price is “1.123”, which is no decimal with at most 2 digits after the point; give the measure a greater scale",
    );
  });

  it("are those of plain arithmetic, for every decimal", () => {
    const digits = fc
      .array(fc.integer({ min: 0, max: 9 }), { minLength: 1, maxLength: 30 })
      .map((list) => list.join(""));
    const fraction = fc.array(fc.integer({ min: 0, max: 9 }), { maxLength: 8 }).map((list) => list.join(""));
    fc.assert(
      fc.property(fc.boolean(), digits, fraction, (negative, whole, decimals) => {
        const text = `${negative ? "-" : ""}${whole}${decimals === "" ? "" : `.${decimals}`}`;
        const expected = BigInt(whole + decimals.padEnd(8, "0")) * (negative ? -1n : 1n);
        expect(BigInt(toUnits(text, 8, "f") as number)).toBe(expected);
      }),
    );
  });

  it("of a number are those of its text, rounded half to even", () => {
    fc.assert(
      fc.property(fc.integer(), fc.integer({ min: 0, max: 6 }), (n, places) => {
        const number = Number(`${n}e-${places}`);
        expect(BigInt(toUnits(number, 3, "f") as number)).toBe(rescale(BigInt(n), places, 3));
      }),
    );
  });
});

describe("the order of ids", () => {
  it("is nothing, numbers by size, texts by code unit", () => {
    const ordered = [null, -1, 0, 2, 10, "", "10", "2", "a", "é"];
    const shuffled = [4, 9, 0, 7, 2, 5, 1, 8, 3, 6].map((at) => ordered[at] ?? null);
    expect(shuffled.sort(compareIds)).toEqual(ordered);
  });
});

const measures: Measures = {
  n: count(),
  volume: sum("q"),
  turnover: sumProduct("p", "q"),
  low: min("p"),
  high: max("p"),
  open: first("p"),
  close: last("p"),
  mean: avg("p"),
  vwap: vwap("p", "q"),
  numbers: sum("x"),
  least: min("x"),
  most: max("x"),
  flag: first("flag"),
};

interface Row extends Fields {
  readonly time: number;
  readonly id: number | string | null;
}

const decimals = fc
  .tuple(fc.bigInt({ min: -(10n ** 22n), max: 10n ** 22n }), fc.integer({ min: 0, max: 8 }))
  .map(([n, scale]) => {
    const text = (n < 0n ? -n : n).toString().padStart(scale + 1, "0");
    return `${n < 0n ? "-" : ""}${scale === 0 ? text : `${text.slice(0, -scale)}.${text.slice(-scale)}`}`;
  });

const row: fc.Arbitrary<Row> = fc.record({
  time: fc.integer({ min: 0, max: 3 }),
  id: fc.oneof(fc.constant(null), fc.integer({ min: 0, max: 3 }), fc.constantFrom("a", "b")),
  p: fc.oneof(decimals, fc.constant(null), fc.constantFrom("0", "-0", "0.0", "1.50", "1.5")),
  q: fc.oneof(decimals, fc.constant(null), fc.constant(undefined)),
  x: fc.oneof(fc.double({ noNaN: true, min: -1e9, max: 1e9 }), fc.constant(null)),
  flag: fc.oneof(fc.boolean(), fc.constant(null), fc.string({ maxLength: 1 })),
});

function onePass(rows: readonly Row[], of: Measures = measures): Record<string, unknown> {
  const accumulation = new Accumulation(of);
  const group = accumulation.create();
  for (const each of rows) accumulation.add(group, each, each.time, each.id);
  return accumulation.results(group.freeze());
}

describe("accumulators", () => {
  it("merge in any order, in any parts, over JSON, to what one pass gives", () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(row, fc.nat(3), fc.nat()), { maxLength: 30 }),
        fc.array(fc.nat(3), { maxLength: 4 }),
        (dealt, order) => {
          const accumulation = new Accumulation(measures);
          const parts = [0, 1, 2, 3].map((part) => {
            const group = accumulation.create();
            const rows = dealt.filter(([, to]) => to === part).sort((a, b) => a[2] - b[2]);
            for (const [each] of rows) accumulation.add(group, each, each.time, each.id);
            return JSON.parse(JSON.stringify(group.freeze())) as ReturnType<typeof group.freeze>;
          });
          const merged = accumulation.create();
          const positions = [...new Set([...order, 0, 1, 2, 3])];
          for (const at of positions) merged.merge(parts[at] ?? []);
          expect(accumulation.results(merged.freeze())).toEqual(onePass(dealt.map(([each]) => each)));
        },
      ),
    );
  });

  it("are shared by the measures that need the same ones", () => {
    const shared = { mean: avg("p"), vwap: vwap("p", "q"), volume: sum("q"), turnover: sumProduct("p", "q") };
    // Σp, the count of p, Σpq and Σq: four, not seven.
    expect(new Accumulation(shared).create().freeze()).toHaveLength(4);
  });

  it("parse a row once for all windows that it lies in", () => {
    let reads = 0;
    const counted = {
      get p() {
        reads += 1;
        return "1.5";
      },
    };
    const accumulation = new Accumulation({ mean: avg("p") });
    const [a, b] = [accumulation.create(), accumulation.create()];
    accumulation.add(a, counted, 0, null);
    const once = reads;
    accumulation.add(b, counted, 0, null);
    // Whether it is a number is looked up per window; its digits are not read again.
    expect(reads - once).toBeLessThan(once);
    expect(accumulation.results(b.freeze())).toEqual({ mean: "1.5" });
  });
});
