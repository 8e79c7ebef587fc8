// The same on real servers: Kafka to Postgres and to SQLite, the job killed, the broker and the database restarted, while
// trades keep coming. Every number of the ledger counts exactly once.
import { chmodSync, mkdtempSync, realpathSync, rmSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { Kafka, logLevel, type Producer } from "kafkajs";
import { Client } from "pg";
import { freePort } from "../infra/services/ports";
import { killService, startServices, stopServices, type RunningService } from "../infra/services/services";
import { openDatabase } from "../io/sqlite/database";
import { POINTS } from "../runners/direct/run-continuous";
import { type DyingJob } from "./dying-job";
import { exactProducer } from "./exact-producer";
import { Ledger, type Expected } from "./ledger";
import { runDying } from "./run-dying";
import { scratchDirectory } from "./scratch";

const at = scratchDirectory();
const directory = mkdtempSync(path.join(realpathSync(os.tmpdir()), "beamline-test-"));
chmodSync(directory, 0o755);
const options = { directory, environment: { ...process.env } };
const names = ["kafka", "postgres"] as const;
let services: Record<(typeof names)[number], RunningService>;
let producer: Producer;

beforeAll(async () => {
  const ports = { kafka: await freePort(), postgres: await freePort() };
  services = await startServices(names, { ...options, ports });
  producer = exactProducer(kafka());
  await producer.connect();
});

afterAll(async () => {
  await producer?.disconnect().catch(() => undefined);
  await stopServices(names, { ...options, data: true });
  rmSync(directory, { recursive: true, force: true });
});

const broker = () => new URL(services.kafka.url).host;
const kafka = () =>
  new Kafka({
    brokers: [broker()],
    logLevel: logLevel.NOTHING,
    retry: { retries: 20, initialRetryTime: 100, maxRetryTime: 1000 },
  });

async function createTopic(topic: string): Promise<void> {
  const admin = kafka().admin();
  await admin.connect();
  await admin.createTopics({ topics: [{ topic, numPartitions: 3 }] });
  await admin.disconnect();
}

async function send(topic: string, ledger: Ledger, count: number): Promise<void> {
  const messages = ledger.take(count).map(({ key, value, time }) => ({ key, value, timestamp: String(time) }));
  await producer.send({ topic, messages, acks: -1 });
}

async function query<T>(sql: string, database = "beamline_test"): Promise<T[]> {
  const url = new URL(services.postgres.url);
  url.pathname = `/${database}`;
  const client = new Client({ connectionString: url.toString() });
  await client.connect();
  try {
    return (await client.query(sql)).rows as T[];
  } finally {
    await client.end();
  }
}

async function candles(to: string): Promise<Expected[]> {
  if (to.startsWith("postgres:")) {
    return query<Expected>(
      `select symbol, to_char(window_start at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') as window_start,
        trade_count::int, trim_scale(volume)::text as volume from trades_1min_agg order by symbol, window_start`,
    );
  }
  const database = openDatabase(to.slice("sqlite:".length));
  try {
    return database
      .prepare("SELECT symbol, window_start, trade_count, volume FROM trades_1min_agg ORDER BY symbol, window_start")
      .all([]) as unknown as Expected[];
  } finally {
    database.close();
  }
}

const postgresUri = () => services.postgres.url.replace(/[^/]+$/, "beamline_test");

async function freshPostgres(): Promise<string> {
  await query("drop database if exists beamline_test with (force)", "beamline");
  await query("create database beamline_test", "beamline");
  return postgresUri();
}

describe.each(["postgres", "sqlite"] as const)("from Kafka to %s", (kind) => {
  test("killed at each point and at random moments, the servers killed too: exactly once", async () => {
    const topic = `trades_${kind}`;
    const to = kind === "postgres" ? await freshPostgres() : `sqlite:${at("out.db")}`;
    await createTopic(topic);
    const ledger = new Ledger(5);
    const run = (job: Partial<DyingJob>, killAfter?: number) =>
      runDying(
        at(),
        {
          from: `kafka://${broker()}/${topic}`,
          to,
          ...job,
          flags: { "state-dir": at("state"), "max-batch": "300", once: "true", "batch-interval": "50ms", ...job.flags },
        },
        killAfter,
      );
    for (const point of POINTS) {
      await send(topic, ledger, 700);
      expect(await run({ die: { point, nth: 2 } })).toBe("killed");
    }
    for (let killed = 0; killed < 20; killed += 1) {
      await send(topic, ledger, 100);
      const going = run({ flags: { once: "false" } }, 500 + Math.random() * 700);
      await send(topic, ledger, 200);
      await send(topic, ledger, 200);
      expect(await going).toBe("killed");
    }
    // The servers go down under a job that is running, and it waits for them.
    const going = run({ flags: { once: "false" } }, 40_000);
    for (const name of kind === "postgres" ? names : (["kafka"] as const)) {
      await send(topic, ledger, 300);
      await killService(name, options);
      services = { ...services, ...(await startServices([name], options)) };
      await send(topic, ledger, 300);
    }
    expect(await going).toBe("killed");
    expect(await run({})).toBe("done");
    expect(await candles(to)).toEqual(ledger.expected());
  });
});
