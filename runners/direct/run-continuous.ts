// A job that goes on, on this machine: plan → run → commit, batch after batch. The plan is written down before anything
// is read, so a crash anywhere runs the same batch again; positions, accumulators and watermark are committed as one.
import { setTimeout as pause } from "node:timers/promises";
import { runDirect, type RunContext } from "../../beam";
import { type Address, type Output, type StartAt } from "../../io/connector";
import { sinkOf } from "../../io/registry";
import { type Pipeline } from "../../pipelines/definition";
import { messageOf, UnavailableError, UsageError } from "../../schema/errors";
import { aggregatesOf } from "../../transforms/aggregates-of";
import { withMemory } from "../../transforms/memory";
import { watchReading } from "../read-range";
import { checkCounts, Tasting, type Counts, type Report, type Sample } from "../report";
import { type RunOptions } from "../run-options";
import { buildGraph } from "./build-graph";
import { checkGraph } from "./check-graph";
import { JobMemory } from "./job-memory";
import { gaps, GapError, JobSources, nextOf, partId, rangesOf, type SeenPart } from "./job-sources";
import { JobState, type BatchCommit, type PlannedPart, type StoredPlan } from "./job-state";
import { OpenOutputs } from "./open-outputs";
import { watchProgress } from "./run-batch";

/** Where a batch can be interrupted, in their order. Tests end the process at each of them. */
export const POINTS = ["planned", "run", "target committed", "committed"] as const;
export type Point = (typeof POINTS)[number];

export interface JobRequest {
  readonly pipeline: Pipeline;
  readonly params: unknown;
  readonly options: RunOptions;
  readonly inputs: Readonly<Record<string, Address>>;
  readonly outputs: Readonly<Record<string, Address>>;
  /** Ends the job behind the batch that is under way. */
  readonly signal?: AbortSignal;
  readonly onProgress?: (counters: Readonly<Record<string, number>>) => void;
  readonly onEvent?: (event: JobEvent) => void;
  readonly onPoint?: (point: Point) => void | Promise<void>;
  /** How the end of a batch is made durable; a test gives a wrong way, to show that this one matters. */
  readonly commitInOrder?: (targets: () => Promise<void>, state: () => void) => Promise<void>;
  readonly openState?: (directory: string, job: string) => Promise<JobState>;
}

export type JobEvent =
  | { readonly kind: "started"; readonly batch: number; readonly epoch: number }
  | { readonly kind: "connected" }
  | { readonly kind: "looked"; readonly lag: readonly { input: string; source: string; records: number }[] }
  | { readonly kind: "planned"; readonly plan: StoredPlan }
  | {
      readonly kind: "committed";
      readonly plan: StoredPlan;
      readonly counts: Counts;
      readonly seconds: number;
      readonly watermark: number | null;
      readonly openWindows: number;
    }
  | { readonly kind: "retrying"; readonly error: Error; readonly attempt: number; readonly pause: number }
  | {
      readonly kind: "gap";
      readonly input: string;
      readonly source: string;
      readonly next: number;
      readonly lost: number;
    }
  | { readonly kind: "partial"; readonly windows: readonly string[] }
  | {
      readonly kind: "stopped";
      readonly reason: string;
      readonly batches: number;
      readonly read: number;
      readonly seconds: number;
    }
  | { readonly kind: "failed"; readonly error: unknown };

/** How long a batch that is under way may still take when the job is told to end; then it is left to the next start. */
const LAST_BATCH_PATIENCE = 6_000;
const LONGEST_PAUSE = 30_000;

export async function runContinuous(request: JobRequest): Promise<Report & { readonly sample: Sample }> {
  const { pipeline, options } = request;
  const jobName = options.job ?? pipeline.name;
  const directory = options["state-dir"];
  if (options.reset) await JobState.reset(directory, jobName);
  const state = await (request.openState ?? ((where, name) => JobState.open(where, name)))(directory, jobName);
  let sources: JobSources | undefined;
  try {
    checkEnded(state, jobName);
    checkShape(request, state, jobName);
    sources = await patiently(request, () => JobSources.open(request.inputs, jobName));
    return await new Job(request, jobName, state, sources).run();
  } finally {
    await sources?.close();
    state.close();
  }
}

