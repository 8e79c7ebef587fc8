// The shape of a table in PostgreSQL: made when it is missing, compared when it is there.
import { escapeLiteral } from "pg";
import { UsageError } from "../../schema/errors";
import { type Column, type ColumnType, type Table } from "../../schema/table";
import { BATCHES, quoteName, quoteTable } from "./names";
import { type Session } from "./session";

/** PostgreSQL cuts longer names off, and two may then be the same. */
const NAME_BYTES = 63;
const SYSTEM_COLUMNS = ["tableoid", "xmin", "cmin", "xmax", "cmax", "ctid"];

export function declaredType(type: ColumnType): string {
  switch (type.kind) {
    case "text":
      return "text";
    case "integer":
      return "bigint";
    case "double":
      return "double precision";
    case "boolean":
      return "boolean";
    case "decimal":
      return `numeric(${type.precision},${type.scale})`;
    case "timestamp":
      return "timestamp with time zone";
    case "date":
      return "date";
    case "bytes":
      return "bytea";
    case "json":
      return "jsonb";
  }
}

/** Whether a column of a table that is there keeps every value of the type as it is. */
function keeps(found: string, type: ColumnType): boolean {
  switch (type.kind) {
    case "text":
      return found === "text" || found === "character varying";
    case "integer":
      return found === "bigint" || found === "integer";
    case "decimal": {
      if (found === "numeric") return true;
      const [, precision, scale] = (/^numeric\((\d+),(\d+)\)$/.exec(found) ?? []).map(Number);
      if (precision === undefined || scale === undefined) return false;
      return scale >= type.scale && precision - scale >= type.precision - type.scale;
    }
    case "timestamp":
      return /^timestamp(\([3-6]\))? with time zone$/.test(found);
    default:
      return found === declaredType(type);
  }
}

/** Refuses what PostgreSQL could not hold faithfully, before anything is made. */
export function checkTable(table: Table): void {
  for (const name of [table.name, ...table.columns.map((column) => column.name)]) {
    if (name === "" || name.includes("\0") || Buffer.byteLength(name) > NAME_BYTES)
      throw new UsageError(
        `The table ${JSON.stringify(table.name)} has a name in it that PostgreSQL cannot keep (1 to ${NAME_BYTES} bytes): ` +
          JSON.stringify(name),
      );
  }
  if (table.name === BATCHES)
    throw new UsageError(`The table name “${table.name}” is reserved for the record of batches: choose another`);
  const seen = new Set<string>();
  for (const { name } of table.columns) {
    if (SYSTEM_COLUMNS.includes(name))
      throw new UsageError(`The column name “${name}” of ${table.name} is reserved in PostgreSQL: choose another`);
    if (seen.has(name)) throw new UsageError(`The table ${table.name} has the column “${name}” twice`);
    seen.add(name);
  }
  if (table.key.length === 0)
    throw new UsageError(
      `The table ${table.name} has no key, and PostgreSQL could not tell a new row from one that is there`,
    );
  for (const name of table.key) {
    if (table.columns.find((column) => column.name === name)?.nullable !== false)
      throw new UsageError(
        `The key column ${name} of ${table.name} may be null: a row without a key could not be found again`,
      );
  }
}

interface FoundColumn {
  readonly name: string;
  readonly type: string;
  readonly notNull: boolean;
  /** Filled by the server when nothing is given. */
  readonly filled: boolean;
  /** Filled by the server always. */
  readonly generated: boolean;
}

interface FoundTable {
  readonly name: string | null;
  readonly kind: string;
  readonly columns: readonly FoundColumn[];
  /** The columns of every unique index that ON CONFLICT may use; the primary key first. */
  readonly keys: readonly (readonly string[])[];
}

const FIND_TABLES = `
SELECT c.relname AS name, c.relkind AS kind,
  (SELECT json_agg(json_build_object('name', a.attname, 'type', format_type(a.atttypid, a.atttypmod),
      'notNull', a.attnotnull, 'filled', a.atthasdef OR a.attidentity <> '',
      'generated', a.attgenerated <> '' OR a.attidentity = 'a') ORDER BY a.attnum)
    FROM pg_catalog.pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped) AS columns,
  (SELECT json_agg((SELECT json_agg(a.attname ORDER BY k.place) FROM unnest(i.indkey::int2[]) WITH ORDINALITY AS k(number, place)
        JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum = k.number WHERE k.place <= i.indnkeyatts)
      ORDER BY i.indisprimary DESC, i.indexrelid)
    FROM pg_catalog.pg_index i WHERE i.indrelid = c.oid AND i.indisunique AND i.indimmediate AND i.indisvalid
      AND i.indpred IS NULL AND i.indexprs IS NULL) AS keys
FROM pg_catalog.pg_namespace n
LEFT JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid AND c.relname = ANY($2::text[])
WHERE n.nspname = $1`;

