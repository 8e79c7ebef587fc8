// A bounded run on this machine: plan → run → commit. What it writes becomes visible at the end, all of it or nothing.
import { runDirect, watchCounts, type RunContext } from "../../beam";
import { type Address, type Output } from "../../io/connector";
import { type Pipeline } from "../../pipelines/definition";
import { type InputAddress } from "../addresses";
import { planAll } from "../plan";
import { watchReading } from "../read-range";
import { checkCounts, Tasting, type Report, type Sample } from "../report";
import { type RunOptions } from "../run-options";
import { buildGraph } from "./build-graph";
import { OpenOutputs } from "./open-outputs";

export interface RunRequest {
  readonly pipeline: Pipeline;
  readonly params: unknown;
  readonly options: RunOptions;
  readonly inputs: Readonly<Record<string, InputAddress>>;
  readonly outputs: Readonly<Record<string, Address>>;
  /** Ends the run before its time; nothing of it is kept. */
  readonly signal?: AbortSignal;
  /** Called now and then with the counters so far. */
  readonly onProgress?: (counters: Readonly<Record<string, number>>) => void;
}

export async function runBatch(request: RunRequest): Promise<Report & { readonly sample: Sample }> {
  const { pipeline, params, options } = request;
  const started = performance.now();
  const job = options.job ?? pipeline.name;
  const batchTime = options["batch-time"] === undefined ? Date.now() : Date.parse(options["batch-time"]);
  const work = { job, pipeline: pipeline.name, version: pipeline.version, params };
  const plan = await planAll(work, request.inputs, batchTime);

  const tasting = new Tasting();
  const outputs: Output[] = Object.entries(pipeline.outputs).map(([name, { table }]) => ({ name, table }));
  const ranges = Object.values(plan.ranges).flat();
  const batch = { job, pipeline: pipeline.name, id: plan.batch, ranges, replays: [], turn: null };
  const opened = await OpenOutputs.open(outputs, request.outputs, batch, ({ name, table }, rows) =>
    tasting.taste(name, table, rows),
  );
  const stopWatching = watchProgress(request.onProgress);
  const stopListening = watchReading(plan.batch, { signal: request.signal });
  try {
    const context: RunContext = {
      pipeline: pipeline.name,
      version: pipeline.version,
      job,
      batch: plan.batch,
      attempt: 1,
      batchTime,
      deadLetterLimit: {
        share: options["dead-letter-share"],
        consecutive: options["dead-letter-run"],
        sample: options["dead-letter-sample"],
      },
      maxRecordBytes: options["max-record-bytes"],
      duplicates: "in order",
      goesOn: false,
    };
    const { graph, cleanedOnce } = buildGraph(pipeline, params, context, plan.ranges);
    const counters = await runDirect(graph);
    request.signal?.throwIfAborted();
    const counts = checkCounts(counters, opened.written, cleanedOnce);
    await opened.commit();
    const seconds = (performance.now() - started) / 1000;
    return {
      pipeline: pipeline.name,
      runner: "direct",
      state: "done",
      ...counts,
      seconds: Math.round(seconds * 1000) / 1000,
      recordsPerSecond: Math.round(counts.read / seconds),
      job,
      batch: plan.batch,
      sample: tasting.sample(),
    };
  } catch (error) {
    await opened.abort();
    throw error;
  } finally {
    stopWatching();
    stopListening();
  }
}

export function watchProgress(onProgress: RunRequest["onProgress"]): () => void {
  if (onProgress === undefined) return () => {};
  const counters: Record<string, number> = {};
  return watchCounts((name, by) => {
    counters[name] = (counters[name] ?? 0) + by;
    onProgress(counters);
  });
}
