// Starts, watches and stops real servers for development and tests. They outlive the process that started them.
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { open, rename, rm } from "node:fs/promises";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { makeDirectory, shownPath } from "../../io/local-path";
import { messageOf, RunError } from "../../schema/errors";
import { bigquery } from "./bigquery/bigquery";
import { cassandra } from "./cassandra/cassandra";
import { elasticsearch } from "./elasticsearch/elasticsearch";
import { flink } from "./flink/flink";
import { gcs } from "./gcs/gcs";
import { kafka } from "./kafka/kafka";
import { withLock } from "./lock";
import { logTail } from "./log-tail";
import { opensearch } from "./opensearch/opensearch";
import { choosePort, isListening } from "./ports";
import { postgres } from "./postgres/postgres";
import { endProcess, identityOf, isRunning, type ProcessIdentity } from "./process-identity";
import { type Environment } from "./programs";
import { readRecord, writeRecord } from "./record";
import { s3 } from "./s3/s3";
import { type Command, type Installation, type ServerKind, type ServiceName, type Site } from "./server-kind";

const kinds: Readonly<Record<ServiceName, ServerKind>> = {
  kafka,
  postgres,
  gcs,
  s3,
  bigquery,
  cassandra,
  opensearch,
  elasticsearch,
  flink,
};

/** A cold start on a machine that is busy with other things. */
const START_LIMIT = 120_000;
const STOP_LIMIT = 30_000;
const PROBE_LIMIT = 15_000;

export interface ServicesOptions {
  /** Where records, data and logs are; else BEAMLINE_SERVICES_DIR, else `.services` in the repository. */
  readonly directory?: string;
  /** What the servers get, and where their programs are looked for; else this process's own. */
  readonly environment?: Environment;
  /** Told what is being done, for a person who waits. */
  readonly onProgress?: (name: ServiceName, text: string) => void;
}

export interface StartOptions extends ServicesOptions {
  /** Else the port it had before, else a usual one when that is free, else any. */
  readonly ports?: Partial<Record<ServiceName, number>>;
}

export interface StopOptions extends ServicesOptions {
  /** Deletes data, log and record too. */
  readonly data?: boolean;
}

/** A server that answers. */
export interface RunningService {
  readonly name: ServiceName;
  /** The connector URI, such as kafka://127.0.0.1:19092; the address that clients are told, where the URI names no server. */
  readonly url: string;
  readonly port: number;
  /** What connectors need in their environment to find it; nothing where the URI says it all. */
  readonly environment: Readonly<Record<string, string>>;
  readonly pid: number;
  /** Its log file. */
  readonly log: string;
  /** Whether it was up before it was asked for. */
  readonly wasUp: boolean;
  /** How long it took until it was ready. */
  readonly seconds: number;
}

export interface ServiceStatus {
  readonly name: ServiceName;
  /** Null when it never was started. */
  readonly url: string | null;
  readonly port: number | null;
  readonly environment: Readonly<Record<string, string>>;
  /** Null when no process of it runs. */
  readonly pid: number | null;
  /** Whether it just did what a client needs. */
  readonly ready: boolean;
  readonly state: "ready" | "not ready" | "crashed" | "stopped";
  readonly log: string;
}

interface Place extends Site {
  readonly kind: ServerKind;
  readonly log: string;
  readonly lock: string;
}

function placeOf(name: ServiceName, { directory, onProgress }: ServicesOptions): Place {
  const usual = process.env["BEAMLINE_SERVICES_DIR"] || path.resolve(__dirname, "../../.services");
  const above = path.resolve(directory ?? usual);
  const own = path.join(above, name);
  return {
    kind: kinds[name],
    directory: own,
    data: path.join(own, "data"),
    log: path.join(own, "server.log"),
    lock: path.join(above, `${name}.lock`),
    say: (text) => onProgress?.(name, text),
  };
}

