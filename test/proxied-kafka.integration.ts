// The second way to a real broker: all that a client does goes through the proxy, and breaks with it.
import { chmodSync, mkdtempSync, rmSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { Kafka, logLevel } from "kafkajs";
import { exactProducer } from "./exact-producer";
import { startFaultProxy } from "./fault-proxy";
import { freePort } from "../infra/services/ports";
import { startServices, stopServices } from "../infra/services/services";

const directory = mkdtempSync(path.join(os.tmpdir(), "beamline-proxied-"));
chmodSync(directory, 0o755);

afterAll(async () => {
  await stopServices(["kafka"], { directory, data: true });
  rmSync(directory, { recursive: true, force: true });
});

test("clients that come by the proxy stay with it; those that come directly do not meet it", async () => {
  const port = await freePort();
  const proxy = await startFaultProxy({ port });
  const environment = { ...process.env, BEAMLINE_KAFKA_PROXY: `${port}:${proxy.port}` };
  const ports = { kafka: await freePort() };
  const { kafka } = await startServices(["kafka"], { directory, environment, ports });
  const client = (broker: number) =>
    new Kafka({
      brokers: [`127.0.0.1:${broker}`],
      logLevel: logLevel.NOTHING,
      retry: { retries: 10, initialRetryTime: 50, maxRetryTime: 200 },
    });

  const [direct, proxied] = [client(kafka.port).admin(), client(proxy.port).admin()];
  await Promise.all([direct.connect(), proxied.connect()]);
  expect((await direct.describeCluster()).brokers).toEqual([{ nodeId: 1, host: "127.0.0.1", port: kafka.port }]);
  expect((await proxied.describeCluster()).brokers).toEqual([{ nodeId: 1, host: "127.0.0.1", port: proxy.port }]);
  await direct.createTopics({ topics: [{ topic: "numbers", numPartitions: 1 }] });

  const producer = exactProducer(client(proxy.port));
  await producer.connect();
  await producer.send({ topic: "numbers", messages: [{ value: "1" }] });
  // Bootstrap and broker, for each of the two clients.
  expect(proxy.connections.open).toBeGreaterThanOrEqual(2);
  expect(proxy.cut()).toBeGreaterThanOrEqual(2);
  await producer.send({ topic: "numbers", messages: [{ value: "2" }] });
  expect(await direct.fetchTopicOffsets("numbers")).toMatchObject([{ partition: 0, high: "2" }]);

  await Promise.all([direct.disconnect(), proxied.disconnect(), producer.disconnect()]);
  await proxy.close();
  await stopServices(["kafka"], { directory });
});