function checkEnded(state: JobState, job: string): void {
  const ended = state.meta("ended");
  if (ended !== null)
    throw new UsageError(
      `The job ${job} was ended by --flush at ${ended}, and its windows are closed: begin anew with --reset, or another --job`,
    );
}

/** What of a pipeline must not change under the accumulators that are stored. */
function checkShape(request: JobRequest, state: JobState, job: string): void {
  const context = contextOf(request, job, "check", Date.now());
  const { graph, uncleaned } = buildGraph(request.pipeline, request.params, context, {});
  checkGraph(graph, context, uncleaned);
  const shape: Record<string, string> = {};
  for (const { name, plan } of aggregatesOf(context)) {
    // Lateness may change: it decides about rows to come, not about what is stored.
    const { lateness: _, ...lasting } = plan;
    for (const [what, value] of Object.entries(lasting)) shape[`${what} of “${name}”`] = JSON.stringify(value);
  }
  for (const [input, { scheme, path }] of Object.entries(request.inputs))
    shape[`source of ${input}`] = `${scheme}:${path}`;
  const known = state.meta("shape");
  // Before the first plan nothing is stored that could not fit.
  if (known !== null && (state.lastBatch() > 0 || state.pending() !== null)) {
    const before = JSON.parse(known) as Record<string, string>;
    const differences = [...new Set([...Object.keys(before), ...Object.keys(shape)])]
      .filter((what) => before[what] !== shape[what])
      .map((what) => `the ${what} was ${before[what] ?? "not there"} and is ${shape[what] ?? "not there"}`);
    if (differences.length > 0)
      throw new UsageError(
        `The job ${job} cannot go on, for ${differences.join("; ")}: run it under another --job, or begin anew with --reset`,
      );
  }
  state.setMeta("shape", JSON.stringify(shape));
  state.setMeta("pipeline", request.pipeline.name);
  // For whoever asks how far behind the job is.
  state.setMeta("inputs", JSON.stringify(request.inputs));
}

function contextOf({ pipeline, options }: JobRequest, job: string, batch: string, batchTime: number): RunContext {
  return {
    pipeline: pipeline.name,
    version: pipeline.version,
    job,
    batch,
    attempt: 1,
    batchTime,
    deadLetterLimit: {
      share: options["dead-letter-share"],
      consecutive: options["dead-letter-run"],
      sample: options["dead-letter-sample"],
    },
    maxRecordBytes: options["max-record-bytes"],
    duplicates: "in order",
    goesOn: true,
  };
}

/** Tries again, with growing pauses, what fails because something outside does not answer. */
async function patiently<T>(request: JobRequest, action: () => Promise<T>): Promise<T> {
  const started = performance.now();
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await action();
    } catch (error) {
      const isOver = performance.now() - started > request.options["give-up-after"];
      if (!(error instanceof UnavailableError) || isOver || request.signal?.aborted === true) throw error;
      const ms = Math.min(LONGEST_PAUSE, 250 * 2 ** (attempt - 1)) * (0.5 + Math.random() / 2);
      request.onEvent?.({ kind: "retrying", error, attempt, pause: ms });
      await pause(ms, undefined, { signal: request.signal }).catch(() => undefined);
    }
  }
}

class Job {
  private readonly memory: JobMemory;
  private readonly tasting = new Tasting();
  private readonly totals: Record<string, number> = {};
  private readonly written: Record<string, number> = {};
  private batches = 0;
  private lastPlanned = 0;
  private readonly wants: Record<string, "update" | "final">;
  private readonly outputs: Output[];
  /** Aborted when a batch that is under way takes too long after the job was told to end. */
  private readonly atOnce = new AbortController();

  constructor(
    private readonly request: JobRequest,
    private readonly name: string,
    private readonly state: JobState,
    private readonly sources: JobSources,
  ) {
    const { pipeline, options } = request;
    this.outputs = Object.entries(pipeline.outputs).map(([output, { table }]) => ({ name: output, table }));
    this.wants = Object.fromEntries(
      Object.entries(request.outputs).map(([output, address]) => [output, sinkOf(address).wants]),
    );
    this.memory = new JobMemory(state, {
      disorder: options.disorder,
      retain: options.retain,
      // Dead letters are no rows of an aggregate.
      wantsFinal: this.outputs.some(
        ({ name: output, table }) => table.mode === "upsert" && this.wants[output] === "final",
      ),
      partialWindows: options["partial-windows"],
    });
  }