/** Starts what is not up yet, all at the same time, and comes back when every one does what clients need. */
export async function startServices<Name extends ServiceName>(
  names: readonly Name[],
  options: StartOptions = {},
): Promise<Record<Name, RunningService>> {
  const environment = options.environment ?? process.env;
  const places = [...new Set<ServiceName>(names)].map((name) => placeOf(name, options));
  // What is missing on this machine is said before anything is started.
  const found: { place: Place; installation: Installation }[] = [];
  for (const place of places) found.push({ place, installation: await place.kind.find(place, environment) });
  const started = await Promise.allSettled(
    found.map(({ place, installation }) =>
      locked(place, () => start(place, installation, options.ports?.[place.kind.name])),
    ),
  );
  const failed = started.find((result) => result.status === "rejected");
  if (failed !== undefined) throw failed.reason;
  const services = started.flatMap((result) => (result.status === "fulfilled" ? [result.value] : []));
  return Object.fromEntries(services.map((service) => [service.name, service])) as Record<Name, RunningService>;
}

/** Stops cleanly; what does not stop is killed. A server that is down already is fine. */
export async function stopServices(names: readonly ServiceName[], options: StopOptions = {}): Promise<void> {
  await Promise.all(
    names.map(async (name) => {
      const place = placeOf(name, options);
      if (!existsSync(place.directory)) return;
      await locked(place, async () => {
        await stop(place);
        if (options.data === true) await rm(place.directory, { recursive: true, force: true });
      });
    }),
  );
}

/** Stops cleanly and starts again with the same data on the same port. */
export async function restartService(name: ServiceName, options: ServicesOptions = {}): Promise<RunningService> {
  await stopServices([name], options);
  return (await startServices([name], options))[name];
}

/** Ends it as a crash would, by SIGKILL, and comes back when it is gone. It counts as crashed until it is started again. */
export async function killService(name: ServiceName, options: ServicesOptions = {}): Promise<void> {
  const place = placeOf(name, options);
  const record = await readRecord(place.directory);
  if (record === null || !isRunning(record.process))
    throw new RunError(`${name} is not running, so it cannot be killed`);
  await endProcess(record.process, "SIGKILL", STOP_LIMIT);
}

/** How each of them is; one that runs is tried out. */
export async function serviceStatus(
  names: readonly ServiceName[],
  options: ServicesOptions = {},
): Promise<ServiceStatus[]> {
  return Promise.all(
    names.map(async (name): Promise<ServiceStatus> => {
      const { kind, directory, log } = placeOf(name, options);
      const record = await readRecord(directory);
      if (record === null)
        return { name, url: null, port: null, environment: {}, pid: null, ready: false, state: "stopped", log };
      const { port } = record;
      const where = { name, url: kind.url(port), port, environment: kind.environment(port), log };
      if (record.process === null) return { ...where, pid: null, ready: false, state: "stopped" };
      if (!isRunning(record.process)) return { ...where, pid: null, ready: false, state: "crashed" };
      const ready = (await whyNotReady(kind, port)) === null;
      return { ...where, pid: record.process.pid, ready, state: ready ? "ready" : "not ready" };
    }),
  );
}

function locked<T>(place: Place, work: () => Promise<T>): Promise<T> {
  const settings = {
    patience: START_LIMIT + STOP_LIMIT,
    onWait: (pid: number) => place.say(`waiting for process ${pid}, which is at work on it`),
  };
  return makeDirectory(path.dirname(place.lock)).then(() => withLock(place.lock, settings, work));
}

async function start(place: Place, installation: Installation, given: number | undefined): Promise<RunningService> {
  const { kind, directory, log, say } = place;
  const begin = performance.now();
  const answer = ({ pid }: ProcessIdentity, port: number, wasUp: boolean): RunningService => {
    const seconds = (performance.now() - begin) / 1000;
    const where = { url: kind.url(port), port, environment: kind.environment(port) };
    return { name: kind.name, ...where, pid, log, wasUp, seconds };
  };
  const record = await readRecord(directory);
  if (record !== null && isRunning(record.process)) {
    if (given !== undefined && given !== record.port)
      throw new RunError(
        `${kind.name} is up on port ${record.port}: npm run services -- down ${kind.name}, then up with --port ${kind.name}=${given}`,
      );
    await untilReady(place, record.process, record.port);
    return answer(record.process, record.port, true);
  }
  const wishes = { given, recorded: record?.port, usual: kind.usualPort, count: kind.portCount };
  const port = await choosePort(kind.name, wishes);
  await makeDirectory(directory);
  await installation.fetch(place);
  await ensureData(place, installation);
  const until = Date.now() + START_LIMIT;
  for (let ended = record?.process ?? null; ;) {
    say("starting");
    const identity = await launch(place, await installation.command(place, port, ended));
    await writeRecord(directory, { port, process: identity });
    try {
      await untilReady(place, identity, port);
      return answer(identity, port, false);
    } catch (error) {
      const said = await logTail(log);
      await endProcess(identity, kind.stopSignal, STOP_LIMIT);
      await writeRecord(directory, { port, process: null });
      ended = identity;
      if (!kind.wasTooSoon(said) || Date.now() > until) throw error;
      await sleep(200);
    }
  }
}

