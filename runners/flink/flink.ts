// Flink as the engine of a bounded run: a job server is started for it, with a small cluster of its own or for one that is
// there. The pipeline's own code runs in this process, so every connector works as on the direct runner, and so does the
// commit.
import { randomBytes } from "node:crypto";
import { isIP } from "node:net";
import { submit, type Graph, type PortableJob } from "../../beam";
import { messageOf, RunError, UsageError } from "../../schema/errors";
import { direct, type Engine, type Ran } from "../engine";
import { Cluster } from "./cluster";
import { startJobServer, type JobServer } from "./job-server";

const HERE = "127.0.0.1";

export interface FlinkWishes {
  readonly job: string;
  readonly parallelism: number | undefined;
  /** host:port of a cluster that is there; else a small one is started for the run. */
  readonly master: string | undefined;
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

interface Begun {
  /** Null where the job server has a small one itself. */
  readonly cluster: Cluster | null;
  readonly server: JobServer;
  readonly job: PortableJob;
  readonly name: string;
  readonly tell: FlinkWishes["tell"];
}

async function begin(graph: Graph, wishes: FlinkWishes, signal: AbortSignal | undefined): Promise<Begun> {
  const { master, parallelism, tell } = wishes;
  const cluster = master === undefined ? null : await Cluster.at(master);
  if (cluster !== null) {
    await checkReach(cluster, wishes.workerHost);
    await cluster.untilFree(parallelism ?? 1, signal);
  }
  const server = await startJobServer({ cluster, tell, signal });
  try {
    // Among all that run on a cluster it has to be found again.
    const name = `${wishes.job}-${randomBytes(4).toString("hex")}`;
    const options = { parallelism, finishBundleBeforeCheckpointing: true };
    const workers = `${wishes.workerHost ?? HERE}:0`;
    const job = await submit(graph, { endpoint: server.endpoint, jobName: name, options, workers });
    return { cluster, server, job, name, tell };
  } catch (error) {
    await server.stop();
    throw error;
  }
}

async function finish({ cluster, server, job, name, tell }: Begun, signal: AbortSignal | undefined): Promise<Ran> {
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