  async run(): Promise<Report & { readonly sample: Sample }> {
    const { request } = this;
    const started = performance.now();
    const stopWatching = watchProgress(request.onProgress);
    const endAtOnce = () => setTimeout(() => this.atOnce.abort(request.signal?.reason), LAST_BATCH_PATIENCE).unref();
    request.signal?.addEventListener("abort", endAtOnce, { once: true });
    try {
      request.onEvent?.({ kind: "started", batch: this.state.lastBatch() + 1, epoch: this.state.epoch });
      await this.goOn();
    } catch (error) {
      this.state.setMeta("last error", `${new Date().toISOString()} ${messageOf(error)}`);
      request.onEvent?.({ kind: "failed", error });
      throw error;
    } finally {
      request.signal?.removeEventListener("abort", endAtOnce);
      stopWatching();
    }
    const report = this.report((performance.now() - started) / 1000);
    const { batches = 0, read, seconds, state: reason } = report;
    request.onEvent?.({ kind: "stopped", reason, batches, read, seconds });
    return report;
  }

  private async goOn(): Promise<void> {
    const { request, state } = this;
    const { once, flush } = request.options;
    await this.checkStart();
    const pending = state.pending();
    if (pending !== null) await this.runPlan(await this.amended(pending));
    // The end of a job with --once: what was there at its start.
    const ends = once || flush ? new Map((await this.look()).map((part) => [partId(part), part.end])) : null;
    while (request.signal?.aborted !== true) {
      const parts = await this.look();
      const next = await this.nextPositions(parts);
      const limited =
        ends === null
          ? parts
          : parts.map((part) => ({ ...part, end: Math.min(part.end, ends.get(partId(part)) ?? part.first) }));
      const backlog = limited.reduce(
        (sum, part) => sum + Math.max(0, part.end - (next.get(partId(part)) ?? part.first)),
        0,
      );
      const lag = parts.map((part) => ({
        input: part.input,
        source: part.source,
        records: Math.max(0, part.end - (next.get(partId(part)) ?? part.first)),
      }));
      request.onEvent?.({ kind: "looked", lag });
      if (ends !== null && backlog === 0) break;
      if (await this.isTooEarly(backlog)) continue;
      const planned = await this.sources.cut(limited, next, request.options["max-batch"], request.options.idle);
      if (backlog === 0 && !this.wouldClose(planned)) continue;
      await this.runPlan(await this.plan("read", planned));
    }
    if (flush && request.signal?.aborted !== true) await this.runPlan(await this.plan("flush", []));
  }

  private look(): Promise<SeenPart[]> {
    return patiently(this.request, () => this.sources.look());
  }

  /** At the start: is the state there, and are the sources the same as before? */
  private async checkStart(): Promise<void> {
    const { state, sources, request } = this;
    if (state.lastBatch() === 0 && state.pending() === null && !request.options.reset) {
      const input = await patiently(request, () => sources.whoKnowsJob());
      if (input !== null)
        throw new UsageError(
          `The job ${this.name} has read ${input} before, but its state is missing from ${state.file}: bring it back, or begin anew with --reset or another --job`,
        );
    }
    const parts = await this.look();
    await patiently(request, () => sources.verify(parts, state.positions()));
    request.onEvent?.({ kind: "connected" });
  }

  /** Where each part goes on; for a part that is new, where it begins. Ends the job at a gap, or does without what is gone. */
  private async nextPositions(parts: readonly SeenPart[]): Promise<Map<string, number>> {
    const { state, request } = this;
    const next = nextOf(state.positions());
    const isFirstPlan = state.lastBatch() === 0;
    for (const part of parts) {
      if (next.has(partId(part))) continue;
      const position = isFirstPlan
        ? await patiently(request, () => this.sources.start(part, startOf(request.options)))
        : part.first;
      next.set(partId(part), position);
      // What came before it belongs to windows that are then not whole.
      if (isFirstPlan && position > 0 && part.end > position) await this.noteCut(part, position);
    }
    for (const { part, lost } of gaps(parts, next)) {
      if (request.options["on-gap"] === "fail") throw gapError(part, lost);
      next.set(partId(part), part.first);
      this.lost += lost;
      request.onEvent?.({ kind: "gap", input: part.input, source: part.source, next: part.first - lost, lost });
      await this.noteCut(part, part.first);
    }
    return next;
  }

