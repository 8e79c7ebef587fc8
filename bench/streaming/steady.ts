// A stream of trades that are made now, counted in PostgreSQL by beamline or by Spark: how long until a row has them, and
// what the process uses meanwhile.
import fs from "node:fs";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { type Client } from "pg";
import { spread } from "../measure";
import { describeMachine, type Machine } from "../report";
import { createDatabase, dropDatabase, readCounts, withClient } from "./candle-table";
import { contender, CONTENDER_NAMES, type Contender, type ContenderName, type Work } from "./contenders";
import { Waiting } from "./delays";
import { liveTrades } from "./live-trades";
import { readContenders, readWhole, say, stopsOnSignal, UsageError } from "./main";
import { openServers, type Servers } from "./servers";
import { StreamProcess } from "./stream-process";
import { textTable } from "./text-table";
import { TopicWriter } from "./topic-writer";

const RESULTS = path.join(__dirname, "..", "results");
const WINDOW_MS = 60_000;
/** How often trades are made, and how long the table is left alone between two looks. */
const TICK_MS = 10;
const LOOK_MS = 50;
const SAMPLE_MS = 1_000;
/** How long the last trades may take to be counted. */
const PATIENCE_MS = 120_000;

const USAGE = `tsx bench/streaming/steady.ts [options]
  --rate N           trades per second (5000)
  --seconds N        how long is measured (600)
  --warm-up N        seconds before that, which are not measured (30)
  --seed N           seed of the trades (42)
  --contenders a,b   ${CONTENDER_NAMES.join(", ")} (beamline,spark), one after the other
  --kafka URL        kafka://host:port; else one of its own is started
  --postgres URL     postgres://user@host:port/database, which may create others; else one of its own is started
  --watermark TEXT   Spark's watermark delay ("10 seconds")
  --json             the report as one JSON object on standard output`;

interface Options {
  readonly rate: number;
  readonly seconds: number;
  readonly warmUp: number;
  readonly seed: number;
  readonly contenders: readonly ContenderName[];
  readonly kafka: string | undefined;
  readonly postgres: string | undefined;
  readonly watermark: string;
  readonly json: boolean;
}

function readOptions(args: string[]): Options {
  const { values } = parseArgs({
    args,
    options: {
      rate: { type: "string", default: "5000" },
      seconds: { type: "string", default: "600" },
      "warm-up": { type: "string", default: "30" },
      seed: { type: "string", default: "42" },
      contenders: { type: "string", default: "beamline,spark" },
      kafka: { type: "string" },
      postgres: { type: "string" },
      watermark: { type: "string", default: "10 seconds" },
      json: { type: "boolean", default: false },
      help: { type: "boolean", default: false },
    },
  });
  if (values.help) throw new UsageError("");
  const { kafka, postgres, watermark, json } = values;
  return {
    rate: readWhole("rate", values.rate, 1),
    seconds: readWhole("seconds", values.seconds, 2),
    warmUp: readWhole("warm-up", values["warm-up"], 0),
    seed: readWhole("seed", values.seed, 0),
    contenders: readContenders(values.contenders),
    kafka,
    postgres,
    watermark,
    json,
  };
}

interface Percentiles {
  readonly count: number;
  readonly p50: number;
  readonly p95: number;
  readonly p99: number;
  readonly max: number;
}

interface Measurement {
  readonly name: string;
  /** Records that were written per second while it was measured. */
  readonly rate: number;
  /** Milliseconds from a trade's event time to the first look that saw it counted. */
  readonly trades: Percentiles;
  /** Milliseconds: at each look that saw a row grow, the age of the newest trade in it. */
  readonly rows: Percentiles;
  /** While it was measured. */
  readonly cpuSeconds: number;
  readonly cores: number;
  /** Medians of the first and the last minute. */
  readonly firstRssMb: number;
  readonly lastRssMb: number;
  readonly mostRssMb: number;
  /** Every ten seconds. */
  readonly rssMb: readonly number[];
  readonly problems: readonly string[];
}

interface Report {
  readonly machine: Machine;
  readonly options: Pick<Options, "rate" | "seconds" | "warmUp" | "seed" | "watermark">;
  readonly measurements: readonly Measurement[];
  /** By name, why one has no figures. */
  readonly failures: Readonly<Record<string, string>>;
}

/** What was found each second. */
interface Sample {
  readonly at: number;
  readonly cpuSeconds: number;
  readonly rssMb: number;
}

