// What runs the graph of a bounded run: this process alone, or a cluster.
import { runDirect, type Counters, type Graph, type RunContext } from "../beam";

export type EngineName = "direct" | "flink";

export interface Engine {
  /** How duplicates are found there. */
  readonly duplicates: RunContext["duplicates"];
  /** Runs it to its end, or until the signal says so. */
  run(graph: Graph, signal?: AbortSignal): Promise<Ran>;
}

export interface Ran {
  readonly counters: Counters;
  /** Where it ran in the end. */
  readonly on: EngineName;
}

export const direct: Engine = {
  duplicates: "in order",
  run: async (graph) => ({ counters: await runDirect(graph), on: "direct" }),
};
