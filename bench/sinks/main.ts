// npm run bench:sinks: a million candles into each place, by its sink and by the best plain use of the same client library,
// in turns on the same server.
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { parseArgs } from "node:util";
import { freePort } from "../../infra/services/ports";
import { type ServiceName } from "../../infra/services/server-kind";
import { startServices, stopServices, type RunningService } from "../../infra/services/services";
import { fromSource } from "../../infra/systems/systems";
import { measure, nodeCommand, spread, type Usage } from "../measure";
import { describeMachine } from "../report";
import { sinkNames, sinks, type SinkName } from "./sinks";
import { type Took, type Work } from "./write";

const USAGE = `npm run bench:sinks -- [options]
  --sinks a,b      ${sinkNames.join(", ")} (all)
  --rows N         rows (1000000; a tenth for those where a row costs most)
  --runs N         runs of each, taking turns (3)
  --json           the report as one JSON object on standard output`;

const RESULTS = path.join(__dirname, "..", "results", "sinks.json");
const hows = ["beamline", "plain"] as const;
type How = (typeof hows)[number];

interface Measured {
  readonly sink: SinkName;
  readonly rows: number;
  readonly rowsPerSecond: Readonly<Record<How, number>>;
  readonly cpuSeconds: Readonly<Record<How, number>>;
  readonly peakRssMb: Readonly<Record<How, number>>;
  /** The sink's speed as a percentage of the plain use's, by the median times. */
  readonly percent: number;
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      sinks: { type: "string", default: sinkNames.join(",") },
      rows: { type: "string", default: "1000000" },
      runs: { type: "string", default: "3" },
      json: { type: "boolean", default: false },
      help: { type: "boolean", default: false },
    },
  });
  const chosen = values.sinks.split(",").map((word) => sinkNames.find((name) => name === word));
  const rows = Number(values.rows);
  const runs = Number(values.runs);
  if (values.help || chosen.includes(undefined) || !(rows >= 1) || !(runs >= 1)) {
    process.stderr.write(`${USAGE}\n`);
    process.exitCode = values.help ? 0 : 2;
    return;
  }
  const names = chosen.filter((name) => name !== undefined);
  const results: Measured[] = [];
  for (const name of names) results.push(await withServers(name, (services) => bench(name, services, rows, runs)));
  const report = { machine: describeMachine(), runs, results };
  fs.mkdirSync(path.dirname(RESULTS), { recursive: true });
  fs.writeFileSync(RESULTS, `${JSON.stringify(report, null, 2)}\n`);
  if (values.json) process.stdout.write(`${JSON.stringify(report)}\n`);
  else process.stdout.write(textOf(results));
}

type Services = Partial<Record<ServiceName, RunningService>>;

/** Only one kind of server runs at a time: others would take the processor from it. */
async function withServers<T>(name: SinkName, action: (services: Services) => Promise<T>): Promise<T> {
  const needed = sinks[name].services;
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), "beamline-bench-"));
  fs.chmodSync(directory, 0o755);
  const before = { ...process.env };
  try {
    const ports: Partial<Record<ServiceName, number>> = {};
    for (const service of needed) ports[service] = await freePort();
    const started: Services = await startServices(needed, { directory, ports });
    return await action(started);
  } finally {
    await stopServices(needed, { directory, data: true });
    for (const variable of Object.keys(process.env)) if (!(variable in before)) delete process.env[variable];
    fs.rmSync(directory, { recursive: true, force: true });
  }
}

async function bench(sink: SinkName, services: Services, asked: number, runs: number): Promise<Measured> {
  const rows = Math.min(asked, sinks[sink].rows ?? asked);
  const usages: Record<How, (Usage & Took)[]> = { beamline: [], plain: [] };
  for (let run = 0; run < runs; run += 1) {
    // Who is first in one run is second in the next.
    for (const how of run % 2 === 0 ? hows : [...hows].reverse()) {
      process.stderr.write(`${sink}: run ${run + 1} of ${runs}, ${how}\n`);
      const directory = fs.mkdtempSync(path.join(os.tmpdir(), "beamline-bench-run-"));
      try {
        const addresses = await sinks[sink].addresses({ name: `bench_${how}_${run}`, directory, services });
        const work: Work = { sink, how, target: addresses[how], rows };
        const { args } = fromSource("bench/sinks/write.ts");
        const [script = "", ...rest] = args;
        const command = nodeCommand(script, [...rest, JSON.stringify(work)], path.join(directory, "process"));
        const { usage, stdout } = await measure(command);
        usages[how].push({ ...usage, ...(JSON.parse(stdout) as Took) });
      } finally {
        fs.rmSync(directory, { recursive: true, force: true });
      }
    }
  }
  const median = (how: How, of: (usage: Usage & Took) => number) => spread(usages[how].map(of)).median;
  const both = (of: (usage: Usage & Took) => number): Record<How, number> => ({
    beamline: median("beamline", of),
    plain: median("plain", of),
  });
  const seconds = both((usage) => usage.seconds);
  return {
    sink,
    rows,
    rowsPerSecond: { beamline: Math.round(rows / seconds.beamline), plain: Math.round(rows / seconds.plain) },
    cpuSeconds: both((usage) => usage.cpuSeconds),
    peakRssMb: both((usage) => usage.peakRssMb),
    percent: Math.round((seconds.plain / seconds.beamline) * 100),
  };
}

function textOf(results: readonly Measured[]): string {
  const head = ["sink", "rows", "rows/s", "plain rows/s", "%", "CPU s", "plain CPU s", "RSS MB", "plain RSS MB"];
  const lines = results.map(({ sink, rows, rowsPerSecond, percent, cpuSeconds, peakRssMb }) => [
    ...[sink, rows, rowsPerSecond.beamline, rowsPerSecond.plain, percent].map(String),
    ...[cpuSeconds.beamline, cpuSeconds.plain].map((seconds) => seconds.toFixed(2)),
    ...[peakRssMb.beamline, peakRssMb.plain].map((megabytes) => megabytes.toFixed(0)),
  ]);
  const widths = head.map((word, at) => Math.max(word.length, ...lines.map((line) => line[at]?.length ?? 0)));
  return [head, ...lines]
    .map(
      (line) =>
        `${line.map((word, at) => (at === 0 ? word.padEnd(widths[at] ?? 0) : word.padStart(widths[at] ?? 0))).join("  ")}\n`,
    )
    .join("");
}

void main().catch((error: unknown) => {
  process.stderr.write(`${error instanceof Error ? error.stack : String(error)}\n`);
  process.exitCode = 1;
});