/** Data appears whole or not at all: what an interrupted start left half-made is never taken for a server's data. */
async function ensureData(place: Place, installation: Installation): Promise<void> {
  if (existsSync(place.data)) return;
  const incoming = `${place.data}.new`;
  await rm(incoming, { recursive: true, force: true });
  await makeDirectory(incoming);
  await installation.createData(place, incoming);
  await rename(incoming, place.data);
}

/** Starts the process, free of this one: it goes on when this one ends, and gets no Ctrl-C of its terminal. */
async function launch({ directory, log }: Place, command: Command): Promise<ProcessIdentity> {
  // The log of the run before tells why that one crashed.
  if (existsSync(log)) await rename(log, log.replace(/\.log$/, ".previous.log"));
  const handle = await open(log, "a");
  try {
    const { program, args, environment, user } = command;
    const child = spawn(program, args, {
      cwd: directory,
      env: environment,
      detached: true,
      stdio: ["ignore", handle.fd, handle.fd],
      ...(user === null ? {} : { uid: user.uid, gid: user.gid }),
    });
    const pid = await new Promise<number>((resolve, reject) => {
      child.once("spawn", () => resolve(child.pid as number));
      child.once("error", (error) => reject(new RunError(`${program} could not be started: ${messageOf(error)}`)));
    });
    child.unref();
    // One that has ended already is told from its log, as one that ends later.
    return identityOf(pid) ?? { pid, started: "ended at once" };
  } finally {
    await handle.close();
  }
}

async function untilReady(place: Place, identity: ProcessIdentity, port: number): Promise<void> {
  const { kind } = place;
  const until = Date.now() + START_LIMIT;
  let why: string | null = null;
  while (Date.now() < until) {
    if (!isRunning(identity)) throw await failure(place, `${kind.name} ended while it was starting`);
    why = await whyNotReady(kind, port);
    if (why === null && isRunning(identity)) return;
    await sleep(100);
  }
  throw await failure(place, `${kind.name} was not ready after ${START_LIMIT / 1000} s (${why})`);
}

async function failure({ log }: Place, what: string): Promise<RunError> {
  const tail = await logTail(log);
  return new RunError(`${what}. The end of ${shownPath(log)}:\n${tail === "" ? "(it is empty)" : tail}`);
}

/** Null when it does what a client needs, else why not. */
async function whyNotReady(kind: ServerKind, port: number): Promise<string | null> {
  if (!(await isListening(port))) return `nothing listens on port ${port}`;
  const limit = new AbortController();
  const tooLong = sleep(PROBE_LIMIT, `it did not answer within ${PROBE_LIMIT / 1000} s`, { signal: limit.signal });
  const probe = kind.probe(port).then(() => null, messageOf);
  try {
    return await Promise.race([probe, tooLong]);
  } finally {
    limit.abort();
    // Its end by the abort is no news.
    tooLong.catch(() => undefined);
  }
}

async function stop({ kind, directory, say }: Place): Promise<void> {
  const record = await readRecord(directory);
  if (record === null) return;
  if (isRunning(record.process)) {
    say("stopping");
    const how = await endProcess(record.process, kind.stopSignal, STOP_LIMIT);
    if (how === "killed") say(`did not stop within ${STOP_LIMIT / 1000} s and was killed`);
  }
  await writeRecord(directory, { port: record.port, process: null });
}
