// Whether a Kafka broker does what clients need: an open port is there long before topics and groups work.
import { randomUUID } from "node:crypto";
import { Kafka, logLevel, Partitioners } from "kafkajs";
import { HOST } from "../server-kind";

/** Stays on the broker: creating one per probe would fill its metadata. */
const TOPIC = "__beamline_ready";

/** Creates a topic when it is missing, writes to it and joins a group. */
export async function probeKafka(port: number): Promise<void> {
  const kafka = new Kafka({
    clientId: "beamline-probe",
    brokers: [`${HOST}:${port}`],
    logLevel: logLevel.NOTHING,
    connectionTimeout: 2000,
    requestTimeout: 5000,
    retry: { retries: 3, initialRetryTime: 100 },
  });
  const groupId = `__beamline_ready_${randomUUID()}`;
  const admin = kafka.admin();
  const producer = kafka.producer({ createPartitioner: Partitioners.DefaultPartitioner });
  // A heartbeat and a fetch each hold the consumer's stop up for as long as they wait.
  const consumer = kafka.consumer({ groupId, maxWaitTimeInMs: 50, heartbeatInterval: 500 });
  try {
    await admin.connect();
    await admin.createTopics({ topics: [{ topic: TOPIC, numPartitions: 1 }] });
    await producer.connect();
    await producer.send({ topic: TOPIC, messages: [{ value: new Date().toISOString() }] });
    const joined = new Promise<void>((resolve, reject) => {
      consumer.on(consumer.events.GROUP_JOIN, () => resolve());
      consumer.on(consumer.events.CRASH, ({ payload }) => reject(payload.error));
    });
    await consumer.connect();
    await consumer.subscribe({ topic: TOPIC });
    await consumer.run({ eachMessage: () => Promise.resolve() });
    await joined;
    await consumer.disconnect();
    await admin.deleteGroups([groupId]);
  } finally {
    await Promise.allSettled([consumer.disconnect(), producer.disconnect(), admin.disconnect()]);
  }
}
