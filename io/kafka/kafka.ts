// `kafka:` addresses: topics, read and written.
import { type Connector } from "../connector";
import { kafkaSink } from "./sink";
import { kafkaSource } from "./source";

export const kafka: Connector = { name: "kafka", source: kafkaSource, sink: kafkaSink };
