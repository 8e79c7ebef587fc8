// The schema of a table, from its columns, in the two languages that registries know; and what differs between two.
import { UsageError } from "../../schema/errors";
import { type Column, type ColumnType, type Table } from "../../schema/table";

export function avroSchemaOf(table: Table): string {
  for (const name of [table.name, ...table.columns.map((column) => column.name)]) {
    if (!/^[A-Za-z_]\w*$/.test(name))
      throw new UsageError(
        `“${name}” is no name for Avro: it takes letters, digits and “_” only; use format=json-schema`,
      );
  }
  return JSON.stringify({
    type: "record",
    name: table.name,
    namespace: "beamline",
    fields: table.columns.map((column) => {
      const type = avroType(column.type);
      const doc = column.description === "" ? {} : { doc: column.description };
      return column.nullable
        ? { name: column.name, type: ["null", type], default: null, ...doc }
        : { name: column.name, type, ...doc };
    }),
  });
}

function avroType(type: ColumnType): unknown {
  switch (type.kind) {
    case "text":
    case "json":
      return "string";
    case "integer":
      return "long";
    case "double":
    case "boolean":
    case "bytes":
      return type.kind;
    case "timestamp":
      return { type: "long", logicalType: "timestamp-millis" };
    case "date":
      return { type: "int", logicalType: "date" };
    case "decimal":
      return { type: "bytes", logicalType: "decimal", precision: type.precision, scale: type.scale };
  }
}

/** Closed, so that a column that is added later is a compatible change by the rules of registries. */
export function jsonSchemaOf(table: Table): string {
  return JSON.stringify({
    $schema: "http://json-schema.org/draft-07/schema#",
    title: table.name,
    type: "object",
    properties: Object.fromEntries(table.columns.map((column) => [column.name, jsonProperty(column)])),
    required: table.columns.filter(({ nullable }) => !nullable).map(({ name }) => name),
    additionalProperties: false,
  });
}

function jsonProperty({ type, nullable, description }: Column): object {
  const note = description === "" ? {} : { description };
  if (type.kind === "json") return note;
  const { type: name, ...more } = jsonType(type);
  return { type: nullable ? [name, "null"] : name, ...more, ...note };
}

function jsonType(type: Exclude<ColumnType, { kind: "json" }>): { type: string; format?: string; pattern?: string } {
  switch (type.kind) {
    case "text":
    case "bytes":
      return { type: "string" };
    case "integer":
      return { type: "integer" };
    case "double":
      return { type: "number" };
    case "boolean":
      return { type: "boolean" };
    case "timestamp":
      return { type: "string", format: "date-time" };
    case "date":
      return { type: "string", format: "date" };
    case "decimal":
      return { type: "string", pattern: "^-?\\d+(\\.\\d+)?$" };
  }
}

/** In words, how a new schema differs from an old one, field by field. */
export function differenceOf(before: string, after: string): string {
  const [old, fresh] = [fieldsOf(before), fieldsOf(after)];
  const words: string[] = [];
  for (const [name, type] of old) {
    const now = fresh.get(name);
    if (now === undefined) words.push(`${name} is gone`);
    else if (now !== type) words.push(`${name} was ${type} and is ${now}`);
  }
  for (const [name, type] of fresh) if (!old.has(name)) words.push(`${name} is new (${type})`);
  return words.length === 0 ? "something beside its fields" : words.join(", ");
}

/** Field to type, the same form for both languages; empty when the text is neither. */
function fieldsOf(schema: string): Map<string, string> {
  try {
    const { fields, properties } = JSON.parse(schema) as {
      fields?: { name: string; type: unknown }[];
      properties?: Record<string, object>;
    };
    if (fields !== undefined) return new Map(fields.map(({ name, type }) => [name, typeText(type)]));
    return new Map(
      Object.entries(properties ?? {}).map(
        ([name, { description: _, ...type }]: [string, { description?: string }]) => [name, typeText(type)],
      ),
    );
  } catch {
    return new Map();
  }
}

function typeText(type: unknown): string {
  return typeof type === "string" ? type : JSON.stringify(type);
}
