import { z } from "zod";
import { UsageError } from "../../schema/errors";
import { decimal, tableOf, timestamp, type Column, type Table } from "../../schema/table";
import { checkTable, createSql } from "./shape";

it("a table is made with its types, its key and what is said of its columns", () => {
  const model = z.object({
    symbol: z.string().describe('the pair\'s "name"'),
    at: timestamp(),
    more: timestamp().nullable(),
    volume: decimal(38, 8).nullable(),
  });
  expect(createSql("my", tableOf('t"x', model, { key: ["symbol", "at"] })).split("; ")).toEqual([
    'CREATE TABLE "my"."t""x" ("symbol" text NOT NULL, "at" timestamp with time zone NOT NULL, ' +
      '"more" timestamp with time zone, "volume" numeric(38,8), PRIMARY KEY ("symbol", "at"))',
    `COMMENT ON COLUMN "my"."t""x"."symbol" IS 'the pair''s "name"'`,
  ]);
});

const text = (name: string, nullable = false): Column => ({ name, type: { kind: "text" }, nullable, description: "" });
const table = (change: Partial<Table>): Table => ({
  name: "t",
  columns: [text("a")],
  key: ["a"],
  mode: "upsert",
  ...change,
});

it.each<[string, Table, RegExp]>([
  ["a table without a key", table({ key: [] }), /has no key/],
  ["a key that may be null", table({ columns: [text("a", true)] }), /The key column a of t may be null/],
  ["a name with NUL", table({ name: "a\0b" }), /cannot keep/],
  [
    "a name that would be cut off",
    table({ columns: [text("a"), text("ü".repeat(32))] }),
    /cannot keep \(1 to 63 bytes\)/,
  ],
  ["no name", table({ columns: [text("a"), text("")] }), /cannot keep/],
  ["the name of the record of batches", table({ name: "beamline_batches" }), /is reserved for the record of batches/],
  ["the name of a system column", table({ columns: [text("a"), text("ctid")] }), /“ctid” of t is reserved/],
  ["a column twice", table({ columns: [text("a"), text("a")] }), /has the column “a” twice/],
])("%s is refused", (_name, one, message) => {
  expect(() => checkTable(one)).toThrow(UsageError);
  expect(() => checkTable(one)).toThrow(message);
});

it("names that differ in case only are two", () => {
  expect(() => checkTable(table({ columns: [text("a"), text("A")] }))).not.toThrow();
});