  private lost = 0;
  private wholeFrom: number | null = null;

  private async noteCut(part: SeenPart, position: number): Promise<void> {
    const { since, disorder } = this.request.options;
    const time = since === undefined ? await this.sources.timeAt(part, position) : Date.parse(since);
    if (time === null) return;
    this.wholeFrom = Math.max(this.wholeFrom ?? Number.NEGATIVE_INFINITY, since === undefined ? time + disorder : time);
  }

  /** A plan that a crash left, without the records that are gone by now, if the job is told to do without. */
  private async amended(plan: StoredPlan): Promise<StoredPlan> {
    if (plan.parts.length === 0) return plan;
    const parts = await this.look();
    const found = gaps(parts, nextOf(plan.parts.map(({ input, source, from }) => ({ input, source, next: from }))));
    if (found.length === 0) return plan;
    const amended = [...plan.parts];
    for (const { part, lost } of found) {
      if (this.request.options["on-gap"] === "fail") throw gapError(part, lost);
      this.lost += lost;
      this.request.onEvent?.({ kind: "gap", input: part.input, source: part.source, next: part.first - lost, lost });
      await this.noteCut(part, part.first);
      const at = amended.findIndex((planned) => partId(planned) === partId(part));
      const old = amended[at] as PlannedPart;
      const to = Math.max(old.to, part.first);
      const range = old.range === null || part.first >= old.to ? null : { ...old.range, from: part.first };
      amended[at] = { ...old, from: part.first, to, range };
    }
    const whole = Math.max(plan.wholeFrom ?? Number.NEGATIVE_INFINITY, this.wholeFrom ?? Number.NEGATIVE_INFINITY);
    const durable = {
      ...plan,
      parts: amended,
      lost: plan.lost + this.lost,
      wholeFrom: Number.isFinite(whole) ? whole : null,
    };
    this.lost = 0;
    this.state.amend(durable);
    return durable;
  }

  /** Waits for more, unless there is enough or the wait was long enough. Answers whether to look again. */
  private async isTooEarly(backlog: number): Promise<boolean> {
    const { options, signal } = this.request;
    if (backlog >= options["max-batch"] || (backlog > 0 && (options.once || options.flush))) return false;
    const left = this.lastPlanned + options["batch-interval"] - performance.now();
    if (left <= 0) {
      if (backlog > 0) return false;
      this.lastPlanned = performance.now();
      return false;
    }
    // Looked at now and then, so that a burst does not have to wait.
    await pause(Math.min(left, 100), undefined, { signal }).catch(() => undefined);
    return true;
  }

  /** Whether a batch without records would close a window, because its sources are idle. */
  private wouldClose(planned: readonly PlannedPart[]): boolean {
    if (planned.length === 0 || !planned.every(({ idle }) => idle)) return false;
    const reached = Date.now() - this.request.options.disorder;
    const context = contextOf(this.request, this.name, "check", 0);
    buildGraph(this.request.pipeline, this.request.params, context, {});
    return aggregatesOf(context).some(({ name, plan }) => {
      const first = this.state.firstOpenEnd(name);
      return first !== null && first + plan.lateness <= reached;
    });
  }

  private async plan(kind: StoredPlan["kind"], parts: readonly PlannedPart[]): Promise<StoredPlan> {
    const { state } = this;
    const { options } = this.request;
    const stored = state.meta("whole from");
    const whole = Math.max(
      stored === null ? Number.NEGATIVE_INFINITY : Number(stored),
      this.wholeFrom ?? Number.NEGATIVE_INFINITY,
    );
    const plan: StoredPlan = {
      batch: state.lastBatch() + 1,
      batchTime: options["batch-time"] === undefined ? Date.now() : Date.parse(options["batch-time"]),
      parts,
      kind,
      wholeFrom: Number.isFinite(whole) ? whole : null,
      lost: this.lost,
    };
    this.lost = 0;
    this.lastPlanned = performance.now();
    state.begin(plan);
    this.request.onEvent?.({ kind: "planned", plan });
    return plan;
  }

