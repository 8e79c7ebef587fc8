// Dead letters beside the data in PostgreSQL and in a compacted topic: what is repaired counts once and its letter is gone,
// what is still bad stays as it was, byte for byte, with one attempt more.
import { chmodSync, mkdtempSync, realpathSync, rmSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { Kafka, logLevel } from "kafkajs";
import { Client } from "pg";
import { readParameters } from "../cli/parameters";
import { freePort } from "../infra/services/ports";
import { startServices, stopServices, type RunningService } from "../infra/services/services";
import { parseAddress } from "../io/address";
import { closePools } from "../io/postgres/pool";
import { sinkOf } from "../io/registry";
import { tradesAggregate } from "../pipelines/trades/trades-aggregate";
import { replay } from "../runners/direct/replay";
import { runContinuous, type JobRequest } from "../runners/direct/run-continuous";
import { RunOptions } from "../runners/run-options";
import { type Row } from "../schema/table";
import { deadLettersTable } from "../transforms";
import { trade } from "./command-scene";
import { exactProducer } from "./exact-producer";
import { scratchDirectory } from "./scratch";

const at = scratchDirectory();
const directory = mkdtempSync(path.join(realpathSync(os.tmpdir()), "beamline-test-"));
chmodSync(directory, 0o755);
const names = ["kafka", "postgres"] as const;
const options = { directory, environment: { ...process.env } };
let services: Record<(typeof names)[number], RunningService>;

beforeAll(async () => {
  services = await startServices(names, {
    ...options,
    ports: { kafka: await freePort(), postgres: await freePort() },
  });
  await query("create database beamline_test", "beamline");
});

afterAll(async () => {
  await closePools();
  await stopServices(names, { ...options, data: true });
  rmSync(directory, { recursive: true, force: true });
});

const broker = () => new URL(services.kafka.url).host;
const kafka = () => new Kafka({ brokers: [broker()], logLevel: logLevel.NOTHING, retry: { retries: 20 } });
const postgresUri = () => services.postgres.url.replace(/[^/]+$/, "beamline_test");

async function query(sql: string, database = "beamline_test"): Promise<Record<string, unknown>[]> {
  const url = new URL(services.postgres.url);
  url.pathname = `/${database}`;
  const client = new Client({ connectionString: url.toString() });
  await client.connect();
  try {
    return (await client.query(sql)).rows as Record<string, unknown>[];
  } finally {
    await client.end();
  }
}

async function createTopic(topic: string, config: Record<string, string> = {}): Promise<void> {
  const admin = kafka().admin();
  await admin.connect();
  const configEntries = Object.entries(config).map(([name, value]) => ({ name, value }));
  await admin.createTopics({ topics: [{ topic, numPartitions: 2, configEntries }] });
  await admin.disconnect();
}

type Sent = { value: Buffer | string; key?: Buffer | string; headers?: Record<string, string> };

async function send(topic: string, messages: Sent[]): Promise<void> {
  const producer = exactProducer(kafka());
  await producer.connect();
  await producer.send({
    topic,
    messages: messages.map((message, index) => ({
      key: null,
      ...message,
      timestamp: String(1_767_605_400_000 + index),
    })),
  });
  await producer.disconnect();
}

/** Two trades, one whose price can be repaired, and two that nothing repairs, of hostile bytes. */
const messages: Sent[] = [
  { value: trade(1), key: "BTCUSDT" },
  { value: trade(2, { p: "dear" }), key: "BTCUSDT", headers: { trace: "a\u0000b" } },
  { value: trade(3), key: "BTCUSDT" },
  { value: Buffer.from([0xff, 0xfe, 0]), key: Buffer.from([0, 0xff]) },
  { value: "base64:aGk=", key: 'quoted "\u0000"' },
];

async function lettersAt(uri: string, job: string): Promise<Row[]> {
  const address = parseAddress(uri);
  const letters = new Map<string, Row>();
  const nameOf = (id: Readonly<Record<string, unknown>>) => `${String(id["source"])} ${String(id["position"])}`;
  for await (const news of sinkOf(address).letters!(address, deadLettersTable, job)) {
    for (const one of news) {
      if (one.kind === "letter") letters.set(nameOf(one.row), one.row);
      else letters.delete(nameOf({ ...one.id }));
    }
  }
  return [...letters.values()].sort((a, b) => (nameOf(a) < nameOf(b) ? -1 : 1));
}

test.each(["postgres", "kafka"] as const)("letters in %s", async (kind) => {
  const job = `letters-${kind}`;
  const topic = `trades_${kind}`;
  await createTopic(topic);
  await createTopic("letters", { "cleanup.policy": "compact" });
  await query("drop table if exists trades_1min_agg, dead_letters");
  await send(topic, messages);
  const place = kind === "postgres" ? postgresUri() : `kafka://${broker()}/letters`;
  const flags = {
    streaming: ["true"],
    once: ["true"],
    job: [job],
    "state-dir": [at("state")],
    "dead-letter-share": ["1"],
  };
  const request: JobRequest = {
    pipeline: tradesAggregate,
    params: tradesAggregate.params.parse({}),
    options: readParameters(RunOptions, new Map(Object.entries(flags)), {}),
    inputs: { trades: parseAddress(`kafka://${broker()}/${topic}`) },
    outputs: { candles: parseAddress(postgresUri()), dead_letters: parseAddress(place) },
  };
  expect(await runContinuous(request)).toMatchObject({ read: 5, dead: 3 });
  const before = await lettersAt(place, job);
  expect(before.map(({ value }) => value)).toEqual(
    expect.arrayContaining(["base64:aGk=", new Uint8Array([0xff, 0xfe, 0]), messages[1]?.value]),
  );
  expect(before.find(({ value }) => value === messages[1]?.value)).toMatchObject({
    key: "BTCUSDT",
    timestamp: 1_767_605_400_001,
    // PostgreSQL keeps no U+0000 in a text; JSON writes it as an escape.
    headers: JSON.stringify({ trace: "a\u0000b" }),
  });

  if (kind === "postgres")
    await query(
      "update dead_letters set value = replace(convert_from(value, 'UTF8'), 'dear', '100.5')::bytea where position(convert_to('dear', 'UTF8') in value) > 0",
    );
  else {
    const letter = before.find(({ value }) => value === messages[1]?.value);
    const { source, position, step } = letter as Record<string, unknown>;
    const text = JSON.stringify({
      ...letter,
      timestamp: null,
      value: String(messages[1]?.value).replace("dear", "100.5"),
    });
    await send("letters", [{ key: JSON.stringify([job, source, position, step]), value: text }]);
  }

  expect(await replay(request, { reasons: [], since: null })).toMatchObject({ letters: 3, ok: 1, dead: 2 });
  const after = await lettersAt(place, job);
  const bad = before.filter(({ value }) => value !== messages[1]?.value);
  const lasting = ({ attempt: _, batch: __, ...rest }: Row) => rest;
  expect(after.map(lasting)).toEqual(bad.map(lasting));
  expect(after.map(({ attempt }) => attempt)).toEqual([2, 2]);
  expect(await query("select trade_count::int from trades_1min_agg")).toEqual([{ trade_count: 3 }]);
  expect(await replay(request, { reasons: [], since: null })).toMatchObject({ letters: 2, dead: 2 });
});
