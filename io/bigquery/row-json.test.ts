import { type FieldSchema, type RestCell } from "./jobs";
import { millisecondsOf, plainDecimal, rowJsonOf } from "./row-json";

const written = (field: Partial<FieldSchema>, cell: RestCell): unknown => {
  const json = rowJsonOf([{ name: "x", type: "STRING", ...field }])({ f: [{ v: cell }] });
  return (JSON.parse(json) as { x: unknown }).x;
};

test.each<[Partial<FieldSchema>, RestCell, unknown]>([
  [{ type: "STRING" }, 'a"\n', 'a"\n'],
  [{ type: "STRING" }, null, null],
  [{ type: "INTEGER" }, "9223372036854775807", "9223372036854775807"],
  [{ type: "FLOAT" }, "1.5E10", 1.5e10],
  [{ type: "FLOAT" }, "NaN", "NaN"],
  [{ type: "FLOAT" }, "-inf", "-Infinity"],
  [{ type: "BOOLEAN" }, "false", false],
  [{ type: "NUMERIC" }, "-1E-9", "-0.000000001"],
  [{ type: "TIMESTAMP" }, "-62135596800000000", "0001-01-01T00:00:00.000Z"],
  [{ type: "TIMESTAMP" }, "-1", "1969-12-31T23:59:59.999999Z"],
  [{ type: "TIMESTAMP" }, "1767571200123000", "2026-01-05T00:00:00.123Z"],
  [{ type: "BYTES" }, "AP8=", "AP8="],
  [{ type: "JSON" }, '{"a":[1e-7,null]}', { a: [1e-7, null] }],
  [{ type: "INTEGER", mode: "REPEATED" }, [{ v: "1" }, { v: "2" }], ["1", "2"]],
  [{ type: "INTEGER", mode: "REPEATED" }, [], []],
  [{ type: "RECORD", fields: [{ name: "y", type: "BOOL" }] }, { f: [{ v: "true" }] }, { y: true }],
  [{ type: "RECORD", mode: "REPEATED", fields: [{ name: "y", type: "DATE" }] }, [{ v: { f: [{ v: "2026-01-05" }] } }], [{ y: "2026-01-05" }]], // prettier-ignore
])("%j with %j", (field, cell, value) => {
  expect(written(field, cell)).toEqual(value);
});

test.each([
  ["1.500", "1.5"],
  ["-1E-9", "-0.000000001"],
  ["1.25E+3", "1250"],
  ["12345E-2", "123.45"],
  ["0E-9", "0"],
])("the decimal %s is %s", (text, plain) => {
  expect(plainDecimal(text)).toBe(plain);
});

test.each([
  ["TIMESTAMP", "-1", -1],
  ["TIMESTAMP", "1999", 1],
  ["TIMESTAMP", "-1000", -1],
  ["DATE", "1970-01-02", 86_400_000],
  ["DATETIME", "1970-01-01T00:00:01", 1000],
  ["DATE", null, null],
])("the time of a %s %s is %s", (type, cell, milliseconds) => {
  expect(millisecondsOf(type, cell)).toBe(milliseconds);
});
