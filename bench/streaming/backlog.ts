// A topic full of trades, worked off into PostgreSQL by beamline and by Spark in turns, and their tables compared.
import fs from "node:fs";
import path from "node:path";
import { parseArgs } from "node:util";
import { compareRows, type Row } from "../compare-rows";
import { measure, spread, type Usage } from "../measure";
import { describeMachine, type Machine } from "../report";
import { createDatabase, dropDatabase, readCandles } from "./candle-table";
import { contender, CONTENDER_NAMES, type Contender, type Work } from "./contenders";
import { loadTrades, type Backlog } from "./load";
import { readContenders, readWhole, say, stopsOnSignal, UsageError } from "./main";
import { openServers, type Servers } from "./servers";
import { textTable } from "./text-table";

const RESULTS = path.join(__dirname, "..", "results");

const USAGE = `tsx bench/streaming/backlog.ts [options]
  --records N        trades in the topic (1000000)
  --runs N           runs of each contender, taking turns (3)
  --seed N           seed of the trades (42)
  --contenders a,b   ${CONTENDER_NAMES.join(", ")} (beamline,spark)
  --kafka URL        kafka://host:port; else one of its own is started
  --postgres URL     postgres://user@host:port/database, which may create others; else one of its own is started
  --watermark TEXT   Spark's watermark delay ("10 seconds")
  --max-offsets N    Spark's maxOffsetsPerTrigger; else the backlog is one batch
  --json             the report as one JSON object on standard output`;

interface Options {
  readonly records: number;
  readonly runs: number;
  readonly seed: number;
  readonly contenders: readonly (typeof CONTENDER_NAMES)[number][];
  readonly kafka: string | undefined;
  readonly postgres: string | undefined;
  readonly watermark: string;
  readonly maxOffsets: number | undefined;
  readonly json: boolean;
}

function readOptions(args: string[]): Options {
  const { values } = parseArgs({
    args,
    options: {
      records: { type: "string", default: "1000000" },
      runs: { type: "string", default: "3" },
      seed: { type: "string", default: "42" },
      contenders: { type: "string", default: "beamline,spark" },
      kafka: { type: "string" },
      postgres: { type: "string" },
      watermark: { type: "string", default: "10 seconds" },
      "max-offsets": { type: "string" },
      json: { type: "boolean", default: false },
      help: { type: "boolean", default: false },
    },
  });
  if (values.help) throw new UsageError("");
  const { kafka, postgres, watermark, json } = values;
  return {
    records: readWhole("records", values.records, 1),
    runs: readWhole("runs", values.runs, 1),
    seed: readWhole("seed", values.seed, 0),
    contenders: readContenders(values.contenders),
    kafka,
    postgres,
    watermark,
    maxOffsets: values["max-offsets"] === undefined ? undefined : readWhole("max-offsets", values["max-offsets"], 1),
    json,
  };
}

/** One run of one contender. */
interface Run extends Usage {
  /** The work itself, as the contender measured it, without its start-up. */
  readonly querySeconds: number;
  readonly note: string;
  /** What of the table is not as it must be. */
  readonly problems: readonly string[];
}

interface Measurement {
  readonly name: string;
  readonly runs: readonly Run[];
  /** Why it could not go on. */
  readonly failure: string | null;
}

interface Report {
  readonly machine: Machine;
  readonly backlog: Omit<Backlog, "expected">;
  readonly watermark: string;
  readonly maxOffsets: number | null;
  readonly measurements: readonly Measurement[];
}

async function benchmark(options: Options, servers: Servers, isStopped: () => boolean): Promise<Report> {
  const machine = describeMachine();
  const { records, seed, watermark, maxOffsets } = options;
  const contenders: Contender[] = [];
  for (const name of options.contenders) contenders.push(await contender(name, { watermark, maxOffsets }, say));
  say(`writing ${records.toLocaleString("en")} trades into Kafka`);
  const { expected, ...backlog } = await loadTrades({
    kafka: servers.kafka,
    topic: `bench-backlog-${Date.now()}`,
    records,
    seed,
  });
  say(`written in ${backlog.seconds.toFixed(1)} s`);

  const entries = contenders.map((each) => ({ contender: each, runs: [] as Run[], failure: null as string | null }));
  for (let run = 1; run <= options.runs; run += 1) {
    // Taking turns: a busy minute of the machine hits all of them, not one.
    for (const entry of entries) {
      if (entry.failure !== null || isStopped()) continue;
      say(`run ${run} of ${options.runs}: ${entry.contender.name}`);
      try {
        entry.runs.push(await runOnce(entry.contender, servers, backlog, expected));
      } catch (error) {
        entry.failure = error instanceof Error ? error.message : String(error);
        say(`${entry.contender.name} failed: ${entry.failure}`);
      }
    }
  }
  const measurements = entries.map(({ contender: { name }, runs, failure }) => ({ name, runs, failure }));
  return { machine, backlog, watermark, maxOffsets: maxOffsets ?? null, measurements };
}

