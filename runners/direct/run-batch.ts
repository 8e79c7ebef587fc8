// A bounded run whose sinks are in this process: plan → run → commit. What it writes becomes visible at the end, all of it or nothing.
import { readFile, rm } from "node:fs/promises";
import path from "node:path";
import { watchCounts, type CoveredWindows, type RunContext } from "../../beam";
import { type Address, type Batch, type Output } from "../../io/connector";
import { sinkOf } from "../../io/registry";
import { type Pipeline } from "../../pipelines/definition";
import { messageOf, UsageError } from "../../schema/errors";
import { type Row } from "../../schema/table";
import { timeText } from "../../schema/time-text";
import { aggregatesOf } from "../../transforms/aggregates-of";
import { watchCuts } from "../../transforms/cut-windows";
import { type InputAddress } from "../addresses";
import { direct, type Engine } from "../engine";
import { planAll, type Choice, type Plan } from "../plan";
import { watchReading } from "../read-range";
import { checkCounts, Tasting, type NotWhole, type Report, type Sample } from "../report";
import { type RunOptions } from "../run-options";
import { checkAligned, isAll, stretchOf } from "../stretch";
import { batchContext } from "./batch-context";
import { buildGraph } from "./build-graph";
import { openFallback, type Fallback, type RowsOf } from "./fallback";
import { filePrefixOf, KeptPlan } from "./kept-plan";
import { OpenOutputs } from "./open-outputs";
import { type Point } from "./points";
import { RefusedRows } from "./refused-rows";
import { writeWhole } from "./whole-file";

export interface RunRequest {
  readonly pipeline: Pipeline;
  readonly params: unknown;
  readonly options: RunOptions;
  readonly inputs: Readonly<Record<string, InputAddress>>;
  readonly outputs: Readonly<Record<string, Address>>;
  /** What runs the graph; else this process does. */
  readonly engine?: Engine;
  /** Ends the run before its time; nothing of it is kept. */
  readonly signal?: AbortSignal;
  /** Called now and then with the counters so far. */
  readonly onProgress?: (counters: Readonly<Record<string, number>>) => void;
  /** Told, in a sentence, what people should know before the end. */
  readonly tell?: (sentence: string) => void;
  readonly onPoint?: (point: Point) => void | Promise<void>;
}

/** Windows without a row that are named; all are counted. */
const MOST_NAMED = 100;

const laterOf = (a: number | null, b: number | null): number | null =>
  a === null || b === null ? (a ?? b) : Math.max(a, b);

/** What a run that goes on elsewhere reads, planned now, and for what its graph is built. */
export async function planBatch(request: RunRequest): Promise<{ readonly plan: Plan; readonly context: RunContext }> {
  const choice = choiceOf(request);
  const plan = await planOf(request, choice);
  return { plan, context: contextOfPlan(request, choice, plan) };
}

export async function runBatch(request: RunRequest): Promise<Report & { readonly sample: Sample }> {
  const started = performance.now();
  const choice = choiceOf(request);
  const fallback = await openFallback(request.options, nameOf(request), request.onPoint);
  try {
    const delivered = fallback === null ? {} : await deliverFirst(request, fallback);
    const report = await runPlanned(request, choice, fallback, started);
    if (fallback === null) return report;
    const state = fallback.isWaiting ? "degraded" : report.state;
    return { ...report, state, delivered, waiting: fallback.waiting() };
  } finally {
    fallback?.close();
  }
}

/** What waited goes before what comes: a place never gets rows of a batch behind those of a later one. */
async function deliverFirst(request: RunRequest, fallback: Fallback): Promise<RowsOf> {
  if (!fallback.isWaiting) return {};
  const { delivered, failures } = await fallback.deliver({ addresses: request.outputs, mayMove: false, epoch: 0 });
  for (const [output, rows] of Object.entries(delivered))
    request.tell?.(`Delivered what waited: ${rows} rows of ${output}`);
  for (const failure of failures) request.tell?.(`Rows go on waiting: ${messageOf(failure)}`);
  return delivered;
}

async function runPlanned(
  request: RunRequest,
  choice: Choice,
  fallback: Fallback | null,
  started: number,
): Promise<Report & { readonly sample: Sample }> {
  const kept = await keptPlan(request, choice);
  try {
    const plan = kept?.left ?? (await planOf(request, choice));
    if (kept?.left === null) await kept.keep(plan);
    await request.onPoint?.("planned");
    return await runPlan(request, choice, plan, kept, fallback, started);
  } finally {
    kept?.close();
  }
}

const nameOf = ({ options, pipeline }: RunRequest): string => options.job ?? pipeline.name;

/** Where rows may lie that go by the plan's name, it is kept until they are committed. */
async function keptPlan(request: RunRequest, { stretch }: Choice): Promise<KeptPlan | null> {
  const { pipeline, params, options, inputs, outputs, tell = () => {} } = request;
  const goesByPlan = (address: Address): boolean => {
    const sink = sinkOf(address);
    return sink.namedByPlan?.(address) ?? sink.deliveryClass === "named file";
  };
  if (!Object.values(outputs).some(goesByPlan)) return null;
  const work = { job: nameOf(request), pipeline: pipeline.name, inputs, outputs, stretch };
  const terms = {
    "the pipeline's version": pipeline.version,
    ...(params as Record<string, unknown>),
    "--disorder": options.disorder,
    "--max-record-bytes": options["max-record-bytes"],
    "--partial-windows": options["partial-windows"],
    "--batch-time": options["batch-time"],
  };
  return KeptPlan.open(options["state-dir"], work, terms, { reset: options.reset, tell });
}

