import fc from "fast-check";
import { z } from "zod";
import { date, decimal, raw, tableOf, timestamp } from "../../schema/table";
import { packRow, unpackRow } from "./packed-row";

const table = tableOf(
  "t",
  z.object({
    id: z.string(),
    words: z.string().nullable(),
    whole: z.int().nullable(),
    share: z.number().nullable(),
    yes: z.boolean().nullable(),
    price: decimal().nullable(),
    at: timestamp().nullable(),
    day: date().nullable(),
    body: raw().nullable(),
    tree: z.object({}).nullable(),
  }),
  { key: ["id"] },
);
const empty = Object.fromEntries(table.columns.map(({ name }) => [name, null]));

test("a row comes back as it was, whatever is in it", () => {
  const orNull = <T>(of: fc.Arbitrary<T>) => fc.option(of, { nil: null });
  const rows = fc.record({
    id: fc.string({ unit: "binary" }),
    words: orNull(fc.string({ unit: "binary" })),
    whole: orNull(fc.oneof(fc.maxSafeInteger(), fc.bigInt())),
    share: orNull(fc.double({ noNaN: true, noDefaultInfinity: true })),
    yes: orNull(fc.boolean()),
    price: orNull(fc.constantFrom("0", "-1.50", `${"9".repeat(30)}.12345678`)),
    at: orNull(fc.integer({ min: -62135596800000, max: 253402300799999 })),
    day: orNull(fc.constantFrom("0001-01-01", "9999-12-31")),
    body: orNull(fc.oneof(fc.string(), fc.uint8Array())),
    tree: orNull(fc.constantFrom({ whole: "1" }, { base64: "AA==" }, [], { a: [null, { b: "ü" }] })),
  });
  fc.assert(
    fc.property(rows, (row) => {
      const line = packRow(table, row);
      expect(line).not.toContain("\n");
      expect(unpackRow(table, line)).toEqual(row);
    }),
  );
});

test("what does not fit its column is refused, and not bent", () => {
  for (const wrong of [{ share: Number.NaN }, { share: Infinity }, { whole: 0.5 }, { at: "now" }, { id: null }])
    expect(() => packRow(table, { ...empty, id: "a", ...wrong })).toThrow(/^Column \w+ of t takes /);
});
