// Flink as the engine of a bounded run: a job server is started for it, with a small cluster of its own. The pipeline's
// own code runs in this process, so every connector works as on the direct runner, and so does the commit.
import { submit, type Graph, type PortableJob } from "../../beam";
import { messageOf, RunError } from "../../schema/errors";
import { direct, type Engine, type Ran } from "../engine";
import { startJobServer, type JobServer } from "./job-server";

/** The small cluster that the job server has itself. */
const OWN_CLUSTER = "[local]";

export interface FlinkWishes {
  readonly job: string;
  readonly parallelism: number | undefined;
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
      const { server, job } = begun;
      const cancel = () => void job.cancel().catch(() => undefined);
      signal?.addEventListener("abort", cancel, { once: true });
      try {
        return { counters: await job.ended, on: "flink" };
      } catch (error) {
        // The connection is gone: mostly because the other end is.
        if ((error as Error).name !== "RpcError" || !(await server.isGone())) throw error;
        throw new RunError(`Flink's job server ended in the midst of the run:\n${await server.log()}`);
      } finally {
        signal?.removeEventListener("abort", cancel);
        job.close();
        await server.stop();
      }
    },
  };
}

async function begin(
  graph: Graph,
  { job: jobName, parallelism, tell }: FlinkWishes,
  signal: AbortSignal | undefined,
): Promise<{ readonly server: JobServer; readonly job: PortableJob }> {
  const server = await startJobServer({ master: OWN_CLUSTER, tell, signal });
  try {
    const options = { parallelism, finishBundleBeforeCheckpointing: true };
    return { server, job: await submit(graph, { endpoint: server.endpoint, jobName, options }) };
  } catch (error) {
    await server.stop();
    throw error;
  }
}
