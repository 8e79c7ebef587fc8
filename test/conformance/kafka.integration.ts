// Kafka takes nothing back: copies of a row are told by their beamline-id, and what a batch wrote before it failed is there.
import { chmodSync, mkdtempSync, realpathSync, rmSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { Kafka, logLevel } from "kafkajs";
import { freePort } from "../../infra/services/ports";
import { restartService, startServices, stopServices } from "../../infra/services/services";
import { type Table } from "../../schema/table";
import { startFaultProxy, type FaultProxy } from "../fault-proxy";
import { normalOfJson, type Normal } from "./rows";
import { conforms } from "./suite";

const directory = mkdtempSync(path.join(realpathSync(os.tmpdir()), "beamline-conformance-"));
chmodSync(directory, 0o755);
let proxy: FaultProxy | undefined;

conforms({
  sink: "kafka",
  against: "Apache Kafka",
  records: false,
  without: { full: "the broker stops when its disk is full" },
  async stop() {
    await proxy?.close();
    await stopServices(["kafka"], { directory, data: true });
    rmSync(directory, { recursive: true, force: true });
  },
  async start() {
    const advertised = await freePort();
    const between = await startFaultProxy({ port: advertised });
    proxy = between;
    const environment = { ...process.env, BEAMLINE_KAFKA_PROXY: `${advertised}:${between.port}` };
    const options = { directory, environment, ports: { kafka: await freePort() } };
    const { port } = (await startServices(["kafka"], options)).kafka;
    const uri = (topic: string, at = port) => `kafka://127.0.0.1:${at}/${topic}`;
    const topicOf = (address: string) => new URL(address).pathname.slice(1);
    const kafka = new Kafka({
      brokers: [`127.0.0.1:${port}`],
      logLevel: logLevel.NOTHING,
      retry: { retries: 30, initialRetryTime: 100, maxRetryTime: 500 },
    });

    /** All messages of a topic, in the order of the log: tests' topics have one partition. */
    async function messages(topic: string, table: Table): Promise<{ id: string; row: Normal }[]> {
      const admin = kafka.admin();
      await admin.connect();
      const isThere = (await admin.listTopics()).includes(topic);
      const end = isThere ? Number((await admin.fetchTopicOffsets(topic))[0]?.high) : 0;
      await admin.disconnect();
      const found: { id: string; row: Normal }[] = [];
      if (end === 0) return found;
      const consumer = kafka.consumer({ groupId: `reader-${topic}-${Date.now()}` });
      await consumer.connect();
      await consumer.subscribe({ topic, fromBeginning: true });
      await new Promise<void>((resolve) => {
        void consumer.run({
          eachMessage: async ({ message }) => {
            const value = JSON.parse(String(message.value)) as Record<string, unknown>;
            found.push({ id: String(message.headers?.["beamline-id"]), row: normalOfJson(table, value) });
            if (Number(message.offset) + 1 >= end) resolve();
          },
        });
      });
      await consumer.disconnect();
      return found;
    }

    return {
      address: async (name) => `${uri(name)}?create=true&partitions=1`,
      async rows(address, table) {
        const newest = new Map<string, Normal>();
        for (const { id, row } of await messages(topicOf(address), table)) {
          // Where the last copy stands.
          newest.delete(id);
          newest.set(id, row);
        }
        return [...newest.values()];
      },
      copies: async (address, table) => (await messages(topicOf(address), table)).length,
      server: {
        proxy: between,
        through: (address) => uri(`${topicOf(address)}?create=true&partitions=1`, between.port),
        async restart() {
          await restartService("kafka", options);
        },
      },
      wrong: [
        { what: "server", address: async () => uri("any", 1), says: /cannot be reached|refused|does not answer/ },
        { what: "topic", address: async () => uri("no such topic!"), says: /topic/i },
      ],
      refuses: null,
    };
  },
});
