// Reads a table or view: every row is a JSON text. A table with a key of whole numbers is read in ranges of it, page by
// page; any other in one piece. Ranges and pages are no one snapshot: a row that changes meanwhile is read as it is then.
import { UsageError } from "../../schema/errors";
import { type Range, type SourceRecord } from "../../schema/record";
import { suggestion } from "../address";
import { EVERYTHING, type Address, type SourceConnector, type Stretch } from "../connector";
import { stretchText } from "../stretch-text";
import { quoteName, quoteTable } from "./names";
import { jsonExpression } from "./row-json";
import { Session, type SqlParameter } from "./session";
import { settingsOf, shownServer, type PostgresSettings } from "./settings";

const RANGE_KEYS = 100_000;
/** A table whose keys lie far apart is not cut into more pieces than this. */
const MOST_RANGES = 1_000;
const PAGE_ROWS = 2_000;

export const postgresSource: SourceConnector = {
  plan: planTable,
  withoutTimes: ({ options }) => (options["time"] === undefined ? "name the column that has it: ?time=column" : null),
  read: (range, signal) => readTable(range, signal),
};

interface SourceColumn {
  readonly name: string;
  /** With its length, such as numeric(38,8). */
  readonly type: string;
  readonly notNull: boolean;
}

interface SourceTable {
  readonly kind: string;
  /** The server's guess. */
  readonly rows: number;
  readonly columns: readonly SourceColumn[];
  readonly primaryKey: readonly string[];
  /** Columns that are unique each on its own. */
  readonly unique: readonly string[];
}

const FIND_TABLE = `
SELECT c.relkind AS kind, c.reltuples::bigint AS rows,
  (SELECT json_agg(json_build_object('name', a.attname, 'type', format_type(a.atttypid, a.atttypmod), 'notNull', a.attnotnull)
      ORDER BY a.attnum)
    FROM pg_catalog.pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped) AS columns,
  (SELECT json_agg(a.attname ORDER BY k.place) FROM pg_catalog.pg_index i, unnest(i.indkey::int2[]) WITH ORDINALITY AS k(number, place),
      pg_catalog.pg_attribute a
    WHERE i.indrelid = c.oid AND i.indisprimary AND a.attrelid = c.oid AND a.attnum = k.number AND k.place <= i.indnkeyatts) AS key,
  (SELECT json_agg(a.attname) FROM pg_catalog.pg_index i JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum = i.indkey[0]
    WHERE i.indrelid = c.oid AND i.indisunique AND i.indnkeyatts = 1 AND i.indpred IS NULL AND i.indisvalid) AS uniques
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = $1 AND c.relname = $2 AND c.relkind IN ('r', 'p', 'v', 'm', 'f')`;

export async function planTable(address: Address, stretch: Stretch): Promise<Range[]> {
  const settings = settingsOf(address, "source");
  const { table: name, time = null } = address.options;
  if (name === undefined || name === "")
    throw new UsageError(`Say which table of ${shownServer(settings)} to read: ?table=name`);
  const session = await Session.begin(settings, "READ ONLY");
  try {
    const table = await findTable(session, settings, name);
    const shown = `${settings.schema}.${name}`;
    const columns = chosen(address.options["columns"], table, shown);
    if (time !== null) checkTime(columnOf(table, time, "time", shown), shown);
    const key = keyOf(address.options["key"], table, shown);
    const times = time === null ? EVERYTHING : stretch;
    const detail = {
      path: address.path,
      options: JSON.stringify(address.options),
      columns: JSON.stringify(columns.map((column) => [column.name, column.type])),
      key,
      // Without a key of numbers a row's number is its position: that means something only where the order is fixed.
      order: JSON.stringify(table.primaryKey),
      since: times.since,
      until: times.until,
    };
    const named = settings.schema === "public" ? name : shown;
    const source = key === null ? `${named}${stretchText(times)}` : named;
    const isPart = key !== null && (times.since !== null || times.until !== null);
    const range = (from: number, to: number | null): Range => ({
      connector: "postgres",
      source,
      from,
      to,
      ...(isPart ? { times } : {}),
      detail,
    });
    const ranges = key === null ? [range(1, null)] : await cut(session, settings, name, key, table.rows, range);
    await session.commit();
    return ranges;
  } catch (error) {
    await session.rollback();
    throw error;
  }
}

async function findTable(session: Session, settings: PostgresSettings, name: string): Promise<SourceTable> {
  const [row] = await session.query(FIND_TABLE, [settings.schema, name]);
  if (row === undefined)
    throw new UsageError(`${shownServer(settings)} has no table ${settings.schema}.${name}: check table= and schema=`);
  const list = <T>(text: string | null | undefined) => JSON.parse(text ?? "[]") as T[];
  return {
    kind: row["kind"] ?? "",
    rows: Number(row["rows"]),
    columns: list<SourceColumn>(row["columns"]),
    primaryKey: list<string>(row["key"]),
    unique: list<string>(row["uniques"]),
  };
}

