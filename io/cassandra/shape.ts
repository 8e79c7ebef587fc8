// The keyspace and its tables: made when they are missing, compared when they are there.
import { RunError, UsageError } from "../../schema/errors";
import { type Column, type Table } from "../../schema/table";
import { type Output } from "../connector";
import { declaredType } from "./cells";
import { type CassandraSettings, type Replication } from "./options";
import { type Session } from "./session";

/** Beside the tables of rows: which batch they stand at. */
export const BATCHES = "beamline_batches";

/** A name as CQL: whatever is in it, it stays a name. */
export const quoteName = (name: string): string => `"${name.replaceAll('"', '""')}"`;

export const quoteTable = (keyspace: string, table: string): string => `${quoteName(keyspace)}.${quoteName(table)}`;

/** What was found of an output's table. */
export interface Found {
  readonly isThere: boolean;
  /** Columns that it does not have yet. */
  readonly missing: readonly Column[];
}

/** Refuses what Cassandra could not hold faithfully, before anything is asked. */
export function checkOutputs({ shown, partitionKey }: CassandraSettings, outputs: readonly Output[]): void {
  const seen = new Set<string>();
  for (const { table } of outputs) {
    checkTable(table);
    if (seen.has(table.name))
      throw new UsageError(`Two outputs go to the table ${table.name} of ${shown}: give one another name or place`);
    seen.add(table.name);
  }
  if (partitionKey !== null && !outputs.some(({ table }) => partitionKey.every((name) => table.key.includes(name))))
    throw new UsageError(
      `${shown} has the option partition-key=${partitionKey.join(",")}, but no table has all of that in its key: ${outputs.map(({ table }) => `${table.name} (${table.key.join(", ")})`).join("; ")}`,
    );
}

function checkTable(table: Table): void {
  if (!/^\w{1,48}$/.test(table.name))
    throw new UsageError(
      `The table ${JSON.stringify(table.name)} cannot be one of Cassandra: its name is of letters, digits and _, 48 at most`,
    );
  if (table.name === BATCHES)
    throw new UsageError(`The table name “${table.name}” is reserved for the record of batches: choose another`);
  for (const { name } of table.columns) {
    if (name === "" || name.includes("\0"))
      throw new UsageError(`The table ${table.name} has a column that Cassandra cannot keep: ${JSON.stringify(name)}`);
  }
  if (table.key.length === 0)
    throw new UsageError(
      `The table ${table.name} has no key, and Cassandra could not tell a new row from one that is there`,
    );
  for (const name of table.key) {
    if (table.columns.find((column) => column.name === name)?.nullable !== false)
      throw new UsageError(
        `The key column ${name} of ${table.name} may be null: a row without a key could not be found again`,
      );
  }
}

/** The columns of the key that say on which server a row lies. A table that they are not for has its first one. */
export const partitionOf = (
  { key }: Table,
  { partitionKey }: Pick<CassandraSettings, "partitionKey">,
): readonly string[] =>
  partitionKey !== null && partitionKey.every((name) => key.includes(name)) ? partitionKey : key.slice(0, 1);

/** Whether there is such a keyspace. */
export async function hasKeyspace(session: Session): Promise<boolean> {
  const query = "SELECT keyspace_name FROM system_schema.keyspaces WHERE keyspace_name = ?";
  return (await session.rows(query, [session.settings.keyspace])).length > 0;
}

/** What is there; a UsageError with the difference when it does not fit. Changes nothing. */
export async function compareTable(session: Session, table: Table): Promise<Found> {
  const { keyspace, partitionKey, shown } = session.settings;
  const rows = await session.rows(
    "SELECT column_name, type, kind FROM system_schema.columns WHERE keyspace_name = ? AND table_name = ?",
    [keyspace, table.name],
  );
  if (rows.length === 0) return { isThere: false, missing: table.columns };
  const found = new Map(rows.map((row) => [String(row["column_name"]), row]));
  const differences: string[] = [];
  const missing: Column[] = [];
  for (const column of table.columns) {
    const there = found.get(column.name);
    const type = declaredType(column.type);
    if (there === undefined) missing.push(column);
    else if (there["type"] !== type) differences.push(`column ${column.name} is ${String(there["type"])}, not ${type}`);
    else if (there["kind"] === "static") differences.push(`column ${column.name} is static`);
  }
  const ofKind = (kind: string) => rows.filter((row) => row["kind"] === kind).map((row) => String(row["column_name"]));
  const partition = ofKind("partition_key");
  const key = [...partition, ...ofKind("clustering")];
  if (!isSame(key, table.key)) differences.push(`its key is (${key.join(", ")}), not (${table.key.join(", ")})`);
  else if (partitionKey !== null && !isSame(partition, partitionOf(table, session.settings)))
    differences.push(`its partition key is (${partition.join(", ")}), not (${partitionKey.join(", ")})`);
  if (differences.length === 0) return { isThere: true, missing };
  throw new UsageError(
    `The table ${table.name} of ${shown} has another shape: ${differences.join("; ")}. Drop it, or write to another keyspace`,
  );
}

const isSame = (one: readonly string[], other: readonly string[]): boolean =>
  one.length === other.length && one.every((name) => other.includes(name));

export async function createKeyspace(session: Session): Promise<void> {
  const { keyspace, replication } = session.settings;
  await session.execute(
    `CREATE KEYSPACE IF NOT EXISTS ${quoteName(keyspace)} WITH replication = ${replicationText(replication)}`,
  );
}

function replicationText(replication: Replication): string {
  const parts = typeof replication === "number" ? { replication_factor: replication } : replication;
  const kind = typeof replication === "number" ? "SimpleStrategy" : "NetworkTopologyStrategy";
  const copies = Object.entries(parts).map(([name, count]) => `'${name}': ${count}`);
  return `{${[`'class': '${kind}'`, ...copies].join(", ")}}`;
}

/** Makes what is missing. Several processes may do so at once. */
export async function prepareTable(session: Session, table: Table, found: Found): Promise<void> {
  const { settings } = session;
  const name = quoteTable(settings.keyspace, table.name);
  if (!found.isThere) await session.execute(createSql(table, settings));
  const missing = found.isThere ? found.missing : (await compareTable(session, table)).missing;
  for (const column of missing) {
    try {
      await session.execute(`ALTER TABLE ${name} ADD ${quoteName(column.name)} ${declaredType(column.type)}`);
    } catch (error) {
      // Another process was first, perhaps.
      const after = await compareTable(session, table);
      if (!(error instanceof RunError) || after.missing.includes(column)) throw error;
    }
  }
}

export function createSql(table: Table, settings: Pick<CassandraSettings, "keyspace" | "partitionKey">): string {
  const partition = partitionOf(table, settings);
  const clustering = table.key.filter((name) => !partition.includes(name));
  const columns = table.columns.map(({ name, type }) => `${quoteName(name)} ${declaredType(type)}`);
  const key = [`(${partition.map(quoteName).join(", ")})`, ...clustering.map(quoteName)];
  return (
    `CREATE TABLE IF NOT EXISTS ${quoteTable(settings.keyspace, table.name)} ` +
    `(${[...columns, `PRIMARY KEY (${key.join(", ")})`].join(", ")})`
  );
}
