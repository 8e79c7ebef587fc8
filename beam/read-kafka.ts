// A topic that is read by the runner itself, without an end. The job server makes Beam's KafkaIO of it.
import { beam, runnerApi, type sdk } from "./sdk";
import { type PCollection, type PTransform, type Root } from "./collection";
import { type SourceRecord } from "../schema/record";
import { KafkaRecordCoder } from "./kafka-record-coder";

/** What the job server of runners/flink makes a read of. */
const READ_KAFKA_URN = "beamline:read_kafka:v1";

export interface KafkaRead {
  /** host:port, with commas between them. */
  readonly brokers: string;
  readonly topic: string;
  /** Settings of the consumer, as Kafka names them. Never a secret: they lie in the job's graph. */
  readonly consumer: Readonly<Record<string, string>>;
  /** How far the watermark stays behind the newest record of a partition, in milliseconds. */
  readonly delay: number;
  /** Begins with the records of this time; else where the consumer's settings say. */
  readonly since: number | null;
}

/** The records of a topic, each at the time that Kafka has for it. */
export function readKafka(name: string, wanted: KafkaRead): PTransform<Root, PCollection<SourceRecord>> {
  const expand = (_root: unknown, pipeline: sdk.Pipeline, proto: sdk.TransformProto) => {
    const payload = new TextEncoder().encode(JSON.stringify(wanted));
    proto.spec = runnerApi.FunctionSpec.create({ urn: READ_KAFKA_URN, payload });
    // No worker of ours has a part in it.
    proto.environmentId = "";
    const { UNBOUNDED } = runnerApi.IsBounded_Enum;
    return pipeline.createPCollectionInternal(new KafkaRecordCoder(), undefined, UNBOUNDED);
  };
  return beam.withName(name, expand) as unknown as PTransform<Root, PCollection<SourceRecord>>;
}
