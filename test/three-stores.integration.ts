// One run of trades-aggregate into PostgreSQL, BigQuery and Parquet in a bucket, and all three have the same candles.
import { chmodSync, mkdtempSync, realpathSync, rmSync } from "node:fs";
import fs from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { DuckDBInstance } from "@duckdb/node-api";
import { Storage } from "@google-cloud/storage";
import { Client } from "pg";
import { freePort } from "../infra/services/ports";
import { startServices, stopServices, type RunningService } from "../infra/services/services";
import { closePools } from "../io/postgres/pool";
import { BigQueryTestClient } from "./bigquery-client";
import { scene } from "./command-scene";
import { withoutZeros } from "./conformance/rows";

const { at, beamline } = scene();
const directory = mkdtempSync(path.join(realpathSync(os.tmpdir()), "beamline-three-"));
chmodSync(directory, 0o755);
const names = ["postgres", "gcs", "bigquery"] as const;
const PROJECT = "beamline-test";
const BUCKET = "beamline-test";
const COLUMNS =
  "symbol window_start window_end trade_count volume quote_volume open high low close avg_price vwap".split(" ");
const DECIMALS = COLUMNS.slice(4);

let services: Record<(typeof names)[number], RunningService>;
let bigquery: BigQueryTestClient;
let storage: Storage;

beforeAll(async () => {
  const ports = { postgres: await freePort(), gcs: await freePort(), bigquery: await freePort() };
  services = await startServices(names, { directory, ports });
  bigquery = new BigQueryTestClient(`http://127.0.0.1:${services.bigquery.port}`, PROJECT);
  storage = new Storage({ apiEndpoint: services.gcs.url, projectId: PROJECT });
  await storage.createBucket(BUCKET);
});

beforeEach(() => {
  for (const { environment } of Object.values(services)) Object.assign(process.env, environment);
});

afterAll(async () => {
  await closePools();
  await stopServices(names, { directory, data: true });
  rmSync(directory, { recursive: true, force: true });
});

/** A row as text, alike in all three: times in seconds, decimals without zeros at their end. */
type Text = readonly (string | null)[];
const sorted = (rows: Text[]): Text[] => rows.sort((a, b) => (a.join() < b.join() ? -1 : 1));
const plain = (text: string | null): string | null => (text === null ? null : withoutZeros(text));

async function inPostgres(database: string): Promise<Text[]> {
  const url = new URL(services.postgres.url);
  url.pathname = `/${database}`;
  const client = new Client({ connectionString: url.toString() });
  await client.connect();
  try {
    const columns = COLUMNS.map((name) =>
      name.startsWith("window") ? `extract(epoch from ${name})::bigint::text` : `${name}::text`,
    );
    const { rows } = await client.query<string[]>({
      text: `SELECT ${columns.join(", ")} FROM trades_1min_agg`,
      rowMode: "array",
    });
    return sorted(rows.map((row) => row.map(plain)));
  } finally {
    await client.end();
  }
}

async function inBigQuery(dataset: string): Promise<Text[]> {
  const columns = COLUMNS.map((name) =>
    name.startsWith("window") ? `CAST(UNIX_SECONDS(${name}) AS STRING)` : `CAST(${name} AS STRING)`,
  );
  const rows = await bigquery.query(`SELECT ${columns.join(", ")} FROM \`${PROJECT}.${dataset}.trades_1min_agg\``);
  return sorted(rows.map((row) => row.map((cell) => plain(cell === null ? null : String(cell as string)))));
}

async function inParquet(prefix: string): Promise<{ rows: Text[]; types: Record<string, string> }> {
  const [files] = await storage.bucket(BUCKET).getFiles({ prefix });
  const parquet = files.filter(({ name }) => name.endsWith(".parquet") && name.includes("trades_1min_agg"));
  await fs.mkdir(at("read"), { recursive: true });
  for (const [index, file] of parquet.entries()) await file.download({ destination: at("read", `${index}.parquet`) });
  const duckdb = await (await DuckDBInstance.create(":memory:")).connect();
  const from = `read_parquet('${at("read").replaceAll("'", "''")}/*.parquet', hive_partitioning = false)`;
  const columns = COLUMNS.map((name) =>
    name.startsWith("window") ? `CAST(CAST(epoch(${name}) AS BIGINT) AS VARCHAR)` : `CAST(${name} AS VARCHAR)`,
  );
  const rows = (await duckdb.runAndReadAll(`SELECT ${columns.join(", ")} FROM ${from}`)).getRows() as (
    string | null
  )[][];
  const described = (await duckdb.runAndReadAll(`DESCRIBE SELECT * FROM ${from}`)).getRows() as [string, string][];
  duckdb.closeSync();
  return { rows: sorted(rows.map((row) => row.map(plain))), types: Object.fromEntries(described) };
}

async function databases(name: string): Promise<string[]> {
  const url = new URL(services.postgres.url);
  const client = new Client({ connectionString: url.toString() });
  await client.connect();
  await client.query(`CREATE DATABASE ${name}`);
  await client.end();
  url.pathname = `/${name}`;
  await bigquery.makeDataset(name);
  return [
    ...["--to", `candles=${url.toString()}`, "--to", `candles=bigquery://${PROJECT}/${name}`],
    ...["--to", `candles=gs://${BUCKET}/${name}/`, "--to", `dead_letters=${url.toString()}`],
  ];
}

/** What the command printed when it went well; all that it said is the failure when not. */
async function done(...words: string[]): Promise<string> {
  const { code, stdout, stderr } = await beamline(...words);
  if (code !== 0) throw new Error(`exit code ${code}: ${stderr}`);
  return stdout;
}

test("a run with an end writes the same candles to all three", async () => {
  const to = await databases("bounded_test");
  const stdout = await done("run", "trades-aggregate", ...to, "--json");
  expect((JSON.parse(stdout) as { written: object }).written).toMatchObject({
    ...{ candles: 20, "candles-2": 20, "candles-3": 20 },
  });
  const rows = await inPostgres("bounded_test");
  expect(rows).toHaveLength(20);
  expect(await inBigQuery("bounded_test")).toEqual(rows);
  const parquet = await inParquet("bounded_test/");
  expect(parquet.rows).toEqual(rows);
  expect(parquet.types).toMatchObject({
    ...{ symbol: "VARCHAR", window_start: "TIMESTAMP WITH TIME ZONE", trade_count: "BIGINT" },
    ...Object.fromEntries(DECIMALS.map((name) => [name, "DECIMAL(38,8)"])),
    // A product of two numbers with eight digits behind the point.
    quote_volume: "DECIMAL(38,16)",
  });

  // The same run again: rows of keys are replaced; files are added, under names of their own.
  await done("run", "trades-aggregate", ...to);
  expect(await inPostgres("bounded_test")).toEqual(rows);
  expect(await inBigQuery("bounded_test")).toEqual(rows);
  expect((await inParquet("bounded_test/")).rows).toHaveLength(40);
});

test("a job that goes on, in many batches, gives each candle to the files once, when it is final", async () => {
  const to = await databases("streaming_test");
  const job = ["run", "trades-aggregate", "--streaming", "--max-batch", "400", "--job", "three", ...to];
  await done(...job, "--once");
  await done(...job, "--flush");
  const rows = await inPostgres("streaming_test");
  expect(rows.length).toBeGreaterThanOrEqual(20);
  expect(await inBigQuery("streaming_test")).toEqual(rows);
  expect((await inParquet("streaming_test/")).rows).toEqual(rows);
});