function columnOf(table: SourceTable, name: string, option: string, shown: string): SourceColumn {
  const column = table.columns.find((one) => one.name === name);
  if (column !== undefined) return column;
  const names = table.columns.map((one) => one.name);
  throw new UsageError(`${option}=${name}: ${shown} has no such column; ${suggestion(name, names)}`);
}

function chosen(columns: string | undefined, table: SourceTable, shown: string): readonly SourceColumn[] {
  if (columns === undefined || columns === "") return table.columns;
  return [...new Set(columns.split(",").map((name) => name.trim()))].map((name) =>
    columnOf(table, name, "columns", shown),
  );
}

function checkTime({ name, type }: SourceColumn, shown: string): void {
  if (!type.startsWith("timestamp") && type !== "date")
    throw new UsageError(`time=${name}: that column of ${shown} is ${type}, and not a time`);
}

const WHOLE = ["smallint", "integer", "bigint"];

/** The column whose ranges the table is read in; null when it has none. */
function keyOf(asked: string | undefined, table: SourceTable, shown: string): string | null {
  if (asked !== undefined && asked !== "") {
    const column = columnOf(table, asked, "key", shown);
    if (!WHOLE.includes(column.type))
      throw new UsageError(`key=${asked}: that column of ${shown} is ${column.type}, and not a whole number`);
    // Of a view nobody knows; whoever names a key of it, knows.
    const isTable = table.kind === "r" || table.kind === "p";
    if (isTable && (!table.unique.includes(asked) || !column.notNull))
      throw new UsageError(
        `key=${asked}: that column of ${shown} may repeat or be null, so it does not tell rows apart`,
      );
    return asked;
  }
  const [name, more] = table.primaryKey;
  const column = table.columns.find((one) => one.name === name);
  return more === undefined && column !== undefined && WHOLE.includes(column.type) ? column.name : null;
}

async function cut(
  session: Session,
  settings: PostgresSettings,
  name: string,
  key: string,
  rows: number,
  range: (from: number, to: number | null) => Range,
): Promise<Range[]> {
  const column = quoteName(key);
  const [bounds] = await session.query(
    `SELECT min(${column}) AS first, max(${column}) AS last FROM ${quoteTable(settings.schema, name)}`,
  );
  if (bounds?.["first"] == null || bounds["last"] == null) return [range(0, 0)];
  const [first, last] = [Number(bounds["first"]), Number(bounds["last"])];
  // The end of the last range is one behind it.
  if (!Number.isSafeInteger(first) || !Number.isSafeInteger(last + 1))
    throw new UsageError(
      `The key ${key} of ${settings.schema}.${name} has numbers beyond 2^53: name another column (?key=…), or read a view without it`,
    );
  const span = last - first + 1;
  // Keys may lie far apart, and then many ranges would be empty. A table that was never analyzed has no guess.
  const byRows = rows > 0 ? Math.ceil(rows / RANGE_KEYS) : MOST_RANGES;
  const count = Math.max(1, Math.min(Math.ceil(span / RANGE_KEYS), byRows, MOST_RANGES));
  const step = Math.ceil(span / count);
  const ranges: Range[] = [];
  for (let from = first; from <= last; from += step) ranges.push(range(from, Math.min(from + step, last + 1)));
  return ranges;
}

/** What a range says of itself, with the settings that this process has for its address. */
function openRange(range: Range) {
  const { path, options, columns, key, order, since, until } = range.detail;
  const address = {
    scheme: "postgres",
    path: String(path),
    options: JSON.parse(String(options)) as Record<string, string>,
  };
  const settings = settingsOf(address, "source");
  const time = address.options["time"] ?? null;
  const conditions: string[] = [];
  const values: SqlParameter[] = [];
  const limit = (sign: string, at: unknown) => {
    if (time === null || typeof at !== "number") return;
    values.push(at);
    conditions.push(
      `${timeExpression(time)} ${sign} pg_catalog.to_timestamp($${values.length}::double precision / 1000)`,
    );
  };
  limit(">=", since);
  limit("<", until);
  const fields = (JSON.parse(String(columns)) as [string, string][]).map(
    ([name, type]) => `${jsonExpression(`t.${quoteName(name)}`, type)} AS ${quoteName(name)}`,
  );
  const milliseconds =
    time === null ? "NULL" : `pg_catalog.floor(EXTRACT(EPOCH FROM ${timeExpression(time)}) * 1000)::bigint`;
  return {
    settings,
    key: typeof key === "string" ? `t.${quoteName(key)}` : null,
    order: (JSON.parse(String(order)) as string[]).map((name) => `t.${quoteName(name)}`),
    from: quoteTable(settings.schema, address.options["table"] ?? ""),
    row: `(SELECT pg_catalog.row_to_json(j)::text FROM (SELECT ${fields.join(", ")}) AS j) AS value, ${milliseconds} AS time`,
    conditions,
    values,
  };
}

