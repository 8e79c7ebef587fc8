// A row on its way into a staging table: its cells in the few types that files and the Storage Write API have in common.
// What BigQuery could not hold is refused here, row by row and before anything is sent: a load job would refuse all.
import { type Row, type Table, type Column } from "../../schema/table";
import { cellOf, type Cell } from "../cell";
import { type Rejected } from "../connector";
import { type Shape, type StoredColumn } from "./shape";

/** The column that says which of two rows with one key came later. */
export const SEQUENCE = "n";

/** The staging column of a table's column. */
export const stagedName = (at: number): string => `c${at}`;

/** A file has decimals as they are, where they are NUMERIC; the Storage Write API takes them as texts. */
export type StagedDecimals = "exact" | "text";

/** Whether a column's values go as texts that are read again by SQL: no file or protocol on the way can bend them. */
export const isStagedText = ({ column: { type }, type: storedType }: StoredColumn, decimals: StagedDecimals): boolean =>
  type.kind === "json" || (type.kind === "decimal" && !(decimals === "exact" && storedType === "NUMERIC"));

/** Why a row cannot be kept. */
interface Unfit {
  readonly reason: string;
  readonly error: string;
}

/** Of the Storage Write API; a row of a load job may be ten times as long. */
const MOST_BYTES = 10_000_000;
/** BigQuery's JSON nests no deeper. */
const MOST_DEEP = 500;
const INT64 = 2n ** 63n;
/** The beginning of the year 1. */
const FIRST_TIME = -62_135_596_800_000;
const LAST_TIME = Date.UTC(9999, 11, 31, 23, 59, 59, 999);

export class StagedForm {
  /** What the rows look like in the staging table. */
  readonly table: Table;
  /** The first and the last day that rows lie in, by the column that partitions the target. */
  private first: number | null = null;
  private last: number | null = null;
  private readonly partition: number;
  private count = 0;

  constructor(
    private readonly shape: Shape,
    stagingName: string,
    readonly decimals: StagedDecimals,
  ) {
    const { table, columns, partition } = shape;
    const sequence: Column = { name: SEQUENCE, type: { kind: "integer" }, nullable: false, description: "" };
    const staged = columns.map((stored, at): Column => {
      const { column, whole, scale } = stored;
      const kept = column.type.kind === "decimal" ? { ...column.type, precision: whole + scale, scale } : column.type;
      const type = isStagedText(stored, decimals) ? ({ kind: "text" } as const) : kept;
      return { name: stagedName(at), type, nullable: true, description: "" };
    });
    this.table = { name: stagingName, columns: [sequence, ...staged], key: [SEQUENCE], mode: "upsert" };
    this.partition = partition === null || !table.key.includes(partition) ? -1 : indexOf(columns, partition);
  }

  /** The days, in milliseconds, of the rows that were taken; null when there were none or nothing is partitioned by them. */
  get days(): { readonly first: number; readonly last: number } | null {
    return this.first === null || this.last === null ? null : { first: this.first, last: this.last };
  }

  /** The row as it is staged, or the reason why BigQuery could not keep it. */
  take(row: Row): { readonly staged: Row } | { readonly rejected: Rejected } {
    const { table, columns } = this.shape;
    const staged: Record<string, unknown> = { [SEQUENCE]: this.count };
    let bytes = 0;
    for (const [at, stored] of columns.entries()) {
      const cell = cellOf(table, stored.column, row);
      if (cell === null) {
        staged[stagedName(at)] = null;
        continue;
      }
      const unfit = unfitOf(stored, cell);
      if (unfit !== null) return { rejected: { row, ...unfit } };
      bytes += sizeOf(cell);
      // Everything else as text is what it is on the way: only times are again what they were.
      staged[stagedName(at)] =
        stored.column.type.kind === "timestamp" ? row[stored.column.name] : onTheWay(stored, cell);
    }
    if (bytes > MOST_BYTES) {
      const error = `the row has ${bytes.toLocaleString("en")} bytes, and BigQuery takes ${MOST_BYTES.toLocaleString("en")}`;
      return { rejected: { row, reason: "too large", error } };
    }
    this.count += 1;
    if (this.partition >= 0) this.seen(staged[stagedName(this.partition)]);
    return { staged };
  }

