// The shape of a table in SQLite: made when it is missing, compared when it is there.
import { UsageError } from "../../schema/errors";
import { type ColumnType, type Table } from "../../schema/table";
import { type Database } from "./database";

/** Tables whose names begin so are this connector's own. */
export const OWN_PREFIX = "_beamline_";

/** A name as SQL: whatever is in it, it stays a name. */
export function quoteName(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

/** A JSON document or bytes may be long, and a table without rowids is slow with long rows. */
function hasLongRows(table: Table): boolean {
  return table.columns.some((column) => column.type.kind === "bytes" || column.type.kind === "json");
}

export function declaredType({ kind }: ColumnType): string {
  switch (kind) {
    case "integer":
    case "boolean":
      return "INTEGER";
    case "double":
      return "REAL";
    case "bytes":
      return "BLOB";
    case "text":
    case "decimal":
    case "timestamp":
    case "date":
    case "json":
      return "TEXT";
  }
}

/** Refuses what SQLite could not hold faithfully, before anything is made. */
export function checkTable(table: Table): void {
  const names = [table.name, ...table.columns.map((column) => column.name)];
  for (const name of names) {
    if (name === "" || name.includes("\0"))
      throw new UsageError(
        `The table ${JSON.stringify(table.name)} has a name in it that SQLite cannot keep: ${JSON.stringify(name)}`,
      );
  }
  if (/^(sqlite_|_beamline_)/i.test(table.name)) {
    throw new UsageError(`The table name “${table.name}” is reserved in SQLite: choose another`);
  }
  const lower = new Set<string>();
  for (const column of table.columns) {
    // SQLite takes names that differ in ASCII case only for the same.
    const name = column.name.replaceAll(/[A-Z]/g, (letter) => letter.toLowerCase());
    if (lower.has(name))
      throw new UsageError(
        `The table ${table.name} has the column “${column.name}” twice for SQLite, which ignores case`,
      );
    lower.add(name);
  }
  if (table.key.length === 0)
    throw new UsageError(
      `The table ${table.name} has no key, and SQLite could not tell a new row from one that is there`,
    );
  for (const name of table.key) {
    if (table.columns.find((column) => column.name === name)?.nullable !== false) {
      throw new UsageError(
        `The key column ${name} of ${table.name} may be null: a row without a key could not be found again`,
      );
    }
  }
}

interface Found {
  readonly name: string;
  readonly type: string;
  readonly notnull: number;
  readonly dflt_value: unknown;
  readonly pk: number;
}

/** Whether the table is there; a UsageError with the difference when what is there does not fit. */
export function compareTable(database: Database, table: Table, shown: string): boolean {
  const [entry] = database
    .prepare("SELECT type FROM sqlite_master WHERE name = ? COLLATE NOCASE AND type IN ('table', 'view')")
    .all([table.name]);
  if (entry === undefined) return false;
  const differences =
    entry["type"] === "table"
      ? differencesOf(
          database.prepare("SELECT * FROM pragma_table_info(?)").all([table.name]) as unknown as Found[],
          table,
        )
      : ["it is a view"];
  if (differences.length === 0) return true;
  throw new UsageError(
    `The table ${table.name} in ${shown} has another shape: ${differences.join("; ")}. Rename or drop it, or write to another file`,
  );
}

function differencesOf(found: readonly Found[], table: Table): string[] {
  const differences: string[] = [];
  const rest = new Map(found.map((column) => [column.name, column]));
  for (const column of table.columns) {
    const there = rest.get(column.name);
    rest.delete(column.name);
    const type = declaredType(column.type);
    if (there === undefined) differences.push(`column ${column.name} is missing`);
    else if (there.type.toUpperCase() !== type)
      differences.push(`column ${column.name} is ${there.type || "untyped"}, not ${type}`);
    else if (there.notnull === 1 && column.nullable) differences.push(`column ${column.name} does not take null`);
  }
  for (const column of rest.values()) {
    if (column.notnull === 1 && column.dflt_value === null)
      differences.push(`column ${column.name} is unknown and must not be empty`);
  }
  const key = found.filter((column) => column.pk > 0).map((column) => column.name);
  if (key.length !== table.key.length || !table.key.every((name) => key.includes(name))) {
    differences.push(`its key is (${key.join(", ")}), not (${table.key.join(", ")})`);
  }
  return differences;
}

/** Makes the table, and beside it a view with its decimals as numbers for whoever wants to calculate in SQL. */
export function createTable(database: Database, table: Table): void {
  const columns = table.columns.map(
    (column) => `${quoteName(column.name)} ${declaredType(column.type)}${column.nullable ? "" : " NOT NULL"}`,
  );
  const key = `PRIMARY KEY (${table.key.map(quoteName).join(", ")})`;
  const ending = hasLongRows(table) ? "" : " WITHOUT ROWID";
  database.exec(`CREATE TABLE ${quoteName(table.name)} (${[...columns, key].join(", ")})${ending}`);
}

/** `<table>_numeric`: the same rows with decimals as REAL. Made anew when the table has got other columns. */
export function createNumericView(database: Database, table: Table, shown: string): void {
  if (!table.columns.some((column) => column.type.kind === "decimal")) return;
  const name = `${table.name}_numeric`;
  const columns = table.columns.map((column) => {
    const quoted = quoteName(column.name);
    return column.type.kind === "decimal" ? `CAST(${quoted} AS REAL) AS ${quoted}` : quoted;
  });
  const sql = `CREATE VIEW ${quoteName(name)} AS SELECT ${columns.join(", ")} FROM ${quoteName(table.name)}`;
  const [entry] = database.prepare("SELECT type, sql FROM sqlite_master WHERE name = ? COLLATE NOCASE").all([name]);
  if (entry?.["sql"] === sql) return;
  if (entry !== undefined && entry["type"] !== "view") {
    throw new UsageError(
      `${shown} has a ${String(entry["type"])} ${name}, where the view of ${table.name} with numbers goes: rename it`,
    );
  }
  if (entry !== undefined) database.exec(`DROP VIEW ${quoteName(name)}`);
  database.exec(sql);
}
