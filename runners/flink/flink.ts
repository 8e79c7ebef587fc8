// Flink as the engine of a bounded run: a job server is started for it, with a small cluster of its own. The pipeline's
// own code runs in this process, so every connector works as on the direct runner, and so does the commit.
import { submit, type Counters, type Graph } from "../../beam";
import { type Engine } from "../engine";
import { startJobServer } from "./job-server";

/** The small cluster that the job server has itself. */
const OWN_CLUSTER = "[local]";

export interface FlinkWishes {
  readonly job: string;
  readonly parallelism: number | undefined;
  readonly tell: (sentence: string) => void;
}

export function flink({ job, parallelism, tell }: FlinkWishes): Engine {
  return {
    name: "flink",
    duplicates: "grouped",
    async run(graph: Graph, signal?: AbortSignal): Promise<Counters> {
      const server = await startJobServer({ master: OWN_CLUSTER, tell, signal });
      try {
        const { endpoint } = server;
        const options = { parallelism, finishBundleBeforeCheckpointing: true };
        const submitted = await submit(graph, { endpoint, jobName: job, workers: { kind: "loopback" }, options });
        const cancel = () => void submitted.cancel().catch(() => undefined);
        signal?.addEventListener("abort", cancel, { once: true });
        try {
          return await submitted.ended;
        } finally {
          signal?.removeEventListener("abort", cancel);
          submitted.close();
        }
      } finally {
        await server.stop();
      }
    },
  };
}
