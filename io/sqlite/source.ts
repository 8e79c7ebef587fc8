// Reads a table: every row is a JSON text. Page after page in the order of its key, each a statement of its own, so that
// nobody who writes has to wait; a row that changes meanwhile is read as it is then.
import { existsSync } from "node:fs";
import { UsageError } from "../../schema/errors";
import { type Range, type SourceRecord } from "../../schema/record";
import { suggestion } from "../address";
import { type AddressOption } from "../address-options";
import { EVERYTHING, type Address, type SourceConnector, type Stretch } from "../connector";
import { localPath, shownPath } from "../local-path";
import { stretchText } from "../stretch-text";
import { openDatabase, type Database, type SqlValue } from "./database";
import { explain } from "./failures";
import { quoteName } from "./shape";

const PAGE_ROWS = 2_000;
const DAY = 24 * 3_600_000;

export const readOptions = [
  { name: "table", usual: null, description: "the table that is read" },
  { name: "columns", usual: null, description: "which of its columns, with commas between them; else all" },
  {
    name: "time",
    usual: null,
    description: "the column with the time of a row: ISO 8601 text, or milliseconds; for --since and --until",
  },
] as const satisfies readonly AddressOption[];

export const sqliteSource: SourceConnector = {
  plan: planTable,
  read: (range, signal) => readTable(range, signal),
  withoutTimes: ({ options }) => (options["time"] === undefined ? "name the column that has it: ?time=column" : null),
};

export async function planTable(address: Address, stretch: Stretch): Promise<Range[]> {
  const { path, options } = address;
  const known = readOptions.map(({ name }) => name) as readonly string[];
  for (const option of Object.keys(options)) {
    if (!known.includes(option))
      throw new UsageError(`sqlite:${path} has no option “${option}”: ${suggestion(option, known)}`);
  }
  const file = localPath(path);
  const { table, time = null } = options;
  if (table === undefined || table === "")
    throw new UsageError(`Say which table of ${shownPath(file)} to read: sqlite:${path}?table=name`);
  return withDatabase(file, (database) => {
    const { columns, key } = shapeOf(database, table, shownPath(file));
    const chosen =
      options["columns"] === undefined ? columns : options["columns"].split(",").map((name) => name.trim());
    for (const name of [...chosen, ...(time === null ? [] : [time])]) {
      if (!columns.includes(name))
        throw new UsageError(`${table} in ${shownPath(file)} has no column ${name}: ${suggestion(name, columns)}`);
    }
    const times = time === null ? EVERYTHING : stretch;
    const detail = {
      path: file,
      table,
      columns: JSON.stringify(chosen),
      key: JSON.stringify(key),
      time,
      since: times.since,
      until: times.until,
    };
    return [{ connector: "sqlite", source: `${table}${stretchText(times)}`, from: 1, to: null, detail }];
  });
}

function withDatabase<T>(file: string, body: (database: Database) => T): T {
  if (!existsSync(file)) throw new UsageError(`${shownPath(file)} does not exist`);
  let database: Database | undefined;
  try {
    database = openDatabase(file);
    database.exec("PRAGMA busy_timeout = 5000; PRAGMA query_only = 1");
    return body(database);
  } catch (error) {
    throw explain(error, shownPath(file));
  } finally {
    database?.close();
  }
}

/** The columns of a table, and those that give its rows an order of their own. */
function shapeOf(database: Database, table: string, shown: string): { columns: string[]; key: string[] } {
  const found = database.prepare("SELECT name, pk FROM pragma_table_info(?)").all([table]) as unknown as {
    name: string;
    pk: number;
  }[];
  if (found.length === 0) {
    const tables = database.prepare("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name").all([]);
    throw new UsageError(
      `${shown} has no table ${table}: ${suggestion(
        table,
        tables.map(({ name }) => String(name)),
      )}`,
    );
  }
  const [entry] = database.prepare("SELECT type FROM sqlite_master WHERE name = ? COLLATE NOCASE").all([table]);
  if (entry?.["type"] !== "table")
    throw new UsageError(
      `${table} in ${shown} is a ${String(entry?.["type"])}, which has no order to read it in: read its tables`,
    );
  const key = found.filter(({ pk }) => pk > 0).sort((a, b) => a.pk - b.pk);
  return {
    columns: found.map(({ name }) => name),
    key: key.length === 0 ? ["rowid"] : key.map(({ name }) => name),
  };
}

