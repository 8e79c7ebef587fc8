// npm run bench: one file of trades, the same work by hand, by this pipeline and by its peers, results compared.
import fs from "node:fs";
import path from "node:path";
import { parseArgs } from "node:util";
import { CANDLE_COLUMNS, compareRows, readRows, type Row } from "./compare-rows";
import { type Contender, type Counts, handLoop, peer, PEER_NAMES, pipeline } from "./contenders";
import { ensureTradesFile, type TradesFile, type TradesLedger } from "./generate-trades";
import { measure, spread, type Usage } from "./measure";
import { describeMachine, formatReport, type Measurement, type Report, type Verdict } from "./report";

const DATA = path.join(__dirname, "data");
const RESULTS = path.join(__dirname, "results");

const USAGE = `npm run bench -- [options]
  --records N      size of the input (1000000)
  --runs N         runs of each contender, taking turns (3)
  --seed N         seed of the input (42)
  --peers a,b      ${PEER_NAMES.join(", ")} (duckdb,polars); "none" for none
  --memory         hand loop and pipeline only, at N and at 5 N records: does memory grow with the input?
  --json           the report as one JSON object on standard output`;

class UsageError extends Error {}

interface Options {
  records: number;
  runs: number;
  seed: number;
  peers: string[];
  memory: boolean;
  json: boolean;
}

function readOptions(args: string[]): Options {
  const { values } = parseArgs({
    args,
    options: {
      records: { type: "string", default: "1000000" },
      runs: { type: "string", default: "3" },
      seed: { type: "string", default: "42" },
      peers: { type: "string", default: "duckdb,polars" },
      memory: { type: "boolean", default: false },
      json: { type: "boolean", default: false },
      help: { type: "boolean", default: false },
    },
  });
  if (values.help) throw new UsageError("");
  const whole = (name: "records" | "runs" | "seed", least: number): number => {
    const value = Number(values[name].replaceAll("_", ""));
    if (!Number.isSafeInteger(value) || value < least)
      throw new UsageError(`--${name} takes a whole number from ${least}`);
    return value;
  };
  const peers = values.peers.split(",").filter((name) => name !== "" && name !== "none");
  const unknown = peers.find((name) => !PEER_NAMES.includes(name));
  if (unknown !== undefined) throw new UsageError(`no peer is called ${unknown}; there are ${PEER_NAMES.join(", ")}`);
  const { memory, json } = values;
  return { records: whole("records", 1), runs: whole("runs", 1), seed: whole("seed", 0), peers, memory, json };
}

interface Entry {
  contender: Contender;
  usages: Usage[];
  problems: Set<string>;
  failed: boolean;
}

async function benchmark(contenders: Contender[], records: number, seed: number, runs: number): Promise<Report> {
  const machine = describeMachine();
  say(`preparing ${records.toLocaleString("en")} trades`);
  const file = ensureTradesFile(DATA, records, seed);
  // Whoever runs first must not be the one who waits for the disk.
  for await (const _ of fs.createReadStream(file.path, { highWaterMark: 1 << 20 }));

  const entries = contenders.map((contender): Entry => ({ contender, usages: [], problems: new Set(), failed: false }));
  let expected: Row[] | undefined;
  for (let run = 1; run <= runs; run += 1) {
    // Taking turns: a busy minute of the machine hits all of them, not one.
    for (const entry of entries) {
      if (entry.contender.missing !== undefined || entry.failed) continue;
      say(`run ${run} of ${runs}: ${entry.contender.name}`);
      const rows = await runOnce(entry, file, expected);
      expected ??= rows;
    }
  }

  const measurements = summarise(entries, records);
  const data = { records, seed, bytes: file.bytes, ledger: file.ledger };
  return { machine, data, measurements, verdict: judge(measurements) };
}

function judge(measurements: Measurement[]): Verdict {
  if (measurements.some(({ outcome, problems }) => outcome === "measured" && problems.length > 0)) return "different";
  // A peer need not be installed. The hand loop and the pipeline are what this is about.
  const needed = measurements.filter(({ name, outcome }) => outcome !== "absent" || !PEER_NAMES.includes(name));
  return needed.every(({ outcome }) => outcome === "measured") ? "equal" : "incomplete";
}

