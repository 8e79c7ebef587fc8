// A row as the JSON of its document. Decimals are text, bytes base64, times ISO 8601.
import { type Column, type Row, type Table } from "../../schema/table";
import { cellOf, type Cell } from "../cell";
import { bytesOf, documentId } from "./document-id";
import { indexOf } from "./index-names";
import { type SearchSettings } from "./options";

/** A document that is to be written or taken out, as lines of a bulk request. */
export interface Operation {
  readonly lines: string;
  /** Null: it takes a document out. */
  readonly row: Row | null;
}

export interface Document extends Operation {
  readonly index: string;
  readonly id: string;
  readonly row: Row;
}

/** What makes documents of rows. */
export function documentsOf(
  table: Table,
  index: string,
  { rollover }: Pick<SearchSettings, "rollover">,
): (row: Row) => Document {
  const columns = table.columns.map((column, at) => ({
    column,
    start: `${at === 0 ? "{" : ","}${JSON.stringify(column.name)}:`,
  }));
  const key = table.key.map((name) => columnNamed(table, name));
  const by = rollover === null ? undefined : table.columns.find(({ name }) => name === rollover.column);
  return (row) => {
    const id = documentId(table, key, row);
    const into =
      by === undefined || rollover === null ? index : indexOf(index, rollover.period, cellOf(table, by, row));
    let source = "";
    for (const { column, start } of columns) source += start + jsonOf(column, cellOf(table, column, row));
    return {
      index: into,
      id,
      row,
      lines: `{"index":{"_index":${JSON.stringify(into)},"_id":${JSON.stringify(id)}}}\n${source}}\n`,
    };
  };
}

function columnNamed(table: Table, name: string): Column {
  const column = table.columns.find((one) => one.name === name);
  if (column === undefined) throw new Error(`Table ${table.name} has no column ${name}`);
  return column;
}

export const deletion = (index: string, id: string): Operation => ({
  lines: `{"delete":{"_index":${JSON.stringify(index)},"_id":${JSON.stringify(id)}}}\n`,
  row: null,
});

function jsonOf({ type }: Column, cell: Cell): string {
  if (cell === null) return "null";
  switch (type.kind) {
    case "json":
      return String(cell);
    case "bytes":
      return `"${bytesOf(cell).toString("base64")}"`;
    case "timestamp":
      // A year of five digits has no form that both servers read.
      return String(cell).startsWith("+") ? String(Date.parse(String(cell))) : `"${String(cell)}"`;
    case "double":
      return Object.is(cell, -0) ? "-0.0" : String(cell);
    case "decimal":
      return `"${String(cell)}"`;
    default:
      return typeof cell === "string" ? JSON.stringify(cell) : String(cell);
  }
}