/** The transaction's time zone is UTC, so times and days without one are taken for UTC's. */
function timeExpression(name: string): string {
  return `t.${quoteName(name)}::timestamptz`;
}

type OpenRange = ReturnType<typeof openRange>;

async function* readTable(range: Range, signal?: AbortSignal): AsyncGenerator<SourceRecord[]> {
  if (range.to !== null && range.from >= range.to) return;
  const open = openRange(range);
  yield* open.key === null ? readRows(range, open, signal) : readKeys(range, open, open.key, signal);
}

/** Page after page, each a transaction of its own that begins behind the last key: nothing is held in between. */
async function* readKeys(
  range: Range,
  open: OpenRange,
  key: string,
  signal: AbortSignal | undefined,
): AsyncGenerator<SourceRecord[]> {
  const { conditions, values, from, row } = open;
  const place = values.length + 1;
  const where = [
    ...conditions,
    `${key} >= $${place}::bigint`,
    `($${place + 1}::bigint IS NULL OR ${key} < $${place + 1}::bigint)`,
  ];
  const sql = `SELECT ${key} AS position, ${row} FROM ${from} AS t WHERE ${where.join(" AND ")} ORDER BY ${key} LIMIT ${PAGE_ROWS}`;
  for (let next = range.from; ;) {
    const rows = await abortable(open.settings, signal, async (session) => {
      // Of a table that was never analyzed the server thinks little, and would sort the whole range for every page.
      await session.execute("SET LOCAL enable_sort = off");
      return session.query(sql, [...values, String(next), range.to === null ? null : String(range.to)]);
    });
    const records = rows.map((one) => recordOf(range, one, Number(one["position"])));
    if (records.length > 0) yield records;
    if (records.length < PAGE_ROWS) return;
    next = (records[records.length - 1]?.position ?? 0) + 1;
  }
}

/** One transaction and a cursor; the position is the row's number. */
async function* readRows(
  range: Range,
  open: OpenRange,
  signal: AbortSignal | undefined,
): AsyncGenerator<SourceRecord[]> {
  signal?.throwIfAborted();
  const { conditions, values, from, row, order, settings } = open;
  const session = await Session.begin(settings, "READ ONLY");
  const stop = () => session.destroy();
  signal?.addEventListener("abort", stop, { once: true });
  try {
    const where = conditions.length === 0 ? "" : ` WHERE ${conditions.join(" AND ")}`;
    const sorted = order.length === 0 ? "" : ` ORDER BY ${order.join(", ")}`;
    await session.query(
      `DECLARE beamline_rows NO SCROLL CURSOR FOR SELECT ${row} FROM ${from} AS t${where}${sorted}`,
      values,
    );
    let position = 1;
    if (range.from > 1) {
      await session.execute(`MOVE FORWARD ${range.from - 1} FROM beamline_rows`);
      position = range.from;
    }
    for (;;) {
      const most = range.to === null ? PAGE_ROWS : Math.min(PAGE_ROWS, range.to - position);
      const rows = most <= 0 ? [] : await session.query(`FETCH ${most} FROM beamline_rows`);
      signal?.throwIfAborted();
      if (rows.length === 0) break;
      yield rows.map((one, at) => recordOf(range, one, position + at));
      position += rows.length;
    }
    await session.commit();
  } catch (error) {
    signal?.throwIfAborted();
    throw error;
  } finally {
    signal?.removeEventListener("abort", stop);
    await session.rollback();
  }
}

/** Does something in a transaction, and breaks it off when the signal says so. */
async function abortable<T>(
  settings: PostgresSettings,
  signal: AbortSignal | undefined,
  action: (session: Session) => Promise<T>,
): Promise<T> {
  signal?.throwIfAborted();
  const session = await Session.begin(settings, "READ ONLY");
  const stop = () => session.destroy();
  signal?.addEventListener("abort", stop, { once: true });
  try {
    const result = await action(session);
    await session.commit();
    return result;
  } catch (error) {
    signal?.throwIfAborted();
    throw error;
  } finally {
    signal?.removeEventListener("abort", stop);
    await session.rollback();
  }
}

function recordOf(range: Range, row: Record<string, string | null>, position: number): SourceRecord {
  const time = row["time"];
  return {
    value: row["value"] ?? "null",
    source: range.source,
    position,
    key: null,
    timestamp: time == null ? null : Number(time),
    headers: null,
    fields: null,
  };
}
