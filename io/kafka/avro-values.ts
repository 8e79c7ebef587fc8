// Values of Avro as the JSON of this project, and rows as values of Avro: times, days and decimals have one text form
// here, while Avro has numbers and bytes with a note on what they mean.
import { isUtf8 } from "node:buffer";
import { RunError } from "../../schema/errors";
import { formatDecimal, parseDecimal } from "../../schema/decimal";
import { type Column, type Row, type Table } from "../../schema/table";
import { cellOf } from "../cell";

const DAY_MS = 86_400_000;

/** An Avro schema as JSON. */
type Schema = string | readonly Schema[] | SchemaObject;
interface SchemaObject {
  readonly type: Schema;
  readonly name?: string;
  readonly namespace?: string;
  readonly logicalType?: string;
  readonly scale?: number;
  readonly fields?: readonly { readonly name: string; readonly type: Schema }[];
  readonly items?: Schema;
  readonly values?: Schema;
}

/** Makes JSON text of values of a schema. */
export function jsonOfAvro(schema: string): (value: unknown) => string {
  const root = JSON.parse(schema) as Schema;
  const named = new Map<string, SchemaObject>();
  remember(root, named);
  return (value) => JSON.stringify(plain(value, root, named));
}

function remember(schema: Schema, named: Map<string, SchemaObject>): void {
  if (typeof schema === "string") return;
  if (isList(schema)) {
    for (const branch of schema) remember(branch, named);
    return;
  }
  if (schema.name !== undefined) {
    named.set(schema.name, schema);
    if (schema.namespace !== undefined) named.set(`${schema.namespace}.${schema.name}`, schema);
  }
  for (const field of schema.fields ?? []) remember(field.type, named);
  for (const inner of [schema.items, schema.values]) if (inner !== undefined) remember(inner, named);
  if (typeof schema.type === "object") remember(schema.type, named);
}

function isList(schema: Schema): schema is readonly Schema[] {
  return Array.isArray(schema);
}

function plain(value: unknown, schema: Schema | null, named: ReadonlyMap<string, SchemaObject>): unknown {
  if (value === null || value === undefined || schema === null) return textOrSame(value);
  if (typeof schema === "string") return plain(value, named.get(schema) ?? null, named);
  if (isList(schema)) {
    const branches = schema.filter((branch) => branch !== "null");
    // Which one of several branches it is only the value itself tells.
    return plain(value, branches.length === 1 ? (branches[0] ?? null) : null, named);
  }
  switch (schema.logicalType) {
    case "decimal":
      if (value instanceof Uint8Array) return formatDecimal(signedOf(value), schema.scale ?? 0);
      break;
    case "timestamp-millis":
      return new Date(Number(value)).toISOString();
    case "timestamp-micros": {
      const micros = Number(value);
      const millis = Math.floor(micros / 1000);
      return new Date(millis).toISOString().replace("Z", `${String(micros - 1000 * millis).padStart(3, "0")}Z`);
    }
    case "date":
      return new Date(Number(value) * DAY_MS).toISOString().slice(0, 10);
    case undefined:
      break;
    // Others say nothing that changes the form, or are not known: the value under them counts.
    default:
  }
  if (schema.fields !== undefined) {
    const record = value as Readonly<Record<string, unknown>>;
    return Object.fromEntries(schema.fields.map(({ name, type }) => [name, plain(record[name], type, named)]));
  }
  if (schema.items !== undefined) {
    const { items } = schema;
    return (value as unknown[]).map((item) => plain(item, items, named));
  }
  if (schema.values !== undefined) {
    const { values } = schema;
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, plain(item, values, named)]));
  }
  return typeof schema.type === "string" ? textOrSame(value) : plain(value, schema.type, named);
}

function textOrSame(value: unknown): unknown {
  if (!(value instanceof Uint8Array)) return value;
  const bytes = Buffer.from(value.buffer, value.byteOffset, value.byteLength);
  return isUtf8(bytes) ? bytes.toString("utf8") : `base64:${bytes.toString("base64")}`;
}

/** A whole number from its bytes, the highest first, in two's complement. */
function signedOf(bytes: Uint8Array): bigint {
  if (bytes.length === 0) return 0n;
  return BigInt.asIntN(8 * bytes.length, BigInt(`0x${Buffer.from(bytes).toString("hex")}`));
}

/** The fewest bytes that hold the number. */
export function bytesOf(units: bigint): Buffer {
  let length = 1;
  while (BigInt.asIntN(8 * length, units) !== units) length += 1;
  const digits = BigInt.asUintN(8 * length, units)
    .toString(16)
    .padStart(2 * length, "0");
  return Buffer.from(digits, "hex");
}

/** A row as the value of its table's Avro schema. */
export function avroValueOf(table: Table, row: Row): object {
  return Object.fromEntries(table.columns.map((column) => [column.name, valueOf(table, column, row)]));
}

function valueOf(table: Table, column: Column, row: Row): unknown {
  const cell = cellOf(table, column, row);
  if (cell === null) return null;
  switch (column.type.kind) {
    case "timestamp":
      return Date.parse(String(cell));
    case "date":
      return Date.parse(String(cell)) / DAY_MS;
    case "integer": {
      const number = Number(cell);
      if (Number.isSafeInteger(number)) return number;
      throw new RunError(`Column ${column.name} of ${table.name} has ${String(cell)}, more than 2^53 for Avro`);
    }
    case "decimal": {
      const units = parseDecimal(String(cell), column.type.scale);
      if (units !== null) return bytesOf(units);
      throw new RunError(
        `Column ${column.name} of ${table.name} has ${String(cell)}, with more than ${column.type.scale} digits after the point`,
      );
    }
    case "bytes":
      return Buffer.from(cell as string | Uint8Array);
    case "text":
    case "double":
    case "boolean":
    case "json":
      return cell;
  }
}
