// Rows as lines of text: NDJSON and CSV.
// Timestamps are ISO 8601 UTC, decimals are text so that no reader turns them into floats, and bytes are the text
// itself when they were text, else "base64:" and their base64. A text in their place that begins so itself is written in
// base64 too, so that a reader can tell.
import { type ColumnType, type Row, type Table } from "../schema/table";
import { cellOf, type Cell } from "./cell";

/** What turns the rows of a table into lines, each with its line end. */
export interface RowText {
  /** What stands before the first row. */
  readonly head: string;
  lineOf(row: Row): string;
}

/** One JSON object a line, the columns in the table's order, null where there is nothing. */
export function ndjsonOf(table: Table): RowText {
  const columns = table.columns.map((column, index) => ({
    column,
    kind: column.type.kind,
    start: `${index === 0 ? "{" : ","}${JSON.stringify(column.name)}:`,
  }));
  return {
    head: "",
    lineOf(row) {
      let line = columns.length === 0 ? "{" : "";
      for (const { column, kind, start } of columns) {
        const cell = cellOf(table, column, row);
        if (cell === null || kind === "json") line += start + String(cell);
        // Their texts have nothing in them that JSON would write otherwise.
        else if (kind === "decimal" || kind === "timestamp") line += `${start}"${cell as string}"`;
        else line += start + jsonOf(kind === "bytes" ? unmistakable(cell) : cell);
      }
      return `${line}}\n`;
    },
  };
}

/** What a column is in NDJSON. */
export function jsonType({ kind }: ColumnType): string {
  switch (kind) {
    case "integer":
    case "double":
      return "number";
    case "boolean":
      return "boolean";
    case "json":
      return "as it is";
    case "bytes":
      return "text, or base64: and its base64";
    case "timestamp":
      return "text, ISO 8601 in UTC";
    case "text":
    case "date":
    case "decimal":
      return "text";
  }
}

const BASE64 = "base64:";

function unmistakable(cell: Cell): Cell {
  return typeof cell === "string" && cell.startsWith(BASE64) ? Buffer.from(cell) : cell;
}

/** What JSON writes otherwise in a text: halves of characters too. */
// eslint-disable-next-line no-control-regex -- control characters are what it looks for
const ESCAPED = /["\\\u0000-\u001f\ud800-\udfff]/;

function jsonOf(cell: Cell): string {
  if (typeof cell === "string") return ESCAPED.test(cell) ? JSON.stringify(cell) : `"${cell}"`;
  return cell instanceof Uint8Array ? `"${base64Of(cell)}"` : String(cell);
}

/**
 * RFC 4180 with a header, except that lines end in LF, as nearly every tool writes them. Null is an empty field, an
 * empty text is "": a reader that cares can tell them apart. Fields that a spreadsheet would take for a formula stay
 * as they are, because this is data and not a report.
 */
export function csvOf(table: Table): RowText {
  return {
    head: `${table.columns.map((column) => quoted(column.name)).join(",")}\n`,
    lineOf(row) {
      let line = "";
      let separator = "";
      for (const column of table.columns) {
        line += separator + csvField(cellOf(table, column, row));
        separator = ",";
      }
      return `${line}\n`;
    },
  };
}

function csvField(cell: Cell): string {
  if (cell === null) return "";
  if (typeof cell === "string") return quoted(cell);
  return cell instanceof Uint8Array ? base64Of(cell) : String(cell);
}

function quoted(text: string): string {
  return text === "" || /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

function base64Of(bytes: Uint8Array): string {
  return `${BASE64}${Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("base64")}`;
}
