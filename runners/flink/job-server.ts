// Beam's job server for Flink as a process of this run: it takes the graph, and hands it to a cluster or to the small one
// that it has itself. It ends with this process, however that ends.
import { spawn, type ChildProcess } from "node:child_process";
import { open, mkdtemp, rm, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { flinkJars } from "../../infra/services/flink/flink-jars";
import { findJavaProgram, type Jars } from "../../infra/services/jars";
import { logTail } from "../../infra/services/log-tail";
import { freePort, isListening } from "../../infra/services/ports";
import { type Environment } from "../../infra/services/programs";
import { HOST } from "../../infra/services/server-kind";
import { type Finding } from "../../io/connector";
import { fine, findingsOf, missing } from "../../io/findings";
import { RunError, UsageError } from "../../schema/errors";
import { type Cluster } from "./cluster";

const jars: Jars = {
  ...flinkJars,
  title: "--runner=flink",
  otherwise: "or run it on this machine alone: --runner=direct",
};

const OWN_CLUSTER = "[local]";
/** Ours, where it is needed; Java compiles it when it starts. */
const OWN_SERVER = path.join(__dirname, "JobServer.java");

/** On a busy machine it takes half a minute. */
const START_MS = 180_000;
const PATIENCE_MS = 10_000;
/** Who is connected learns of its end before whoever started it. */
const GRACE_MS = 1_000;

export interface JobServer {
  /** host:port. */
  readonly endpoint: string;
  /** Whether it has ended by itself, or does so now. */
  isGone(): Promise<boolean>;
  /** The end of what it has logged. */
  log(): Promise<string>;
  stop(): Promise<void>;
}

export interface Wishes {
  /** Where jobs run; null is a small cluster that the job server has itself. */
  readonly cluster: Pick<Cluster, "address" | "hasBeam"> | null;
  readonly tell: (sentence: string) => void;
  readonly signal?: AbortSignal | undefined;
  /** Whether jobs read Kafka without an end. */
  readonly readsKafka?: boolean;
  /** Flink's settings for the small cluster. */
  readonly settings?: Readonly<Record<string, string | number>>;
  readonly environment?: Environment;
}

/** What of it is there already; starts and fetches nothing. */
export function findJobServer(
  forCluster: boolean,
  environment: Environment = process.env,
): Promise<readonly Finding[]> {
  return findingsOf(async () => {
    refuseWindows();
    const { java, isFetched } = await findJavaProgram({ ...jars, java: { compiler: forCluster } }, environment);
    const { title, megabytes } = jars;
    return [
      fine(`Java for ${title}: ${java}`),
      isFetched
        ? fine("Flink's job server is in the cache")
        : missing(`Flink's job server is fetched by the first run, about ${megabytes} MB`),
    ];
  });
}

function refuseWindows(): void {
  if (process.platform === "win32")
    throw new UsageError("Flink's job server is not started on Windows itself: run the same command in WSL");
}

export async function startJobServer(wishes: Wishes): Promise<JobServer> {
  const { cluster, tell, signal, settings, readsKafka = false, environment = process.env } = wishes;
  refuseWindows();
  const isBare = cluster?.hasBeam === true;
  const isOwn = isBare || readsKafka;
  const { java, classPath, fetch } = await findJavaProgram({ ...jars, java: { compiler: isOwn } }, environment);
  await fetch((text) => tell(`Flink: ${text}`));
  if (cluster !== null && !isBare)
    tell(
      `Flink: about ${jars.megabytes} MB of jars go to ${cluster.address} with the job; none would if they were on its class path`,
    );
  signal?.throwIfAborted();
  const directory = await mkdtemp(path.join(os.tmpdir(), "beamline-flink-"));
  const port = await freePort();
  const logFile = path.join(directory, "job-server.log");
  // The settings of a small cluster. JSON is YAML too.
  await writeFile(path.join(directory, "config.yaml"), JSON.stringify(settings ?? {}));
  const child = await startJava(java, javaArgs(classPath, port, { cluster, isBare, isOwn }, directory), logFile);
  const stop = async (): Promise<void> => {
    await ended(child);
    await rm(directory, { recursive: true, force: true });
  };
  try {
    await untilListening(child, port, logFile, signal);
    return {
      endpoint: `${HOST}:${port}`,
      isGone: () => endsWithin(child, GRACE_MS),
      log: () => logTail(logFile),
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

function javaArgs(
  classPath: string,
  port: number,
  { cluster, isBare, isOwn }: Pick<Wishes, "cluster"> & { readonly isBare: boolean; readonly isOwn: boolean },
  directory: string,
): string[] {
  const opens = ["java.util", "java.lang"].map((name) => `--add-opens=java.base/${name}=ALL-UNNAMED`);
  const logging = ["-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", "-Dorg.slf4j.simpleLogger.showDateTime=true"];
  const main = isOwn ? OWN_SERVER : "org.apache.beam.runners.flink.FlinkJobServerDriver";
  const server = [main, "--job-host", HOST, "--job-port", String(port), "--flink-conf-dir", directory];
  const others = ["--artifact-port=0", "--expansion-port=0", `--artifacts-dir=${path.join(directory, "artifacts")}`];
  // It lives for seconds where the work is done elsewhere: compiling it well would take longer than it runs.
  const compiling = cluster === null ? [] : ["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC"];
  const memory = ["-Xmx1g", `-Djava.io.tmpdir=${directory}`, ...(isBare ? ["-Dbeamline.jars=none"] : [])];
  return [
    ...compiling,
    ...memory,
    ...opens,
    ...logging,
    "-cp",
    classPath,
    ...server,
    ...others,
    `--flink-master=${cluster?.address ?? OWN_CLUSTER}`,
  ];
}

/** Ends Java when our end of the pipe is closed, if only because this process is gone: it has nothing to put in order. */
const WITH_US = '"$@" </dev/null & java=$!; (cat >/dev/null; kill -9 $java 2>/dev/null) <&3 & wait $java';

async function startJava(java: string, args: readonly string[], logFile: string): Promise<ChildProcess> {
  const log = await open(logFile, "a");
  try {
    return spawn("/bin/sh", ["-c", WITH_US, "sh", java, ...args], { stdio: ["ignore", log.fd, log.fd, "pipe"] });
  } finally {
    await log.close();
  }
}

const hasEnded = ({ exitCode, signalCode }: ChildProcess): boolean => exitCode !== null || signalCode !== null;

async function ended(child: ChildProcess): Promise<void> {
  child.stdio[3]?.destroy();
  if (!(await endsWithin(child, PATIENCE_MS))) child.kill("SIGKILL");
}

async function endsWithin(child: ChildProcess, milliseconds: number): Promise<boolean> {
  if (hasEnded(child)) return true;
  const end = new Promise((resolve) => child.once("exit", resolve));
  return Promise.race([end.then(() => true), sleep(milliseconds, false, { ref: false })]);
}

async function untilListening(
  child: ChildProcess,
  port: number,
  logFile: string,
  signal: AbortSignal | undefined,
): Promise<void> {
  const until = performance.now() + START_MS;
  while (!(await isListening(port))) {
    signal?.throwIfAborted();
    if (hasEnded(child)) throw new RunError(`Flink's job server ended before it was ready:\n${await logTail(logFile)}`);
    if (performance.now() > until)
      throw new RunError(`Flink's job server was not ready within ${START_MS / 1000} s:\n${await logTail(logFile)}`);
    await sleep(100);
  }
}