function planOf(request: RunRequest, choice: Choice): Promise<Plan> {
  const { pipeline, params, options, inputs } = request;
  const batchTime = options["batch-time"] === undefined ? Date.now() : Date.parse(options["batch-time"]);
  const work = { job: nameOf(request), pipeline: pipeline.name, version: pipeline.version, params };
  return planAll(work, inputs, batchTime, choice);
}

async function runPlan(
  request: RunRequest,
  choice: Choice,
  plan: Plan,
  kept: KeptPlan | null,
  fallback: Fallback | null,
  started: number,
): Promise<Report & { readonly sample: Sample }> {
  const { pipeline, params, engine = direct } = request;
  const job = nameOf(request);
  const context = contextOfPlan(request, choice, plan);
  const { covers } = context;
  const tasting = new Tasting();
  const outputs: Output[] = Object.entries(pipeline.outputs).map(([name, { table }]) => ({ name, table }));
  const refused = await readRefused(request);
  const batch: Batch = {
    job,
    pipeline: pipeline.name,
    id: plan.batch,
    plan: plan.id,
    ranges: [...Object.values(plan.ranges).flat(), ...refused.ranges],
    replays: refused.done,
    covers: { since: laterOf(choice.stretch.since, covers.wholeFrom), until: choice.stretch.until },
    turn: null,
  };
  const onRows = ({ name, table }: Output, rows: readonly Row[]) => tasting.taste(name, table, rows);
  const writing = { run: context, refused, onRows, fallback };
  const opened = await OpenOutputs.open(outputs, request.outputs, batch, writing).catch((error: unknown) => {
    if (kept?.left === null) kept.forget();
    throw error;
  });
  const stopWatching = watchProgress(request.onProgress);
  const stopListening = watchReading(plan.batch, { signal: request.signal });
  const named: string[] = [];
  const stopNaming = watchCuts(plan.batch, (name) => {
    if (named.length < MOST_NAMED) named.push(name);
  });
  try {
    const { graph, cleanedOnce } = buildGraph(pipeline, params, context, plan.ranges);
    const { counters, on } = await engine.run(graph, request.signal);
    request.signal?.throwIfAborted();
    const counts = checkCounts(counters, opened, cleanedOnce);
    await request.onPoint?.("run");
    await opened.commit(async () => request.onPoint?.("target committed"));
    await request.onPoint?.("committed");
    if (refused.hasChanged) await keepRefused(request, refused);
    kept?.forget();
    const seconds = (performance.now() - started) / 1000;
    return {
      pipeline: pipeline.name,
      runner: on,
      state: "done",
      ...counts,
      written: Object.fromEntries(opened.written),
      ...(opened.beside.length === 0 ? {} : { beside: opened.beside }),
      ...(isAll(choice.stretch) ? {} : { outside: counters["outside"] ?? 0 }),
      ...notWhole(aggregatesOf(context).length > 0, covers, counters["not whole"] ?? 0, named),
      seconds: Math.round(seconds * 1000) / 1000,
      recordsPerSecond: Math.round(counts.read / seconds),
      job,
      batch: plan.batch,
      ...(kept === null ? {} : { plan: plan.id }),
      sample: tasting.sample(),
    };
  } catch (error) {
    await opened.abort();
    // What may be there already must be written again by the same names.
    if (kept?.left === null && !opened.mayBeSeen) kept.forget();
    throw error;
  } finally {
    stopWatching();
    stopListening();
    stopNaming();
  }
}

/** Which rows the places have refused in earlier runs of the job. Where it is lost, letters of rows that are written now stay. */
const refusedFile = (request: RunRequest): string =>
  path.resolve(request.options["state-dir"], `${filePrefixOf(nameOf(request))}refused.json`);

async function readRefused(request: RunRequest): Promise<RefusedRows> {
  const file = refusedFile(request);
  const text = await readFile(file, "utf8").catch(() => "");
  try {
    return RefusedRows.of(text);
  } catch {
    throw new UsageError(`${file} is not what an earlier run has left there of the rows that were refused: remove it`);
  }
}

async function keepRefused(request: RunRequest, refused: RefusedRows): Promise<void> {
  const [file, text] = [refusedFile(request), refused.left()];
  try {
    await (text === "" ? rm(file, { force: true }) : writeWhole(file, text));
  } catch (error) {
    // All is committed, and the letters are where they belong.
    request.tell?.(`Which rows were refused could not be written to ${file}: ${messageOf(error)}`);
  }
}

const contextOf = (request: RunRequest, batch: string, batchTime: number): RunContext =>
  batchContext(request, {
    ...{ job: nameOf(request), batch, batchTime, goesOn: false },
    duplicates: (request.engine ?? direct).duplicates,
  });

function contextOfPlan(request: RunRequest, { stretch, partialWindows }: Choice, plan: Plan) {
  const covers = { ...stretch, wholeFrom: partialWindows === "write" ? null : plan.wholeFrom };
  return { ...contextOf(request, plan.batch, plan.batchTime), covers };
}

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
