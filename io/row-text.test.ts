import { parse } from "csv-parse/sync";
import fc from "fast-check";
import { z } from "zod";
import { RunError } from "../schema/errors";
import { date, decimal, raw, tableOf, timestamp, type Row } from "../schema/table";
import { csvOf, ndjsonOf } from "./row-text";

const model = z.object({
  text: z.string().nullable(),
  integer: z.int().nullable(),
  double: z.number().nullable(),
  boolean: z.boolean().nullable(),
  decimal: decimal(38, 8).nullable(),
  at: timestamp().nullable(),
  day: date().nullable(),
  raw: raw().nullable(),
  json: z.object({ a: z.int() }).nullable(),
});
const table = tableOf("everything", model, { key: ["text"] });
const full: Row = {
  text: 'say "hi", ü',
  integer: 9007199254740991,
  double: 1.5,
  boolean: false,
  decimal: "50123.4500",
  at: Date.UTC(2026, 0, 31, 12, 0, 0, 7),
  day: "2026-01-31",
  raw: new Uint8Array([255, 0]),
  json: { a: 1 },
};

describe("a row as text", () => {
  it("is a JSON object with the columns in order", () => {
    expect(ndjsonOf(table).lineOf(full)).toBe(
      '{"text":"say \\"hi\\", ü","integer":9007199254740991,"double":1.5,"boolean":false,"decimal":"50123.45",' +
        '"at":"2026-01-31T12:00:00.007Z","day":"2026-01-31","raw":"base64:/wA=","json":{"a":1}}\n',
    );
  });

  it("is a line of CSV", () => {
    const text = csvOf(table);
    expect(text.head).toBe("text,integer,double,boolean,decimal,at,day,raw,json\n");
    expect(text.lineOf(full)).toBe(
      '"say ""hi"", ü",9007199254740991,1.5,false,50123.45,2026-01-31T12:00:00.007Z,2026-01-31,base64:/wA=,"{""a"":1}"\n',
    );
  });

  it("has nulls and empty texts that can be told apart", () => {
    const empty = { text: "", integer: null, raw: "" };
    expect(JSON.parse(ndjsonOf(table).lineOf(empty))).toEqual({
      text: "",
      integer: null,
      double: null,
      boolean: null,
      decimal: null,
      at: null,
      day: null,
      raw: "",
      json: null,
    });
    expect(csvOf(table).lineOf(empty)).toBe('"",,,,,,,"",\n');
  });

  it("leaves what a spreadsheet would take for a formula as it is", () => {
    expect(csvOf(table).lineOf({ text: "=1+1" })).toBe("=1+1,,,,,,,,\n");
  });

  it("writes a bigint as its digits", () => {
    expect(ndjsonOf(table).lineOf({ integer: 2n ** 60n })).toContain('"integer":1152921504606846976,');
  });

  it("keeps hostile column names", () => {
    const hostile = tableOf("t", z.object({ 'a",b\n': z.string(), constructor: z.string() }), { key: ["constructor"] });
    const row = { 'a",b\n': "1", constructor: "2" };
    expect(JSON.parse(ndjsonOf(hostile).lineOf(row))).toEqual(row);
    expect(parse(csvOf(hostile).head + csvOf(hostile).lineOf(row), { columns: true })).toEqual([row]);
  });

  it.each<[Row, string]>([
    [{ double: Number.NaN }, "Column double of everything takes a finite number, but a row has NaN"],
    [{ double: Number.POSITIVE_INFINITY }, "Column double of everything takes a finite number, but a row has Infinity"],
    [{ integer: 1.5 }, "Column integer of everything takes a whole number of at most 2^53, but a row has 1.5"],
    [
      { integer: 2 ** 53 },
      "Column integer of everything takes a whole number of at most 2^53, but a row has 9007199254740992",
    ],
    [{ decimal: 1.5 }, "Column decimal of everything takes a decimal text, but a row has 1.5"],
    [{ decimal: "1e5" }, 'Column decimal of everything takes a decimal text, but a row has "1e5"'],
    [{ at: "2026-01-31" }, 'Column at of everything takes milliseconds since 1970, but a row has "2026-01-31"'],
    [{ at: 1e99 }, "Column at of everything takes milliseconds since 1970, but a row has 1e+99"],
    [{ text: { a: 1 } }, "Column text of everything takes text, but a row has an object"],
    [{ boolean: "true" }, 'Column boolean of everything takes true or false, but a row has "true"'],
    [{ raw: [1] }, "Column raw of everything takes text or bytes, but a row has a list"],
    [{ json: 1n }, "Column json of everything takes something that has a JSON form, but a row has 1"],
  ])("refuses %p", (row, message) => {
    expect(() => ndjsonOf(table).lineOf(row)).toThrow(new RunError(message));
    expect(() => csvOf(table).lineOf(row)).toThrow(RunError);
  });

  it("refuses nothing where there must be something", () => {
    const strict = tableOf("t", z.object({ a: z.string() }), { key: ["a"] });
    expect(() => ndjsonOf(strict).lineOf({})).toThrow("Column a of t takes a value, but a row has nothing there");
    expect(() => ndjsonOf(strict).lineOf({ a: null })).toThrow("Column a of t takes a value, but a row has null");
  });

  it.each([
    ["0.0", "0"],
    ["-0", "0"],
    ["-0.00", "0"],
    ["007.50", "7.5"],
    ["100", "100"],
    ["-1.10", "-1.1"],
  ])("writes the decimal %s as %s", (written, canonical) => {
    expect(csvOf(table).lineOf({ decimal: written })).toBe(`,,,,${canonical},,,,\n`);
  });

  it("comes back from CSV and from JSON as it was", () => {
    const texts = tableOf("t", z.object({ a: z.string(), b: z.string() }), { key: ["a"] });
    fc.assert(
      fc.property(
        fc.string({ unit: "binary" }),
        fc.string({ unit: fc.constantFrom('"', ",", "\r", "\n", "a") }),
        (a, b) => {
          const { head, lineOf } = csvOf(texts);
          expect(JSON.parse(ndjsonOf(texts).lineOf({ a, b }))).toEqual({ a, b });
          expect(parse(head + lineOf({ a, b }), { columns: true, record_delimiter: ["\n"] })).toEqual([{ a, b }]);
        },
      ),
    );
  });
});
