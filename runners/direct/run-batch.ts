// A bounded run on this machine: plan → run → commit. What it writes becomes visible at the end, all of it or nothing.
import { runDirect, watchCounts, type CoveredWindows, type RunContext } from "../../beam";
import { type Address, type Output } from "../../io/connector";
import { type Pipeline } from "../../pipelines/definition";
import { timeText } from "../../schema/time-text";
import { aggregatesOf } from "../../transforms/aggregates-of";
import { watchCuts } from "../../transforms/cut-windows";
import { type InputAddress } from "../addresses";
import { planAll, type Choice } from "../plan";
import { watchReading } from "../read-range";
import { checkCounts, Tasting, type NotWhole, type Report, type Sample } from "../report";
import { type RunOptions } from "../run-options";
import { checkAligned, isAll, stretchOf } from "../stretch";
import { batchContext } from "./batch-context";
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

/** Windows without a row that are named; all are counted. */
const MOST_NAMED = 100;

const laterOf = (a: number | null, b: number | null): number | null =>
  a === null || b === null ? (a ?? b) : Math.max(a, b);

export async function runBatch(request: RunRequest): Promise<Report & { readonly sample: Sample }> {
  const { pipeline, params, options } = request;
  const started = performance.now();
  const job = options.job ?? pipeline.name;
  const batchTime = options["batch-time"] === undefined ? Date.now() : Date.parse(options["batch-time"]);
  const work = { job, pipeline: pipeline.name, version: pipeline.version, params };
  const choice = choiceOf(request);
  const plan = await planAll(work, request.inputs, batchTime, choice);
  const covers = { ...choice.stretch, wholeFrom: choice.partialWindows === "write" ? null : plan.wholeFrom };

  const tasting = new Tasting();
  const outputs: Output[] = Object.entries(pipeline.outputs).map(([name, { table }]) => ({ name, table }));
  const ranges = Object.values(plan.ranges).flat();
  const batch = {
    job,
    pipeline: pipeline.name,
    id: plan.batch,
    ranges,
    replays: [],
    covers: { since: laterOf(choice.stretch.since, covers.wholeFrom), until: choice.stretch.until },
    turn: null,
  };
  const opened = await OpenOutputs.open(outputs, request.outputs, batch, ({ name, table }, rows) =>
    tasting.taste(name, table, rows),
  );
  const stopWatching = watchProgress(request.onProgress);
  const stopListening = watchReading(plan.batch, { signal: request.signal });
  const named: string[] = [];
  const stopNaming = watchCuts(plan.batch, (name) => {
    if (named.length < MOST_NAMED) named.push(name);
  });
  try {
    const context = { ...contextOf(request, plan.batch, batchTime), covers };
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
      ...(isAll(choice.stretch) ? {} : { outside: counters["outside"] ?? 0 }),
      ...notWhole(aggregatesOf(context).length > 0, covers, counters["not whole"] ?? 0, named),
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
    stopNaming();
  }
}

const contextOf = (request: RunRequest, batch: string, batchTime: number): RunContext =>
  batchContext(request, { job: request.options.job ?? request.pipeline.name, batch, batchTime, goesOn: false });

/** What --since and --until choose of the sources, which depends on what the pipeline does with their records. */
function choiceOf(request: RunRequest): Choice {
  const { disorder, "partial-windows": partialWindows } = request.options;
  const stretch = stretchOf(request.options);
  if (isAll(stretch)) return { stretch, of: "windows", disorder, partialWindows };
  const context = contextOf(request, "check", 0);
  buildGraph(request.pipeline, request.params, context, {});
  const aggregates = aggregatesOf(context);
  checkAligned(stretch, aggregates);
  return { stretch, of: aggregates.length > 0 ? "windows" : "records", disorder, partialWindows };
}

/** Told where rows are missing, or could be: of a stretch whose beginning is gone, nobody knows what is. */
function notWhole(
  hasWindows: boolean,
  { since, wholeFrom }: CoveredWindows,
  windows: number,
  named: readonly string[],
): { notWhole?: NotWhole } {
  if (!hasWindows || wholeFrom === null || (windows === 0 && (since === null || since >= wholeFrom))) return {};
  return { notWhole: { before: timeText(wholeFrom), windows, named } };
}

export function watchProgress(onProgress: RunRequest["onProgress"]): () => void {
  if (onProgress === undefined) return () => {};
  const counters: Record<string, number> = {};
  return watchCounts((name, by) => {
    counters[name] = (counters[name] ?? 0) + by;
    onProgress(counters);
  });
}
