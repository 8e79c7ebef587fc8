// The words of `npm run system --`: a whole system is started, looked at, or ended.
import { setTimeout as pause } from "node:timers/promises";
import colors from "picocolors";
import { z } from "zod";
import { flagLines, table } from "../../cli/help";
import { parametersOf, readParameters } from "../../cli/parameters";
import { sortWords, splitWords } from "../../cli/words";
import { suggestion } from "../../io/address";
import { RunError, UsageError } from "../../schema/errors";
import { DONE, exitCodeOf, print } from "../exit-code";
import { positiveDuration } from "../../schema/duration";
import { logTail } from "../services/log-tail";
import {
  directoryOf,
  endJobs,
  failureOf,
  isUp,
  isWorking,
  readJobs,
  readSystem,
  startSystem,
  stopSystem,
  type SystemRecord,
  workOff,
  type UpOptions,
} from "./running-system";
import { logFile } from "./supervisor";
import { systems, type System } from "./systems";

const verbs = ["up", "status", "logs", "down"] as const;
type Verb = (typeof verbs)[number];

const Up = z.object({
  live: z.boolean().default(false).describe("reads the real source (what is done when nothing is said)"),
  simulate: z.boolean().default(false).describe("reads a simulator on this machine instead of the real source"),
  fault: z
    .array(z.string())
    .default([])
    .describe("with --simulate: a flag for the simulator, such as --fault disconnect-every=500")
    .meta({ value: "name=value" }),
  for: positiveDuration().optional().describe("ends the system's jobs after this time; its servers stay up"),
  kafka: z
    .string()
    .optional()
    .describe("brokers to use instead of one of our own, such as localhost:9092")
    .meta({ value: "host:port" }),
  postgres: z
    .string()
    .optional()
    .describe(
      "a database to use instead of one of our own; ticker needs none, and keeps its tables there when it is said",
    )
    .meta({ value: "URI" }),
});
const switches: Readonly<Record<Verb, readonly string[]>> = {
  up: ["help"],
  status: ["json", "help"],
  logs: ["help"],
  down: ["data", "help"],
};

const help = `Whole systems on this machine: their servers, their topics, and all of their pipelines as jobs that are kept going.

  npm run system -- up <system> [flags]      start it, and say where to look
  npm run system -- status [system] [--json] how its jobs stand
  npm run system -- logs <system> [job]      what a job said last
  npm run system -- down <system> [--data]   end it; --data deletes what it has stored too

Systems:
${table(systems.map(({ name, summary }) => [name, summary])).join("\n")}

Flags of up:
${flagLines(parametersOf(Up)).join("\n")}

States, logs and files are in .systems, or where BEAMLINE_SYSTEMS_DIR says.`;

const onProgress: UpOptions["onProgress"] = (what, text) => print(colors.dim(`  ${what.padEnd(8)}  ${text}`));

/** Does what the words say, and answers with the exit code. */
export const command = (args: readonly string[]): Promise<number> => exitCodeOf(() => obey(args));

async function obey(args: readonly string[]): Promise<number> {
  const words = splitWords(args);
  const first = words.find(({ kind }) => kind === "name")?.text;
  if (first === undefined && (words.length === 0 || words.some(({ text }) => text === "help"))) {
    process.stdout.write(`${help}\n`);
    return DONE;
  }
  const verb = verbs.find((known) => known === first);
  if (verb === undefined) throw new UsageError(`There is no verb “${first ?? ""}”: ${suggestion(first ?? "", verbs)}`);
  const { names, said } = sortWords(words, verb === "up" ? parametersOf(Up) : [], switches[verb]);
  if (said.has("help")) {
    process.stdout.write(`${help}\n`);
    return DONE;
  }
  const [, name, job, tooMuch] = names;
  const extra = verb === "logs" ? tooMuch : job;
  if (extra !== undefined) throw new UsageError(`“${extra}” is too much`);
  if (verb === "status") return status(name === undefined ? systems : [systemOf(name)], said.has("json"));
  const system = systemOf(name ?? "");
  if (verb === "logs") return logs(system, job);
  if (verb === "down") {
    await stopSystem(system, { data: said.has("data"), onProgress });
    print(`${colors.green("✓")} ${system.name} down${said.has("data") ? ", data deleted" : ""}`);
    return DONE;
  }
  return up(system, readParameters(Up, said, {}));
}

