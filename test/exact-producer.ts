// A producer of a test's own, which writes each record once on a busy machine too: what is sent again because its answer was
// late is known to the broker by its number, and goes to the partition that it went to.
import { type Kafka, type Producer } from "kafkajs";
import { partitioner } from "../io/kafka/partitioner";

export const exactProducer = (kafka: Kafka): Producer =>
  kafka.producer({ createPartitioner: partitioner, idempotent: true, maxInFlightRequests: 1 });
