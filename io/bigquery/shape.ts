// The shape of a table in BigQuery: made when it is missing, widened by new columns, compared when it is there.
import { RunError, UsageError } from "../../schema/errors";
import { type Column, type ColumnType, type Table } from "../../schema/table";
import { querying, nameOfNoOther, type FieldSchema, type Jobs } from "./jobs";
import { BATCHES, quoteName, quoteTable, quoteText, STAGING_PREFIX } from "./names";
import { type Rest } from "./rest";
import { shownPlace, type SinkSettings } from "./settings";

/** How BigQuery keeps the values of a column. */
export type StoredType =
  "STRING" | "INT64" | "FLOAT64" | "BOOL" | "NUMERIC" | "BIGNUMERIC" | "TIMESTAMP" | "DATE" | "BYTES" | "JSON";

export interface StoredColumn {
  readonly column: Column;
  readonly type: StoredType;
  /** The digits of a decimal before and behind the point. */
  readonly whole: number;
  readonly scale: number;
  /** The most characters of a text, or bytes; null: as many as a row takes. */
  readonly maxLength: number | null;
}

/** A table as it is there, or as it will be made. */
export interface Shape {
  readonly table: Table;
  readonly columns: readonly StoredColumn[];
  /** Null when it is not there yet. */
  readonly found: FoundTable | null;
  /** Columns that are to be added to it. */
  readonly added: readonly StoredColumn[];
  /** The column by whose days it is partitioned. */
  readonly partition: string | null;
  readonly cluster: readonly string[];
}

export interface FoundTable {
  readonly type: string;
  readonly creationTime?: string;
  readonly schema?: { readonly fields?: readonly FieldSchema[] };
  readonly timePartitioning?: { readonly type?: string; readonly field?: string };
  readonly clustering?: { readonly fields?: readonly string[] };
}

/** Of a NUMERIC; whatever needs more behind the point becomes a BIGNUMERIC. */
const NUMERIC = { whole: 29, scale: 9 };
const BIGNUMERIC = { whole: 38, scale: 38 };

export function storedType(type: ColumnType): StoredType {
  switch (type.kind) {
    case "text":
      return "STRING";
    case "integer":
      return "INT64";
    case "double":
      return "FLOAT64";
    case "boolean":
      return "BOOL";
    case "decimal":
      return type.scale <= NUMERIC.scale && type.precision <= NUMERIC.whole + NUMERIC.scale ? "NUMERIC" : "BIGNUMERIC";
    case "timestamp":
      return "TIMESTAMP";
    case "date":
      return "DATE";
    case "bytes":
      return "BYTES";
    case "json":
      return "JSON";
  }
}

/** What tables.get calls the types, by what SQL calls them. */
const SQL_NAMES: Readonly<Record<string, StoredType>> = {
  INTEGER: "INT64",
  FLOAT: "FLOAT64",
  BOOLEAN: "BOOL",
  DECIMAL: "NUMERIC",
  BIGDECIMAL: "BIGNUMERIC",
};

const sqlName = (type: string): string => SQL_NAMES[type] ?? type;

const stored = (column: Column, type: StoredType, found?: FieldSchema): StoredColumn => {
  const most = type === "BIGNUMERIC" ? BIGNUMERIC : NUMERIC;
  const declared = column.type.kind === "decimal" ? column.type : { precision: most.whole, scale: 0 };
  const scale = found?.precision === undefined ? most.scale : Number(found.scale ?? 0);
  const whole = found?.precision === undefined ? most.whole : Number(found.precision) - scale;
  return {
    column,
    type,
    whole: Math.min(whole, Math.max(declared.precision - declared.scale, 1)),
    scale: Math.min(scale, declared.scale),
    maxLength: found?.maxLength === undefined ? null : Number(found.maxLength),
  };
};

