// A topic full of trades, worked off into PostgreSQL by jobs with an end on one Flink cluster, in turns: beamline, Beam's
// Python SDK, and Flink SQL; their tables compared with what the hand loop makes of the same trades.
import fs from "node:fs";
import path from "node:path";
import { parseArgs } from "node:util";
import { CANDLE_COLUMNS, compareRows, type Row } from "../compare-rows";
import { spread } from "../measure";
import { describeMachine, type Machine } from "../report";
import { createDatabase, dropDatabase, readCandles } from "../streaming/candle-table";
import { candlesWithRepeats, loadTrades, type Backlog } from "../streaming/load";
import { readWhole, say, stopsOnSignal, UsageError } from "../streaming/main";
import { textTable } from "../streaming/text-table";
import { caseText, contender, CONTENDER_NAMES, type Case, type Contender, type ContenderName } from "./contenders";
import { measureJob, type JobUsage } from "./measured-job";
import { openServers, type Servers } from "./servers";

const RESULTS = path.join(__dirname, "..", "results");

const USAGE = `tsx bench/flink/main.ts [options]
  --records N          trades in the topic (1000000)
  --runs N             runs of each, taking turns (3)
  --seed N             seed of the trades (42)
  --contenders a,b     ${CONTENDER_NAMES.join(", ")} (all)
  --parallelism 1,2    how many parts of a step run at the same time (1,2)
  --unique yes,no      whether a trade that comes twice counts once (no,yes)
  --warm-up N          runs of each before those that count: the cluster's Java compiles what it runs (1)
  --services DIRECTORY kafka, postgres and flink that \`npm run services\` has there; else some of its own are started
  --json               the report as one JSON object on standard output`;

interface Options {
  readonly records: number;
  readonly runs: number;
  readonly warmUp: number;
  readonly seed: number;
  readonly contenders: readonly ContenderName[];
  readonly parallelisms: readonly number[];
  readonly uniques: readonly boolean[];
  readonly services: string | undefined;
  readonly json: boolean;
}

function readOptions(args: string[]): Options {
  const { values } = parseArgs({
    args,
    options: {
      records: { type: "string", default: "1000000" },
      runs: { type: "string", default: "3" },
      "warm-up": { type: "string", default: "1" },
      seed: { type: "string", default: "42" },
      contenders: { type: "string", default: CONTENDER_NAMES.join(",") },
      parallelism: { type: "string", default: "1,2" },
      unique: { type: "string", default: "no,yes" },
      services: { type: "string" },
      json: { type: "boolean", default: false },
      help: { type: "boolean", default: false },
    },
  });
  if (values.help) throw new UsageError("");
  const { contenders, parallelism, unique, services, json } = values;
  return {
    records: readWhole("records", values.records, 1),
    runs: readWhole("runs", values.runs, 1),
    warmUp: readWhole("warm-up", values["warm-up"], 0),
    seed: readWhole("seed", values.seed, 0),
    contenders: contenders.split(",").map((word) => oneOf("contenders", word, CONTENDER_NAMES)),
    parallelisms: parallelism.split(",").map((word) => readWhole("parallelism", word, 1)),
    uniques: unique.split(",").map((word) => oneOf("unique", word, ["no", "yes"]) === "yes"),
    services: services === undefined ? undefined : path.resolve(services),
    json,
  };
}

function oneOf<Word extends string>(option: string, text: string, words: readonly Word[]): Word {
  const word = words.find((known) => known === text);
  if (word === undefined) throw new UsageError(`--${option} has ${text}; there are ${words.join(", ")}`);
  return word;
}

interface Measurement extends Case {
  readonly name: string;
  readonly runs: readonly JobUsage[];
  /** Why it could not go on. */
  readonly failure: string | null;
}

interface Report {
  readonly machine: Machine;
  readonly backlog: Omit<Backlog, "expected">;
  readonly warmUp: number;
  readonly measurements: readonly Measurement[];
}

async function benchmark(
  options: Options,
  servers: Servers,
  contenders: readonly Contender[],
  isStopped: () => boolean,
): Promise<Report> {
  const machine = describeMachine();
  const { records, seed, warmUp } = options;
  say(`writing ${records.toLocaleString("en")} trades into Kafka`);
  const topic = `bench-flink-${Date.now()}`;
  const { expected, ...backlog } = await loadTrades({ kafka: servers.kafka, topic, records, seed });
  const withRepeats = options.uniques.includes(false) ? candlesWithRepeats(records, seed) : [];
  const entries = options.uniques.flatMap((unique) =>
    options.parallelisms.flatMap((parallelism) =>
      contenders.map((each) => ({
        contender: each,
        case: { name: each.name, parallelism, unique },
        runs: [] as JobUsage[],
        failure: null as string | null,
      })),
    ),
  );
  for (let run = 1 - warmUp; run <= options.runs; run += 1) {
    // Taking turns: a busy minute of the machine hits all of them, not one.
    for (const entry of entries) {
      if (entry.failure !== null || isStopped()) continue;
      const { name, parallelism, unique } = entry.case;
      say(`${run < 1 ? "warming up" : `run ${run} of ${options.runs}`}: ${name}, ${caseText(entry.case)}`);
      try {
        const done = await runOnce(entry.contender, { servers, topic, parallelism, unique });
        const problems = compare(unique ? expected : withRepeats, done.rows);
        if (problems.length > 0) throw new Error(`WRONG: ${problems.join("\n  ")}`);
        if (run > 0) entry.runs.push(done.usage);
        say(`  ${done.usage.jobSeconds.toFixed(1)} s, and ${done.usage.wholeSeconds.toFixed(1)} s with its submission`);
      } catch (error) {
        entry.failure = error instanceof Error ? error.message : String(error);
        say(`${name} failed: ${entry.failure}`);
      }
    }
  }
  const measurements = entries.map((entry) => ({ ...entry.case, runs: entry.runs, failure: entry.failure }));
  return { machine, backlog, warmUp, measurements };
}

