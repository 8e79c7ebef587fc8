// What runs the graph of a bounded run: this process alone, or a cluster.
import { runDirect, type Counters, type Graph, type RunContext } from "../beam";

export interface Engine {
  readonly name: "direct" | "flink";
  /** How duplicates are found there. */
  readonly duplicates: RunContext["duplicates"];
  /** Runs it to its end, or until the signal says so, and answers with what was counted. */
  run(graph: Graph, signal?: AbortSignal): Promise<Counters>;
}

export const direct: Engine = {
  name: "direct",
  duplicates: "in order",
  run: (graph) => runDirect(graph),
};
