// Partition folders as Hive has them, `day=2026-01-01/symbol=BTC%2FEUR/`: which folder a row belongs to, and what the
// folders of a file's path say. Values come from data: none of them ever becomes a path of its own.
import { RunError, UsageError } from "../../schema/errors";
import { type Column, type Row, type Table } from "../../schema/table";
import { nearest, suggestion } from "../address";
import { cellOf } from "../cell";

const UNITS = ["year", "month", "day", "hour"] as const;
export type Unit = (typeof UNITS)[number];

/** Where there is no value. */
export const NO_VALUE = "__HIVE_DEFAULT_PARTITION__";
/** No file system takes a longer name. */
const MOST_FOLDER_BYTES = 255;
const HOUR = 3_600_000;
const DAY = 24 * HOUR;
/** Lengths of ISO 8601 texts. */
const LENGTH: Readonly<Record<Unit, number>> = { year: 4, month: 7, day: 10, hour: 13 };

interface Part {
  /** What stands before the “=”. */
  readonly label: string;
  readonly column: Column;
  /** Null: the column's value itself. */
  readonly unit: Unit | null;
  readonly textOf: (row: Row) => string | null;
}

/** Why a row has no folder. */
export class NoFolder extends RunError {}

export class Partitioning {
  private constructor(
    private readonly table: Table,
    readonly parts: readonly Part[],
  ) {}

  /** From what an address says, such as `day(window_start),symbol`; nothing where that is null. */
  static of(said: string | null, table: Table, shown: string): Partitioning {
    const parts = said === null ? [] : said.split(",").map((text) => partOf(text.trim(), table, shown));
    for (const [at, { label, unit }] of parts.entries()) {
      if (parts.findIndex((part) => part.label === label) !== at)
        throw new UsageError(
          `${shown} has the option partition=${said ?? ""}: two of its folders would be “${label}=”`,
        );
      // A reader would take the folder for the column, or the column for the folder.
      if (unit !== null && table.columns.some((column) => column.name === label))
        throw new UsageError(
          `${shown} has the option partition=${said ?? ""}: ${table.name} has a column ${label} of its own, and the folders would hide it`,
        );
    }
    return new Partitioning(table, parts);
  }

  /** `day=2026-01-01/`, or nothing where there are no folders. Throws a NoFolder when the row cannot have one. */
  folderOf(row: Row): string {
    let folder = "";
    for (const { label, column, textOf } of this.parts) {
      const text = textOf(row);
      if (text === "")
        throw new NoFolder(
          `Column ${column.name} of ${this.table.name} is an empty text, for which Hive has no folder: partition by another column`,
        );
      const name = `${label}=${text === null ? NO_VALUE : escaped(text)}`;
      if (name.length * 3 > MOST_FOLDER_BYTES && Buffer.byteLength(name) > MOST_FOLDER_BYTES)
        throw new NoFolder(
          `Column ${column.name} of ${this.table.name} is too long for a folder (${Buffer.byteLength(name)} bytes, at most ${MOST_FOLDER_BYTES}): partition by another column`,
        );
      folder += `${name}/`;
    }
    return folder;
  }

  /** The table as its files have it: a column that is a folder is not in them, or readers would find it twice. */
  inFiles(): Table {
    const folders = new Set(this.parts.filter(({ unit }) => unit === null).map(({ column }) => column.name));
    if (folders.size === 0) return this.table;
    const columns = this.table.columns.filter(({ name }) => !folders.has(name));
    if (columns.length === 0)
      throw new UsageError(`${this.table.name} is partitioned by all of its columns: leave one for its files`);
    // In one folder all rows have the same there.
    return { ...this.table, columns, key: this.table.key.filter((name) => !folders.has(name)) };
  }

  /** The time that a folder stands for, by one of the columns; null when its folders say nothing of that. */
  timesOf(folder: string, column: string): { readonly from: number; readonly to: number } | null {
    const part = this.parts.find((one) => one.column.name === column);
    if (part === undefined) return null;
    const text = valuesOf(folder).get(part.label);
    return text === undefined || text === null ? null : timesOfText(text);
  }
}

