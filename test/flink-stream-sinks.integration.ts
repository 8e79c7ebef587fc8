// One job that goes on on a cluster, into three places at once: PostgreSQL, which takes each change, and BigQuery and files in a
// bucket, which take what is final. TaskManagers and workers are killed in the midst, it goes on from a savepoint with more parts,
// and all three have what was sent, once.
//
//   npm run test:integration -- test/flink-stream-sinks
//   BEAMLINE_KILLS=20 …     as many kills as that, each of whom chance picks
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, readlinkSync, realpathSync, rmSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { DuckDBInstance } from "@duckdb/node-api";
import { Storage } from "@google-cloud/storage";
import { freePort } from "../infra/services/ports";
import { startServices, stopServices, type RunningService } from "../infra/services/services";
import { parseAddress } from "../io/address";
import { EVERYTHING } from "../io/connector";
import { sourceOf } from "../io/registry";
import { closePools } from "../io/postgres/pool";
import { type Detached } from "../runners/flink/detach";
import { BigQueryTestClient } from "./bigquery-client";
import { scene, trade } from "./command-scene";
import { withoutZeros } from "./conformance/rows";
import { Broker, candlesInPostgres, inPostgres, until } from "./job-scene";
import { candlesOf, type Expected } from "./ledger";
import { numbersFrom } from "./numbers-from";
import { oftenBegunAgain } from "./stream-scene";

const { at, beamline, write } = scene();
const directory = mkdtempSync(path.join(realpathSync(os.tmpdir()), "beamline-sinks-"));
const names = ["kafka", "flink", "postgres", "gcs", "bigquery"] as const;
const PROJECT = "beamline-test";
const BUCKET = "beamline-test";
const PARTITIONS = 4;
const WINDOW = 5_000;
const KILLS = Number(process.env["BEAMLINE_KILLS"] ?? 2);

let services: Record<(typeof names)[number], RunningService>;
let broker: Broker;
let bigquery: BigQueryTestClient;
let storage: Storage;

beforeAll(async () => {
  execFileSync("chmod", ["755", directory]);
  const ports = Object.fromEntries(await Promise.all(names.map(async (name) => [name, await freePort()] as const)));
  const environment = { ...process.env, ...oftenBegunAgain };
  services = await startServices(names, { directory, ports, environment });
  broker = await Broker.connect(`127.0.0.1:${services.kafka.port}`);
  bigquery = new BigQueryTestClient(`http://127.0.0.1:${services.bigquery.port}`, PROJECT);
  storage = new Storage({ apiEndpoint: services.gcs.url, projectId: PROJECT });
  await storage.createBucket(BUCKET);
});

beforeEach(() => {
  for (const { environment } of Object.values(services)) Object.assign(process.env, environment);
});

afterAll(async () => {
  await broker.close();
  await closePools();
  await stopServices(names, { directory, data: true });
  rmSync(directory, { recursive: true, force: true });
});

const lakeOf = (table: string): string => `gs://${BUCKET}/lake/${table}/`;
const ofCluster = () => ["--flink-master", services.flink.url];
const pidOf = (name: string): number => Number(readFileSync(path.join(directory, "flink", `${name}.pid`), "utf8"));

/** The processes that run the pipeline's code. */
const workers = (): number[] =>
  execFileSync("ps", ["-eo", "pid=,args="], { encoding: "utf8" })
    .split("\n")
    .filter((line) => line.includes("worker/work.ts"))
    .map((line) => Number.parseInt(line, 10))
    .filter((pid) => directoryOf(pid).startsWith(at()));

const directoryOf = (pid: number): string => {
  try {
    return readlinkSync(`/proc/${pid}/cwd`);
  } catch {
    return "";
  }
};

/** Trades of now as they come from exchanges, and what is none; and what must come of all of them. */
class LiveLedger {
  private number = 0;
  private readonly sent: string[] = [];
  readonly bad: string[] = [];

