import fc from "fast-check";
import { z } from "zod";
import { UsageError } from "../../schema/errors";
import { date, decimal, raw, tableOf, timestamp, type Row } from "../../schema/table";
import { NoFolder, NO_VALUE, Partitioning, valuesOf } from "./partition";

const table = tableOf(
  "candles",
  z.object({
    symbol: z.string().nullable(),
    at: timestamp().nullable(),
    day_of: date().nullable(),
    price: decimal().nullable(),
    yes: z.boolean().nullable(),
    count: z.int().nullable(),
    body: raw().nullable(),
    hour: z.int().nullable(),
  }),
  { key: ["symbol", "at"] },
);
const nothing = { symbol: null, at: null, day_of: null, price: null, yes: null, count: null, body: null, hour: null };
const by = (said: string | null) => Partitioning.of(said, table, "gs://bucket/");
const folder = (said: string, row: Row) => by(said).folderOf({ ...nothing, ...row });
const AT = Date.UTC(2026, 0, 31, 5, 59, 59, 999);

describe("the folder of a row", () => {
  it.each<[string, Row, string]>([
    ["symbol", { symbol: "BTC" }, "symbol=BTC/"],
    ["day(at)", { at: AT }, "day=2026-01-31/"],
    ["year(at), month(at)", { at: AT }, "year=2026/month=2026-01/"],
    ["day(at)", { at: -1 }, "day=1969-12-31/"],
    ["day(day_of)", { day_of: "2026-02-01" }, "day=2026-02-01/"],
    ["day_of,symbol", { day_of: "2026-02-01", symbol: "A" }, "day_of=2026-02-01/symbol=A/"],
    ["price", { price: "1.50" }, "price=1.5/"],
    ["yes", { yes: false }, "yes=false/"],
    ["count", { count: -7 }, "count=-7/"],
    ["at", { at: 0 }, "at=1970-01-01T00%3A00%3A00.000Z/"],
    ["symbol", {}, `symbol=${NO_VALUE}/`],
    ["day(at)", {}, `day=${NO_VALUE}/`],
  ])("by %s of %j is %s", (said, row, expected) => {
    expect(folder(said, row)).toBe(expected);
  });

  it("is none where nothing was said", () => {
    expect(by(null).folderOf(nothing)).toBe("");
  });

  it("follows times from row to row", () => {
    const days = by("day(at)");
    const at = (time: number | null) => days.folderOf({ ...nothing, at: time });
    const noon = Date.UTC(2026, 0, 1, 12);
    expect([at(noon), at(noon + 1), at(noon + 12 * 3_600_000), at(null), at(noon)]).toEqual([
      "day=2026-01-01/",
      "day=2026-01-01/",
      "day=2026-01-02/",
      `day=${NO_VALUE}/`,
      "day=2026-01-01/",
    ]);
  });

  it.each([
    ["../../etc/passwd", "symbol=..%2F..%2Fetc%2Fpasswd/"],
    ["..", "symbol=.%2E/"],
    ["C:\\x", "symbol=C%3A%5Cx/"],
    ["a=b?c#d%e", "symbol=a%3Db%3Fc%23d%25e/"],
    ["\u0000\n\u007f", "symbol=%00%0A%7F/"],
    [NO_VALUE, `symbol=%5F${NO_VALUE.slice(1)}/`],
    ["ends ", "symbol=ends%20/"],
    ["日本 ü", "symbol=日本 ü/"],
  ])("of a hostile %j is one folder", (symbol, expected) => {
    expect(folder("symbol", { symbol })).toBe(expected);
  });

  it("gives every text back, and is never more than a folder", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary", minLength: 1, maxLength: 20 }), (symbol) => {
        const path = folder("symbol", { symbol });
        for (const one of ["/", "\\", "\u0000"]) expect(path.slice(0, -1)).not.toContain(one);
        expect([...valuesOf(path)]).toEqual([["symbol", symbol]]);
      }),
    );
  });

  it("is refused for a text that is empty or too long for a folder", () => {
    expect(() => folder("symbol", { symbol: "" })).toThrow(NoFolder);
    expect(() => folder("symbol", { symbol: "ü".repeat(125) })).toThrow(NoFolder);
    expect(folder("symbol", { symbol: "ü".repeat(124) })).toHaveLength(7 + 124 + 1);
  });
});

describe("what cannot be partitioned by", () => {
  it.each([
    ["symbl", /to be partitioned by symbl, but candles has no such column: did you mean “symbol”\?$/],
    ["decade(at)", /by decade\(at\): it must be one of year, month, day, hour, or a column's name$/],
    ["day(symbol)", /symbol is no time$/],
    ["hour(day_of)", /day_of is a day$/],
    ["day(at),day(day_of)", /two of its folders would be “day=”$/],
    ["hour(at)", /candles has a column hour of its own, and the folders would hide it$/],
  ])("%s", (said, message) => {
    expect(() => by(said)).toThrow(UsageError);
    expect(() => by(said)).toThrow(message);
  });

  it("is a column whose values are no folders", () => {
    expect(() => folder("body", { body: "x" })).toThrow(/cannot be partitioned by body/);
  });
});

describe("the table of partitioned files", () => {
  it("has no column twice: those that are folders are not in it, nor in its key", () => {
    const inFiles = by("symbol,day(at)").inFiles();
    expect(inFiles.columns.map(({ name }) => name)).toEqual(["at", "day_of", "price", "yes", "count", "body", "hour"]);
    expect(inFiles.key).toEqual(["at"]);
  });

  it("must have a column", () => {
    const one = tableOf("one", z.object({ a: z.string() }), { key: ["a"] });
    expect(() => Partitioning.of("a", one, "x").inFiles()).toThrow(/partitioned by all of its columns/);
  });
});

describe("the folders of a path", () => {
  it.each([
    ["candles/day=2026-01-01/symbol=a%2Fb/x.parquet", { day: "2026-01-01", symbol: "a/b" }],
    ["a=1/b/a=2/x", { a: "2" }],
    [`a=${NO_VALUE}/x`, { a: null }],
    ["a=/=b/c=d", {}],
    ["a=%C3%BC/x", { a: "ü" }],
  ])("of %s say %j", (path, expected) => {
    expect(Object.fromEntries(valuesOf(path))).toEqual(expected);
  });

  it.each([
    ["year(at)", "year=2024/", "2024-01-01T00:00Z", "2025-01-01T00:00Z"],
    ["month(at)", "month=2024-12/", "2024-12-01T00:00Z", "2025-01-01T00:00Z"],
    ["day(at)", "day=2024-02-29/", "2024-02-29T00:00Z", "2024-03-01T00:00Z"],
    ["day_of", "day_of=2024-02-29/", "2024-02-29T00:00Z", "2024-03-01T00:00Z"],
  ])("by %s stand for a time: %s", (said, path, from, to) => {
    const column = said.includes("day_of") ? "day_of" : "at";
    expect(by(said).timesOf(path, column)).toEqual({ from: Date.parse(from), to: Date.parse(to) });
    expect(by(said).timesOf(path, "symbol")).toBeNull();
    expect(by(said).timesOf(path.replace(/=.*/, `=${NO_VALUE}/`), column)).toBeNull();
  });
});