  private seen(at: unknown): void {
    const time = typeof at === "number" ? at : Date.parse(String(at));
    if (this.first === null || time < this.first) this.first = time;
    if (this.last === null || time > this.last) this.last = time;
  }
}

const indexOf = (columns: readonly StoredColumn[], name: string): number =>
  columns.findIndex(({ column }) => column.name === name);

function sizeOf(cell: Cell): number {
  if (typeof cell === "string") return Buffer.byteLength(cell) + 2;
  return cell instanceof Uint8Array ? cell.byteLength + 2 : 8;
}

function onTheWay({ column: { type } }: StoredColumn, cell: Cell): unknown {
  if (type.kind === "json") return wholeCharacters(cell as string);
  if (type.kind === "bytes" && typeof cell === "string") return Buffer.from(cell);
  return cell;
}

function unfitOf({ column, type, whole, scale, maxLength }: StoredColumn, cell: Cell): Unfit | null {
  const { name } = column;
  switch (column.type.kind) {
    case "integer": {
      if (typeof cell !== "bigint" || (cell < INT64 && cell >= -INT64)) return null;
      return { reason: "out of range", error: `${name} is ${cell}, and BigQuery's INT64 ends at 2^63` };
    }
    case "decimal": {
      const text = cell as string;
      if (fits(text, whole, scale)) return null;
      const error = `${name} is ${text}, and its ${type} takes ${whole} digits before and ${scale} after the point`;
      return { reason: "out of range", error };
    }
    case "timestamp": {
      const time = Date.parse(cell as string);
      if (time >= FIRST_TIME && time <= LAST_TIME) return null;
      return {
        reason: "out of range",
        error: `${name} is ${String(cell)}, and BigQuery's time goes from year 1 to 9999`,
      };
    }
    case "date":
      if (isDay(cell as string)) return null;
      return { reason: "out of range", error: `${name} is ${JSON.stringify(cell)}, and no day from year 1 to 9999` };
    case "json": {
      const text = cell as string;
      if (!nestsDeeper(text, MOST_DEEP)) return null;
      return { reason: "too deep", error: `${name} nests deeper than ${MOST_DEEP} levels, where BigQuery's JSON ends` };
    }
    case "text":
    case "bytes": {
      if (maxLength === null) return null;
      const length = typeof cell === "string" ? [...cell].length : (cell as Uint8Array).byteLength;
      if (length <= maxLength) return null;
      return { reason: "too large", error: `${name} has a length of ${length}, and its column takes ${maxLength}` };
    }
    case "double":
    case "boolean":
      return null;
  }
}

/** Of a canonical decimal. */
function fits(text: string, whole: number, scale: number): boolean {
  const start = text.startsWith("-") ? 1 : 0;
  const point = text.indexOf(".");
  const before = (point < 0 ? text.length : point) - start;
  const after = point < 0 ? 0 : text.length - point - 1;
  return after <= scale && (before <= whole || text[start] === "0");
}

function isDay(text: string): boolean {
  if (!/^\d{4}-\d\d-\d\d$/.test(text) || text.startsWith("0000")) return false;
  const time = Date.parse(text);
  return !Number.isNaN(time) && new Date(time).toISOString().startsWith(text);
}

/** Of a valid JSON text. */
function nestsDeeper(text: string, most: number): boolean {
  if (text.length <= 2 * most) return false;
  let depth = 0;
  let isInText = false;
  for (let at = 0; at < text.length; at += 1) {
    const character = text[at];
    if (isInText) {
      if (character === "\\") at += 1;
      else if (character === '"') isInText = false;
    } else if (character === '"') isInText = true;
    else if (character === "{" || character === "[") {
      depth += 1;
      if (depth > most) return true;
    } else if (character === "}" || character === "]") depth -= 1;
  }
  return false;
}

/** Half a character, as JSON writes it, is none for BigQuery; any other store keeps a replacement for it too. */
const ESCAPES = /\\(?:u(d[89ab][0-9a-f]{2}\\ud[c-f][0-9a-f]{2}|[0-9a-f]{4})|.)/gi;

function wholeCharacters(text: string): string {
  if (!text.includes("\\u")) return text;
  return text.replace(ESCAPES, (escape, code: string | undefined) =>
    code?.length === 4 && /^d[89a-f]/i.test(code) ? "\ufffd" : escape,
  );
}
