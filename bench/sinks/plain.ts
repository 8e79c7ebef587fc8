// The best plain use of each client library: what a good engineer writes for this one table by hand, without types checked,
// batches that can be run again, dead letters or a schema that is compared. The limit that a sink is measured against.
import fs from "node:fs";
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

export const plain: Record<SinkName, PlainWriter> = {
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
        messages: some.map((row) => ({ key: `${String(row["symbol"])}`, value: jsonOf(row) })),
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
