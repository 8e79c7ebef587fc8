// Rows as the Storage Write API takes them: protocol buffers, and the description of their fields.
import Long from "long";
import { Writer } from "protobufjs/minimal";
import { type ColumnType, type Row, type Table } from "../../schema/table";

/** Types of fields in the descriptor of a message, and on the wire. */
const FIELDS = {
  double: { type: 1, wire: 1 },
  int64: { type: 3, wire: 0 },
  int32: { type: 5, wire: 0 },
  bool: { type: 8, wire: 0 },
  string: { type: 9, wire: 2 },
  bytes: { type: 12, wire: 2 },
} as const;

const OPTIONAL = 1;

/** What BigQuery expects of a column's type. */
function fieldOf({ kind }: ColumnType): keyof typeof FIELDS {
  switch (kind) {
    case "text":
    case "decimal":
    case "json":
      return "string";
    case "integer":
    case "timestamp":
      return "int64";
    case "date":
      return "int32";
    case "double":
      return "double";
    case "boolean":
      return "bool";
    case "bytes":
      return "bytes";
  }
}

/** A message that describes the table's rows. */
export const descriptorOf = (table: Table) => ({
  name: "row",
  field: table.columns.map(({ name, type }, at) => ({
    name,
    number: at + 1,
    label: OPTIONAL,
    type: FIELDS[fieldOf(type)].type,
  })),
});

const DAY = 86_400_000;

export function encodeRow(table: Table, row: Row): Uint8Array {
  const writer = Writer.create();
  for (const [at, { name, type }] of table.columns.entries()) {
    const value = row[name];
    if (value === null || value === undefined) continue;
    const field = fieldOf(type);
    writer.uint32(((at + 1) << 3) | FIELDS[field].wire);
    switch (field) {
      case "string":
        writer.string(value as string);
        break;
      case "bytes":
        writer.bytes(value as Uint8Array);
        break;
      case "double":
        writer.double(value as number);
        break;
      case "bool":
        writer.bool(value as boolean);
        break;
      case "int32":
        writer.int32(Date.parse(value as string) / DAY);
        break;
      case "int64":
        int64(writer, value as number | bigint, type.kind === "timestamp" ? 1_000 : 1);
    }
  }
  return writer.finish();
}

/** A timestamp's microseconds, or a whole number; those beyond 2^53 need more than a double has. */
function int64(writer: Writer, value: number | bigint, times: number): void {
  const product = Number(value) * times;
  if (Number.isSafeInteger(product)) writer.int64(product);
  else {
    const bits = BigInt(value) * BigInt(times);
    writer.int64(Long.fromBits(Number(bits & 0xffff_ffffn) | 0, Number((bits >> 32n) & 0xffff_ffffn) | 0));
  }
}