function systemOf(name: string): System {
  const system = systems.find((known) => known.name === name);
  if (system !== undefined) return system;
  const names = systems.map((known) => known.name);
  throw new UsageError(
    name === "" ? `Which system? ${names.join(", ")}` : `There is no system “${name}”: ${suggestion(name, names)}`,
  );
}

async function up(system: System, options: z.infer<typeof Up>): Promise<number> {
  if (options.live && options.simulate) throw new UsageError("--live and --simulate: say one of the two");
  if (options.fault.length > 0 && !options.simulate) throw new UsageError("--fault goes with --simulate only");
  const record = await startSystem(system, {
    isSimulated: options.simulate,
    kafka: options.kafka ?? null,
    postgres: options.postgres ?? null,
    simulate: options.fault.map((fault) => `--${fault}`),
    onProgress,
  });
  await untilWorking(system, record);
  print(`${colors.green("✓")} ${system.name} is up: ${system.summary}`);
  print("");
  for (const line of system.look(record.places)) print(`  ${line}`);
  print(`  jobs      npm run system -- status ${system.name}`);
  print(`  end       npm run system -- down ${system.name}`);
  if (options.for === undefined) return DONE;
  return runFor(system, options.for);
}

/** How long a job that is wrongly set up may take to say so. */
const SECOND_THOUGHTS = 2_000;

/** Until every job works; one that cannot run at all ends the wait, and with it the system. */
async function untilWorking(system: System, record: SystemRecord): Promise<void> {
  for (let works = 0; works * 200 < SECOND_THOUGHTS;) {
    const failure = await failureOf(system);
    if (failure !== null) {
      await stopSystem(system, { data: false, onProgress });
      throw new RunError(`${failure}\nThe source is chosen by ${system.sourceVariable}; --simulate needs none`);
    }
    works = (await isWorking(system, record)) ? works + 1 : 0;
    await pause(200);
  }
}

/** Waits, and ends the jobs in order, so that what was brought in is worked off. A Ctrl-C ends the wait early. */
async function runFor(system: System, milliseconds: number): Promise<number> {
  const stop = new AbortController();
  const early = () => stop.abort();
  process.once("SIGINT", early);
  const until = performance.now() + milliseconds;
  while (performance.now() < until && !stop.signal.aborted) {
    const failure = await failureOf(system);
    if (failure !== null) {
      await stopSystem(system, { data: false, onProgress });
      throw new RunError(failure);
    }
    await pause(Math.min(500, Math.max(0, until - performance.now())), undefined, { signal: stop.signal }).catch(
      () => undefined,
    );
  }
  process.off("SIGINT", early);
  await endJobs(system, onProgress);
  await workOff(system, onProgress);
  print(`${colors.green("✓")} the jobs of ${system.name} are ended; its servers and tables are there until it is down`);
  return DONE;
}

async function status(chosen: readonly System[], isJson: boolean): Promise<number> {
  const all = [];
  for (const system of chosen) {
    const record: SystemRecord | null = await readSystem(system);
    all.push({ system: system.name, up: isUp(record), jobs: record === null ? [] : await readJobs(system) });
  }
  if (isJson) process.stdout.write(`${JSON.stringify(all)}\n`);
  else {
    for (const { system, up: isThere, jobs } of all) {
      process.stdout.write(`${system}: ${isThere ? "up" : "down"}\n`);
      const rows = jobs.map(({ name, state, process: own, starts, lastEnd }): [string, string] => [
        name,
        [
          state,
          own === null ? "" : `pid ${own.pid}`,
          `started ${starts} ×`,
          lastEnd === null ? "" : `last end ${lastEnd}`,
        ]
          .filter((part) => part !== "")
          .join(", "),
      ]);
      for (const line of table(rows)) process.stdout.write(`${line}\n`);
    }
  }
  return DONE;
}

async function logs(system: System, job: string | undefined): Promise<number> {
  const names = (await readJobs(system)).map(({ name }) => name);
  if (job !== undefined && !names.includes(job))
    throw new UsageError(`${system.name} has no job “${job}”: ${suggestion(job, names)}`);
  for (const name of job === undefined ? names : [job]) {
    process.stdout.write(`${colors.bold(name)}\n${await logTail(logFile(directoryOf(system), name), 20)}\n`);
  }
  return DONE;
}