  constructor(private readonly topic: string) {}

  async send(count: number): Promise<void> {
    const records = [];
    for (let left = count; left > 0; left -= 1) {
      const id = this.number;
      this.number += 1;
      const partition = id % PARTITIONS;
      const time = Date.now() - ((id * 7919) % 2_000);
      const isBad = id % 50 === 7;
      const s = ["BTCUSDT", "ETHUSDT", "SOLUSDT"][id % 3] as string;
      const value = isBad ? `no trade ${id}` : trade(id, { s, T: time, E: time, q: String(1 + (id % 9)) });
      // One of twenty comes twice.
      for (let copies = id % 20 === 0 && !isBad ? 2 : 1; copies > 0; copies -= 1) {
        if (isBad) this.bad.push(value);
        else this.sent.push(value);
        records.push({ value, key: s, time, partition });
      }
    }
    await broker.send(this.topic, records);
  }

  candles = (): Expected[] => candlesOf(this.sent, WINDOW);
}

const candleOf = ([symbol, start, count, volume]: readonly unknown[]): Expected => ({
  symbol: String(symbol),
  window_start: new Date(Number(start)).toISOString(),
  trade_count: Number(count),
  volume: withoutZeros(String(volume)),
});

async function candlesInBigQuery(dataset: string): Promise<Expected[]> {
  const rows = await bigquery.query(
    `SELECT symbol, UNIX_MILLIS(window_start), trade_count, CAST(volume AS STRING) FROM \`${PROJECT}.${dataset}.trades_1min_agg\` ORDER BY 1, 2`,
  );
  return rows.map(candleOf);
}

/** The objects of a table, which are all that its pattern finds. */
async function filesOf(table: string, ending: string) {
  const [files] = await storage.bucket(BUCKET).getFiles({ prefix: `lake/${table}/` });
  return files.filter(({ name }) => name.endsWith(ending));
}

async function candlesInParquet(): Promise<Expected[]> {
  const files = await filesOf("trades_1min_agg", ".parquet");
  const duckdb = await (await DuckDBInstance.create(":memory:")).connect();
  const rows: (readonly unknown[])[] = [];
  for (const [index, file] of files.entries()) {
    const local = at(`${index}.parquet`);
    await file.download({ destination: local });
    const sql = `SELECT symbol, epoch_ms(window_start), trade_count, CAST(volume AS VARCHAR) FROM read_parquet('${local}')`;
    rows.push(...(await duckdb.runAndReadAll(sql)).getRows());
  }
  duckdb.closeSync();
  return rows
    .map(candleOf)
    .sort((a, b) => (`${a.symbol} ${a.window_start}` < `${b.symbol} ${b.window_start}` ? -1 : 1));
}

/** What was in the records that the letters are of; each of them has one letter. */
async function lettersInFiles(): Promise<string[]> {
  const letters: { source: string; position: number; value: string }[] = [];
  for (const file of await filesOf("dead_letters", ".ndjson")) {
    const [bytes] = await file.download();
    for (const line of bytes.toString().trimEnd().split("\n"))
      letters.push(JSON.parse(line) as (typeof letters)[number]);
  }
  expect(new Set(letters.map(({ source, position }) => `${source} ${position}`)).size).toBe(letters.length);
  // A producer that heard no answer may have sent a record twice.
  return [...new Set(letters.map(({ value }) => value))].sort();
}

