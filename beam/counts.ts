// Counters of a run. They are Beam metrics, so a cluster's come back too; in this process they can be watched as they grow.
import { type sdk } from "./sdk";

/** Of a metric that is a sum. */
export const SUM = "beam:metric:user:sum_int64:v1";

export type Count = (name: string, by: number) => void;

type Watcher = (name: string, by: number) => void;
const watchers = new Set<Watcher>();

/** Calls `onCount` for every increment of every run in this process until the returned function is called. */
export function watchCounts(onCount: Watcher): () => void {
  // A wrapper of its own, so that one function may watch twice.
  const watcher: Watcher = (name, by) => onCount(name, by);
  watchers.add(watcher);
  return () => void watchers.delete(watcher);
}

/** The counters of one transform. */
export function countsOf(transformId: string, context: sdk.OperatorContext): Count {
  return (name, by) => {
    context.metricsContainer.getMetric(transformId, undefined, { metricType: SUM, name }).update(by);
    for (const watcher of watchers) watcher(name, by);
  };
}
