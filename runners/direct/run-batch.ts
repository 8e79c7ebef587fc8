// A bounded run on this machine: plan → run → commit. What it writes becomes visible at the end, all of it or nothing.
import { newGraph, runDirect, watchCounts, type Graph, type PCollection, type RunContext } from "../../beam";
import { type Address, type Output } from "../../io/connector";
import { type Pipeline } from "../../pipelines/definition";
import { type SourceRecord } from "../../schema/record";
import { type InputAddress } from "../addresses";
import { timesCleaned } from "../../transforms";
import { planAll, type Plan } from "../plan";
import { readRanges, stopReadingOn } from "../read-range";
import { checkCounts, Tasting, type Report, type Sample } from "../report";
import { type RunOptions } from "../run-options";
import { OpenOutputs, writeOutput } from "./open-outputs";

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
  const batch = { job, pipeline: pipeline.name, id: plan.batch, ranges: Object.values(plan.ranges).flat(), turn: null };
  const opened = await OpenOutputs.open(outputs, request.outputs, batch, ({ name, table }, rows) =>
    tasting.taste(name, table, rows),
  );
  const stopWatching = watchProgress(request.onProgress);
  const stopListening = request.signal === undefined ? () => {} : stopReadingOn(plan.batch, request.signal);
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
    const { graph, cleanedOnce } = build(pipeline, params, context, plan.ranges);
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

function build(
  pipeline: Pipeline,
  params: unknown,
  context: RunContext,
  ranges: Plan["ranges"],
): { graph: Graph; cleanedOnce: boolean } {
  const graph = newGraph(context);
  const inputs: Record<string, PCollection<SourceRecord>> = {};
  for (const name of Object.keys(pipeline.inputs)) inputs[name] = readRanges(graph.root, name, ranges[name] ?? []);
  const outputs = Object.keys(pipeline.outputs).map((name) => [name, writeOutput(name, context.batch)] as const);
  pipeline.build(inputs, Object.fromEntries(outputs), params);
  return { graph, cleanedOnce: Object.values(inputs).every((input) => timesCleaned(input) === 1) };
}

function watchProgress(onProgress: RunRequest["onProgress"]): () => void {
  if (onProgress === undefined) return () => {};
  const counters: Record<string, number> = {};
  return watchCounts((name, by) => {
    counters[name] = (counters[name] ?? 0) + by;
    onProgress(counters);
  });
}
