import { Reader } from "protobufjs";
import { kafkaConfigPayload, sendKafkaConfigAsMap } from "./kafka-config-payload";
import * as kafka from "apache-beam/io/kafka";
import { ExternalConfigurationPayload } from "apache-beam/proto/external_transforms";
import { AtomicType, type FieldType } from "apache-beam/proto/schema";

function kindOf(type: FieldType | undefined): string {
  const info = type!.typeInfo;
  if (info.oneofKind === "atomicType") return AtomicType[info.atomicType];
  if (info.oneofKind === "arrayType") return `ARRAY<${kindOf(info.arrayType.elementType)}>`;
  if (info.oneofKind !== "mapType") return `${info.oneofKind}`;
  return `MAP<${kindOf(info.mapType.keyType)}, ${kindOf(info.mapType.valueType)}>`;
}

/** Reads a payload as Java does: the schema says what the bytes of the row are. */
function decode(payload: Uint8Array): { kinds: Record<string, string>; values: Record<string, unknown> } {
  const { schema, payload: row } = ExternalConfigurationPayload.fromBinary(payload);
  const reader = new Reader(row);
  const count = () => {
    reader.pos += 4;
    return Buffer.from(row).readInt32BE(reader.pos - 4);
  };
  const readers: Record<string, () => unknown> = {
    STRING: () => reader.string(),
    BOOLEAN: () => reader.bool(),
    INT64: () => Number(reader.int64()),
    "ARRAY<STRING>": () => Array.from({ length: count() }, () => reader.string()),
    "MAP<STRING, STRING>": () =>
      Object.fromEntries(Array.from({ length: count() }, () => [reader.string(), reader.string()])),
  };
  const fields = schema!.fields;
  expect(reader.uint32()).toBe(fields.length);
  expect(reader.bytes()).toHaveLength(0);
  const kinds = Object.fromEntries(fields.map(({ name, type }) => [name, kindOf(type)]));
  const values = Object.fromEntries(fields.map(({ name }) => [name, readers[kinds[name]!]!()]));
  expect(reader.pos).toBe(row.length);
  expect(fields.every(({ type }) => type!.nullable === false)).toBe(true);
  return { kinds, values };
}

const settings = { "bootstrap.servers": "localhost:9092", "group.id": "prices" };
const payloadOf = (transform: unknown) => (transform as { payload: Uint8Array }).payload;

test("without the fix the configuration is a row and a setting is missing", () => {
  const { schema } = ExternalConfigurationPayload.fromBinary(payloadOf(kafka.readFromKafka(settings, ["trades"])));
  const kinds = Object.fromEntries(schema!.fields.map(({ name, type }) => [name, kindOf(type)]));
  expect(kinds).toMatchObject({ consumerConfig: "rowType" });
  expect(kinds).not.toHaveProperty("commit_offset_in_finalize");
});

test("every kind of setting is encoded as its schema says", () => {
  const config = {
    consumer_config: settings,
    topics: ["trades", "quotes ☕"],
    max_num_records: 5_000_000_000,
    commit_offset_in_finalize: true,
    timestamp_policy: "CreateTime",
    start_read_time: undefined,
    none: [],
  };
  const { kinds, values } = decode(kafkaConfigPayload(config));
  expect(kinds).toEqual({
    consumer_config: "MAP<STRING, STRING>",
    topics: "ARRAY<STRING>",
    max_num_records: "INT64",
    commit_offset_in_finalize: "BOOLEAN",
    timestamp_policy: "STRING",
    none: "ARRAY<STRING>",
  });
  expect({ ...values, start_read_time: undefined }).toEqual(config);
});

describe("with the fix", () => {
  beforeAll(() => {
    sendKafkaConfigAsMap();
    sendKafkaConfigAsMap();
  });

  test.each([kafka.readFromKafka, kafka.readFromKafkaWithMetadata])("reading has what Java looks for", (read) => {
    const { kinds, values } = decode(payloadOf(read(settings, ["trades"], { maxNumRecords: 7 })));
    expect(kinds["consumer_config"]).toBe("MAP<STRING, STRING>");
    expect(values).toEqual({
      consumer_config: settings,
      topics: ["trades"],
      commit_offset_in_finalize: false,
      key_deserializer: "org.apache.kafka.common.serialization.ByteArrayDeserializer",
      value_deserializer: "org.apache.kafka.common.serialization.ByteArrayDeserializer",
      timestamp_policy: "ProcessingTime",
      max_num_records: 7,
    });
  });

  test("writing has what Java looks for", () => {
    const { values } = decode(payloadOf(kafka.writeToKafka(settings, ["prices"])));
    expect(values).toEqual({
      producer_config: settings,
      topic: "prices",
      key_serializer: "org.apache.kafka.common.serialization.ByteArraySerializer",
      value_serializer: "org.apache.kafka.common.serialization.ByteArraySerializer",
    });
  });
});