  private async runPlan(plan: StoredPlan): Promise<void> {
    await this.request.onPoint?.("planned");
    await patiently(this.request, () => this.tryPlan(plan));
    await this.sources.committed(plan.parts);
  }

  private async tryPlan(plan: StoredPlan): Promise<void> {
    const { request, state, memory } = this;
    const started = performance.now();
    const id = `${state.incarnation}-${String(plan.batch).padStart(9, "0")}`;
    const ranges = rangesOf(plan.parts);
    const batch = {
      job: this.name,
      pipeline: request.pipeline.name,
      id,
      ranges: Object.values(ranges).flat(),
      turn: { number: plan.batch, epoch: state.epoch },
    };
    const context = contextOf(request, this.name, id, plan.batchTime);
    const { graph, cleanedOnce } = buildGraph(request.pipeline, request.params, context, ranges, this.wants);
    const opened = await OpenOutputs.open(this.outputs, request.outputs, batch, ({ name, table }, rows) =>
      this.tasting.taste(name, table, rows),
    );
    const stopWatching = watchReading(id, {
      signal: this.atOnce.signal,
      onRecords: (source, records) => memory.sawRecords(source, records),
    });
    try {
      memory.startBatch(plan);
      const counters = await withMemory(memory, () => runDirect(graph));
      this.atOnce.signal.throwIfAborted();
      const counts = checkCounts(counters, opened.written, cleanedOnce);
      await request.onPoint?.("run");
      const seconds = (performance.now() - started) / 1000;
      const { written: _, ...sums } = counts;
      const commit: BatchCommit = {
        plan,
        positions: memory.positions(),
        watermark: memory.watermark(),
        aggregates: memory.stored(),
        counts: { ...sums, lost: plan.lost },
        seconds,
      };
      const toTargets = () => opened.commit(async () => request.onPoint?.("target committed"));
      await (request.commitInOrder ?? inOrder)(toTargets, () => state.commit(commit));
      memory.settle();
      this.note(plan, counts, seconds);
    } catch (error) {
      memory.forget();
      await opened.abort();
      throw error;
    } finally {
      stopWatching();
    }
    await request.onPoint?.("committed");
  }

  private note(plan: StoredPlan, counts: Counts, seconds: number): void {
    this.batches += 1;
    const { written, ...sums } = counts;
    for (const [name, by] of Object.entries({ ...sums, lost: plan.lost }))
      this.totals[name] = (this.totals[name] ?? 0) + by;
    for (const [output, rows] of Object.entries(written)) this.written[output] = (this.written[output] ?? 0) + rows;
    const openWindows = this.state.openWindows();
    const watermark = this.state.watermark();
    this.request.onEvent?.({ kind: "committed", plan, counts, seconds, watermark, openWindows });
    if (this.memory.partialWindows.length > 0)
      this.request.onEvent?.({ kind: "partial", windows: this.memory.partialWindows });
  }

  private report(seconds: number): Report & { readonly sample: Sample } {
    const of = (name: string) => this.totals[name] ?? 0;
    return {
      pipeline: this.request.pipeline.name,
      runner: "direct",
      state: this.request.signal?.aborted === true ? "interrupted" : "done",
      read: of("read"),
      ok: of("ok"),
      dead: of("dead"),
      dropped: of("dropped"),
      duplicate: of("duplicate"),
      late: of("late"),
      written: Object.fromEntries(this.outputs.map(({ name }) => [name, this.written[name] ?? 0])),
      rejected: of("rejected"),
      seconds: Math.round(seconds * 1000) / 1000,
      recordsPerSecond: Math.round(of("read") / seconds),
      job: this.name,
      batches: this.batches,
      lost: of("lost"),
      openWindows: this.state.openWindows(),
      sample: this.tasting.sample(),
    };
  }
}

/** First what the targets got, then how far the job is: a crash between the two runs the batch again. */
async function inOrder(targets: () => Promise<void>, state: () => void): Promise<void> {
  await targets();
  state();
}

function startOf({ "start-at": startAt, since }: RunOptions): StartAt {
  return since === undefined ? startAt : { since: Date.parse(since) };
}

const gapError = ({ source, first }: SeenPart, lost: number) =>
  new GapError(
    `${lost} records of ${source} are gone before they were read: it begins at ${first} now. Go on without them with --on-gap=continue, or begin anew with --reset`,
  );
