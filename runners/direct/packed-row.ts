// A row as a line of text that comes back as the same row, for rows that wait on this machine.
import { cellOf } from "../../io/cell";
import { type Column, type Row, type Table } from "../../schema/table";

/** The cells of a row in the order of its table's columns. What JSON has no form for is an object with one field. */
export function packRow(table: Table, row: Row): string {
  return JSON.stringify(table.columns.map((column) => packed(table, column, row)));
}

export function unpackRow(table: Table, line: string): Row {
  const cells = JSON.parse(line) as readonly unknown[];
  const row: Record<string, unknown> = {};
  for (const [at, { name, type }] of table.columns.entries()) {
    const cell = cells[at] ?? null;
    row[name] = type.kind === "json" || typeof cell !== "object" || cell === null ? cell : unpacked(cell);
  }
  return row;
}

function packed(table: Table, column: Column, row: Row): unknown {
  const value = row[column.name] ?? null;
  // A value that does not fit its column is refused as a sink would.
  cellOf(table, column, row);
  if (value === null) return null;
  if (typeof value === "bigint") return { whole: String(value) };
  if (Object.is(value, -0)) return { double: "-0" };
  if (value instanceof Uint8Array)
    return { base64: Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString("base64") };
  return value;
}

function unpacked(cell: object): unknown {
  const { whole, double, base64 } = cell as { whole?: string; double?: string; base64?: string };
  if (whole !== undefined) return BigInt(whole);
  return double === undefined ? new Uint8Array(Buffer.from(base64 ?? "", "base64")) : Number(double);
}
