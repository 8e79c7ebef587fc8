// A system that is up: started, looked at and ended by what is written down in its directory.
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdir, open, readFile, rename, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import { shownPath } from "../../io/local-path";
import { RunError, UsageError } from "../../schema/errors";
import { logTail } from "../services/log-tail";
import { freePort, isListening } from "../services/ports";
import { endProcess, identityOf, isRunning, type ProcessIdentity } from "../services/process-identity";
import { startServices, stopServices, type ServicesOptions } from "../services/services";
import { type ServiceName } from "../services/server-kind";
import { brokersOf, checkPostgres, ensureTopics } from "./given-servers";
import { type JobRecord, type SystemJob } from "./job";
import { logFile } from "./supervisor";
import { fromSource, type System, type SystemPlaces } from "./systems";

/** Longer than all jobs together take to end in order. */
const END_PATIENCE = 60_000;

export interface SystemRecord {
  readonly supervisor: ProcessIdentity;
  readonly places: SystemPlaces;
  /** Servers that were started for it, and so are stopped with it. */
  readonly services: readonly ServiceName[];
}

export interface UpOptions {
  readonly isSimulated: boolean;
  /** Addresses that are used instead of servers of our own. */
  readonly kafka: string | null;
  readonly postgres: string | null;
  /** Flags for the simulator. */
  readonly simulate: readonly string[];
  readonly onProgress: (what: string, text: string) => void;
}

const usual = (): string => process.env["BEAMLINE_SYSTEMS_DIR"] || path.resolve(__dirname, "../../.systems");
export const directoryOf = (system: System): string => path.join(path.resolve(usual()), system.name);

export async function readSystem(system: System): Promise<SystemRecord | null> {
  const file = path.join(directoryOf(system), "system.json");
  return existsSync(file) ? (JSON.parse(await readFile(file, "utf8")) as SystemRecord) : null;
}

export const isUp = (record: SystemRecord | null): boolean => record !== null && isRunning(record.supervisor);

export async function readJobs(system: System): Promise<JobRecord[]> {
  const file = path.join(directoryOf(system), "jobs.json");
  return existsSync(file) ? (JSON.parse(await readFile(file, "utf8")) as JobRecord[]) : [];
}

export async function startSystem(system: System, options: UpOptions): Promise<SystemRecord> {
  const before = await readSystem(system);
  if (isUp(before)) throw new UsageError(`${system.name} is up: npm run system -- down ${system.name} ends it`);
  // Made-up trades and real ones must not meet in one table.
  if (before !== null && (before.places.simulator !== null) !== options.isSimulated)
    throw new UsageError(
      `${system.name} has ${before.places.simulator === null ? "real" : "simulated"} data: npm run system -- down ${system.name} --data deletes it`,
    );
  const directory = directoryOf(system);
  const given = { kafka: options.kafka === null ? null : brokersOf(options.kafka), postgres: options.postgres };
  const isGiven = (name: ServiceName): boolean => (name === "kafka" || name === "postgres") && given[name] !== null;
  if (given.postgres !== null) await checkPostgres(given.postgres);
  // Before servers of our own are started, which nobody would end.
  if (given.kafka !== null) await ensureTopics(given.kafka, system.topics);
  await mkdir(path.join(directory, "logs"), { recursive: true });
  const own = system.services.filter((name) => !isGiven(name));
  const progress: ServicesOptions = { onProgress: (name, text) => options.onProgress(name, text) };
  const started = await startServices(own, progress);
  const brokers = given.kafka ?? brokersOf(started.kafka.url);
  if (given.kafka === null) await ensureTopics(brokers, system.topics);
  const port = options.isSimulated ? await simulatorPort(before) : null;
  const places: SystemPlaces = {
    brokers,
    postgres: given.postgres ?? (own.includes("postgres") ? started.postgres.url : null),
    simulator: port === null ? null : { http: `http://127.0.0.1:${port}`, ws: `ws://127.0.0.1:${port}` },
    directory,
  };
  const jobs = [...(port === null ? [] : [simulatorJob(system, port, options.simulate)]), ...system.jobs(places)];
  // How the jobs of an earlier start stood would be taken for how these stand.
  await rm(path.join(directory, "jobs.json"), { force: true });
  await writeWhole(path.join(directory, "plan.json"), jobs);
  const supervisor = await launch(directory);
  const record: SystemRecord = { supervisor, places, services: own };
  await writeWhole(path.join(directory, "system.json"), record);
  return record;
}