async function runOnce(
  { name, prepare, command }: Contender,
  { servers, topic, parallelism, unique }: { servers: Servers; topic: string; parallelism: number; unique: boolean },
): Promise<{ usage: JobUsage; rows: Row[] }> {
  const database = await createDatabase(servers.postgres, `bench_flink_${name.replaceAll("-", "_")}_${process.pid}`);
  try {
    const { kafka, flink } = servers;
    const work = { kafka, topic, database, flink, parallelism, unique };
    await prepare(work);
    const usage = await measureJob(command(work), servers);
    return { usage, rows: await readCandles(database) };
  } finally {
    await dropDatabase(servers.postgres, path.basename(new URL(database).pathname));
  }
}

/** In words, how a table differs from what it must be. */
function compare(expected: readonly Row[], rows: readonly Row[]): string[] {
  // Decimals are compared as exact numbers: their scale is the table's, not the contender's.
  const { differences, examples } = compareRows(expected, rows, CANDLE_COLUMNS, "number");
  return differences > 0 ? [`${differences} differences`, ...examples] : [];
}

const COLUMNS: readonly [string, (run: JobUsage, records: number) => number, number][] = [
  ["records/s", (run, records) => records / run.jobSeconds, 0],
  ["job s", (run) => run.jobSeconds, 1],
  ["with submission s", (run) => run.wholeSeconds, 1],
  ["CPU s of the job", cpuOf, 1],
  ["… Flink's", (run) => run.flinkCpuSeconds, 1],
  ["… workers'", (run) => run.workersCpuSeconds, 1],
  ["CPU s of submitting", (run) => run.submitCpuSeconds, 1],
  ["workers MB", (run) => run.workersRssMb, 0],
  ["TaskManagers MB", (run) => run.taskManagersRssMb, 0],
];

function cpuOf({ flinkCpuSeconds, workersCpuSeconds }: JobUsage): number {
  return flinkCpuSeconds + workersCpuSeconds;
}

const medianOf = (runs: readonly JobUsage[], of: (run: JobUsage) => number): number => spread(runs.map(of)).median;

function formatReport({ machine, backlog, warmUp, measurements }: Report): string {
  const { records, bytes, ledger } = backlog;
  const tables = groupedByCase(measurements).map((group) => {
    const own = group.find(({ name, runs }) => name === "beamline" && runs.length > 0);
    const lines = group.map(({ name, runs, failure }) => {
      if (runs.length === 0) return [name, failure === null ? "not run" : "FAILED"];
      const figures = COLUMNS.map(([, of, digits]) =>
        medianOf(runs, (run) => of(run, records)).toLocaleString("en", {
          minimumFractionDigits: digits,
          maximumFractionDigits: digits,
        }),
      );
      const ratio =
        own === undefined || own.name === name ? "" : (medianOf(runs, cpuOf) / medianOf(own.runs, cpuOf)).toFixed(2);
      return [name, ...figures, ratio, String(runs.length)];
    });
    const [first] = group as [Measurement];
    const header = [caseText(first), ...COLUMNS.map(([title]) => title), "CPU : beamline's", "runs"];
    return textTable([header, ...lines]);
  });
  const failures = measurements.flatMap((one) =>
    one.failure === null ? [] : [`${one.name}, ${caseText(one)}: ${one.failure}`],
  );
  return [
    `${records.toLocaleString("en")} records, ${(bytes / 1e6).toFixed(0)} MB: ${ledger.ok} ok (${ledger.duplicate} repeats), ` +
      `${ledger.dead} dead; ${warmUp} runs of each before those that count`,
    `${machine.cores} cores (${machine.cpu}), ${machine.memoryGb} GB, Node ${machine.node}, ${machine.platform}, ` +
      `${machine.date}, load before ${machine.loadBefore}; medians`,
    ...tables.map((text) => `\n${text}`),
    ...(failures.length > 0 ? ["", ...failures] : ["", "All tables were equal to the hand loop's."]),
  ].join("\n");
}

function groupedByCase(measurements: readonly Measurement[]): (readonly Measurement[])[] {
  const groups = new Map<string, Measurement[]>();
  for (const one of measurements) groups.set(caseText(one), [...(groups.get(caseText(one)) ?? []), one]);
  return [...groups.values()];
}

async function main(): Promise<boolean> {
  const options = readOptions(process.argv.slice(2));
  fs.mkdirSync(RESULTS, { recursive: true });
  const isStopped = stopsOnSignal();
  const servers = await openServers(options.services, say);
  const contenders: Contender[] = [];
  try {
    for (const name of options.contenders) contenders.push(await contender(name, servers.flink, say));
    const report = await benchmark(options, servers, contenders, isStopped);
    fs.writeFileSync(path.join(RESULTS, "flink.json"), `${JSON.stringify(report, null, 2)}\n`);
    console.log(options.json ? JSON.stringify(report) : formatReport(report));
    return report.measurements.every(({ runs, failure }) => failure === null && runs.length > 0);
  } finally {
    for (const { close } of contenders) await close();
    await servers.stop();
  }
}

main().then(
  (isGood) => (process.exitCode = isGood ? 0 : 1),
  (error: unknown) => (process.exitCode = UsageError.report(error, USAGE)),
);