async function* readTable(range: Range, signal: AbortSignal | undefined): AsyncGenerator<SourceRecord[]> {
  const { path, table, columns, key, time, since, until } = range.detail;
  const file = String(path);
  const names = JSON.parse(String(columns)) as string[];
  const order = (JSON.parse(String(key)) as string[]).map(quoteName);
  const fields = names.map((name, at) => `${quoteName(name)} AS c${at}`);
  const timeColumn = typeof time === "string" ? quoteName(time) : null;
  const stretch = { since: numberOf(since), until: numberOf(until) };
  const keys = order.map((name, at) => `${name} AS k${at}`);
  const conditions = [...(timeColumn === null ? [] : daysOf(timeColumn, stretch))];
  const select = `SELECT ${[...fields, ...keys, `${timeColumn ?? "NULL"} AS time`].join(", ")} FROM ${quoteName(String(table))}`;
  const places = order.map(() => "?").join(", ");
  const pageSql = (isFirst: boolean) => {
    const where = [...conditions, ...(isFirst ? [] : [`(${order.join(", ")}) > (${places})`])];
    return `${select}${where.length === 0 ? "" : ` WHERE ${where.join(" AND ")}`} ORDER BY ${order.join(", ")} LIMIT ${PAGE_ROWS}`;
  };
  let after: SqlValue[] | null = null;
  for (let position = 1; ;) {
    signal?.throwIfAborted();
    const rows: Record<string, unknown>[] = withDatabase(file, (database) =>
      database.prepare(pageSql(after === null)).all(after ?? []),
    );
    const last = rows[rows.length - 1];
    if (last === undefined) return;
    after = order.map((_, at) => last[`k${at}`] as SqlValue);
    const records: SourceRecord[] = [];
    for (const row of rows) {
      const timestamp = timeOf(row["time"]);
      if (!isWithin(timestamp, stretch)) continue;
      const value = JSON.stringify(Object.fromEntries(names.map((name, at) => [name, jsonOf(row[`c${at}`])])));
      if (range.to === null || position < range.to) {
        if (position >= range.from)
          records.push({ value, source: range.source, position, key: null, timestamp, headers: null, fields: null });
        position += 1;
      }
    }
    if (records.length > 0) yield records;
    if (range.to !== null && position >= range.to) return;
  }
}

const numberOf = (value: unknown): number | null => (typeof value === "number" ? value : null);

/** The days of a stretch, in SQL: all forms of ISO 8601 begin with the day, and are compared exactly afterwards. */
function daysOf(column: string, { since, until }: Stretch): string[] {
  const day = (time: number) => `'${new Date(time).toISOString().slice(0, 10)}'`;
  const limit = (sign: string, time: number, asDay: number) =>
    `(typeof(${column}) <> 'text' AND ${column} ${sign} ${time} OR typeof(${column}) = 'text' AND ${column} ${sign} ${day(asDay)})`;
  return [
    ...(since === null ? [] : [limit(">=", since, since)]),
    ...(until === null ? [] : [limit("<", until, until + DAY)]),
  ];
}

/** ISO 8601, in UTC where no zone is said, as SQLite's own functions write it; or milliseconds. */
function timeOf(cell: unknown): number | null {
  if (cell === null || cell === undefined) return null;
  const text = typeof cell === "string" && /^[\d-]+[ T][\d:.]+$/.test(cell) ? `${cell.replace(" ", "T")}Z` : cell;
  const time = typeof text === "string" ? Date.parse(text) : Number(text);
  return Number.isNaN(time) ? null : time;
}

/** A row without a time is in no stretch. */
function isWithin(time: number | null, { since, until }: Stretch): boolean {
  if (since === null && until === null) return true;
  return time !== null && (since === null || time >= since) && (until === null || time < until);
}

/** Numbers as they are; those that no float holds, and bytes, as text. */
function jsonOf(cell: unknown): unknown {
  if (typeof cell === "bigint") return Number.isSafeInteger(Number(cell)) ? Number(cell) : String(cell);
  return cell instanceof Uint8Array ? Buffer.from(cell).toString("base64") : cell;
}
