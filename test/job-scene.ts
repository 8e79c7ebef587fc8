// What the tests of whole jobs share: the command as a process that goes on until it is told to end, a broker to write to,
// and the candles that came out.
import { spawn, type ChildProcess } from "node:child_process";
import { existsSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { Kafka, logLevel, type Admin, type Producer } from "kafkajs";
import { Client, escapeIdentifier } from "pg";
import { openDatabase } from "../io/sqlite/database";
import { asProcess, type Outcome } from "./command-scene";
import { exactProducer } from "./exact-producer";
import { type Expected } from "./ledger";

/** Below the time that a test has, so that what was waited for is told. */
const HANGS_MS = 240_000;

/** The command as a process. */
export class JobProcess {
  readonly ended: Promise<Outcome & { readonly signal: string | null }>;
  private readonly child: ChildProcess;
  private readonly printed = { stdout: "", stderr: "" };
  private isOver = false;

  constructor(cwd: string, words: readonly string[], environment: Readonly<Record<string, string>> = {}) {
    const [node = "", ...first] = asProcess;
    const env = { ...process.env, ...environment };
    this.child = spawn(node, [...first, ...words], { cwd, env, stdio: ["ignore", "pipe", "pipe"] });
    for (const name of ["stdout", "stderr"] as const)
      this.child[name]?.setEncoding("utf8").on("data", (text: string) => (this.printed[name] += text));
    this.ended = new Promise((resolve) =>
      this.child.once("close", (code, signal) => {
        this.isOver = true;
        resolve({ code: code ?? -1, signal, ...this.printed });
      }),
    );
  }

  /** What it has said so far on standard error, line by line. */
  get lines(): string[] {
    return this.printed.stderr.split("\n").slice(0, -1);
  }

  /** With --log=json: the events so far. */
  get events(): Record<string, unknown>[] {
    return this.lines.map((line) => JSON.parse(line) as Record<string, unknown>);
  }

  /** Sends a signal and waits for the end. */
  async end(signal: "SIGINT" | "SIGTERM" | "SIGKILL" = "SIGTERM"): Promise<Outcome & { signal: string | null }> {
    this.child.kill(signal);
    return this.ended;
  }

  /** Waits for what it does in its own time; that it ends before, or does nothing more, is told with what it said. */
  async until<T>(look: () => T | Promise<T>, isDone: (found: T) => boolean): Promise<T> {
    const deadline = performance.now() + HANGS_MS;
    for (;;) {
      const wasOver = this.isOver;
      const found = await look();
      if (isDone(found)) return found;
      const said = () => `${this.printed.stderr}${this.printed.stdout}`;
      if (wasOver) throw new Error(`The job has ended: ${said()}`);
      if (performance.now() > deadline)
        throw new Error(`The job does not go on: it stands at ${JSON.stringify(found)}, and has said: ${said()}`);
      await sleep(100);
    }
  }
}

/** Starts jobs; those that a test leaves are killed behind it. Call it once at the top of a file. */
export function jobProcesses(): (cwd: string, words: readonly string[], env?: Record<string, string>) => JobProcess {
  const started: JobProcess[] = [];
  afterEach(async () => {
    await Promise.all(started.splice(0).map((job) => job.end("SIGKILL")));
  });
  return (cwd, words, env) => {
    const job = new JobProcess(cwd, words, env);
    started.push(job);
    return job;
  };
}

/** Waits for what others do in their own time. */
export async function until<T>(look: () => T | Promise<T>, isDone: (found: T) => boolean): Promise<T> {
  for (;;) {
    const found = await look();
    if (isDone(found)) return found;
    await sleep(100);
  }
}

export interface Sent {
  readonly value: string | Buffer;
  readonly key?: string;
  readonly time?: number;
  readonly partition?: number;
}

/** The broker as a test uses it, beside the job. */
export class Broker {
  private producer: Producer;

  private constructor(
    readonly address: string,
    private readonly kafka: Kafka,
    readonly admin: Admin,
  ) {
    this.producer = this.newProducer();
  }

  static async connect(address: string): Promise<Broker> {
    const kafka = new Kafka({
      brokers: [address],
      logLevel: logLevel.NOTHING,
      retry: { retries: 20, initialRetryTime: 100, maxRetryTime: 1000 },
    });
    const broker = new Broker(address, kafka, kafka.admin());
    await Promise.all([broker.admin.connect(), broker.producer.connect()]);
    return broker;
  }

  private newProducer(): Producer {
    return exactProducer(this.kafka);
  }

  async close(): Promise<void> {
    await Promise.all([this.admin.disconnect(), this.producer.disconnect()]);
  }

  uri(topic: string): string {
    return `kafka://${this.address}/${topic}`;
  }

  /** Also right behind the deletion of one of the same name, which takes a moment. */
  async createTopic(topic: string, numPartitions = 1): Promise<void> {
    await until(
      () => this.admin.createTopics({ topics: [{ topic, numPartitions }], waitForLeaders: false }),
      (isMade) => isMade,
    );
    await this.untilLed(topic, numPartitions);
  }

  private async untilLed(topic: string, count: number): Promise<void> {
    await until(
      // A broker that has just heard of a topic may not know it for a moment, which kafkajs takes for the end of the matter.
      () => this.admin.fetchTopicMetadata({ topics: [topic] }).catch(() => ({ topics: [] })),
      ({ topics: [found] }) => found?.partitions.filter(({ leader }) => leader >= 0).length === count,
    );
  }

  /** More partitions, when they have leaders. */
  async growTopic(topic: string, count: number): Promise<void> {
    await this.admin.createPartitions({ topicPartitions: [{ topic, count }] });
    await this.untilLed(topic, count);
    // A producer drops without a word what goes to a partition that it does not know yet.
    await this.producer.disconnect();
    this.producer = this.newProducer();
    await this.producer.connect();
  }

  async send(topic: string, records: readonly Sent[]): Promise<void> {
    const messages = records.map(({ value, key = null, time = 0, partition }) => ({
      ...{ value, key, timestamp: String(time) },
      ...(partition === undefined ? {} : { partition }),
    }));
    await this.producer.send({ topic, messages, acks: -1 });
  }

  /** What lies before the offset is gone. */
  async deleteRecords(topic: string, before: number, partition = 0): Promise<void> {
    // Without it, kafkajs does not know who leads the topic.
    await this.admin.fetchTopicOffsets(topic);
    await this.admin.deleteTopicRecords({ topic, partitions: [{ partition, offset: String(before) }] });
  }
}

const COLUMNS = "symbol, window_start, trade_count, volume";

/** The candles in an SQLite file; none while there is no table. */
export function candlesInSqlite(file: string): Expected[] {
  // Opened, it would be there.
  if (!existsSync(file)) return [];
  const database = openDatabase(file);
  try {
    const [isThere] = database.prepare("SELECT 1 FROM sqlite_master WHERE name = 'trades_1min_agg'").all([]);
    if (isThere === undefined) return [];
    return database
      .prepare(`SELECT ${COLUMNS} FROM trades_1min_agg ORDER BY symbol, window_start`)
      .all([]) as unknown as Expected[];
  } finally {
    database.close();
  }
}

/** The test's own connection to PostgreSQL. */
export async function inPostgres<T>(url: string, sql: string): Promise<T[]> {
  const client = new Client({ connectionString: url, ssl: false });
  client.on("error", () => undefined);
  await client.connect();
  try {
    return (await client.query(sql)).rows as T[];
  } finally {
    await client.end();
  }
}

/** Rows as JSON has them, so that they can be compared with SQLite's, which has no type for days. */
export async function jsonFromPostgres(url: string, sql: string): Promise<Record<string, unknown>[]> {
  const found = await inPostgres<{ row: Record<string, unknown> }>(url, `select to_json(one) as row from (${sql}) one`);
  return found.map(({ row }) => row);
}

/** The candles in a schema of PostgreSQL; none while there is no table. */
export async function candlesInPostgres(url: string, schema: string): Promise<Expected[]> {
  const table = `${escapeIdentifier(schema)}.trades_1min_agg`;
  const [found] = await inPostgres<{ is: boolean }>(url, `select to_regclass('${table}') is not null as is`);
  if (found?.is !== true) return [];
  return inPostgres<Expected>(
    url,
    `select symbol, to_char(window_start at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') as window_start,
      trade_count::int, trim_scale(volume)::text as volume from ${table} order by symbol, window_start`,
  );
}
