// The best plain use of each client library: what a good engineer writes for this one table by hand, without types checked,
// batches that can be run again, dead letters or a schema that is compared. The limit that a sink is measured against.
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { once } from "node:events";
import { pipeline } from "node:stream/promises";
import { Readable } from "node:stream";
import { Kafka, logLevel, Partitioners } from "kafkajs";
import { Client } from "pg";
import { from as copyFrom } from "pg-copy-streams";
import { openDatabase } from "../../io/sqlite/database";
import { type Row } from "../../schema/table";
import { type SinkName } from "./sinks";

type Rows = Iterable<readonly Row[]>;
export type PlainWriter = (target: string, rows: Rows) => Promise<void>;

const iso = (time: unknown): string => new Date(time as number).toISOString();
const COLUMNS = ["symbol", "window_start", "trade_count", "volume", "open", "high", "low", "close", "vwap"] as const;
const KEY = "symbol, window_start";
const VALUES = COLUMNS.slice(2);
const cellsOf = (row: Row): (string | number | null)[] =>
  COLUMNS.map((name) => (name === "window_start" ? iso(row[name]) : ((row[name] ?? null) as string | number | null)));
const jsonOf = (row: Row): string => JSON.stringify({ ...row, window_start: iso(row["window_start"]) });

const DECIMALS = ["volume", "open", "high", "low", "close", "vwap"] as const;
const numberOf = (cell: unknown): number | null => (cell === null || cell === undefined ? null : Number(cell));

/** One file, all rows in memory, as the library's own example has it. */
async function parquetFile(file: string, rows: Rows): Promise<void> {
  const { parquetWriteBuffer } = await import("hyparquet-writer");
  const all = [...rows].flat();
  const bytes = parquetWriteBuffer({
    columnData: [
      { name: "symbol", data: all.map((row) => row["symbol"]) },
      { name: "window_start", data: all.map((row) => new Date(row["window_start"] as number)) },
      { name: "trade_count", data: all.map((row) => BigInt(row["trade_count"] as number)) },
      ...DECIMALS.map((name) => ({ name, data: all.map((row) => numberOf(row[name])) })),
    ],
    schema: [
      { name: "root", num_children: COLUMNS.length },
      { name: "symbol", type: "BYTE_ARRAY", converted_type: "UTF8", repetition_type: "REQUIRED" },
      { name: "window_start", type: "INT64", converted_type: "TIMESTAMP_MILLIS", repetition_type: "REQUIRED" },
      { name: "trade_count", type: "INT64", repetition_type: "REQUIRED" },
      ...DECIMALS.map((name) => ({
        ...{ name, type: "FIXED_LEN_BYTE_ARRAY" as const, type_length: 16, converted_type: "DECIMAL" as const },
        ...{ precision: 38, scale: 8, repetition_type: "OPTIONAL" as const },
      })),
    ],
  });
  fs.writeFileSync(file, Buffer.from(bytes));
}

/** A Parquet file for a store that takes whole files. */
async function stagedFile(rows: Rows): Promise<string> {
  const file = path.join(fs.mkdtempSync(path.join(os.tmpdir(), "beamline-plain-")), "candles.parquet");
  await parquetFile(file, rows);
  return file;
}

async function uploadToGcs(bucket: string, rows: Rows): Promise<void> {
  const { Storage } = await import("@google-cloud/storage");
  const host = process.env["STORAGE_EMULATOR_HOST"] ?? "";
  const storage = new Storage({ apiEndpoint: host, projectId: "bench" });
  storage.baseUrl = `${host}/storage/v1`;
  await storage.bucket(bucket).upload(await stagedFile(rows), { destination: "candles.parquet", resumable: false });
}