/** The names of those tables that are there; a UsageError with the difference when one does not fit. */
export async function compareTables(
  session: Session,
  schema: string,
  tables: readonly Table[],
  shown: string,
): Promise<Set<string>> {
  const rows = await session.query(FIND_TABLES, [schema, tables.map((table) => table.name)]);
  if (rows.length === 0)
    throw new UsageError(
      `${shown} has no schema ${schema}: CREATE SCHEMA ${quoteName(schema)}, or name another (?schema=…)`,
    );
  const found = new Map(rows.map(foundTable).map((table) => [table.name, table]));
  const there = new Set<string>();
  for (const table of tables) {
    const one = found.get(table.name);
    if (one === undefined) continue;
    there.add(table.name);
    const differences = differencesOf(one, table);
    if (differences.length > 0)
      throw new UsageError(
        `The table ${schema}.${table.name} in ${shown} has another shape: ${differences.join("; ")}. ` +
          `Rename or drop it, or write to another schema (?schema=…)`,
      );
  }
  return there;
}

function foundTable(row: Record<string, string | null>): FoundTable {
  return {
    name: row["name"] ?? null,
    kind: row["kind"] ?? "",
    columns: JSON.parse(row["columns"] ?? "[]") as FoundColumn[],
    keys: JSON.parse(row["keys"] ?? "[]") as string[][],
  };
}

const KINDS: Readonly<Record<string, string>> = {
  v: "a view",
  m: "a materialized view",
  f: "a foreign table",
  i: "an index",
  I: "an index",
  S: "a sequence",
  c: "a type",
};

function differencesOf(found: FoundTable, table: Table): string[] {
  if (found.kind !== "r" && found.kind !== "p") return [`it is ${KINDS[found.kind] ?? "no table"}`];
  const differences: string[] = [];
  const rest = new Map(found.columns.map((column) => [column.name, column]));
  for (const { name, type, nullable } of table.columns) {
    const there = rest.get(name);
    rest.delete(name);
    if (there === undefined) differences.push(`column ${name} is missing (${declaredType(type)})`);
    else if (!keeps(there.type, type)) differences.push(`column ${name} is ${there.type}, not ${declaredType(type)}`);
    else if (there.notNull && nullable) differences.push(`column ${name} does not take null`);
    else if (there.generated) differences.push(`column ${name} is generated by the server`);
  }
  for (const column of rest.values()) {
    if (column.notNull && !column.filled && !column.generated)
      differences.push(`column ${column.name} is unknown and must not be empty`);
  }
  const fits = (key: readonly string[]) =>
    key.length === table.key.length && table.key.every((name) => key.includes(name));
  if (!found.keys.some(fits))
    differences.push(`its key is (${(found.keys[0] ?? []).join(", ")}), not (${table.key.join(", ")})`);
  return differences;
}

/**
 * Makes those tables that are missing, and says which these were. Until the transaction ends, no other process of ours makes
 * any in the schema. Their indices beside the key are left to finishNew(), when the first rows are in: all at once that is
 * faster than row by row.
 */
export async function createMissing(
  session: Session,
  schema: string,
  tables: readonly Table[],
  shown: string,
): Promise<ReadonlySet<string>> {
  await session.query("SELECT pg_catalog.pg_advisory_xact_lock(pg_catalog.hashtextextended($1, 0))::text", [
    `beamline creates tables in ${schema}`,
  ]);
  // Compared again: another process may have made them since, and may have made others.
  const there = await compareTables(session, schema, tables, shown);
  const missing = tables.filter(({ name }) => !there.has(name));
  for (const table of missing) await session.execute(createSql(schema, table));
  return new Set(missing.map(({ name }) => name));
}

/** Makes the indices of a table that createMissing() has made. */
export async function finishNew(session: Session, schema: string, table: Table): Promise<void> {
  const time = table.columns.find((column) => column.type.kind === "timestamp" && column.name !== table.key[0]);
  if (time !== undefined)
    await session.execute(`CREATE INDEX ON ${quoteTable(schema, table.name)} (${quoteName(time.name)})`);
}

export function createSql(schema: string, table: Table): string {
  const name = quoteTable(schema, table.name);
  const columns = table.columns.map(
    ({ name: column, type, nullable }) => `${quoteName(column)} ${declaredType(type)}${nullable ? "" : " NOT NULL"}`,
  );
  const key = `PRIMARY KEY (${table.key.map(quoteName).join(", ")})`;
  const statements = [`CREATE TABLE ${name} (${[...columns, key].join(", ")})`];
  for (const { name: column, description } of table.columns.filter(hasDescription))
    statements.push(`COMMENT ON COLUMN ${name}.${quoteName(column)} IS ${escapeLiteral(description)}`);
  return statements.join("; ");
}

function hasDescription({ description }: Column): boolean {
  return description !== "" && !description.includes("\0");
}