function partOf(text: string, table: Table, shown: string): Part {
  const [, func, inner] = /^([a-z]+)\(([^()]+)\)$/.exec(text) ?? [];
  const name = (inner ?? text).trim();
  const column = table.columns.find((one) => one.name === name);
  if (column === undefined) {
    const names = table.columns.map((one) => one.name);
    throw new UsageError(
      `${shown} is to be partitioned by ${name}, but ${table.name} has no such column: ${nearest(name, names) === null ? "give each output its own address, such as --to name=…" : suggestion(name, names)}`,
    );
  }
  if (func === undefined) return { label: name, column, unit: null, textOf: (row) => plainText(table, column, row) };
  const unit = UNITS.find((one) => one === func);
  if (unit === undefined)
    throw new UsageError(`${shown} is to be partitioned by ${text}: ${suggestion(func, UNITS)}, or a column's name`);
  if (column.type.kind !== "timestamp" && column.type.kind !== "date")
    throw new UsageError(`${shown} is to be partitioned by ${text}, but ${name} is no time`);
  if (column.type.kind === "date" && unit === "hour")
    throw new UsageError(`${shown} is to be partitioned by ${text}, but ${name} is a day`);
  return { label: unit, column, unit, textOf: timeTextOf(table, column, unit) };
}

function plainText(table: Table, column: Column, row: Row): string | null {
  if (column.type.kind === "bytes" || column.type.kind === "json")
    throw new UsageError(`${table.name} cannot be partitioned by ${column.name}: its values cannot be folders`);
  const cell = cellOf(table, column, row);
  return cell === null ? null : String(cell);
}

/** Texts of times: rows that lie beside each other have mostly the same. */
function timeTextOf(table: Table, column: Column, unit: Unit): (row: Row) => string | null {
  const length = LENGTH[unit];
  if (column.type.kind === "date")
    return (row) => (cellOf(table, column, row) as string | null)?.slice(0, length) ?? null;
  const step = unit === "hour" ? HOUR : DAY;
  let last = Number.NaN;
  let text = "";
  return (row) => {
    const value = row[column.name];
    if (typeof value !== "number" || !Number.isFinite(value)) return textOfTime(cellOf(table, column, row), length);
    const index = Math.floor(value / step);
    if (index !== last) {
      text = textOfTime(cellOf(table, column, row), length) ?? "";
      last = index;
    }
    return text;
  };
}

/** Years beyond 9999 have a sign and six digits. */
const textOfTime = (cell: unknown, length: number): string | null =>
  typeof cell === "string" ? cell.slice(0, length + (/^[+-]/.test(cell) ? 3 : 0)) : null;

function timesOfText(text: string): { from: number; to: number } | null {
  const [, year = "", month = "01", day = "01", hour = "00"] =
    /^(\d{4})(?:-(\d\d)(?:-(\d\d)(?:T(\d\d))?)?)?$/.exec(text) ?? [];
  const from = Date.parse(`${year}-${month}-${day}T${hour}:00:00Z`);
  if (Number.isNaN(from)) return null;
  const next = new Date(from);
  if (text.length === LENGTH.hour) next.setUTCHours(next.getUTCHours() + 1);
  else if (text.length === LENGTH.day) next.setUTCDate(next.getUTCDate() + 1);
  else if (text.length === LENGTH.month) next.setUTCMonth(next.getUTCMonth() + 1);
  else next.setUTCFullYear(next.getUTCFullYear() + 1);
  return { from, to: next.getTime() };
}

/** What Hive and Spark write as % and two digits; all else stands as it is. */
// eslint-disable-next-line no-control-regex -- those are meant
const HOSTILE = /[\u0000-\u001f"#%'*/:=?\\\u007f{}[\]^<>|]/g;

/** Those of them that can be seen. */
export const ESCAPED: readonly string[] = [...`"#%'*/:=?\\{}[]^<>|. `];

function escaped(text: string): string {
  const name = text.replaceAll(HOSTILE, (one) => `%${one.charCodeAt(0).toString(16).toUpperCase().padStart(2, "0")}`);
  // A text that reads like no value at all; and Windows drops a dot or a space at the end of a name.
  if (name === NO_VALUE) return `%5F${name.slice(1)}`;
  return name.replace(/[. ]$/, (one) => (one === "." ? "%2E" : "%20"));
}

/** What the folders of a path say, the nearest of each name: null where there is no value. */
export function valuesOf(path: string): ReadonlyMap<string, string | null> {
  const values = new Map<string, string | null>();
  for (const folder of path.split("/").slice(0, -1)) {
    const [, name, text] = /^([^=]+)=(.+)$/s.exec(folder) ?? [];
    if (name === undefined || text === undefined) continue;
    values.set(unescaped(name), text === NO_VALUE ? null : unescaped(text));
  }
  return values;
}

/** Other programs write the bytes of any letter so. */
const unescaped = (text: string): string =>
  text.replaceAll(/(?:%[\da-f]{2})+/gi, (run) => Buffer.from(run.replaceAll("%", ""), "hex").toString());
