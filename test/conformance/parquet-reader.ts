// Parquet files as DuckDB reads them, in the order in which they are given.
import { DuckDBInstance } from "@duckdb/node-api";
import { type Column, type Table } from "../../schema/table";
import { withoutZeros, type Normal } from "./rows";

export async function parquetRows(files: readonly string[], table: Table): Promise<Normal[]> {
  const instance = await DuckDBInstance.create(":memory:");
  const duckdb = await instance.connect();
  try {
    const found: Normal[] = [];
    const columns = table.columns.map(selected).join(", ");
    for (const file of files) {
      const from = `read_parquet('${file.replaceAll("'", "''")}', hive_partitioning = false)`;
      const rows = (await duckdb.runAndReadAll(`SELECT ${columns} FROM ${from}`)).getRowObjects();
      found.push(
        ...rows.map((row) => Object.fromEntries(table.columns.map((column) => [column.name, normal(column, row)]))),
      );
    }
    return found;
  } finally {
    duckdb.closeSync();
    instance.closeSync();
  }
}

function selected({ name, type }: Column): string {
  const quoted = `"${name}"`;
  switch (type.kind) {
    case "integer":
    case "decimal":
    case "date":
      return `CAST(${quoted} AS VARCHAR) AS ${quoted}`;
    case "timestamp":
      return `epoch_ms(${quoted}) AS ${quoted}`;
    case "bytes":
      return `lower(hex(${quoted})) AS ${quoted}`;
    case "json":
      return `CAST(${quoted} AS VARCHAR) AS ${quoted}`;
    case "text":
    case "double":
    case "boolean":
      return quoted;
  }
}

function normal({ name, type }: Column, row: Readonly<Record<string, unknown>>): unknown {
  const cell = row[name] ?? null;
  if (cell === null) return null;
  if (type.kind === "timestamp") return new Date(Number(cell)).toISOString();
  if (type.kind === "json") return JSON.parse(cell as string) as unknown;
  if (type.kind === "decimal") return withoutZeros(cell as string);
  return cell;
}