async function measureStream(
  each: Contender,
  servers: Servers,
  options: Options,
  isStopped: () => boolean,
): Promise<Measurement> {
  const suffix = `${each.name.replaceAll("-", "_")}_${process.pid}`;
  const name = `bench_steady_${suffix}`;
  const topic = `bench-steady-${each.name}-${Date.now()}`;
  const database = await createDatabase(servers.postgres, name);
  const work: Work = { kafka: servers.kafka, topic, database, directory: path.join(RESULTS, `steady-${each.name}`) };
  await each.prepare(work);
  const writer = await TopicWriter.open(servers.kafka, topic);
  fs.rmSync(work.directory, { recursive: true, force: true });
  fs.mkdirSync(work.directory, { recursive: true });
  const streaming = new StreamProcess(each.stream(work), each.endsBy);
  try {
    return await withClient(database, (client) => observe(each, streaming, writer, client, options, isStopped));
  } finally {
    await streaming.end();
    await writer.close();
    await dropDatabase(servers.postgres, name);
  }
}

async function observe(
  each: Contender,
  streaming: StreamProcess,
  writer: TopicWriter,
  client: Client,
  { rate, seconds, warmUp, seed }: Options,
  isStopped: () => boolean,
): Promise<Measurement> {
  const begin = Date.now();
  const from = begin + warmUp * 1000;
  const until = from + seconds * 1000;
  const waiting = new Waiting(from);
  const next = liveTrades(seed);
  const samples: Sample[] = [];
  const failures: Error[] = [];
  const fail = (error: unknown): void => {
    failures.push(error instanceof Error ? error : new Error(String(error)));
  };
  let written = 0;
  let writtenBefore = 0;
  const make = (now: number): void => {
    const due = Math.floor(((Math.min(now, until) - begin) / 1000) * rate);
    for (; written < due; written += 1) {
      const { line, symbol, time, isRepeat } = next(now);
      void writer.put({ value: line, key: symbol, time })?.catch(fail);
      if (symbol !== null && !(isRepeat && each.dedupes)) waiting.made(symbol, time - (time % WINDOW_MS), now);
      if (now < from) writtenBefore = written + 1;
    }
    writer.sendNow();
  };

  const attempt = (action: () => void) => (): void => {
    try {
      action();
    } catch (error) {
      fail(error);
    }
  };
  const making = setInterval(
    attempt(() => make(Date.now())),
    TICK_MS,
  );
  const sampling = setInterval(
    attempt(() => {
      samples.push({ at: Date.now(), ...streaming.usage() });
    }),
    SAMPLE_MS,
  );
  try {
    while (Date.now() < until || (waiting.waiting > 0 && Date.now() < until + PATIENCE_MS)) {
      const [failure] = failures;
      if (failure !== undefined) throw failure;
      if (isStopped()) throw new Error("stopped by a signal");
      const looked = Date.now();
      await look(client, waiting);
      await sleep(Math.max(0, looked + LOOK_MS - Date.now()));
    }
  } finally {
    clearInterval(making);
    clearInterval(sampling);
  }
  await writer.flush();
  const problems = [...waiting.problems].slice(0, 5);
  if (waiting.waiting > 0) problems.push(`${waiting.waiting} trades were not counted after ${PATIENCE_MS / 1000} s`);
  const reached = (written - writtenBefore) / seconds;
  if (reached < 0.98 * rate) problems.push(`only ${Math.round(reached)} records per second could be made`);
  const ended = await streaming.end();
  if (ended !== null) problems.push(ended);
  const measured = samples.filter(({ at }) => at >= from && at <= until);
  return { name: each.name, rate: reached, ...figures(waiting, measured, seconds), problems };
}

/** Reads how many trades each row counts that may still grow. */
async function look(client: Client, waiting: Waiting): Promise<void> {
  const oldest = waiting.oldest();
  if (oldest === null) return;
  const rows = await readCounts(client, oldest);
  const at = Date.now();
  for (const { symbol, start, count } of rows) waiting.seen(symbol, start, count, at);
}

type Figures = Omit<Measurement, "name" | "rate" | "problems">;

