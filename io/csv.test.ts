import { parse } from "csv-parse/sync";
import fc from "fast-check";
import { RunError } from "../schema/errors";
import { type SourceRecord } from "../schema/record";
import { CsvRows } from "./csv";
import { LineSplitter } from "./lines";

function rowsOf(content: string | Uint8Array, size = 1 << 20, maxLineBytes?: number): SourceRecord[] {
  const bytes = Buffer.from(content as string);
  const splitter = new LineSplitter({ source: "f.csv", exact: true, maxLineBytes });
  const csv = new CsvRows("f.csv");
  const rows: SourceRecord[] = [];
  for (let at = 0; at < bytes.length; at += size) {
    for (const lines of splitter.push(Buffer.from(bytes.subarray(at, at + size)))) rows.push(...csv.push(lines));
  }
  for (const lines of splitter.end()) rows.push(...csv.push(lines));
  return [...rows, ...csv.end()];
}

const seen = (content: string | Uint8Array, size?: number) =>
  rowsOf(content, size).map(({ position, value, fields }) => [position, value, fields && { ...fields }]);

describe("CSV", () => {
  it.each<[string, string, unknown[]]>([
    ["an empty file", "", []],
    ["only a line end", "\n", []],
    ["only a header", "a,b\n", []],
    ["only a header without an end", "a,b", []],
    ["LF", "a,b\n1,2\n", [[2, "1,2", { a: "1", b: "2" }]]],
    ["CRLF", "a,b\r\n1,2\r\n", [[2, "1,2", { a: "1", b: "2" }]]],
    ["no line end at the end", "a,b\n1,2", [[2, "1,2", { a: "1", b: "2" }]]],
    ["a byte order mark", "\uFEFFa,b\n1,2", [[2, "1,2", { a: "1", b: "2" }]]],
    ["a byte order mark before a quote", '\uFEFF"a",b\n1,2', [[2, "1,2", { a: "1", b: "2" }]]],
    ["blank lines", "\r\n\na,b\n\n\r\n1,2\n\n", [[6, "1,2", { a: "1", b: "2" }]]],
    ["empty fields", 'a,b,c\n,"",\n', [[2, ',"",', { a: "", b: "", c: "" }]]],
    ["quotes in quotes", 'a,b\n"say ""hi""",2\n', [[2, '"say ""hi""",2', { a: 'say "hi"', b: "2" }]]],
    ["a comma in quotes", 'a,b\n"1,5",2\n', [[2, '"1,5",2', { a: "1,5", b: "2" }]]],
    [
      "line ends in quotes, and the row after them",
      'a,b\n"x\r\n\r\ny\n",2\r\n3,4\n',
      [
        [2, '"x\r\n\r\ny\n",2', { a: "x\r\n\r\ny\n", b: "2" }],
        [6, "3,4", { a: "3", b: "4" }],
      ],
    ],
    ["a line end in the header", '"a\nb",c\n1,2', [[3, "1,2", { "a\nb": "1", c: "2" }]]],
    ["columns without a name", "a,,\n1,2,3", [[2, "1,2,3", { a: "1" }]]],
    ["spaces are content", "a,b\n 1, 2 ", [[2, " 1, 2 ", { a: " 1", b: " 2 " }]]],
  ])("%s", (_name, text, expected) => {
    for (const size of [1 << 20, 1, 2, 3]) expect(seen(text, size)).toEqual(expected);
  });

  it.each<[string, string, unknown[]]>([
    ["too few fields", "1", [[2, "1", null]]],
    ["too many fields", "1,2,3", [[2, "1,2,3", null]]],
    ["a quote inside a field", 'a"b,2', [[2, 'a"b,2', null]]],
    ["text behind a closing quote", '"a"b,2', [[2, '"a"b,2', null]]],
    ["a space before a quote", '1, "2"', [[2, '1, "2"', null]]],
  ])("a row with %s has no fields, and the next one is read", (_name, row, expected) => {
    expect(seen(`a,b\n${row}\n3,4\n`)).toEqual([...expected, [3, "3,4", { a: "3", b: "4" }]]);
  });

  it("loses one line, not the rest of the file, to a quote that is never closed", () => {
    const after = Array.from({ length: 30_000 }, (_, at) => `${at},x`);
    const rows = seen(`a,b\n"open,1\n${after.join("\n")}`, 1000);
    expect(rows[0]).toEqual([2, '"open,1', null]);
    expect(rows.slice(1)).toEqual(after.map((row, at) => [at + 3, row, { a: String(at), b: "x" }]));
  });

  it("recovers when the quote of a later row seems to close it", () => {
    expect(seen('a,b\n"open,1\n2,3\n"x\ny",4\n5,6')).toEqual([
      [2, '"open,1', null],
      [3, "2,3", { a: "2", b: "3" }],
      [4, '"x\ny",4', { a: "x\ny", b: "4" }],
      [6, "5,6", { a: "5", b: "6" }],
    ]);
  });

  it("keeps the exact bytes of a row that is not UTF-8", () => {
    const bytes = Buffer.concat([Buffer.from('a,b\n"1\n'), Buffer.from([0xff]), Buffer.from('",2\r\n3,4\n')]);
    expect(seen(bytes)).toEqual([
      [2, new Uint8Array([...Buffer.from('"1\n'), 0xff, ...Buffer.from('",2')]), null],
      [4, "3,4", { a: "3", b: "4" }],
    ]);
  });

  it("gives a row that was cut no fields", () => {
    const rows = rowsOf(`a,b\n"1",${"x".repeat(100)}\n3,4`, 7, 20);
    expect(rows.map(({ fields, headers }) => [fields && { ...fields }, headers])).toEqual([
      [null, { "truncated-from": "104" }],
      [{ a: "3", b: "4" }, null],
    ]);
  });

  it.each([
    ["a column twice", "a,b,a\n1,2,3", "f.csv has the column “a” twice in its header: rename one of them"],
    ["an open quote", '"a,b\n1,2', "f.csv has a header with an open quote in line 1"],
    ["a stray quote", 'a"",b\n1,2', "f.csv has a first line that is no CSV header: it is not well-formed"],
  ])("refuses a header with %s", (_name, text, message) => {
    expect(() => rowsOf(text)).toThrow(new RunError(message));
  });

  it("takes hostile column names for what they are: names", () => {
    const [row] = rowsOf("__proto__,constructor,toString,; DROP TABLE x\n1,2,3,4");
    expect(Object.entries(row?.fields ?? {})).toEqual([
      ["__proto__", "1"],
      ["constructor", "2"],
      ["toString", "3"],
      ["; DROP TABLE x", "4"],
    ]);
    expect(rowsOf("a\n1")[0]?.fields?.["constructor"]).toBeUndefined();
  });

  const field = fc.string({
    unit: fc.constantFrom("a", "é", ",", '"', "\n", "\r\n", " ", "😀", "1", ";"),
    maxLength: 8,
  });
  const quoted = (text: string, always: boolean) =>
    always || /[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;

  it("reads back what RFC 4180 writes, and agrees with another parser, however the bytes are cut", () => {
    const table = fc.array(fc.tuple(field, field, field), { minLength: 1, maxLength: 20 });
    fc.assert(
      fc.property(
        table,
        fc.boolean(),
        fc.constantFrom("\n", "\r\n"),
        fc.integer({ min: 1, max: 30 }),
        (rows, always, end, size) => {
          const text = ["a,b,c", ...rows.map((row) => row.map((value) => quoted(value, always)).join(","))].join(end);
          const fields = rowsOf(text, size).map((row) => ({ ...row.fields }));
          expect(fields).toEqual(rows.map(([a, b, c]) => ({ a, b, c })));
          expect(fields).toEqual(parse(text, { columns: true, record_delimiter: [end] }));
        },
      ),
    );
  });

  it("never loses a line, whatever the file holds", () => {
    const noise = fc.string({ unit: fc.constantFrom("a", ",", '"', "\n", "\n", "é"), maxLength: 200 });
    fc.assert(
      fc.property(noise, fc.integer({ min: 1, max: 30 }), (text, size) => {
        const rows = rowsOf(`a,b\n${text}`, size);
        const kept = rows.map((row) => row.value as string).join("\n");
        // Blank lines outside quotes are the only thing that may be gone.
        const solid = (content: string) =>
          content
            .split("\n")
            .filter((line) => line !== "")
            .join("\n");
        expect(solid(kept)).toBe(solid(text));
        for (const row of rows) expect(text.split("\n")[row.position - 2]).toBe((row.value as string).split("\n")[0]);
      }),
      { numRuns: 500 },
    );
  });
});
