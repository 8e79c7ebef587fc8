// SQL with which Snowflake reads the Parquet files that a pipeline writes to a bucket: a file format, a stage, and an
// external table over it, with the partition folders as columns. Printed, and run by whoever has the rights.
import { UsageError } from "../../schema/errors";
import { type Column, type ColumnType, type Table } from "../../schema/table";
import { type Address } from "../../io/connector";
import { placeOf } from "../../io/lake/bucket-place";
import { lakeOptionsOf } from "../../io/lake/options";
import { ESCAPED, NO_VALUE, Partitioning } from "../../io/lake/partition";

const FORMAT = "BEAMLINE_PARQUET";

export interface SnowflakeSettings {
  /** The storage integration that may read the bucket; an administrator makes it. */
  readonly integration: string;
}

/** One statement each. */
export function snowflakeSql(table: Table, address: Address, { integration }: SnowflakeSettings): readonly string[] {
  const { scheme } = address;
  if (scheme !== "s3" && scheme !== "gs")
    throw new UsageError(
      `Snowflake reads buckets: say where the files are, such as --to s3://bucket/lake/, not ${scheme}:`,
    );
  const { bucket, path } = placeOf(address);
  const options = lakeOptionsOf(address, "parquet");
  if (options.format !== "parquet")
    throw new UsageError(`${scheme}:${address.path} has ${options.format}: Parquet is read`);
  const root = path === "" || path.endsWith("/") ? path : `${path}/`;
  const url = `${scheme === "gs" ? "gcs" : scheme}://${bucket}/${root}${table.name}/`;
  const partitioning = Partitioning.of(options.partition, table, url);
  const folders = partitioning.parts.map(({ label, column, unit }) => {
    // What is smaller or larger than a day has no type of its own.
    const isDay = unit === "day" || (unit === null && column.type.kind === "date");
    const type = isDay ? "DATE" : unit === null ? typeOf(column.type) : "VARCHAR";
    return { name: label, type, expression: folderValue(label, type) };
  });
  const columns = partitioning.inFiles().columns.map((column) => ({
    name: column.name,
    type: typeOf(column.type),
    expression: valueOf(column),
  }));
  const all = [...columns, ...folders].map(
    ({ name, type, expression }) => `  ${quoted(name)} ${type} AS (${expression})`,
  );
  const stage = quoted(`${table.name}_stage`);
  return [
    `CREATE FILE FORMAT IF NOT EXISTS ${FORMAT} TYPE = PARQUET BINARY_AS_TEXT = FALSE USE_LOGICAL_TYPE = TRUE`,
    `CREATE STAGE IF NOT EXISTS ${stage}\n  URL = ${text(url)}\n  STORAGE_INTEGRATION = ${quoted(integration)}\n  FILE_FORMAT = (FORMAT_NAME = ${FORMAT})`,
    [
      `CREATE OR REPLACE EXTERNAL TABLE ${quoted(table.name)} (\n${all.join(",\n")}\n)`,
      ...(folders.length === 0 ? [] : [`PARTITION BY (${folders.map(({ name }) => quoted(name)).join(", ")})`]),
      `LOCATION = @${stage}`,
      // Not the manifests, and not what is being staged.
      `PATTERN = '.*[.]parquet'`,
      `FILE_FORMAT = (FORMAT_NAME = ${FORMAT})`,
      "AUTO_REFRESH = FALSE",
    ].join("\n"),
    `ALTER EXTERNAL TABLE ${quoted(table.name)} REFRESH`,
  ];
}

/** In capitals, so that a query need not quote it. */
const quoted = (name: string): string => `"${name.toUpperCase().replaceAll('"', '""')}"`;

const text = (value: string): string => `'${value.replaceAll("\\", "\\\\").replaceAll("'", "''")}'`;

function typeOf(type: ColumnType): string {
  switch (type.kind) {
    case "text":
      return "VARCHAR";
    case "integer":
      return "NUMBER(38, 0)";
    case "double":
      return "DOUBLE";
    case "boolean":
      return "BOOLEAN";
    case "decimal":
      return `NUMBER(${type.precision}, ${type.scale})`;
    case "timestamp":
      // An instant, which the file says to be UTC.
      return "TIMESTAMP_LTZ";
    case "date":
      return "DATE";
    case "bytes":
      return "BINARY";
    case "json":
      return "VARIANT";
  }
}

function valueOf({ name, type }: Column): string {
  const value = `value:"${name.replaceAll('"', '""')}"`;
  return type.kind === "json" ? `PARSE_JSON(${value}::VARCHAR)` : `${value}::${typeOf(type)}`;
}

/** What a folder says, of the functions that Snowflake allows for partitions. */
function folderValue(label: string, type: string): string {
  const part = `NULLIF(SPLIT_PART(SPLIT_PART(METADATA$FILENAME, ${text(`/${label}=`)}, 2), '/', 1), ${text(NO_VALUE)})`;
  if (type !== "VARCHAR") return `${type.startsWith("TIMESTAMP") ? unescaped(part, [":"]) : part}::${type}`;
  return unescaped(part, ESCAPED);
}

const unescaped = (value: string, letters: readonly string[]): string =>
  [...letters.filter((one) => one !== "%"), ...(letters.includes("%") ? ["%"] : [])].reduce(
    (inner, one) =>
      `REPLACE(${inner}, '%${one.charCodeAt(0).toString(16).toUpperCase().padStart(2, "0")}', ${text(one)})`,
    value,
  );