function figures({ trades, rows }: Waiting, samples: readonly Sample[], seconds: number): Figures {
  const percentiles = (delays: typeof trades): Percentiles => {
    const [p50, p95, p99, max] = [50, 95, 99, 100].map((percent) => delays.percentile(percent)) as [
      number,
      ...number[],
    ];
    return { count: delays.count, p50, p95: p95 ?? NaN, p99: p99 ?? NaN, max: max ?? NaN };
  };
  const [first, last] = [samples.at(0), samples.at(-1)];
  const cpuSeconds = (last?.cpuSeconds ?? NaN) - (first?.cpuSeconds ?? NaN);
  const minute = Math.min(60_000, (seconds * 1000) / 2);
  const median = (some: readonly Sample[]): number => spread(some.map(({ rssMb }) => rssMb)).median;
  return {
    trades: percentiles(trades),
    rows: percentiles(rows),
    cpuSeconds,
    cores: cpuSeconds / (((last?.at ?? NaN) - (first?.at ?? NaN)) / 1000),
    firstRssMb: median(samples.filter(({ at }) => at <= (first?.at ?? 0) + minute)),
    lastRssMb: median(samples.filter(({ at }) => at >= (last?.at ?? 0) - minute)),
    mostRssMb: Math.max(...samples.map(({ rssMb }) => rssMb)),
    rssMb: samples.filter((_, index) => index % 10 === 0).map(({ rssMb }) => Math.round(rssMb)),
  };
}

function formatReport({ machine, options, measurements, failures }: Report): string {
  const delay = ({ p50, p95, p99, max }: Percentiles): string =>
    [p50, p95, p99, max].map((milliseconds) => (milliseconds / 1000).toFixed(2)).join(" / ");
  const header = [
    ...["who", "trade to row: p50 / p95 / p99 / max s", "newest in a row: p50 / p95 / p99 / max s"],
    ...["CPU s", "cores", "RSS MB first / last minute", "most"],
  ];
  const lines = measurements.map(({ name, trades, rows, cpuSeconds, cores, firstRssMb, lastRssMb, mostRssMb }) => [
    ...[name, delay(trades), delay(rows), cpuSeconds.toFixed(1), cores.toFixed(2)],
    ...[`${firstRssMb.toFixed(0)} / ${lastRssMb.toFixed(0)}`, mostRssMb.toFixed(0)],
  ]);
  const notes = measurements.map(({ name, rate, trades, problems }) =>
    [
      `${name}: ${problems.length > 0 ? "WRONG" : "every trade counted once"}; ${Math.round(rate)} records/s, ` +
        `${trades.count.toLocaleString("en")} trades measured`,
      ...problems,
    ].join("\n  "),
  );
  return [
    `${options.rate} records/s for ${options.seconds} s after ${options.warmUp} s, batches of 1 s; Spark's watermark ${options.watermark}`,
    `${machine.cores} cores (${machine.cpu}), ${machine.memoryGb} GB, Node ${machine.node}, ${machine.platform}, ` +
      `${machine.date}, load before ${machine.loadBefore}`,
    "",
    textTable([header, ...lines]),
    "",
    ...notes,
    ...Object.entries(failures).map(([name, failure]) => `${name}: FAILED: ${failure}`),
  ].join("\n");
}

async function main(): Promise<boolean> {
  const options = readOptions(process.argv.slice(2));
  if (process.platform !== "linux") throw new UsageError("it reads what a process uses from /proc: Linux only");
  fs.mkdirSync(RESULTS, { recursive: true });
  const machine = describeMachine();
  const isStopped = stopsOnSignal();
  const servers = await openServers(options, say);
  try {
    const measurements: Measurement[] = [];
    const failures: Record<string, string> = {};
    for (const name of options.contenders) {
      if (isStopped()) break;
      say(`${name}: ${options.rate} records/s for ${options.warmUp} + ${options.seconds} s`);
      try {
        const { watermark } = options;
        const each = await contender(name, { watermark, maxOffsets: undefined }, say);
        measurements.push(await measureStream(each, servers, options, isStopped));
      } catch (error) {
        failures[name] = error instanceof Error ? error.message : String(error);
        say(`${name} failed: ${failures[name]}`);
      }
    }
    const { rate, seconds, warmUp, seed, watermark } = options;
    const report: Report = { machine, options: { rate, seconds, warmUp, seed, watermark }, measurements, failures };
    fs.writeFileSync(path.join(RESULTS, "streaming-steady.json"), `${JSON.stringify(report, null, 2)}\n`);
    console.log(options.json ? JSON.stringify(report) : formatReport(report));
    return (
      measurements.length === options.contenders.length && measurements.every(({ problems }) => problems.length === 0)
    );
  } finally {
    await servers.stop();
  }
}

main().then(
  (isGood) => (process.exitCode = isGood ? 0 : 1),
  (error: unknown) => (process.exitCode = UsageError.report(error, USAGE)),
);