/** The one it had before, when nobody else has it now: the jobs know their source by its address. */
async function simulatorPort(before: SystemRecord | null): Promise<number> {
  const { http } = before?.places.simulator ?? {};
  const known = http === undefined ? 0 : Number(new URL(http).port);
  return known > 0 && !(await isListening(known)) ? known : freePort();
}

function simulatorJob(system: System, port: number, flags: readonly string[]): SystemJob {
  const { program, args } = fromSource("infra/simulators/main.ts");
  // Started again, it goes on with the trades that it has made: other ones of the same ids would spoil the tables.
  const ledger = path.join(directoryOf(system), "ledger.ndjson");
  const own = flags.some((flag) => flag.startsWith("--ledger=")) ? [] : ["--ledger", ledger];
  const words = [...args, system.simulator, "--port", String(port), ...own, ...flags];
  return { name: "simulator", program, args: words, environment: {}, keep: "goes on", brings: true };
}

async function launch(directory: string): Promise<ProcessIdentity> {
  const { program, args } = fromSource("infra/systems/supervise.ts");
  const log = await open(path.join(directory, "logs", "supervisor.log"), "a");
  try {
    const child = spawn(program, [...args, directory], { detached: true, stdio: ["ignore", log.fd, log.fd] });
    await new Promise<void>((resolve, reject) => {
      child.once("spawn", resolve);
      child.once("error", reject);
    });
    child.unref();
    const pid = child.pid as number;
    return identityOf(pid) ?? { pid, started: "ended at once" };
  } finally {
    await log.close();
  }
}

/** Ends the jobs in order; the servers stay. */
export async function endJobs(system: System, onProgress: UpOptions["onProgress"]): Promise<void> {
  const record = await readSystem(system);
  if (record === null) return;
  if (isUp(record)) {
    onProgress("jobs", "ending");
    await endProcess(record.supervisor, "SIGTERM", END_PATIENCE);
  }
  // A supervisor that was killed leaves its jobs behind.
  for (const { process: left } of await readJobs(system))
    if (left !== null) await endProcess(left, "SIGINT", END_PATIENCE);
}

/** Runs what takes in once more, one after the other: what was brought in last is then in the tables too. */
export async function workOff(system: System, onProgress: UpOptions["onProgress"]): Promise<void> {
  const directory = directoryOf(system);
  const plan = JSON.parse(await readFile(path.join(directory, "plan.json"), "utf8")) as SystemJob[];
  for (const { name, program, args, environment, keep, brings } of plan) {
    if (brings) continue;
    onProgress("jobs", `${name} takes in what is left`);
    const log = await open(logFile(directory, name), "a");
    try {
      const child = spawn(program, [...args, ...(keep === "goes on" ? ["--once"] : [])], {
        env: { ...process.env, ...environment },
        stdio: ["ignore", log.fd, log.fd],
      });
      const code = await new Promise<number | null>((resolve, reject) => {
        child.once("exit", resolve);
        child.once("error", reject);
      });
      if (code !== 0)
        throw new RunError(
          `${name} ended with exit code ${code}. Its last words:\n${await logTail(logFile(directory, name), 5)}`,
        );
    } finally {
      await log.close();
    }
  }
}

/** Ends the jobs in order, then the servers that were started for them. */
export async function stopSystem(
  system: System,
  { data, onProgress }: { readonly data: boolean; readonly onProgress: UpOptions["onProgress"] },
): Promise<void> {
  await endJobs(system, onProgress);
  const record = await readSystem(system);
  if (record === null) return;
  await stopServices(record.services, { data, onProgress: (name, text) => onProgress(name, text) });
  if (data) await rm(directoryOf(system), { recursive: true, force: true });
}

/** Whether every job was started, and the simulator, where there is one, serves. */
export async function isWorking(system: System, { places }: SystemRecord): Promise<boolean> {
  const jobs = await readJobs(system);
  const port = Number(new URL(places.simulator?.http ?? "http://127.0.0.1:0").port);
  return jobs.length > 0 && jobs.every(({ starts }) => starts > 0) && (port === 0 || isListening(port));
}

/** The first job that has failed for good, with the end of what it said; null when there is none. */
export async function failureOf(system: System): Promise<string | null> {
  const failed = (await readJobs(system)).find(({ state }) => state === "failed");
  if (failed === undefined) return null;
  const file = logFile(directoryOf(system), failed.name);
  return `${failed.name} cannot run. The end of ${shownPath(file)}:\n${await logTail(file, 5)}`;
}

async function writeWhole(file: string, content: unknown): Promise<void> {
  await writeFile(`${file}.new`, JSON.stringify(content, null, 2), { mode: 0o600 });
  await rename(`${file}.new`, file);
}
