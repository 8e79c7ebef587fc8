// The form of messages that are written: plain JSON, or JSON and Avro with a schema that a registry knows.
import { UsageError } from "../../schema/errors";
import { type Row, type Table } from "../../schema/table";
import { suggestion } from "../address";
import { type Address } from "../connector";
import { ndjsonOf } from "../row-text";
import { avroValueOf } from "./avro-values";
import { HEAD_BYTES, Registry, registryUrl, type SchemaKind } from "./schema-registry";
import { avroSchemaOf, differenceOf, jsonSchemaOf } from "./table-schema";

export const FORMATS = ["json", "json-schema", "avro"] as const;
export type MessageFormat = (typeof FORMATS)[number];

export interface FormatChoice {
  readonly format: MessageFormat;
  /** Null for plain JSON. */
  readonly registry: string | null;
}

export function formatOf({ path, options }: Address): FormatChoice {
  const { format: asked, registry } = options;
  const format = FORMATS.find((known) => known === (asked ?? "json"));
  if (format === undefined)
    throw new UsageError(`“?format=${asked}” is not a format of kafka:${path}: ${suggestion(asked ?? "", FORMATS)}`);
  if (format === "json") {
    if (registry === undefined) return { format, registry: null };
    throw new UsageError("“?registry=” needs “format=json-schema” or “format=avro”: plain JSON has no schema");
  }
  if (registry === undefined)
    throw new UsageError(`“?format=${format}” needs the schema registry: add &registry=http://host:port`);
  return { format, registry: registryUrl(registry) };
}

/** Makes the bodies of messages. With a registry, the table's schema is in it after this, unless it would break readers. */
export async function valuesOf(
  { format, registry }: FormatChoice,
  topic: string,
  table: Table,
): Promise<(row: Row) => string | Buffer> {
  const text = ndjsonOf(table);
  const json = (row: Row): string => text.lineOf(row).slice(0, -1);
  if (registry === null) return json;
  const client = new Registry(registry);
  if (format === "json-schema") {
    const head = headOf(await registered(client, topic, "JSON", jsonSchemaOf(table)));
    return (row) => Buffer.concat([head, Buffer.from(json(row))]);
  }
  const id = await registered(client, topic, "AVRO", avroSchemaOf(table));
  const head = headOf(id);
  const type = await client.avroType(id);
  if (type === null) throw new Error(`The Avro schema of ${table.name} cannot be understood`);
  return (row) => Buffer.concat([head, type.toBuffer(avroValueOf(table, row))]);
}

async function registered(client: Registry, topic: string, kind: SchemaKind, schema: string): Promise<number> {
  await compare(client, topic, kind, schema);
  return client.register(subjectOf(topic), kind, schema);
}

const subjectOf = (topic: string): string => `${topic}-value`;

/** Whether a registry knows a schema for the topic, which the table's fits; null where there is no registry. */
export async function checkSchema(
  { format, registry }: FormatChoice,
  topic: string,
  table: Table,
): Promise<"new" | "fits" | null> {
  if (registry === null) return null;
  const [kind, schema] =
    format === "avro" ? (["AVRO", avroSchemaOf(table)] as const) : (["JSON", jsonSchemaOf(table)] as const);
  return compare(new Registry(registry), topic, kind, schema);
}

/** Refuses a schema that would break who reads the topic. */
async function compare(client: Registry, topic: string, kind: SchemaKind, schema: string): Promise<"new" | "fits"> {
  const subject = subjectOf(topic);
  const latest = await client.latest(subject);
  if (latest === null) return "new";
  if (await client.isCompatible(subject, kind, schema)) return "fits";
  const what =
    latest.kind === kind ? differenceOf(latest.text, schema) : `it was ${latest.kind ?? "another kind"} and is ${kind}`;
  throw new UsageError(
    `The schema of this output would break readers of ${topic} by the rules of the registry: ${what}; write to another topic, or change the table back`,
  );
}

function headOf(id: number): Buffer {
  const head = Buffer.alloc(HEAD_BYTES);
  head.writeInt32BE(id, 1);
  return head;
}