test(
  "what was sent is in all three once, whatever was killed in the midst",
  async () => {
    await broker.createTopic("trades", PARTITIONS);
    const ledger = new LiveLedger("trades");
    await ledger.send(200);
    await inPostgres(services.postgres.url, "create schema sinks");
    await bigquery.makeDataset("sinks");
    // Workers are started by TaskManagers, and take from their directory where the emulators are.
    const environment = { ...services.gcs.environment, ...services.bigquery.environment };
    write(
      ".env",
      Object.entries(environment)
        .map(([name, value]) => `${name}=${value}\n`)
        .join(""),
    );
    const lake = `gs://${BUCKET}/lake/?every=10s&shards=2`;
    const candlesTo = [`${services.postgres.url}?schema=sinks`, `bigquery://${PROJECT}/sinks?every=5s`, lake];
    const to = [...candlesTo.map((place) => `candles=${place}`), `dead_letters=${lake}`].flatMap((place) => [
      "--to",
      place,
    ]);
    const words = ["--window=5s", "--lateness=0s", "--disorder=3s", "--checkpoint-interval=2s"];
    const where = ["--runner=flink", ...ofCluster(), "--workers=process", "--streaming", "--detach", "--json"];
    const begin = async (...more: string[]): Promise<Detached> => {
      const from = ["--from", broker.uri("trades")];
      const { code, stdout, stderr } = await beamline(
        ...["run", "trades-aggregate", ...from, ...to, ...words, ...where, ...more],
      );
      if (code !== 0) throw new Error(stderr);
      return JSON.parse(stdout) as Detached;
    };
    const { id } = await begin("--parallelism=2");
    const sendFor = async (seconds: number): Promise<void> => {
      for (const end = performance.now() + seconds * 1000; performance.now() < end; await sleep(100))
        await ledger.send(20);
    };
    const isSome = (found: readonly unknown[]) => found.length > 0;
    await sendFor(2);
    await until(() => candlesInPostgres(services.postgres.url, "sinks"), isSome);
    await sendFor(6);
    const random = numbersFrom(KILLS);
    for (let n = 0; n < KILLS; n += 1) {
      // At first one of each.
      const isWorker = n < 2 ? n === 0 : random(2) === 0;
      const pids = isWorker ? await until(workers, isSome) : ["taskmanager-1", "taskmanager-2"].map(pidOf);
      for (const pid of n < 2 ? pids : [pids[random(pids.length)] ?? 0]) process.kill(pid, "SIGKILL");
      await sendFor(8);
    }
    // What was killed was at work. Flink tells what it knew when it was asked before.
    const restarts = async () => {
      const answer = await fetch(`${services.flink.url}/jobs/${id}/metrics?get=numRestarts`);
      return Number(((await answer.json()) as readonly { readonly value: string }[])[0]?.value);
    };
    expect(await until(restarts, (count) => count > 0)).toBeGreaterThanOrEqual(2);
    const stopped = await untilStopped();
    await sendFor(4);
    const { job } = await begin("--parallelism=4", "--from-savepoint", stopped);
    await sendFor(4);
    // A partition without records follows the clock, so that all windows end.
    const candles = ledger.candles();
    const isWhole = (found: readonly unknown[]) => JSON.stringify(found) === JSON.stringify(candles);
    await until(() => candlesInPostgres(services.postgres.url, "sinks"), isWhole);
    await until(() => candlesInBigQuery("sinks"), isWhole);
    await until(candlesInParquet, isWhole);
    expect(ledger.bad.length).toBeGreaterThan(20);
    const letters = ledger.bad.toSorted();
    expect(await until(lettersInFiles, ({ length }) => length >= letters.length)).toEqual(letters);
    // By their manifests, which follow the files.
    const found = await sourceOf(parseAddress(lakeOf("trades_1min_agg"))).plan(
      parseAddress(lakeOf("trades_1min_agg")),
      EVERYTHING,
    );
    expect(found.reduce((sum, { from, to }) => sum + Number(to) - from, 0)).toBe(candles.length);
    await beamline("cancel", job, ...ofCluster());
  },
  240_000 + KILLS * 60_000,
);

/** Where the job can go on from. One that has just been begun again has to come up first. */
async function untilStopped(): Promise<string> {
  const stop = () => beamline("stop", "trades-aggregate", ...ofCluster());
  const { stderr } = await until(stop, ({ code }) => code === 0);
  return /--from-savepoint (\S+)/.exec(stderr)?.[1] ?? "";
}
