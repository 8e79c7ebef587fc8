// A row's cells as PostgreSQL reads them from text. What it would refuse or round is refused here, by column.
import { RunError } from "../../schema/errors";
import { type Column, type Row, type Table } from "../../schema/table";
import { cellOf } from "../cell";

/** One row, in the order of the table's columns; null is NULL. */
export type TextRow = readonly (string | null)[];

/** Stands where a dead letter's text had U+0000, which PostgreSQL cannot keep in a text. */
const SHOWN_NUL = "␀";

export function textRowOf(table: Table, row: Row): TextRow {
  const { columns } = table;
  const texts: (string | null)[] = [];
  for (const column of columns) texts.push(textOf(table, column, row));
  return texts;
}

function textOf(table: Table, column: Column, row: Row): string | null {
  const cell = cellOf(table, column, row);
  if (cell === null) return null;
  switch (column.type.kind) {
    case "text":
      return withoutNul(table, column, cell as string);
    case "json":
      return jsonText(table, column, cell as string);
    case "bytes":
      return `\\x${(typeof cell === "string" ? Buffer.from(cell) : bufferOf(cell as Uint8Array)).toString("hex")}`;
    case "timestamp":
      return timestampText(table, column, cell as string);
    case "date": {
      const text = withoutNul(table, column, cell as string);
      // The year before the year 1 is 1 BC for PostgreSQL.
      return text.startsWith("0000-") ? `0001${text.slice(4)} BC` : text;
    }
    case "decimal":
      checkDecimal(table, column, cell as string, column.type.precision, column.type.scale);
      return cell as string;
    case "integer":
      if (typeof cell === "bigint" && BigInt.asIntN(64, cell) !== cell)
        throw new RunError(
          `Column ${column.name} of ${table.name} has ${cell} in a row: PostgreSQL's bigint ends at 2^63`,
        );
      return String(cell);
    case "double":
      return Object.is(cell, -0) ? "-0" : String(cell);
    case "boolean":
      return cell === true ? "t" : "f";
  }
}

function bufferOf(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function withoutNul(table: Table, column: Column, text: string): string {
  if (!text.includes("\0")) return text;
  // A record that was refused must not be refused again: its own bytes are kept as bytes, this text only tells of it.
  if (table.mode === "by-origin") return text.replaceAll("\0", SHOWN_NUL);
  throw nul(table, column);
}

function nul(table: Table, column: Column): RunError {
  return new RunError(
    `Column ${column.name} of ${table.name} has the character U+0000 in a row, which PostgreSQL cannot keep in a text: ` +
      `take it out in a step, or make the column bytes`,
  );
}

/** Half a character, as JSON writes it: jsonb refuses it; any other store keeps a replacement for it too. */
const ESCAPES = /\\(?:u(d[89ab][0-9a-f]{2}\\ud[c-f][0-9a-f]{2}|[0-9a-f]{4})|.)/gi;

function jsonText(table: Table, column: Column, text: string): string {
  if (!text.includes("\\u")) return text;
  return text.replace(ESCAPES, (escape, code: string | undefined) => {
    if (code === undefined || code.length > 4) return escape;
    if (code === "0000") {
      if (table.mode === "by-origin") return SHOWN_NUL;
      throw nul(table, column);
    }
    return /^d[89a-f]/i.test(code) ? "\ufffd" : escape;
  });
}

/** ISO 8601 writes years beyond 9999, and before 1, in ways that PostgreSQL does not read. */
function timestampText(table: Table, column: Column, text: string): string {
  if (text.startsWith("+")) return text.replace(/^\+0*/, "");
  if (!text.startsWith("-") && !text.startsWith("0000-")) return text;
  const year = text.startsWith("-") ? Number(text.slice(1, 7)) : 0;
  // PostgreSQL's time begins in November 4714 BC, which is the year -4713.
  if (year > 4712)
    throw new RunError(
      `Column ${column.name} of ${table.name} has the time ${text} in a row: PostgreSQL's begins 4713 BC`,
    );
  return `${String(year + 1).padStart(4, "0")}${text.slice(text.startsWith("-") ? 7 : 4)} BC`;
}

/** PostgreSQL rounds a number with too many digits after the point and says nothing. */
function checkDecimal(table: Table, column: Column, text: string, precision: number, scale: number): void {
  if (text.length <= scale) return;
  const point = text.indexOf(".");
  const start = text.startsWith("-") ? 1 : 0;
  const whole = (point < 0 ? text.length : point) - start;
  const fraction = point < 0 ? 0 : text.length - point - 1;
  // A single 0 before the point is no digit of the number.
  if (fraction <= scale && (whole <= precision - scale || text.slice(start, start + 1) === "0")) return;
  throw new RunError(
    `Column ${column.name} of ${table.name} has ${text} in a row: numeric(${precision}, ${scale}) takes ` +
      `${precision - scale} digits before and ${scale} after the point`,
  );
}
