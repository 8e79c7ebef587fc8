// How a table's columns lie in a Parquet file: the type of the bytes, and what they mean.
//
// A timestamp is a count of microseconds in UTC: BigQuery, DuckDB, Spark, Iceberg and pyarrow all take it for an instant
// and have microseconds themselves; milliseconds become something else in some of them, and INT96 has no bounds. A decimal
// has the fewest bytes that hold its precision, as Spark and Iceberg write and read it. What a column means is said twice,
// in the words of Parquet 1 and of Parquet 2, since there are readers of each.
import { UsageError } from "../../schema/errors";
import { type Column, type ColumnType, type ItemType, type Table } from "../../schema/table";
import {
  BooleanLeaf,
  BytesLeaf,
  DateLeaf,
  DecimalLeaf,
  DoubleLeaf,
  IntegerLeaf,
  TextLeaf,
  TimestampLeaf,
  UnorderedTextLeaf,
  type Leaf,
} from "./parquet-leaf";
import { type ThriftStruct } from "./parquet-thrift";

/** The numbers that the format has for its types. */
export const Physical = { boolean: 0, int32: 1, int64: 2, double: 5, bytes: 6, fixedBytes: 7 } as const;
export const Meaning = { text: 0, list: 3, decimal: 5, date: 6, microseconds: 10, json: 19 } as const;
export const LogicalMeaning = { text: 1, list: 3, decimal: 5, date: 6, timestamp: 8, json: 12 } as const;

/** The most digits that Parquet's readers take. */
const MOST_DIGITS = 38;

export interface ValueForm {
  readonly physical: number;
  /** In bytes, of values that have all the same and whose type does not say it. */
  readonly length?: number;
  /** Says what the bytes mean, in the fields of a SchemaElement from 6 on. */
  readonly explain?: (element: ThriftStruct) => void;
  readonly leaf: () => Leaf;
}

/** How values of a column are written; a UsageError where Parquet has no way. */
export function formOf(table: Table, { name, type: columnType }: Column): ValueForm {
  const type = itemOf(columnType) ?? columnType;
  if (type.kind === "decimal" && type.precision > MOST_DIGITS)
    throw new UsageError(
      `Column ${name} of ${table.name} has ${type.precision} digits: a decimal in Parquet has ${MOST_DIGITS} at most`,
    );
  return valueForm(type);
}

/** What a column is a list of; null when its values are no lists. */
export const itemOf = (type: ColumnType): ItemType | null => (type.kind === "json" ? (type.of ?? null) : null);

/** What a column's type is called in Parquet. */
export function parquetType(type: ColumnType): string {
  const item = itemOf(type);
  if (item !== null) return `LIST of ${parquetType(item)}`;
  switch (type.kind) {
    case "text":
      return "STRING";
    case "integer":
      return "INT64";
    case "bytes":
      return "BYTE_ARRAY";
    case "decimal":
      return `DECIMAL(${type.precision}, ${type.scale})`;
    case "timestamp":
      return "TIMESTAMP (UTC, microseconds)";
    case "double":
    case "boolean":
    case "date":
    case "json":
      return type.kind.toUpperCase();
  }
}

function valueForm(type: ColumnType): ValueForm {
  switch (type.kind) {
    case "text":
      return {
        physical: Physical.bytes,
        explain: means(Meaning.text, LogicalMeaning.text),
        leaf: () => new TextLeaf(),
      };
    case "json":
      return {
        physical: Physical.bytes,
        explain: means(Meaning.json, LogicalMeaning.json),
        leaf: () => new UnorderedTextLeaf(),
      };
    case "bytes":
      return { physical: Physical.bytes, leaf: () => new BytesLeaf() };
    case "integer":
      return { physical: Physical.int64, leaf: () => new IntegerLeaf() };
    case "double":
      return { physical: Physical.double, leaf: () => new DoubleLeaf() };
    case "boolean":
      return { physical: Physical.boolean, leaf: () => new BooleanLeaf() };
    case "date":
      return {
        physical: Physical.int32,
        explain: means(Meaning.date, LogicalMeaning.date),
        leaf: () => new DateLeaf(),
      };
    case "timestamp":
      return {
        physical: Physical.int64,
        explain: (element) =>
          element
            .i32(6, Meaning.microseconds)
            .struct(10, (logical) =>
              logical.struct(LogicalMeaning.timestamp, (timestamp) =>
                timestamp.boolean(1, true).struct(2, (unit) => unit.struct(2, nothing)),
              ),
            ),
        leaf: () => new TimestampLeaf(),
      };
    case "decimal":
      return decimalForm(type.precision, type.scale);
  }
}

const nothing = (): void => undefined;

const means = (meaning: number, logicalMeaning: number) => (element: ThriftStruct) =>
  element.i32(6, meaning).struct(10, (logical) => logical.struct(logicalMeaning, nothing));

function decimalForm(precision: number, scale: number): ValueForm {
  const width = precision <= 9 ? 4 : precision <= 18 ? 8 : bytesFor(precision);
  return {
    physical: width === 4 ? Physical.int32 : width === 8 ? Physical.int64 : Physical.fixedBytes,
    ...(width > 8 ? { length: width } : {}),
    explain: (element) =>
      element
        .i32(6, Meaning.decimal)
        .i32(7, scale)
        .i32(8, precision)
        .struct(10, (logical) =>
          logical.struct(LogicalMeaning.decimal, (decimal) => decimal.i32(1, scale).i32(2, precision)),
        ),
    leaf: () => new DecimalLeaf(precision, scale, width),
  };
}

/** How many bytes hold all numbers of so many digits, and their sign. */
function bytesFor(precision: number): number {
  let bytes = 9;
  while (2n ** BigInt(8 * bytes - 1) <= 10n ** BigInt(precision)) bytes += 1;
  return bytes;
}