/** How a column that is there keeps every value of ours, or null. */
function keptBy(found: FieldSchema, column: Column): StoredColumn | null {
  const wanted = storedType(column.type);
  const type = sqlName(found.type);
  if (type === wanted) {
    if (column.type.kind !== "decimal" || found.precision === undefined) return stored(column, wanted, found);
    const scale = Number(found.scale ?? 0);
    const whole = Number(found.precision) - scale;
    const { precision, scale: asked } = column.type;
    const needed = Math.min(precision - asked, NUMERIC.whole);
    return scale >= asked && whole >= needed ? stored(column, wanted, found) : null;
  }
  if (wanted === "NUMERIC" && type === "BIGNUMERIC" && found.precision === undefined)
    return stored(column, "BIGNUMERIC", found);
  if (wanted === "JSON" && type === "STRING") return stored(column, "STRING", found);
  return null;
}

const FLEXIBLE = /^[\p{L}\p{M}\p{N}\p{Pc}\p{Pd}&%=+:'<>#| ]{1,300}$/u;
const RESERVED =
  /^(_TABLE_|_FILE_|_PARTITION|_ROW_TIMESTAMP|__ROOT__|_COLIDENTIFIER|_CHANGE_SEQUENCE_NUMBER|_CHANGE_TYPE)/i;
const TABLE_NAME = /^[\p{L}\p{M}\p{N}\p{Pc}\p{Pd} ]+$/u;
const MOST_COLUMNS = 10_000;

/** Refuses what BigQuery could not hold faithfully, before anything is made. */
export function checkTable({ name, columns, key }: Table): void {
  if (!TABLE_NAME.test(name) || Buffer.byteLength(name) > 1024)
    throw new UsageError(
      `BigQuery cannot have a table of the name ${JSON.stringify(name)}: it takes letters, digits, “_”, “-” and spaces`,
    );
  if (name === BATCHES || name.startsWith(STAGING_PREFIX))
    throw new UsageError(`The table name “${name}” is reserved for what beamline keeps beside rows: choose another`);
  if (columns.length > MOST_COLUMNS)
    throw new UsageError(`The table ${name} has more columns than BigQuery takes, which is ${MOST_COLUMNS}`);
  const seen = new Set<string>();
  for (const column of columns) {
    if (!FLEXIBLE.test(column.name) || RESERVED.test(column.name))
      throw new UsageError(
        `BigQuery cannot have a column of the name ${JSON.stringify(column.name)}, as ${name} has: choose another`,
      );
    const lower = column.name.toLowerCase();
    if (seen.has(lower))
      throw new UsageError(`The table ${name} has the column “${column.name}” twice for BigQuery, which ignores case`);
    seen.add(lower);
    if (column.type.kind === "decimal") {
      const { precision, scale } = column.type;
      if (scale > BIGNUMERIC.scale || precision - scale > BIGNUMERIC.whole)
        throw new UsageError(
          `The column ${column.name} of ${name} is a decimal(${precision}, ${scale}), and BigQuery's greatest is a ` +
            `BIGNUMERIC, with ${BIGNUMERIC.whole} digits before and ${BIGNUMERIC.scale} after the point`,
        );
    }
  }
  if (key.length === 0)
    throw new UsageError(`The table ${name} has no key, and BigQuery could not tell a new row from one that is there`);
  for (const part of key) {
    const column = columns.find((one) => one.name === part);
    if (column?.nullable !== false)
      throw new UsageError(
        `The key column ${part} of ${name} may be null: a row without a key could not be found again`,
      );
    if (column.type.kind === "double" || column.type.kind === "json")
      throw new UsageError(
        `The key column ${part} of ${name} is ${column.type.kind}, which BigQuery cannot group by: make it text or a decimal`,
      );
  }
}

/** Clustering takes four columns, and no bytes. */
const MOST_CLUSTERED = 4;

/** The table as it would be made. */
function newShape(table: Table, { partition, cluster }: Layout): Shape {
  const columns = table.columns.map((column) => stored(column, storedType(column.type)));
  const typeOf = (name: string) => table.columns.find((column) => column.name === name)?.type.kind;
  const by = partition ?? table.key.find((name) => isTime(typeOf(name))) ?? "";
  const rest = table.key.filter((name) => name !== by && typeOf(name) !== "bytes").slice(0, MOST_CLUSTERED);
  return { table, columns, found: null, added: [], partition: by === "" ? null : by, cluster: cluster ?? rest };
}

type Layout = Pick<SinkSettings, "partition" | "cluster">;

const isTime = (kind: ColumnType["kind"] | undefined): boolean => kind === "timestamp" || kind === "date";

/** What partition= and cluster= mean for a table: an address is for several, and not all have these columns. */
function layoutOf({ columns }: Table, { partition, cluster }: Layout): Layout {
  const has = (name: string) => columns.some((column) => column.name === name);
  return {
    partition: partition === null || partition === "" || has(partition) ? partition : null,
    cluster: cluster?.every(has) === true ? cluster : null,
  };
}

/** Refuses partition= and cluster= where they mean no table. */
export function checkLayout(tables: readonly Table[], { partition, cluster }: Layout): void {
  const names = tables.map(({ name }) => name).join(", ");
  if (partition !== null && partition !== "") {
    const kinds = tables.map(({ columns }) => columns.find(({ name }) => name === partition)?.type.kind);
    const kind = kinds.find((one) => one !== undefined);
    if (!kinds.some(isTime))
      throw new UsageError(
        `partition=${partition}: ${kind === undefined ? `there is no such column in ${names}` : `that column is ${kind}, and not a time or a day`}`,
      );
  }
  if (cluster === null) return;
  if (cluster.length > MOST_CLUSTERED)
    throw new UsageError(`cluster= takes ${MOST_CLUSTERED} columns at most, and has ${cluster.length}`);
  const hasAll = ({ columns }: Table) => cluster.every((one) => columns.some(({ name }) => name === one));
  if (!tables.some(hasAll))
    throw new UsageError(`cluster=${cluster.join(",")}: no table has these columns, of ${names}`);
}

const tablePath = ({ dataset }: SinkSettings, table: string): string =>
  `/datasets/${dataset}/tables/${encodeURIComponent(table)}`;

/** What is there of it; null when nothing is. */
export const findTable = (rest: Rest, settings: SinkSettings, table: string): Promise<FoundTable | null> =>
  rest.find<FoundTable>({ method: "GET", path: tablePath(settings, table) });

/** Looks at the table; a UsageError with the difference when what is there does not fit. */
export async function compareTable(rest: Rest, settings: SinkSettings, table: Table): Promise<Shape> {
  const layout = layoutOf(table, settings);
  const fresh = newShape(table, layout);
  const found = await findTable(rest, settings, table.name);
  if (found === null) return fresh;
  const { differences, columns, added } = differencesOf(found, table);
  const { partition, cluster } = layout;
  const there = found.timePartitioning?.field ?? null;
  if (partition !== null && table.name !== BATCHES && (there ?? "") !== partition)
    differences.push(`it is partitioned by ${there ?? "nothing"}, not by ${partition === "" ? "nothing" : partition}`);
  const clustered = found.clustering?.fields ?? [];
  if (cluster !== null && table.name !== BATCHES && clustered.join() !== cluster.join())
    differences.push(`it is clustered by (${clustered.join(", ")}), not by (${cluster.join(", ")})`);
  if (differences.length > 0)
    throw new UsageError(
      `The table ${table.name} in ${shownPlace(settings)} has another shape: ${differences.join("; ")}. ` +
        `Rename or drop it, or write to another dataset`,
    );
  return { table, columns, found, added, partition: there, cluster: clustered };
}

const KINDS: Readonly<Record<string, string>> = {
  VIEW: "a view",
  MATERIALIZED_VIEW: "a materialized view",
  EXTERNAL: "an external table",
  SNAPSHOT: "a snapshot",
};

function differencesOf(found: FoundTable, table: Table) {
  const differences: string[] = [];
  const columns: StoredColumn[] = [];
  const added: StoredColumn[] = [];
  if (found.type !== "TABLE") return { differences: [`it is ${KINDS[found.type] ?? "no table"}`], columns, added };
  const rest = new Map((found.schema?.fields ?? []).map((field) => [field.name.toLowerCase(), field]));
  for (const column of table.columns) {
    const { name, nullable } = column;
    const there = rest.get(name.toLowerCase());
    rest.delete(name.toLowerCase());
    if (there === undefined) {
      const one = stored(column, storedType(column.type));
      if (nullable) added.push(one);
      else differences.push(`column ${name} is missing (${one.type}), and cannot be added, since it must not be empty`);
      columns.push(one);
      continue;
    }
    const kept = keptBy(there, column);
    if (there.mode === "REPEATED") differences.push(`column ${name} is a list`);
    else if (kept === null) differences.push(`column ${name} is ${shownType(there)}, not ${wantedType(column)}`);
    else if (there.mode === "REQUIRED" && nullable) differences.push(`column ${name} does not take null`);
    else columns.push(kept);
  }
  for (const { name, mode, defaultValueExpression } of rest.values()) {
    if (mode === "REQUIRED" && defaultValueExpression === undefined)
      differences.push(`column ${name} is unknown and must not be empty`);
  }
  return { differences, columns, added };
}

function shownType({ type, precision, scale, maxLength }: FieldSchema): string {
  const inside = precision === undefined ? maxLength : `${precision}, ${scale ?? 0}`;
  return sqlName(type) + (inside === undefined ? "" : `(${inside})`);
}

function wantedType({ type }: Column): string {
  const name = storedType(type);
  return type.kind === "decimal" ? `${name} for decimal(${type.precision}, ${type.scale})` : name;
}

/** Makes the table; one that somebody else makes at the same time is compared. */
export async function createTable(rest: Rest, settings: SinkSettings, shape: Shape): Promise<Shape> {
  const { project, dataset } = settings;
  const { table, columns, partition, cluster } = shape;
  await rest.make({
    method: "POST",
    path: `/datasets/${dataset}/tables`,
    body: {
      tableReference: { projectId: project, datasetId: dataset, tableId: table.name },
      schema: { fields: columns.map(fieldOf) },
      ...(partition === null ? {} : { timePartitioning: { type: "DAY", field: partition } }),
      ...(cluster.length === 0 ? {} : { clustering: { fields: cluster } }),
    },
  });
  return compareTable(rest, settings, table);
}

const fieldOf = ({ column: { name, nullable, description }, type }: StoredColumn): FieldSchema => ({
  name,
  type,
  mode: nullable ? "NULLABLE" : "REQUIRED",
  ...(description === "" ? {} : { description: description.slice(0, 1024) }),
});

/** Adds the columns that are new. Another process may have done it since. */
export async function addColumns(jobs: Jobs, settings: SinkSettings, { table, added }: Shape): Promise<void> {
  if (added.length === 0) return;
  const columns = added.map(({ column: { name, description }, type }) => {
    const options = description === "" ? "" : ` OPTIONS(description=${quoteText(description.slice(0, 1024))})`;
    return `ADD COLUMN IF NOT EXISTS ${quoteName(name)} ${type}${options}`;
  });
  const sql = `ALTER TABLE ${quoteTable(settings, table.name)} ${columns.join(", ")}`;
  await jobs.once(nameOfNoOther("columns"), jobs.begin({ query: querying(sql) }));
}

/** Makes the dataset, where the address says so. */
export async function createDataset(rest: Rest, { project, dataset, location }: SinkSettings): Promise<void> {
  await rest.make({
    method: "POST",
    path: "/datasets",
    body: {
      datasetReference: { projectId: project, datasetId: dataset },
      ...(location === null ? {} : { location }),
    },
  });
}

/** Where the dataset lies; null when it is not there. */
export async function findLocation(rest: Rest, settings: SinkSettings): Promise<string | null> {
  const { dataset, location } = settings;
  const found = await rest.find<{ location?: string }>({ method: "GET", path: `/datasets/${dataset}` });
  if (found === null) return null;
  const there = found.location ?? "US";
  if (location !== null && location.toLowerCase() !== there.toLowerCase())
    throw new RunError(
      `${shownPlace(settings)} lies in ${there}, and not in ${location}: leave location= out, or name another dataset`,
    );
  return there;
}

export const noDataset = (settings: SinkSettings): UsageError =>
  new UsageError(
    `${shownPlace(settings)} is not there: make it with bq mk --dataset ${settings.project}:${settings.dataset}, let it be ` +
      `made (?create=true), or check the address`,
  );