export const plain: Record<SinkName, PlainWriter> = {
  async parquet(directory, rows) {
    fs.mkdirSync(directory, { recursive: true });
    await parquetFile(`${directory}/candles.parquet`, rows);
  },

  gs: uploadToGcs,

  async s3(bucket, rows) {
    const { S3Client } = await import("@aws-sdk/client-s3");
    const { Upload } = await import("@aws-sdk/lib-storage");
    const Body = fs.createReadStream(await stagedFile(rows));
    const client = new S3Client({ forcePathStyle: true });
    await new Upload({ client, params: { Bucket: bucket, Key: "candles.parquet", Body } }).done();
  },

  /** A load job from a bucket, then a MERGE. */
  async bigquery(dataset, rows) {
    const bucket = dataset.replaceAll("_", "-");
    await uploadToGcs(bucket, rows);
    const post = async (where: string, body: object): Promise<void> => {
      const response = await fetch(`${process.env["BIGQUERY_EMULATOR_HOST"]}/bigquery/v2/projects/bench/${where}`, {
        ...{ method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) },
      });
      const answer = (await response.json()) as { status?: { errorResult?: unknown } };
      if (!response.ok || answer.status?.errorResult !== undefined) throw new Error(JSON.stringify(answer));
    };
    const reference = (tableId: string) => ({ projectId: "bench", datasetId: dataset, tableId });
    const types: Partial<Record<(typeof COLUMNS)[number], string>> = {
      ...{ symbol: "STRING", window_start: "TIMESTAMP", trade_count: "INT64" },
    };
    const schema = { fields: COLUMNS.map((name) => ({ name, type: types[name] ?? "NUMERIC" })) };
    await post(`datasets/${dataset}/tables`, { tableReference: reference("candles"), schema });
    const from = { sourceUris: [`gs://${bucket}/candles.parquet`], sourceFormat: "PARQUET" };
    await post("jobs", { configuration: { load: { ...from, destinationTable: reference("stage"), schema } } });
    const names = COLUMNS.join(", ");
    const query =
      `MERGE ${dataset}.candles t USING ${dataset}.stage s ON t.symbol = s.symbol AND t.window_start = s.window_start ` +
      `WHEN MATCHED THEN UPDATE SET ${VALUES.map((name) => `${name} = s.${name}`).join(", ")} ` +
      `WHEN NOT MATCHED THEN INSERT (${names}) VALUES (${names})`;
    await post("jobs", { configuration: { query: { query, useLegacySql: false } } });
  },

  async opensearch(url, rows) {
    const { Client: SearchClient } = await import("@opensearch-project/opensearch");
    const client = new SearchClient({ node: url });
    const decimalField = { type: "keyword", ignore_above: 8_191, fields: { number: { type: "double" } } } as const;
    const properties = {
      symbol: { type: "keyword" } as const,
      window_start: { type: "date" } as const,
      trade_count: { type: "long" } as const,
      ...Object.fromEntries(DECIMALS.map((name) => [name, decimalField])),
    };
    await client.indices.create({ index: "candles", body: { mappings: { dynamic: "strict", properties } } });
    const pending = new Set<Promise<unknown>>();
    for (const some of rows) {
      const body = some.flatMap((row) => [
        { index: { _index: "candles", _id: `${row["symbol"] as string}|${row["window_start"] as number}` } },
        { ...row, window_start: iso(row["window_start"]) },
      ]);
      const sent: Promise<unknown> = client.bulk({ body }).finally(() => pending.delete(sent));
      pending.add(sent);
      if (pending.size >= 2) await Promise.race(pending);
    }
    await Promise.all(pending);
    await client.indices.refresh({ index: "candles" });
    await client.close();
  },

  async cassandra(target, rows) {
    const { Client: CassandraClient, concurrent, types } = await import("cassandra-driver");
    const { host, pathname } = new URL(target);
    const client = new CassandraClient({ contactPoints: [host], localDataCenter: "datacenter1" });
    const keyspace = pathname.slice(1);
    await client.execute(
      `CREATE KEYSPACE ${keyspace} WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 1}`,
    );
    await client.execute(
      `CREATE TABLE ${keyspace}.candles (symbol text, window_start timestamp, trade_count bigint, volume decimal, open decimal,
        high decimal, low decimal, close decimal, vwap decimal, PRIMARY KEY (symbol, window_start))`,
    );
    const insert = `INSERT INTO ${keyspace}.candles (${COLUMNS.join(", ")}) VALUES (${COLUMNS.map(() => "?").join(", ")})`;
    const valuesOf = (row: Row): unknown[] => [
      ...[row["symbol"], new Date(row["window_start"] as number)],
      types.Long.fromNumber(row["trade_count"] as number),
      ...DECIMALS.map((name) => (row[name] === null ? null : types.BigDecimal.fromString(row[name] as string))),
    ];
    for (const some of rows)
      await concurrent.executeConcurrent(client, insert, some.map(valuesOf), { concurrencyLevel: 128 });
    await client.shutdown();
  },

  async sqlite(file, rows) {
    const database = openDatabase(file);
    database.exec("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL");
    database.exec(
      `CREATE TABLE candles (symbol TEXT, window_start TEXT, trade_count INTEGER, volume TEXT, open TEXT, high TEXT, low TEXT,
        close TEXT, vwap TEXT, PRIMARY KEY (${KEY})) WITHOUT ROWID`,
    );
    const upsert = database.prepare(
      `INSERT INTO candles VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET ${VALUES.map((name) => `${name} = excluded.${name}`).join(", ")}`,
    );
    database.exec("BEGIN");
    for (const some of rows) for (const row of some) upsert.run(cellsOf(row));
    database.exec("COMMIT");
    database.close();
  },

  async postgres(url, rows) {
    const client = new Client({ connectionString: url });
    await client.connect();
    await client.query(
      `CREATE TABLE candles (symbol text, window_start timestamptz, trade_count bigint, volume numeric, open numeric, high numeric,
        low numeric, close numeric, vwap numeric, PRIMARY KEY (${KEY}))`,
    );
    await client.query("BEGIN");
    await client.query("CREATE TEMP TABLE stage (LIKE candles) ON COMMIT DROP");
    function* lines() {
      for (const some of rows)
        yield some
          .map(
            (row) =>
              `${cellsOf(row)
                .map((cell) => cell ?? "\\N")
                .join("\t")}\n`,
          )
          .join("");
    }
    await pipeline(Readable.from(lines()), client.query(copyFrom("COPY stage FROM STDIN")));
    await client.query(
      `INSERT INTO candles SELECT * FROM stage ON CONFLICT (${KEY}) DO UPDATE SET ${VALUES.map((name) => `${name} = excluded.${name}`).join(", ")}`,
    );
    await client.query("COMMIT");
    await client.end();
  },

  async kafka(target, rows) {
    const url = new URL(target);
    const topic = url.pathname.slice(1);
    const kafka = new Kafka({ brokers: [url.host], logLevel: logLevel.ERROR });
    const admin = kafka.admin();
    await admin.connect();
    await admin.createTopics({ topics: [{ topic, numPartitions: 4 }] });
    await admin.disconnect();
    const producer = kafka.producer({ createPartitioner: Partitioners.DefaultPartitioner });
    await producer.connect();
    for (const some of rows)
      await producer.send({
        topic,
        acks: -1,
        messages: some.map((row) => ({
          key: JSON.stringify([row["symbol"], iso(row["window_start"])]),
          value: jsonOf(row),
          timestamp: String(row["window_start"]),
        })),
      });
    await producer.disconnect();
  },

  async file(directory, rows) {
    fs.mkdirSync(directory, { recursive: true });
    const file = fs.createWriteStream(`${directory}/candles.ndjson`);
    for (const some of rows) if (!file.write(some.map((row) => `${jsonOf(row)}\n`).join(""))) await once(file, "drain");
    file.end();
    await once(file, "finish");
  },
};