async function runOnce(entry: Entry, file: TradesFile, expected: Row[] | undefined): Promise<Row[] | undefined> {
  const { contender, problems } = entry;
  const directory = path.join(RESULTS, contender.name.replaceAll(" ", "-"));
  try {
    const { usage, stdout } = await measure(contender.command(file.path, directory));
    entry.usages.push(usage);
    const rows = readRows(contender.rowsFile(directory));
    if (contender.counts !== undefined) checkCounts(contender.counts(stdout), file.ledger, problems);
    if (expected !== undefined) {
      const comparison = compareRows(expected, rows, contender.columns, contender.equality);
      comparison.examples.forEach((example) => problems.add(example));
      if (comparison.differences > 0) problems.add(`${comparison.differences} differences`);
    }
    return rows;
  } catch (error) {
    entry.failed = true;
    problems.add(error instanceof Error ? error.message : String(error));
    return undefined;
  }
}

function checkCounts(counts: Counts, ledger: TradesLedger, problems: Set<string>): void {
  for (const name of ["read", "ok", "dead", "duplicate"] as const) {
    if (counts[name] !== ledger[name]) problems.add(`${name} is ${counts[name]}, the ledger says ${ledger[name]}`);
  }
}

function summarise(entries: Entry[], records: number): Measurement[] {
  const cpuOf = (usages: Usage[]): number => spread(usages.map(({ cpuSeconds }) => cpuSeconds)).median;
  const handLoopCpu = cpuOf(entries[0]?.usages ?? []);
  return entries.map(({ contender, usages, problems, failed }, index): Measurement => {
    const { name, missing } = contender;
    if (missing !== undefined) return { name, outcome: "absent", problems: [missing] };
    if (failed || usages.length === 0) return { name, outcome: "failed", problems: [...problems] };
    const wallSeconds = spread(usages.map((usage) => usage.wallSeconds));
    return {
      name,
      outcome: "measured",
      problems: [...problems],
      compared: describeComparison(contender, index === 0),
      runs: usages.length,
      cpuSeconds: spread(usages.map((usage) => usage.cpuSeconds)),
      wallSeconds,
      peakRssMb: spread(usages.map((usage) => usage.peakRssMb)),
      recordsPerSecond: records / wallSeconds.median,
      percentOfHandLoop: (100 * handLoopCpu) / cpuOf(usages),
    };
  });
}

function describeComparison({ columns, equality, counts }: Contender, isReference: boolean): string {
  const which = columns === CANDLE_COLUMNS ? "every column" : columns.join(", ");
  const how = equality === "text" ? "to the character" : "as exact numbers";
  const rows = isReference ? "the others are compared with its rows" : `rows equal the hand loop's: ${which}, ${how}`;
  return `${rows}; ${counts === undefined ? "counts not asked" : "counts equal the ledger"}`;
}

function formatMemory(reports: Report[]): string {
  const names = reports[0]?.measurements.map(({ name }) => name) ?? [];
  const lines = names.map((name) => {
    const sizes = reports.map(({ data, measurements }) => {
      const peak = measurements.find((measurement) => measurement.name === name)?.peakRssMb?.median;
      return `${peak === undefined ? "no figure" : `${Math.round(peak)} MB`} at ${data.records.toLocaleString("en")} records`;
    });
    return `${name}: peak RSS ${sizes.join(", ")}`;
  });
  return ["memory", ...lines].join("\n");
}

function say(message: string): void {
  process.stderr.write(`${message}\n`);
}

async function main(): Promise<void> {
  const options = readOptions(process.argv.slice(2));
  fs.mkdirSync(RESULTS, { recursive: true });
  const contenders = [handLoop(RESULTS), pipeline(), ...(options.memory ? [] : options.peers.map(peer))];
  const sizes = options.memory ? [options.records, 5 * options.records] : [options.records];
  const reports: Report[] = [];
  for (const records of sizes) reports.push(await benchmark(contenders, records, options.seed, options.runs));

  const output = options.memory ? reports : reports[0];
  fs.writeFileSync(path.join(RESULTS, "trades.json"), `${JSON.stringify(output, null, 2)}\n`);
  if (options.json) console.log(JSON.stringify(output));
  else console.log([...reports.map(formatReport), ...(options.memory ? [formatMemory(reports)] : [])].join("\n\n"));
  process.exitCode = reports.every(({ verdict }) => verdict === "equal") ? 0 : 1;
}

main().catch((error: unknown) => {
  const isUsage =
    error instanceof UsageError || (error as NodeJS.ErrnoException).code?.startsWith("ERR_PARSE_ARGS") === true;
  say(isUsage ? `${(error as Error).message}\n${USAGE}`.trim() : String(error instanceof Error ? error.stack : error));
  process.exitCode = isUsage ? 2 : 1;
});
