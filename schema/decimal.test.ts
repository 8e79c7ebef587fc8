import fc from "fast-check";
import { canonicalDecimal, decimalOfNumber, divide, formatDecimal, parseDecimal, rescale, tenTo } from "./decimal";

const units = fc.bigInt({ min: -(10n ** 40n), max: 10n ** 40n });
const scale = fc.integer({ min: 0, max: 40 });

describe("a decimal text", () => {
  it.each<[string, number, bigint | null]>([
    ["0", 8, 0n],
    ["-0", 8, 0n],
    ["50123.45", 2, 5012345n],
    ["50123.45", 8, 5012345000000n],
    ["1.500", 1, 15n],
    ["1.501", 2, null],
    ["-0.00000001", 8, -1n],
    ["007", 0, 7n],
    ["5.0", 0, 5n],
    ["5.1", 0, null],
    ["123456789012345678901234567890.12345678", 8, 12345678901234567890123456789012345678n],
  ])("%s at scale %i is %s units", (text, digits, expected) => {
    expect(parseDecimal(text, digits)).toBe(expected);
  });

  it.each([
    "",
    " ",
    "1 ",
    " 1",
    "+1",
    ".5",
    "1.",
    "-",
    "-.5",
    "1e5",
    "1,5",
    "0x1",
    "NaN",
    "Infinity",
    "1.2.3",
    "--1",
    "１",
    "1\n",
    "1_000",
  ])("%j is none", (text) => {
    expect(parseDecimal(text, 8)).toBeNull();
    expect(canonicalDecimal(text)).toBeNull();
  });

  it.each([
    ["0.0", "0"],
    ["-0.0", "0"],
    ["007.50", "7.5"],
    ["100", "100"],
    ["-1.10", "-1.1"],
    ["0.00000000000000000001", "0.00000000000000000001"],
  ])("%s is canonically %s", (text, canonical) => {
    expect(canonicalDecimal(text)).toBe(canonical);
  });

  it("comes back from what was written", () => {
    fc.assert(
      fc.property(units, scale, (number, digits) => {
        const text = formatDecimal(number, digits);
        expect(parseDecimal(text, digits)).toBe(number);
        expect(text).toMatch(/^-?(0|[1-9]\d*)(\.\d*[1-9])?$/);
        expect(text).not.toBe("-0");
        expect(canonicalDecimal(text)).toBe(text);
        expect(canonicalDecimal(`${text.includes(".") ? text : `${text}.`}000`)).toBe(text);
      }),
    );
  });
});

describe("arithmetic", () => {
  it.each([
    [5n, 2n, 2n],
    [7n, 2n, 4n],
    [-5n, 2n, -2n],
    [-7n, 2n, -4n],
    [5n, -2n, -2n],
    [1n, 2n, 0n],
    [3n, 2n, 2n],
    [10n, 3n, 3n],
    [11n, 3n, 4n],
    [0n, 5n, 0n],
    [-1n, 3n, 0n],
  ])("%s / %s is %s, half to even", (numerator, denominator, quotient) => {
    expect(divide(numerator, denominator)).toBe(quotient);
  });

  it("has no quotient by zero", () => {
    expect(divide(1n, 0n)).toBeNull();
    expect(divide(0n, 0n)).toBeNull();
  });

  it("divides to the nearest, and to the even one of two that are as near", () => {
    fc.assert(
      fc.property(units, fc.oneof(units, fc.bigInt({ min: -9n, max: 9n })), (numerator, denominator) => {
        fc.pre(denominator !== 0n);
        const quotient = divide(numerator, denominator) as bigint;
        const size = (value: bigint) => (value < 0n ? -value : value);
        const twiceOff = 2n * size(numerator - quotient * denominator);
        expect(twiceOff <= size(denominator)).toBe(true);
        if (twiceOff === size(denominator)) expect(quotient % 2n).toBe(0n);
        expect(divide(-numerator, denominator)).toBe(-quotient);
        expect(divide(-numerator, -denominator)).toBe(quotient);
      }),
      { numRuns: 500 },
    );
  });

  it("sums exactly, in any order, where floats do not", () => {
    expect(formatDecimal((parseDecimal("0.1", 8) ?? 0n) + (parseDecimal("0.2", 8) ?? 0n), 8)).toBe("0.3");
    fc.assert(
      fc.property(fc.array(units, { maxLength: 20 }), scale, (numbers, digits) => {
        const sum = (texts: string[]) =>
          texts.reduce((total, text) => total + (parseDecimal(text, digits) as bigint), 0n);
        const texts = numbers.map((number) => formatDecimal(number, digits));
        expect(sum(texts)).toBe(numbers.reduce((total, number) => total + number, 0n));
        expect(sum([...texts].reverse())).toBe(sum(texts));
      }),
    );
  });

  it("changes the scale without loss upwards, and rounds downwards", () => {
    expect(rescale(15n, 1, 3)).toBe(1500n);
    expect(rescale(15n, 1, 0)).toBe(2n);
    expect(rescale(25n, 1, 0)).toBe(2n);
    expect(rescale(-25n, 1, 0)).toBe(-2n);
    fc.assert(
      fc.property(units, scale, scale, (number, from, more) => {
        expect(rescale(rescale(number, from, from + more), from + more, from)).toBe(number);
      }),
    );
  });

  it("knows powers of ten beyond its table", () => {
    expect(tenTo(0)).toBe(1n);
    expect(tenTo(100)).toBe(10n ** 100n);
  });
});

describe("a number as a decimal", () => {
  it.each([
    [0, "0"],
    [-0, "0"],
    [1.5, "1.5"],
    [-2, "-2"],
    [1e21, "1000000000000000000000"],
    [1.5e21, "1500000000000000000000"],
    [1e-7, "0.0000001"],
    [-1.25e-9, "-0.00000000125"],
    [0.1 + 0.2, "0.30000000000000004"],
    [Number.MIN_VALUE, `0.${"0".repeat(323)}5`],
  ])("%p is %s", (number, text) => {
    expect(decimalOfNumber(number)).toBe(text);
  });

  it.each([Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY])("%p is none", (number) => {
    expect(decimalOfNumber(number)).toBeNull();
  });

  it("is read back to the same number", () => {
    fc.assert(
      fc.property(fc.double({ noDefaultInfinity: true, noNaN: true }), (number) => {
        const text = decimalOfNumber(number) as string;
        expect(Number(text) === number).toBe(true);
        expect(text).not.toMatch(/e/i);
      }),
    );
  });
});
