// `kafka:` addresses: topics, read and written.
import { type Connector } from "../connector";
import { jsonType } from "../row-text";
import { checkSink, checkSource } from "./check";
import { readOptions, writeOptions } from "./options";
import { readByRunner } from "./read-by-runner";
import { kafkaSettings } from "./settings";
import { kafkaSink } from "./sink";
import { kafkaSource } from "./source";

export const kafka: Connector = {
  name: "kafka",
  about: {
    summary:
      "A Kafka topic, found by one or more brokers: all its partitions are read, or each row is written as a message",
    examples: [
      "kafka://localhost:9092/trades",
      "kafka://one:9092,two:9092/trades?registry=http://registry:8081",
      "kafka://localhost:9092/candles?create=true&partitions=6",
    ],
    readOptions,
    writeOptions,
    settings: kafkaSettings,
    typeOf: jsonType,
    provenAgainst: "Apache Kafka 4.3",
    killTests: ["test/ingest-kill.integration.ts"],
  },
  source: { ...kafkaSource, readByRunner, check: checkSource },
  sink: { ...kafkaSink, check: checkSink },
};
