// Flink as the engine of a bounded run: a job server is started for it, with a small cluster of its own or for one that is
// there. The pipeline's own code runs in this process, so every connector works as on the direct runner, and so does the
// commit.
import { isIP } from "node:net";
import path from "node:path";
import {
  jobFailure,
  NEEDED_OPTION,
  neededCode,
  submit,
  type CodePlace,
  type Graph,
  type PortableJob,
} from "../../beam";
import { messageOf, RunError, UsageError } from "../../schema/errors";
import { direct, type Engine, type Ran } from "../engine";
import { ownVersion } from "../own-package";
import { Cluster, nameOnCluster } from "./cluster";
import { startJobServer, type JobServer } from "./job-server";

const HERE = "127.0.0.1";

export interface FlinkWishes {
  readonly job: string;
  readonly parallelism: number | undefined;
  /** host:port of a cluster that is there; else a small one is started for the run. */
  readonly master: string | undefined;
  /** Where the pipeline's code runs: here, process, or host:port of a pool. */
  readonly workers: string;
  /** Where TaskManagers find this process. */
  readonly workerHost: string | undefined;
  /** Whether the run goes on in this process when Flink cannot take the job. */
  readonly orHere: boolean;
  readonly tell: (sentence: string) => void;
}

export function flink(wishes: FlinkWishes): Engine {
  return {
    duplicates: "grouped",
    async run(graph: Graph, signal?: AbortSignal): Promise<Ran> {
      const begun = await begin(graph, wishes, signal).catch((error: unknown) => {
        signal?.throwIfAborted();
        if (!wishes.orHere) throw error;
        wishes.tell(`Flink cannot take the job, so it runs in this process: ${messageOf(error)}`);
        return null;
      });
      // Never a job that was taken: part of it may be under way.
      if (begun === null) return direct.run(graph, signal);
      return finish(begun, signal);
    },
  };
}

/** How a job is run that is not waited for in this process. */
export interface Alone {
  /** Nothing of it may run in this process. */
  readonly isDetached: boolean;
  /** Called when the cluster has room for it. */
  readonly ready?: () => Promise<void>;
  /** Beam's options beside the usual ones. */
  readonly options?: Readonly<Record<string, unknown>>;
  /** Of the small cluster, when one is started. */
  readonly settings?: Readonly<Record<string, string | number>>;
}

export interface Begun {
  /** Null where the job server has a small one itself. */
  readonly cluster: Cluster | null;
  readonly server: JobServer;
  readonly job: PortableJob;
  readonly name: string;
  readonly tell: FlinkWishes["tell"];
  readonly workers: string;
}

/** Submits it. */
export async function begin(
  graph: Graph,
  wishes: FlinkWishes,
  signal: AbortSignal | undefined,
  { isDetached, ready, options: more, settings }: Alone = { isDetached: false },
): Promise<Begun> {
  const { master, parallelism, tell } = wishes;
  const code = codePlaceOf(wishes.workers);
  const cluster = master === undefined ? null : await Cluster.at(master);
  if (cluster !== null) {
    if (!isDetached) await checkReach(cluster, wishes.workerHost);
    await cluster.untilFree(parallelism ?? 1, signal);
  }
  await ready?.();
  const readsKafka = more?.["streaming"] === true;
  const server = await startJobServer({
    cluster,
    tell,
    signal,
    readsKafka,
    ...(settings === undefined ? {} : { settings }),
  });
  try {
    const name = nameOnCluster(wishes.job);
    const needs = { [NEEDED_OPTION]: neededCode(ownVersion()) };
    const options = { parallelism, finishBundleBeforeCheckpointing: true, ...needs, ...more };
    const here = `${wishes.workerHost ?? HERE}:0`;
    const job = await submit(graph, { endpoint: server.endpoint, jobName: name, options, here, code, isDetached });
    return { cluster, server, job, name, tell, workers: wishes.workers };
  } catch (error) {
    // What it did not like only its log says.
    const log = (error as Error).name === "RpcError" ? await server.log() : null;
    await server.stop();
    throw log === null ? error : jobFailure([log]);
  }
}

async function finish(
  { cluster, server, job, name, tell, workers }: Begun,
  signal: AbortSignal | undefined,
): Promise<Ran> {
  const cancel = () => void job.cancel().catch(() => undefined);
  signal?.addEventListener("abort", cancel, { once: true });
  const watching = new AbortController();
  try {
    const counters = await Promise.race([job.ended, broken(cluster, name, tell, watching.signal)]);
    const failure = (await cluster?.wasBroken(name)) ?? null;
    if (failure !== null) throw failure;
    return { counters, on: "flink" };
  } catch (error) {
    await cluster?.end(name).catch(() => undefined);
    if (isPool(workers) && /Connection refused|UnknownHost|unresolved/i.test(messageOf(error)))
      throw new RunError(
        `No workers are started at ${workers}, as the cluster's TaskManagers see it: npm run worker -- --port ` +
          `${workers.split(":")[1]} beside each of them does that (${messageOf(error)})`,
      );
    // The connection is gone: mostly because the other end is.
    if ((error as Error).name !== "RpcError" || !(await server.isGone())) throw error;
    throw new RunError(`Flink's job server ended in the midst of the run:\n${await server.log()}`);
  } finally {
    watching.abort();
    signal?.removeEventListener("abort", cancel);
    job.close();
    await server.stop();
  }
}

/** Only ever rejects: when the cluster says that the job cannot end well. */
async function broken(
  cluster: Cluster | null,
  name: string,
  tell: FlinkWishes["tell"],
  signal: AbortSignal,
): Promise<never> {
  const onFound = (id: string) => tell(`Flink: job ${id}, ${name}, on ${cluster?.address}`);
  const failure = (await cluster?.watch(name, onFound, signal)) ?? null;
  if (failure !== null) throw failure;
  return new Promise(() => undefined);
}

const isPool = (workers: string): boolean => workers.includes(":");

function codePlaceOf(workers: string): CodePlace {
  if (workers === "here") return { kind: "here" };
  if (workers === "process") {
    const env = { BEAMLINE_DIRECTORY: process.cwd(), BEAMLINE_NODE: process.execPath };
    return { kind: "process", command: path.resolve(__dirname, "../worker/worker.sh"), env };
  }
  const port = Number(/^[\w.-]+:(\d{1,5})$/.exec(workers)?.[1]);
  if (port > 0 && port <= 65_535) return { kind: "pool", address: workers };
  throw new UsageError(`--workers is ${JSON.stringify(workers)}: it is here, process, or host:port of a pool`);
}

/** TaskManagers elsewhere need an address of this machine. */
async function checkReach(cluster: Cluster, workerHost: string | undefined): Promise<void> {
  if (workerHost !== undefined) return;
  const isHere = (host: string) => host === "localhost" || (isIP(host) === 4 && host.startsWith("127."));
  const elsewhere = (await cluster.taskManagers()).find((host) => !isHere(host));
  if (elsewhere !== undefined)
    throw new UsageError(
      `The pipeline's code runs in this process, which the cluster's TaskManager at ${elsewhere} has to reach: ` +
        "give --worker-host, an address of this machine that it can reach",
    );
}
