// Writes rows of one table, each taking the place of the row with its key.
import { RunError } from "../../schema/errors";
import { type Column, type Row, type Table } from "../../schema/table";
import { cellOf } from "../cell";
import { type Database, type Statement, type SqlValue } from "./database";
import { quoteName } from "./shape";

/** So many rows in one statement: measured, twice as fast as one, and more is not faster. */
const ROWS_TOGETHER = 20;

/** The values of some of a table's columns in a row. */
export const valuesOf = (table: Table, columns: readonly Column[], row: Row): SqlValue[] =>
  columns.map((column) => valueOf(table, column, row));

export class Upsert {
  private readonly one: Statement;
  private readonly many: Statement;

  constructor(
    database: Database,
    private readonly table: Table,
  ) {
    this.one = database.prepare(upsertSql(table, 1));
    this.many = database.prepare(upsertSql(table, ROWS_TOGETHER));
  }

  write(rows: readonly Row[]): void {
    let at = 0;
    for (; at + ROWS_TOGETHER <= rows.length; at += ROWS_TOGETHER) {
      this.many.run(this.values(rows, at, at + ROWS_TOGETHER));
    }
    for (; at < rows.length; at += 1) this.one.run(this.values(rows, at, at + 1));
  }

  private values(rows: readonly Row[], from: number, to: number): SqlValue[] {
    const values: SqlValue[] = [];
    for (let at = from; at < to; at += 1) {
      const row = rows[at] ?? {};
      for (const column of this.table.columns) values.push(valueOf(this.table, column, row));
    }
    return values;
  }
}

function upsertSql(table: Table, rows: number): string {
  const names = table.columns.map((column) => quoteName(column.name));
  const places = `(${names.map(() => "?").join(", ")})`;
  const others = table.columns
    .filter((column) => !table.key.includes(column.name))
    .map((column) => quoteName(column.name));
  const action =
    others.length === 0
      ? "NOTHING"
      : `UPDATE SET ${others.map((name) => `${name} = excluded.${name}`).join(", ")}${unlessEqual(table)}`;
  return (
    `INSERT INTO ${quoteName(table.name)} (${names.join(", ")}) VALUES ${Array(rows).fill(places).join(", ")} ` +
    `ON CONFLICT (${table.key.map(quoteName).join(", ")}) DO ${action}`
  );
}

/** Where a table has stamps: a row that is equal but for them stays as it is. */
function unlessEqual({ name: table, columns, key, stamps = [] }: Table): string {
  if (stamps.length === 0) return "";
  const compared = columns.filter(({ name }) => !key.includes(name) && !stamps.includes(name));
  const differences = compared.map(
    ({ name }) => `${quoteName(table)}.${quoteName(name)} IS NOT excluded.${quoteName(name)}`,
  );
  return ` WHERE ${differences.length === 0 ? "FALSE" : differences.join(" OR ")}`;
}

function valueOf(table: Table, column: Column, row: Row): SqlValue {
  const cell = cellOf(table, column, row);
  if (typeof cell === "boolean") return cell ? 1 : 0;
  if (typeof cell === "bigint" && !Number.isSafeInteger(Number(cell))) {
    // SQLite has room for it, but most programs that read the table in JavaScript would get another number.
    throw new RunError(
      `Column ${column.name} of ${table.name} has ${cell} in a row: in SQLite whole numbers go up to 2^53`,
    );
  }
  // Many programs end a text at its first NUL; as a blob its bytes are safe, and bytes are what the column is for.
  if (column.type.kind === "bytes" && typeof cell === "string" && cell.includes("\0")) return Buffer.from(cell);
  return cell;
}
