// What a cluster's own reader of Kafka needs to read a topic without an end: KafkaIO, which Flink and Dataflow have.
import { UsageError } from "../../schema/errors";
import { EVERYTHING, type Address, type RunnerRead, type RunnerWish } from "../connector";
import { wholeFrom } from "../whole-from";
import { followTopic } from "./follow";
import { accessOf, type Access } from "./settings";
import { planTopic } from "./source";
import { readPlaceOf } from "./topic-range";

export async function readByRunner(address: Address, { job, at, disorder, isNew }: RunnerWish): Promise<RunnerRead> {
  const { brokers, topic, registry } = readPlaceOf(address);
  if (registry !== null)
    throw new UsageError(
      `kafka:${address.path} has a schema registry, whose messages a cluster's own reader gives undecoded: read it with --runner=direct`,
    );
  const consumer = {
    ...settingsOf(accessOf()),
    "group.id": job,
    // Kept by the job's own checkpoints: offsets that the consumer commits by itself lose records.
    "enable.auto.commit": "false",
    "auto.offset.reset": at === "latest" ? "latest" : "earliest",
    "isolation.level": "read_committed",
  };
  const since = typeof at === "object" ? Math.max(0, at.since - disorder) : null;
  const { silent, partitions } = await partitionsOf(address, job);
  const read = { brokers: brokers.join(","), topic, consumer, since, partitions, silent };
  if (!isNew) return { ...read, wholeFrom: null };
  if (at === "latest") return { ...read, wholeFrom: Date.now() + disorder + 1 };
  return { ...read, wholeFrom: wholeFrom(await planTopic(address, { ...EVERYTHING, since }), disorder) };
}

/** The partitions, and those that have no record: nothing says of them how far their time is. */
async function partitionsOf(address: Address, job: string): Promise<{ partitions: number; silent: string[] }> {
  const followed = await followTopic(address, job);
  try {
    const parts = await followed.look();
    return {
      partitions: parts.length,
      silent: parts.filter(({ first, end }) => first === end).map(({ source }) => source),
    };
  } finally {
    await followed.close();
  }
}

/** Settings of a consumer of Java's. They lie in the job's graph, so no secret may be among them. */
function settingsOf({ ssl, sasl }: Access): Record<string, string> {
  if (sasl !== null)
    throw new UsageError(
      "KAFKA_SASL_MECHANISM is set: on a cluster the password would lie in the job's graph, where others can read it. " +
        "Use a listener without login there, or --runner=direct",
    );
  if (ssl === null) return {};
  if (ssl.key !== undefined)
    throw new UsageError(
      "KAFKA_TLS_KEY is set: on a cluster the key would lie in the job's graph, where others can read it. " +
        "Use a listener that asks for no client certificate, or --runner=direct",
    );
  const trusted = ssl.ca?.join("\n");
  return {
    "security.protocol": "SSL",
    ...(trusted === undefined ? {} : { "ssl.truststore.type": "PEM", "ssl.truststore.certificates": trusted }),
  };
}
