// A row of BigQuery's REST interface as JSON: exact numbers as text, times in ISO 8601, bytes in base64.
import { canonicalDecimal } from "../../schema/decimal";
import { type FieldSchema, type RestCell, type RestRow } from "./jobs";

/** What writes the rows of these fields. */
export function rowJsonOf(fields: readonly FieldSchema[]): (row: RestRow) => string {
  const writers = fields.map((field, at) => ({
    start: `${at === 0 ? "{" : ","}${JSON.stringify(field.name)}:`,
    write: writerOf(field),
  }));
  return ({ f }) => {
    let json = writers.length === 0 ? "{" : "";
    for (const [at, { start, write }] of writers.entries()) json += start + write(f[at]?.v ?? null);
    return `${json}}`;
  };
}

type Write = (cell: RestCell) => string;

function writerOf(field: FieldSchema): Write {
  if (field.mode === "REPEATED") {
    const write = scalarOf(field);
    return (cell) => `[${(cell as readonly { v: RestCell }[]).map(({ v }) => write(v)).join(",")}]`;
  }
  return scalarOf(field);
}

function scalarOf(field: FieldSchema): Write {
  const { type, fields = [] } = field;
  const orNull =
    (write: (text: string) => string): Write =>
    (cell) =>
      cell === null ? "null" : write(cell as string);
  switch (type) {
    case "FLOAT":
    case "FLOAT64":
      return orNull((text) => (Number.isFinite(Number(text)) ? String(Number(text)) : JSON.stringify(notFinite(text))));
    case "BOOLEAN":
    case "BOOL":
      return orNull((text) => (text === "true" ? "true" : "false"));
    case "JSON":
      return orNull((text) => text);
    case "TIMESTAMP":
      return orNull((text) => `"${timeText(BigInt(text))}"`);
    case "NUMERIC":
    case "BIGNUMERIC":
      return orNull((text) => `"${plainDecimal(text)}"`);
    case "RECORD":
    case "STRUCT": {
      const write = rowJsonOf(fields);
      return (cell) => (cell === null ? "null" : write(cell as RestRow));
    }
    default:
      // Whole numbers too: they have 64 bits, and no reader shall turn them into floats.
      return orNull((text) => JSON.stringify(text));
  }
}

const notFinite = (text: string): string =>
  /nan/i.test(text) ? "NaN" : text.startsWith("-") ? "-Infinity" : "Infinity";

/** Without zeros at the end and without an exponent. */
export function plainDecimal(text: string): string {
  const [digits = "", exponent = "0"] = text.toLowerCase().split("e");
  const shift = Number(exponent);
  if (shift === 0) return canonicalDecimal(digits) ?? digits;
  const sign = digits.startsWith("-") ? "-" : "";
  const [whole = "", fraction = ""] = digits.replace(/^[-+]/, "").split(".");
  const all = "0".repeat(Math.max(0, -shift)) + whole + fraction + "0".repeat(Math.max(0, shift - fraction.length));
  const point = Math.max(0, -shift) + whole.length + shift;
  const plain = `${sign}${all.slice(0, point).replace(/^0+(?=\d)/, "") || "0"}.${all.slice(point) || "0"}`;
  return canonicalDecimal(plain) ?? plain;
}

/** Milliseconds, or microseconds where there are some. */
function timeText(microseconds: bigint): string {
  const rest = ((microseconds % 1000n) + 1000n) % 1000n;
  const text = new Date(Number((microseconds - rest) / 1000n)).toISOString();
  return rest === 0n ? text : `${text.slice(0, -1)}${String(rest).padStart(3, "0")}Z`;
}

/** The milliseconds of a time or a day in a row; null where it has none. */
export function millisecondsOf(type: string, cell: RestCell): number | null {
  if (typeof cell !== "string") return null;
  if (type === "TIMESTAMP") return Number(BigInt(cell) / 1000n - (BigInt(cell) % 1000n < 0n ? 1n : 0n));
  const time = Date.parse(type === "DATETIME" ? `${cell.replace(" ", "T")}Z` : cell);
  return Number.isNaN(time) ? null : time;
}
