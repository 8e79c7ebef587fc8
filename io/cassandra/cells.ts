// A row's values as Cassandra's types take them, and as they are read again.
import { type Column, type ColumnType, type Row, type Table } from "../../schema/table";
import { cellOf } from "../cell";
import { driver } from "./driver";
import { type Value } from "./session";

export function declaredType({ kind }: ColumnType): string {
  switch (kind) {
    case "integer":
      return "bigint";
    case "bytes":
      return "blob";
    case "json":
      return "text";
    default:
      return kind;
  }
}

/** What the column's type cannot hold; the driver would end the process over it. */
export class UnfitValue extends Error {}

const MOST = 2n ** 63n;

/** The value of a column; a RunError where it is not what the column is for. */
export function valueOf(table: Table, column: Column, row: Row): Value {
  const cell = cellOf(table, column, row);
  if (cell === null) return null;
  const { BigDecimal, LocalDate } = driver().types;
  switch (column.type.kind) {
    case "integer": {
      const whole = BigInt(cell as number | bigint);
      if (whole < -MOST || whole >= MOST)
        throw new UnfitValue(`column ${column.name} has ${whole}, and a bigint has 64 bits`);
      return whole;
    }
    case "decimal":
      return BigDecimal.fromString(cell as string);
    case "timestamp":
      return new Date(cell as string);
    case "date":
      if (!/^\d{4}-\d\d-\d\d$/.test(cell as string))
        throw new UnfitValue(`column ${column.name} has ${JSON.stringify(cell)}, and not a date`);
      return LocalDate.fromString(cell as string);
    case "bytes":
      return cell instanceof Uint8Array
        ? Buffer.from(cell.buffer, cell.byteOffset, cell.byteLength)
        : Buffer.from(String(cell), "utf8");
    default:
      return cell as string | number | boolean;
  }
}

/** One text for each value that a column can have, whether it is given or was read. */
export function textOf(value: unknown): string {
  if (value === null || value === undefined) return "null";
  if (value instanceof Date) return value.toISOString();
  if (Buffer.isBuffer(value)) return value.toString("hex");
  // Minus zero is another double for Cassandra, and another key.
  if (Object.is(value, -0)) return "-0";
  return typeof value === "string" ? JSON.stringify(value) : `${value as number}`;
}

/** A value that was read, as letters are made of it. */
export function plainOf(value: unknown): unknown {
  if (value instanceof Date) return value.toISOString();
  if (typeof value === "bigint") return Number(value);
  if (value === null || value === undefined || Buffer.isBuffer(value)) return value ?? null;
  // The driver's own decimals and dates.
  return typeof value === "object" ? (value as { toString(): string }).toString() : value;
}
