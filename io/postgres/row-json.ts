// How a column is written in a row's JSON: exact numbers as text, times in ISO 8601, bytes in base64.

/** SQL that makes of a value, by its type, what row_to_json writes as it is meant to be. */
export function jsonExpression(value: string, type: string): string {
  const name = type.replace(/\(\d+(,\d+)?\)/, "");
  switch (name) {
    case "smallint":
    case "integer":
    case "real":
    case "double precision":
    case "boolean":
    case "text":
    case "character varying":
    case "uuid":
    case "json":
    case "jsonb":
    case "integer[]":
    case "smallint[]":
    case "boolean[]":
    case "text[]":
    case "character varying[]":
    case "uuid[]":
      return value;
    case "bytea":
      // encode() breaks its lines.
      return `pg_catalog.replace(pg_catalog.encode(${value}, 'base64'), E'\\n', '')`;
    case "timestamp with time zone":
      return timeText(value, `${value} AT TIME ZONE 'UTC'`);
    case "timestamp without time zone":
      return timeText(value, value);
    case "bigint[]":
    case "numeric[]":
      return `${value}::text[]`;
    default:
      // bigint and numeric, so that no reader turns them into floats; and whatever has no form in JSON.
      return `${value}::text`;
  }
}

/** Milliseconds, or microseconds where there are some. What has no year of four digits is as PostgreSQL writes it. */
function timeText(value: string, utc: string): string {
  const text = `pg_catalog.replace(pg_catalog.to_char(${utc}, 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'), '000Z', 'Z')`;
  return `CASE WHEN ${value} >= '0001-01-01' AND ${value} < '10000-01-01' THEN ${text} ELSE ${value}::text END`;
}
