import fc from "fast-check";
import { RunError } from "../../schema/errors";
import { type Column, type ColumnType, type Table } from "../../schema/table";
import { textRowOf } from "./cell-text";
import { copyLine } from "./copy-text";

function tableWith(type: ColumnType, mode: Table["mode"] = "upsert"): Table {
  const column: Column = { name: "c", type, nullable: true, description: "" };
  return { name: "t", columns: [column], key: ["c"], mode };
}

const text = (type: ColumnType, value: unknown, mode?: Table["mode"]) =>
  textRowOf(tableWith(type, mode), { c: value })[0];

const decimal: ColumnType = { kind: "decimal", precision: 10, scale: 2 };

it.each<[ColumnType, unknown, string | null]>([
  [{ kind: "text" }, null, null],
  [{ kind: "text" }, "ü 😀\t\n", "ü 😀\t\n"],
  [{ kind: "integer" }, 2n ** 63n - 1n, "9223372036854775807"],
  [{ kind: "integer" }, -(2n ** 63n), "-9223372036854775808"],
  [{ kind: "integer" }, -7, "-7"],
  [{ kind: "double" }, -0, "-0"],
  [{ kind: "double" }, 5e-324, "5e-324"],
  [{ kind: "double" }, 1.7976931348623157e308, "1.7976931348623157e+308"],
  [{ kind: "boolean" }, true, "t"],
  [{ kind: "boolean" }, false, "f"],
  [decimal, "-12345678.90", "-12345678.9"],
  [decimal, "0.99", "0.99"],
  [{ kind: "decimal", precision: 2, scale: 2 }, "0.99", "0.99"],
  [{ kind: "timestamp" }, 0, "1970-01-01T00:00:00.000Z"],
  [{ kind: "timestamp" }, 8.64e15, "275760-09-13T00:00:00.000Z"],
  [{ kind: "timestamp" }, Date.UTC(-43, 2, 15), "0044-03-15T00:00:00.000Z BC"],
  [{ kind: "timestamp" }, Date.parse("0000-06-01T00:00:00Z"), "0001-06-01T00:00:00.000Z BC"],
  [{ kind: "date" }, "2026-01-31", "2026-01-31"],
  [{ kind: "date" }, "0000-01-31", "0001-01-31 BC"],
  [{ kind: "bytes" }, new Uint8Array([0, 255]), "\\x00ff"],
  [{ kind: "bytes" }, "a\0ü", "\\x6100c3bc"],
  [{ kind: "json" }, { a: ["\\u0000", "ü", "😀"] }, '{"a":["\\\\u0000","ü","😀"]}'],
  [{ kind: "json" }, "\ud83d \u0001", '"\ufffd \\u0001"'],
])("%j: %p is %j", (type, value, expected) => {
  expect(text(type, value)).toBe(expected);
});

it.each<[ColumnType, unknown, RegExp]>([
  [{ kind: "text" }, "a\0b", /^Column c of t has the character U\+0000 in a row.*take it out in a step/],
  [{ kind: "json" }, { a: "\0" }, /^Column c of t has the character U\+0000/],
  [
    { kind: "integer" },
    2n ** 63n,
    /^Column c of t has 9223372036854775808 in a row: PostgreSQL's bigint ends at 2\^63/,
  ],
  [{ kind: "timestamp" }, -8.64e15, /^Column c of t has the time -271821-04-20.*begins 4713 BC/],
  [
    decimal,
    "0.001",
    /^Column c of t has 0\.001 in a row: numeric\(10, 2\) takes 8 digits before and 2 after the point/,
  ],
  [decimal, "123456789", /takes 8 digits before/],
  [decimal, 1.5, /takes a decimal text/],
])("%j: %p is refused", (type, value, message) => {
  expect(() => text(type, value)).toThrow(RunError);
  expect(() => text(type, value)).toThrow(message);
});

it("shows U+0000 in the texts of a dead letter, which must not be refused", () => {
  expect(text({ kind: "text" }, "a\0b", "by-origin")).toBe("a␀b");
  expect(text({ kind: "json" }, ["a\0b"], "by-origin")).toBe('["a␀b"]');
});

describe("a line for COPY", () => {
  it("keeps apart what would mean more", () => {
    expect(copyLine(["a", null, "", "\\N", "\\.", "\t\n\r\\", "ü"])).toBe("a\t\\N\t\t\\\\N\t\\\\.\t\\t\\n\\r\\\\\tü\n");
    expect(copyLine([])).toBe("\n");
  });

  it("can be read back, whatever is in it", () => {
    const value = fc.option(
      fc.string({ unit: fc.constantFrom("\\", "N", "\t", "\n", "\r", ".", "n", "t", "a", "😀") }),
    );
    fc.assert(
      fc.property(fc.array(value, { minLength: 1 }), (row) => {
        expect(readBack(copyLine(row))).toEqual(row);
      }),
    );
  });
});

/** As PostgreSQL's documentation describes the format. */
function readBack(line: string): (string | null)[] {
  expect(line.indexOf("\n")).toBe(line.length - 1);
  const meant: Record<string, string> = { n: "\n", r: "\r", t: "\t" };
  return line
    .slice(0, -1)
    .split("\t")
    .map((field) => (field === "\\N" ? null : field.replace(/\\(.)/gs, (_, one: string) => meant[one] ?? one)));
}
