// The SDK encodes the configuration of Java's KafkaIO as a row, where Java wants a map, under names that Java does not
// look for, and leaves out a setting that Java needs: its Kafka transforms never work. The fix encodes what they are
// given as Java reads it.
import "../node-compat";
import "apache-beam";
import { randomUUID } from "node:crypto";
import { createRequire } from "node:module";
import { type Coder, Context } from "apache-beam/coders/coders";
import { IterableCoder, KVCoder } from "apache-beam/coders/required_coders";
import { BoolCoder, StrUtf8Coder } from "apache-beam/coders/standard_coders";
import { ExternalConfigurationPayload } from "apache-beam/proto/external_transforms";
import { AtomicType, type FieldType, Schema } from "apache-beam/proto/schema";
import { Writer } from "protobufjs";
import { once } from "./once";
import { writeInt64 } from "./varint";

export type KafkaSetting = string | number | boolean | readonly string[] | Readonly<Record<string, string>>;
export type KafkaConfig = Readonly<Record<string, KafkaSetting | undefined>>;

const KAFKA_URN = /^beam:transform:org\.apache\.beam:kafka_(read|write)/;

const field = (typeInfo: FieldType["typeInfo"]): FieldType => ({ nullable: false, typeInfo });
const atomic = (atomicType: AtomicType) => field({ oneofKind: "atomicType", atomicType });
const STRING = atomic(AtomicType.STRING);
const STRINGS = field({ oneofKind: "arrayType", arrayType: { elementType: STRING } });
const STRING_MAP = field({ oneofKind: "mapType", mapType: { keyType: STRING, valueType: STRING } });

const text = new StrUtf8Coder();
const texts = new IterableCoder(text);
// Beam codes a map as it codes a list of its entries.
const entries = new IterableCoder(new KVCoder(text, text));

interface Encoding {
  type: FieldType;
  write(writer: Writer): void;
}

function by<T>(coder: Coder<T>, type: FieldType, value: T): Encoding {
  return { type, write: (writer) => void coder.encode(value, writer, Context.needsDelimiters) };
}

function encodingOf(value: KafkaSetting): Encoding {
  if (typeof value === "string") return by(text, STRING, value);
  if (typeof value === "boolean") return by(new BoolCoder(), atomic(AtomicType.BOOLEAN), value);
  if (typeof value === "number") {
    return { type: atomic(AtomicType.INT64), write: (writer) => writeInt64(writer, value) };
  }
  if (isList(value)) return by(texts, STRINGS, value);
  return by(
    entries,
    STRING_MAP,
    Object.entries(value).map(([key, setting]) => ({ key, value: setting })),
  );
}

// Array.isArray does not know read-only arrays.
const isList = (value: readonly string[] | Readonly<Record<string, string>>): value is readonly string[] =>
  Array.isArray(value);

/** The configuration of an external transform of KafkaIO, by Java's names of the settings in snake_case. */
export function kafkaConfigPayload(config: KafkaConfig): Uint8Array {
  const settings = Object.entries(config).flatMap(([name, value]) =>
    value === undefined ? [] : [{ name, ...encodingOf(value) }],
  );
  const fields = settings.map(({ name, type }, encodingPosition) => ({
    name,
    type,
    encodingPosition,
    description: "",
    id: 0,
    options: [],
  }));
  // A row: how many fields, a bitmap of nulls that is empty for none, the fields.
  const row = new Writer().uint32(settings.length).uint32(0);
  for (const setting of settings) setting.write(row);
  const schema = Schema.create({ id: randomUUID(), fields });
  return ExternalConfigurationPayload.toBinary({ schema, payload: row.finish() });
}

/** What the SDK's own Kafka transforms pass, under Java's names. */
function forJava(urn: string, given: KafkaConfig): KafkaConfig {
  const { consumerConfig, producerConfig, topics, ...rest } = given;
  if (urn.includes("kafka_write")) {
    const topic = Array.isArray(topics) ? (topics as string[])[0] : topics;
    return { producer_config: producerConfig, topic, ...rest };
  }
  return { consumer_config: consumerConfig, topics, commit_offset_in_finalize: false, ...rest };
}

type RawExternalTransform = (urn: string, payload: unknown, ...rest: unknown[]) => unknown;

export function sendKafkaConfigAsMap(): void {
  // The module itself: an import would be a copy of it.
  const external = createRequire(__filename)("apache-beam/transforms/external") as {
    rawExternalTransform: RawExternalTransform;
  };
  once(external, "kafka-config-payload", () => {
    const { rawExternalTransform } = external;
    external.rawExternalTransform = (urn, payload, ...rest) => {
      const isForKafka = KAFKA_URN.test(urn) && !(payload instanceof Uint8Array);
      const encoded = isForKafka ? kafkaConfigPayload(forJava(urn, payload as KafkaConfig)) : payload;
      return rawExternalTransform(urn, encoded, ...rest);
    };
  });
}
