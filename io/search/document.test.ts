// Ids that never collide, and documents that say what their rows say.
import fc from "fast-check";
import { z } from "zod";
import { date, decimal, raw, tableOf, timestamp, type Row } from "../../schema/table";
import { documentsOf } from "./document";
import { documentId } from "./document-id";

const two = tableOf("t", z.object({ a: z.string(), b: z.string() }), { key: ["a", "b"] });
const idOf = (table: typeof two, row: Row) => documentId(table, table.columns.slice(0, table.key.length), row);

describe("an id", () => {
  it.each<[Row, string]>([
    [{ a: "BTC", b: "x" }, "BTC|x"],
    [{ a: "B|T", b: "" }, "B\\|T|"],
    [{ a: "B\\", b: "T|" }, "B\\\\|T\\|"],
    [{ a: "\ud800", b: "ü😀" }, "\\ud800|ü😀"],
  ])("of %j is %s", (row, id) => {
    expect(idOf(two, row)).toBe(id);
  });

  it("is of one form for each value", () => {
    const model = z.object({ day: date(), at: timestamp(), price: decimal(), n: z.int(), is: z.boolean(), raw: raw() });
    const key = ["day", "at", "price", "n", "is", "raw"];
    const table = tableOf("t", model, { key });
    const row = { day: "2026-01-05", at: 0, price: "1.50", n: -0, is: true, raw: "é" };
    const id = "2026-01-05|1970-01-01T00:00:00.000Z|1.5|0|true|w6k=";
    expect(idOf(table, row)).toBe(id);
    expect(idOf(table, { ...row, price: "1.5", n: 0n, raw: new Uint8Array([0xc3, 0xa9]) })).toBe(id);
  });

  it("is never empty and never too long", () => {
    const one = tableOf("t", z.object({ a: z.string() }), { key: ["a"] });
    expect(idOf(one, { a: "" })).toBe("\\e");
    expect(idOf(one, { a: "x".repeat(512) })).toBe("x".repeat(512));
    expect(idOf(one, { a: "x".repeat(513) })).toMatch(/^\\h[\w-]{43}$/);
    expect(idOf(one, { a: "ü".repeat(257) })).toMatch(/^\\h/);
    expect(idOf(one, { a: "ü".repeat(257) })).not.toBe(idOf(one, { a: "ü".repeat(258) }));
  });

  it("is another one for each key", () => {
    const part = fc.oneof(
      fc
        .array(fc.constantFrom("\\", "|", "e", "h", "u", "d800", "\ud800", "\udc00", "x"), { maxLength: 5 })
        .map((parts) => parts.join("")),
      fc.string({ unit: "binary" }),
    );
    fc.assert(
      fc.property(fc.tuple(part, part), fc.tuple(part, part), ([a, b], [c, d]) => {
        const same = a === c && b === d;
        const bytes = (id: string) => Buffer.from(id).toString("hex");
        expect(bytes(idOf(two, { a, b })) === bytes(idOf(two, { a: c, b: d }))).toBe(same);
      }),
      { numRuns: 2000 },
    );
  });
});

describe("a document", () => {
  const model = z.object({
    id: z.bigint().meta({ column: { kind: "integer" } }),
    text: z.string().nullable(),
    double: z.number(),
    price: decimal(),
    at: timestamp(),
    raw: raw(),
    json: z.record(z.string(), z.unknown()),
  });
  const table = tableOf("t", model, { key: ["id", "at"] });
  const row = { id: 9007199254740993n, text: null, double: -0, price: "1.10", at: 0, raw: "a\0", json: { "a.b": [1] } };

  it("has every column, numbers with all their digits", () => {
    const document = documentsOf(table, "i", { rollover: null })(row);
    expect(document).toMatchObject({ index: "i", id: "9007199254740993|1970-01-01T00:00:00.000Z", row });
    expect(document.lines).toBe(
      '{"index":{"_index":"i","_id":"9007199254740993|1970-01-01T00:00:00.000Z"}}\n' +
        '{"id":9007199254740993,"text":null,"double":-0.0,"price":"1.1","at":"1970-01-01T00:00:00.000Z","raw":"YQA=","json":{"a.b":[1]}}\n',
    );
  });

  it.each([
    ["day", 1767614400000, "i.day-2026.01.05"],
    ["month", 1767614400000, "i.month-2026.01.01"],
    ["year", 1767614400000, "i.year-2026.01.01"],
    ["day", -62198755200000, "i.day--000001.01.01"],
    ["day", 253402300800000, "i.day-+010000.01.01"],
  ] as const)("goes to the index of its %s", (period, at, index) => {
    expect(documentsOf(table, "i", { rollover: { period, column: "at" } })({ ...row, at }).index).toBe(index);
  });

  it("says a time behind the year 9999 as a number", () => {
    expect(documentsOf(table, "i", { rollover: null })({ ...row, at: 253402300800000 }).lines).toContain(
      '"at":253402300800000',
    );
  });
});