async function runOnce(
  each: Contender,
  servers: Servers,
  backlog: Omit<Backlog, "expected">,
  expected: readonly Row[],
): Promise<Run> {
  const name = `bench_backlog_${each.name.replaceAll("-", "_")}_${process.pid}`;
  const database = await createDatabase(servers.postgres, name);
  try {
    const directory = path.join(RESULTS, `backlog-${each.name}`);
    const work: Work = { kafka: servers.kafka, topic: backlog.topic, database, directory };
    await each.prepare(work);
    const { usage, stdout } = await measure(each.backlog(work));
    return { ...usage, ...each.told(stdout), problems: compare(each, backlog, expected, await readCandles(database)) };
  } finally {
    await dropDatabase(servers.postgres, name);
  }
}

/** In words, how a table differs from what it must be. */
function compare(
  { columns, dedupes }: Contender,
  { ledger }: Omit<Backlog, "expected">,
  expected: readonly Row[],
  rows: readonly Row[],
): string[] {
  // Decimals are compared as exact numbers: their scale is the table's, not the contender's.
  const { differences, examples } = compareRows(expected, rows, columns, "number");
  const problems = differences > 0 ? [`${differences} differences`, ...examples] : [];
  const counted = rows.reduce((sum, row) => sum + Number(row["trade_count"]), 0);
  const wanted = dedupes ? ledger.ok - ledger.duplicate : ledger.ok;
  return counted === wanted ? problems : [...problems, `${counted} trades counted, not ${wanted}`];
}

function formatReport({ machine, backlog, watermark, maxOffsets, measurements }: Report): string {
  const { records, bytes, seconds, ledger } = backlog;
  const header = ["who", "query s", "wall s", "CPU s", "peak RSS MB", "records/s", "runs"];
  const medians = measurements
    .filter(({ runs }) => runs.length > 0)
    .map(({ name, runs }) => {
      const median = (of: (run: Run) => number): number => spread(runs.map(of)).median;
      const query = median((run) => run.querySeconds);
      const wall = median((run) => run.wallSeconds);
      const cpu = median((run) => run.cpuSeconds);
      return { name, query, wall, cpu, rss: median((run) => run.peakRssMb), runs: runs.length };
    });
  const lines = medians.map(({ name, query, wall, cpu, rss, runs }) => [
    ...[name, query.toFixed(2), wall.toFixed(2), cpu.toFixed(2), rss.toFixed(0)],
    ...[Math.round(records / query).toLocaleString("en"), String(runs)],
  ]);
  const own = medians.find(({ name }) => name === "beamline");
  const ratios = medians
    .filter((other) => own !== undefined && other !== own)
    .map((other) => {
      const ratio = (of: (who: typeof other) => number): string => `1 : ${(of(other) / of(own ?? other)).toFixed(2)}`;
      const figures = [ratio((who) => who.query), ratio((who) => who.wall), ratio((who) => who.cpu)];
      return [`beamline : ${other.name}`, ...figures, ratio((who) => who.rss), ratio((who) => 1 / who.query), ""];
    });
  const notes = measurements.map(({ name, runs, failure }) => {
    const problems = [...new Set(runs.flatMap((run) => run.problems))];
    const verdict = failure !== null ? "FAILED" : problems.length > 0 ? "WRONG" : runs.length > 0 ? "equal" : "not run";
    const told = runs.at(-1)?.note;
    return [`${name}: ${verdict}${told === undefined ? "" : `; ${told}`}`, ...problems, failure ?? []]
      .flat()
      .join("\n  ");
  });
  return [
    `${records.toLocaleString("en")} records, ${(bytes / 1e6).toFixed(0)} MB, written in ${seconds.toFixed(1)} s: ` +
      `${ledger.ok} ok (${ledger.duplicate} duplicates), ${ledger.dead} dead; Spark's watermark ${watermark}, ` +
      (maxOffsets === null ? "one batch" : `${maxOffsets} records a batch at most`),
    `${machine.cores} cores (${machine.cpu}), ${machine.memoryGb} GB, Node ${machine.node}, ${machine.platform}, ` +
      `${machine.date}, load before ${machine.loadBefore}; medians`,
    "",
    textTable([header, ...lines, ...ratios]),
    "",
    ...notes,
  ].join("\n");
}

async function main(): Promise<boolean> {
  const options = readOptions(process.argv.slice(2));
  fs.mkdirSync(RESULTS, { recursive: true });
  const isStopped = stopsOnSignal();
  const servers = await openServers(options, say);
  try {
    const report = await benchmark(options, servers, isStopped);
    fs.writeFileSync(path.join(RESULTS, "streaming-backlog.json"), `${JSON.stringify(report, null, 2)}\n`);
    console.log(options.json ? JSON.stringify(report) : formatReport(report));
    return report.measurements.every(
      ({ runs, failure }) => failure === null && runs.length > 0 && runs.every(({ problems }) => problems.length === 0),
    );
  } finally {
    await servers.stop();
  }
}

main().then(
  (isGood) => (process.exitCode = isGood ? 0 : 1),
  (error: unknown) => (process.exitCode = UsageError.report(error, USAGE)),
);
