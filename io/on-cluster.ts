// How rows get to a place when a cluster's workers write them, in a few words: for the reference and for describe.
import { type SinkConnector } from "./connector";

export interface OnCluster {
  /** Of a run with an end, by --detach. */
  readonly detached: string;
  /** Of a job that goes on. */
  readonly streaming: string;
}

const REFUSED = "refused";

export function onCluster({ isShared = false, gathers, deliveryClass }: SinkConnector): OnCluster {
  if (!isShared) return { detached: REFUSED, streaming: REFUSED };
  if (gathers === undefined)
    return { detached: "keyed, each bundle by itself", streaming: "each change of a window, keyed" };
  const batch =
    deliveryClass === "keyed" ? "merged by key, a stretch of time at once" : "a file for each stretch of time";
  return { detached: REFUSED, streaming: `a window once, when it is final: ${batch}` };
}
