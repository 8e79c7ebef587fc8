// A row's values as every store can take them: checked against their column, with one form for each kind.
import { RunError } from "../schema/errors";
import { canonicalDecimal } from "../schema/decimal";
import { type Column, type Row, type Table } from "../schema/table";

/** Timestamps have become ISO 8601 UTC text, decimals canonical text, JSON its text. */
export type Cell = string | number | bigint | boolean | Uint8Array | null;

/** A decimal that is canonical already, which nearly all are: sums and parsers make them so. "-0" is left to the slow way. */
const CANONICAL = /^-?(?:0|[1-9]\d*)(?:\.\d*[1-9])?$/;

// Rows of an aggregate share their windows, and a text of a time takes longer to make than all else of a row.
let lastTime: number | null = null;
let lastText = "";

/** The cell of `column` in `row`; a RunError when the value does not fit, since a store would bend it silently. */
export function cellOf(table: Table, column: Column, row: Row): Cell {
  const value = row[column.name];
  if (value === null || value === undefined) {
    if (!column.nullable) throw unfit(table, column, value, "a value");
    return null;
  }
  switch (column.type.kind) {
    case "text":
    case "date":
      if (typeof value === "string") return value;
      throw unfit(table, column, value, "text");
    case "integer":
      if (typeof value === "bigint" || Number.isSafeInteger(value)) return value as bigint | number;
      throw unfit(table, column, value, "a whole number of at most 2^53");
    case "double":
      if (Number.isFinite(value)) return value as number;
      throw unfit(table, column, value, "a finite number");
    case "boolean":
      if (typeof value === "boolean") return value;
      throw unfit(table, column, value, "true or false");
    case "decimal": {
      if (typeof value !== "string") throw unfit(table, column, value, "a decimal text");
      if (CANONICAL.test(value) && value !== "-0") return value;
      const canonical = canonicalDecimal(value);
      if (canonical === null) throw unfit(table, column, value, "a decimal text");
      return canonical;
    }
    case "timestamp":
      if (value !== lastTime) {
        const time = new Date(typeof value === "number" ? value : Number.NaN);
        if (Number.isNaN(time.getTime())) throw unfit(table, column, value, "milliseconds since 1970");
        lastText = time.toISOString();
        lastTime = value as number;
      }
      return lastText;
    case "bytes":
      if (typeof value === "string" || value instanceof Uint8Array) return value;
      throw unfit(table, column, value, "text or bytes");
    case "json":
      return jsonText(table, column, value);
  }
}

function jsonText(table: Table, column: Column, value: unknown): string {
  try {
    const text = JSON.stringify(value) as string | undefined;
    if (text !== undefined) return text;
  } catch {
    // A bigint or a circle: reported below like any other value that has no JSON.
  }
  throw unfit(table, column, value, "something that has a JSON form");
}

function unfit(table: Table, column: Column, value: unknown, wanted: string): RunError {
  return new RunError(`Column ${column.name} of ${table.name} takes ${wanted}, but a row has ${describe(value)}`);
}

function describe(value: unknown): string {
  switch (typeof value) {
    case "undefined":
      return "nothing there";
    case "string":
      return JSON.stringify(value.length > 40 ? `${value.slice(0, 40)}…` : value);
    case "number":
    case "bigint":
    case "boolean":
      return String(value);
    case "object":
      return value === null ? "null" : Array.isArray(value) ? "a list" : "an object";
    case "function":
    case "symbol":
      return `a ${typeof value}`;
  }
}
