// A whole job whose broker and whose database both are behind a network that breaks: connections are cut, delayed, stalled
// and refused while numbered trades keep coming. Every number counts exactly once, and what the job says stays readable.
import { chmodSync, mkdtempSync, realpathSync, rmSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { freePort } from "../infra/services/ports";
import { startServices, stopServices, type RunningService } from "../infra/services/services";
import { startFaultProxy, type FaultProxy } from "./fault-proxy";
import { Broker, candlesInPostgres, inPostgres, jobProcesses, type JobProcess } from "./job-scene";
import { Ledger } from "./ledger";
import { numbersFrom } from "./numbers-from";
import { scratchDirectory } from "./scratch";

const at = scratchDirectory();
const startJob = jobProcesses();
const directory = mkdtempSync(path.join(realpathSync(os.tmpdir()), "beamline-proxied-job-"));
// The server may run as another user.
chmodSync(directory, 0o755);
const names = ["kafka", "postgres"] as const;
let services: Record<(typeof names)[number], RunningService>;
let broker: Broker;
let toKafka: FaultProxy;
let toPostgres: FaultProxy;

beforeAll(async () => {
  const behind = await freePort();
  toKafka = await startFaultProxy({ port: behind });
  const environment = { ...process.env, BEAMLINE_KAFKA_PROXY: `${behind}:${toKafka.port}` };
  const ports = { kafka: await freePort(), postgres: await freePort() };
  services = await startServices(names, { directory, environment, ports });
  toPostgres = await startFaultProxy({ port: services.postgres.port });
  broker = await Broker.connect(new URL(services.kafka.url).host);
});

afterEach(async () => {
  for (const proxy of [toKafka, toPostgres]) {
    proxy.stall(false);
    proxy.delay(0);
    await proxy.refuse(false);
  }
});

afterAll(async () => {
  await broker?.close();
  await Promise.all([toKafka?.close(), toPostgres?.close()]);
  await stopServices(names, { directory, data: true });
  rmSync(directory, { recursive: true, force: true });
});

interface Sending {
  readonly topic: string;
  readonly ledger: Ledger;
  sent: number;
}

/** A topic, and a schema of the same name for what becomes of it. */
async function begin(topic: string, seed: number): Promise<Sending> {
  await broker.createTopic(topic, 3);
  await inPostgres(services.postgres.url, `create schema ${topic}`);
  return { topic, ledger: new Ledger(seed), sent: 0 };
}

async function send(sending: Sending, count: number): Promise<void> {
  const records = sending.ledger.take(count).map((record, n) => ({ ...record, partition: n % 3 }));
  await broker.send(sending.topic, records);
  sending.sent += records.length;
}

/** So that a database that is silent is given up soon. */
const SILENCE = "connect_timeout=2s&answer_timeout=1s";

/** The job, all of it by the proxies, which are in this process: one that blocks it would wait for itself. */
const words = (topic: string, ...more: string[]) => [
  "--streaming",
  ...["--from", `kafka://127.0.0.1:${toKafka.port}/${topic}`],
  ...["--to", `postgres://beamline@127.0.0.1:${toPostgres.port}/beamline?schema=${topic}&${SILENCE}`],
  ...["--idle=10m", "--batch-interval=50ms", "--log=json", "--json", ...more],
];

const candles = (topic: string) => candlesInPostgres(services.postgres.url, topic);
const isAll = ({ ledger }: Sending) => {
  const expected = JSON.stringify(ledger.expected());
  return (rows: unknown) => JSON.stringify(rows) === expected;
};

/** What went wrong is told in sentences, without where in the code it was. */
function checkErrors(events: readonly Record<string, unknown>[]): void {
  for (const { error } of events) {
    if (error === undefined) continue;
    expect(error).toEqual({
      name: "UnavailableError",
      message: expect.stringMatching(/^[A-Z0-9p][^\n]{20,300}$/) as string,
    });
  }
}

/** Breaks the way to a server for a while, in one of four ways. */
async function breakIt(proxy: FaultProxy, kind: number, random: (below: number) => number): Promise<void> {
  switch (kind) {
    case 0:
      for (let times = 1 + random(4); times > 0; times -= 1) {
        proxy.cut();
        await sleep(random(300));
      }
      return;
    case 1:
      proxy.delay(20 + random(300));
      await sleep(500 + random(1_500));
      proxy.delay(0);
      return;
    case 2:
      proxy.stall(true);
      await sleep(300 + random(3_500));
      proxy.stall(false);
      return;
    default:
      await proxy.refuse(true);
      proxy.cut();
      await sleep(200 + random(2_000));
      await proxy.refuse(false);
  }
}

it.each([1, 2])("broken in four ways at random (seed %i): every number counts exactly once", async (seed) => {
  const random = numbersFrom(seed);
  const sending = await begin(`broken_${seed}`, seed);
  await send(sending, 200);
  const job = startJob(at(), words(sending.topic, "--max-batch=300"));
  await job.until(() => candles(sending.topic), isAll(sending));
  // Each way as often for each of the two, in an order of chance, and some of them at the same time.
  const schedule = [0, 1, 2, 3, 0, 1, 2, 3].flatMap((kind) => [toKafka, toPostgres].map((proxy) => ({ kind, proxy })));
  while (schedule.length > 0) {
    const together = schedule.splice(random(schedule.length), 1);
    if (schedule.length > 0 && random(3) === 0) together.push(...schedule.splice(random(schedule.length), 1));
    const breaking = Promise.all(together.map(({ kind, proxy }) => breakIt(proxy, kind, random)));
    for (let n = 0; n < 5; n += 1) await send(sending, 40);
    await breaking;
  }
  const read = () => job.events.reduce((sum, event) => sum + Number(event["read"] ?? 0), 0);
  await job.until(read, (records) => records >= sending.sent);
  expect(await candles(sending.topic)).toEqual(sending.ledger.expected());
  const { code, stdout } = await job.end();
  expect(code).toBe(130);
  expect(JSON.parse(stdout)).toMatchObject({ read: sending.sent, ok: sending.sent, late: 0, dead: 0, lost: 0 });
  expect(job.events.some(({ event }) => event === "retrying")).toBe(true);
  expect(job.events.filter(({ level }) => level === "error")).toEqual([]);
  checkErrors(job.events);
});

it("/ready follows the broker, also when nothing is read", async () => {
  const sending = await begin("followed", 3);
  await send(sending, 50);
  const job = startJob(at(), words(sending.topic, "--http=0"));
  await job.until(() => candles(sending.topic), isAll(sending));
  const url = String(job.events.find(({ event }) => event === "listening")?.["url"]);
  const ready = async () => (await fetch(`${url}/ready`)).status;
  await job.until(ready, (status) => status === 200);
  await toKafka.refuse(true);
  toKafka.cut();
  await job.until(ready, (status) => status === 503);
  await toKafka.refuse(false);
  await job.until(ready, (status) => status === 200);
  expect((await job.end()).code).toBe(130);
  checkErrors(job.events);
});

it.each<["broker" | "database", () => FaultProxy, RegExp]>([
  ["broker", () => toKafka, /does not answer/],
  ["database", () => toPostgres, /has stopped answering|does not answer/],
])(
  "a %s that is silent for longer than --give-up-after ends the job; the next start goes on",
  async (what, proxy, says) => {
    const sending = await begin(`silent_${what}`, what.length);
    await send(sending, 300);
    const job = startJob(at(), words(sending.topic, "--give-up-after=2s"));
    await job.until(() => candles(sending.topic), isAll(sending));
    proxy().stall(true);
    await send(sending, 300);
    const { code, stdout } = await job.ended;
    expect(code).toBe(1);
    expect(job.events.at(-1)).toMatchObject({ event: "job failed" });
    expect((JSON.parse(stdout) as { error: string }).error).toMatch(says);
    checkErrors(job.events);
    proxy().stall(false);
    expect((await startJob(at(), words(sending.topic, "--once")).ended).code).toBe(0);
    expect(await candles(sending.topic)).toEqual(sending.ledger.expected());
  },
);

it.each<["broker" | "database", () => FaultProxy]>([
  ["broker", () => toKafka],
  ["database", () => toPostgres],
])("a job that waits for a %s can be ended", async (what, proxy) => {
  const sending = await begin(`waiting_${what}`, what.length);
  await send(sending, 100);
  const job = startJob(at(), words(sending.topic));
  await job.until(() => candles(sending.topic), isAll(sending));
  proxy().stall(true);
  await send(sending, 100);
  const isRetrying = (events: JobProcess["events"]) => events.some(({ event }) => event === "retrying");
  await job.until(() => job.events, isRetrying);
  const { code, stdout } = await job.end("SIGINT");
  expect(code).toBe(130);
  // Who waits for the broker has no batch under way; one that waits for the database is left to the next start.
  expect(JSON.parse(stdout)).toMatchObject(
    what === "broker" ? { state: "interrupted", batches: 1 } : { state: "interrupted" },
  );
  proxy().stall(false);
  expect((await startJob(at(), words(sending.topic, "--once")).ended).code).toBe(0);
  expect(await candles(sending.topic)).toEqual(sending.ledger.expected());
});
