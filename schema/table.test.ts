import fc from "fast-check";
import { z } from "zod";
import { parseDecimal } from "./decimal";
import { sizeOf } from "./record";
import { date, decimal, positiveDecimal, raw, tableOf, timestamp } from "./table";

describe("the table of a model", () => {
  it("has a column for each field, in order, with its type", () => {
    const model = z.object({
      text: z.string().describe("what it says"),
      kind: z.enum(["a", "b"]),
      one: z.literal("x"),
      integer: z.int(),
      alsoInteger: z.number().int(),
      double: z.number(),
      boolean: z.boolean(),
      decimal: decimal(20, 4),
      positive: positiveDecimal(),
      at: timestamp(),
      day: date(),
      raw: raw(),
      list: z.array(z.string()),
      object: z.object({ a: z.string() }),
      record: z.record(z.string(), z.int()),
      maybe: decimal().nullable(),
      perhaps: timestamp().optional(),
      usual: z.int().default(1),
      both: z.string().nullable().optional(),
    });
    const table = tableOf("t", model, { key: ["text", "at"] });
    expect(table).toMatchObject({ name: "t", key: ["text", "at"], mode: "upsert" });
    expect(table.columns[0]).toEqual({
      name: "text",
      type: { kind: "text" },
      nullable: false,
      description: "what it says",
    });
    expect(table.columns.map(({ name, type, nullable }) => [name, type.kind, nullable])).toEqual([
      ["text", "text", false],
      ["kind", "text", false],
      ["one", "text", false],
      ["integer", "integer", false],
      ["alsoInteger", "integer", false],
      ["double", "double", false],
      ["boolean", "boolean", false],
      ["decimal", "decimal", false],
      ["positive", "decimal", false],
      ["at", "timestamp", false],
      ["day", "date", false],
      ["raw", "bytes", false],
      ["list", "json", false],
      ["object", "json", false],
      ["record", "json", false],
      ["maybe", "decimal", true],
      ["perhaps", "timestamp", true],
      ["usual", "integer", false],
      ["both", "text", true],
    ]);
    expect(table.columns[7]?.type).toEqual({ kind: "decimal", precision: 20, scale: 4 });
  });

  it("knows what a list of plain values is a list of", () => {
    const model = z.object({
      texts: z.array(z.string()),
      numbers: z.array(z.int()).nullable(),
      prices: z.array(decimal(20, 4)),
      days: z.array(date()),
      maybe: z.array(z.string().nullable()),
      times: z.array(timestamp()),
      lists: z.array(z.array(z.string())),
      objects: z.array(z.object({ a: z.string() })),
    });
    expect(tableOf("t", model, { key: [] }).columns.map(({ type }) => type)).toEqual([
      { kind: "json", of: { kind: "text" } },
      { kind: "json", of: { kind: "integer" } },
      { kind: "json", of: { kind: "decimal", precision: 20, scale: 4 } },
      { kind: "json", of: { kind: "date" } },
      { kind: "json" },
      { kind: "json" },
      { kind: "json" },
      { kind: "json" },
    ]);
  });

  it("refuses a key that is no column, and a field that has no column type", () => {
    expect(() => tableOf("t", z.object({ a: z.string() }), { key: ["b"] })).toThrow(
      "Table t has the key b, but no such column: a",
    );
    expect(() => tableOf("t", z.object({ a: z.map(z.string(), z.string()) }), { key: [] })).toThrow(
      /Column a: a map has no column type/,
    );
  });
});

describe("a decimal field", () => {
  it.each<[string, boolean]>([
    ["1.5", true],
    ["-1.5", true],
    ["999999.99", true],
    ["9999999.99", false],
    ["1.555", false],
    ["1.550", true],
    ["1.5500000000000000000000", true],
    ["0001.5", true],
    ["00000000000000001.5", true],
    ["", false],
    ["-", false],
    [".5", false],
    ["-.5", false],
    ["5.", false],
    ["1e2", false],
    ["1.2.3", false],
    ["1-", false],
    [" 1", false],
    ["1\n", false],
    ["٣", false],
  ])("takes %j: %p", (text, fits) => {
    expect(decimal(8, 2).safeParse(text).success).toBe(fits);
  });

  it("takes no number", () => {
    expect(decimal().safeParse(1.5).success).toBe(false);
  });

  it("takes exactly what fits, by the digits alone or by arithmetic", () => {
    const text = fc.oneof(
      fc.string({ unit: fc.constantFrom("0", "0", "1", "9", ".", "-"), maxLength: 14 }),
      fc
        .tuple(fc.constantFrom("", "-"), fc.nat(999_999_999), fc.nat(99_999))
        .map(([sign, whole, part]) => `${sign}${whole}.${part}`),
    );
    fc.assert(
      fc.property(text, fc.integer({ min: 1, max: 10 }), fc.nat(5), (candidate, precision, digits) => {
        fc.pre(digits <= precision);
        const units = parseDecimal(candidate, digits);
        const expected = units !== null && (units < 0n ? -units : units) < 10n ** BigInt(precision);
        expect(decimal(precision, digits).safeParse(candidate).success).toBe(expected);
        expect(positiveDecimal(precision, digits).safeParse(candidate).success).toBe(expected && units > 0n);
      }),
      { numRuns: 2_000 },
    );
  });
});

describe("a record's value", () => {
  it("has the length of its bytes", () => {
    expect(sizeOf("ü")).toBe(2);
    expect(sizeOf(new Uint8Array(3))).toBe(3);
  });
});
