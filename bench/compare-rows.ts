// A fast wrong answer is worth nothing: every run's rows are compared with the hand loop's.
import fs from "node:fs";

export type Row = Record<string, unknown>;

export const CANDLE_COLUMNS = [
  "window_start",
  "window_end",
  "symbol",
  "trade_count",
  "volume",
  "quote_volume",
  "open",
  "high",
  "low",
  "close",
  "avg_price",
  "vwap",
] as const;

const KEY = ["window_start", "symbol"] as const;
const DIFFERENCES_SHOWN = 5;

/** `text`: the very same characters. `number`: the same number, however it is written. */
export type Equality = "text" | "number";

export interface Comparison {
  rows: number;
  differences: number;
  /** The first few, in words. */
  examples: string[];
}

export function readRows(file: string): Row[] {
  return fs
    .readFileSync(file, "utf8")
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line) as Row);
}

export function compareRows(
  expected: readonly Row[],
  actual: readonly Row[],
  columns: readonly string[],
  equality: Equality,
): Comparison {
  const differences: string[] = [];
  const rest = new Map<string, Row>();
  for (const row of actual) {
    const key = keyOf(row);
    if (rest.has(key)) differences.push(`${key}: more than one row`);
    rest.set(key, row);
  }
  for (const row of expected) {
    const key = keyOf(row);
    const other = rest.get(key);
    rest.delete(key);
    if (other === undefined) {
      differences.push(`${key}: missing`);
      continue;
    }
    for (const column of columns) {
      const [wanted, got] = [asText(row[column]), asText(other[column])];
      const same = equality === "text" ? wanted === got : canonicalNumber(wanted) === canonicalNumber(got);
      if (!same) differences.push(`${key}: ${column} is ${got}, not ${wanted}`);
    }
  }
  for (const key of rest.keys()) differences.push(`${key}: not expected`);
  return { rows: actual.length, differences: differences.length, examples: differences.slice(0, DIFFERENCES_SHOWN) };
}

function keyOf(row: Row): string {
  return KEY.map((column) => asText(row[column])).join(" ");
}

function asText(value: unknown): string {
  return typeof value === "string" ? value : (JSON.stringify(value) ?? "absent");
}

/** Plain decimals without leading and trailing zeros; anything else stays what it is. */
function canonicalNumber(text: string): string {
  const parts = /^0*(\d+?)(?:\.(\d*?)0*)?$/.exec(text);
  if (parts === null) return text;
  const [, whole = "", fraction = ""] = parts;
  return fraction === "" ? whole : `${whole}.${fraction}`;
}
