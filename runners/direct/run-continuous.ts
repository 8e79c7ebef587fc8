// A job that goes on, on this machine: plan → run → commit, batch after batch. The plan is written down before anything
// is read, so a crash anywhere runs the same batch again; positions, accumulators and watermark are committed as one.
import { setTimeout as pause } from "node:timers/promises";
import { runDirect, type RunContext } from "../../beam";
import { type Address, type Output, type StartAt } from "../../io/connector";
import { sinkOf } from "../../io/registry";
import { type Pipeline } from "../../pipelines/definition";
import { type Row } from "../../schema/table";
import { messageOf, UnavailableError, UsageError } from "../../schema/errors";
import { aggregatesOf, type NamedAggregate } from "../../transforms/aggregates-of";
import { withMemory } from "../../transforms/memory";
import { watchReading } from "../read-range";
import { checkCounts, Tasting, type Counts, type Report, type Sample } from "../report";
import { type RunOptions } from "../run-options";
import { batchContext } from "./batch-context";
import { buildGraph } from "./build-graph";
import { checkGraph } from "./check-graph";
import { openFallback, type Fallback, type RowsOf } from "./fallback";
import { type FlowEvent } from "./flowing-input";
import { JobMemory } from "./job-memory";
import {
  gaps,
  GapError,
  JobSources,
  nextOf,
  partId,
  rangesOf,
  type Gap,
  type InboxSettings,
  type Missing,
  type SeenPart,
} from "./job-sources";
import {
  BEGUN,
  JobState,
  type BatchCommit,
  type Cut,
  type PlannedPart,
  type Position,
  type StoredPlan,
} from "./job-state";
import { letterRanges, LETTERS, originsOf, putLettersAside, readLetters, type LetterChoice } from "./letters";
import { OpenOutputs, writeOutput } from "./open-outputs";
import { type Point } from "./points";
import { completeBefore, withReached, type Reached } from "./reached";
import { RefusedRows } from "./refused-rows";
import { watchProgress } from "./run-batch";

export { POINTS, type Point } from "./points";

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
  | { readonly kind: "connected"; readonly what: "sources" | "sinks" }
  | {
      readonly kind: "looked";
      readonly lag: readonly { input: string; source: string; records: number }[];
      /** How many of these records lie in inboxes; null where the job has none. */
      readonly inbox: number | null;
    }
  | { readonly kind: "planned"; readonly plan: StoredPlan }
  | {
      readonly kind: "committed";
      readonly plan: StoredPlan;
      readonly counts: Counts;
      readonly seconds: number;
      readonly watermark: number | null;
      readonly openWindows: number;
      readonly lettersWaiting: number;
      /** Null without --fallback. */
      readonly rowsWaiting: number | null;
      readonly stateBytes: number;
    }
  /** Rows of the batch wait, and so do those of batches to come, until the place answers. */
  | { readonly kind: "rows wait"; readonly batch: number; readonly rows: number; readonly error: string }
  | { readonly kind: "rows delivered"; readonly rows: number; readonly waiting: number }
  | { readonly kind: "announced"; readonly said: string; readonly rows: number }
  | {
      readonly kind: "retrying";
      readonly what: Waiting;
      readonly error: Error;
      readonly attempt: number;
      readonly pause: number;
    }
  /** What was waited for is there again. */
  | { readonly kind: "back"; readonly what: Waiting }
  | { readonly kind: "new part"; readonly input: string; readonly source: string; readonly from: number }
  | {
      readonly kind: "gap";
      readonly input: string;
      readonly source: string;
      readonly next: number;
      readonly lost: number;
    }
  | { readonly kind: "partial"; readonly windows: readonly string[] }
  | { readonly kind: "replayed"; readonly replayed: Replayed; readonly seconds: number }
  | {
      readonly kind: "stopped";
      readonly reason: string;
      readonly batches: number;
      readonly read: number;
      readonly seconds: number;
    }
  | { readonly kind: "failed"; readonly error: unknown }
  | FlowEvent;

/** What a job waits for when something outside does not answer. */
export type Waiting = "source" | "sink" | "batch";

/** What came of dead letters that were tried again. */
export interface Replayed {
  readonly letters: number;
  readonly ok: number;
  readonly dropped: number;
  /** Refused again: their letters count one attempt more. */
  readonly dead: number;
  /** Not tried, since their window is no longer kept. */
  readonly closed: number;
  /** Not tried, since the job does not read where they come from. */
  readonly foreign: number;
  /** Not tried, since they are rows that an output has refused. */
  readonly rows: number;
}

/** What a process that runs a job answers one that asks it to try letters again. */
export type ReplayAnswer = { readonly replayed: Replayed } | { readonly error: string };

/** Letters that one batch tries again. */
const LETTERS_OF_A_BATCH = 2_000;

/** How long a batch that is under way may still take when the job is told to end; then it is left to the next start. */
const LAST_BATCH_PATIENCE = 6_000;
const LONGEST_PAUSE = 30_000;
const FIRST_DELIVERY_PAUSE = 1_000;

export async function runContinuous(request: JobRequest): Promise<Report & { readonly sample: Sample }> {
  const job = nameOf(request);
  try {
    if (request.options.reset) await JobState.reset(request.options["state-dir"], job);
    return await withJob(request, (open) => open.run());
  } catch (error) {
    if (request.signal?.aborted !== true) request.onEvent?.({ kind: "failed", error });
    throw error;
  }
}

/** Tries dead letters of a job again that no other process runs. Without reading on: only a batch that a crash left is run first. */
export function replayLetters(request: JobRequest, choice: LetterChoice): Promise<Replayed> {
  return withJob(request, (open) => open.replayOnly(choice));
}

const nameOf = ({ options, pipeline }: JobRequest): string => options.job ?? pipeline.name;

/** With the job's state, which no other process has meanwhile, and its sources. */
async function withJob<T>(request: JobRequest, body: (job: Job) => Promise<T>): Promise<T> {
  const job = nameOf(request);
  const open = request.openState ?? ((where, name) => JobState.open(where, name));
  const state = await open(request.options["state-dir"], job);
  let sources: JobSources | undefined;
  let fallback: Fallback | null = null;
  try {
    fallback = await openFallback(request.options, job, request.onPoint);
    const shape = checkShape(request, state, job);
    const inboxes = inboxSettings(request);
    sources = await patiently(request, state, "source", () => JobSources.open(request.inputs, job, inboxes));
    return await body(new Job(request, job, state, sources, shape, fallback));
  } catch (error) {
    if (request.signal?.aborted !== true) noteError(state, error);
    throw error;
  } finally {
    await sources?.close();
    fallback?.close();
    state.close();
  }
}

const inboxSettings = ({ options, onEvent }: JobRequest): InboxSettings => ({
  directory: options["state-dir"],
  bounds: { records: options["inbox-records"], bytes: options["inbox-bytes"] },
  giveUpAfter: options["give-up-after"],
  onEvent: (event) => onEvent?.(event),
});

/** For whoever asks how the job stands. */
const noteError = (state: JobState, error: unknown): void =>
  state.setMeta(LAST_ERROR, `${new Date().toISOString()} ${messageOf(error)}`);

function checkEnded(state: JobState, job: string): void {
  const ended = state.meta("ended");
  if (ended !== null)
    throw new UsageError(
      `The job ${job} was ended by --flush at ${ended}, and its windows are closed: begin anew with --reset, or another --job`,
    );
}

/** What of a pipeline must not change under the accumulators that are stored. */
interface Shape {
  /** By what it is about, so that a difference can be told. */
  readonly parts: Readonly<Record<string, string>>;
  readonly aggregates: readonly NamedAggregate[];
  /** Whether what is stored is of another definition. */
  readonly isNew: boolean;
}

const SOURCE = "source of ";
const LAST_ERROR = "last error";
const REFUSED = "refused rows";
const REACHED = "reached";

function checkShape(request: JobRequest, state: JobState, job: string): Shape {
  const context = contextOf(request, job, "check", Date.now());
  const { graph, uncleaned } = buildGraph(request.pipeline, request.params, context, {});
  checkGraph(graph, context, uncleaned);
  const aggregates = aggregatesOf(context);
  const parts: Record<string, string> = {};
  for (const { name, plan } of aggregates) {
    // Lateness may change: it decides about rows to come, not about what is stored.
    const { lateness: _, ...lasting } = plan;
    for (const [what, value] of Object.entries(lasting)) parts[`${what} of “${name}”`] = JSON.stringify(value);
  }
  for (const [input, { scheme, path }] of Object.entries(request.inputs)) parts[SOURCE + input] = `${scheme}:${path}`;
  const isNew = !isSameShape(request, state, job, parts);
  if (!isNew) for (const [name, value] of Object.entries(metaOfShape(parts, aggregates))) state.setMeta(name, value);
  return { parts, aggregates, isNew };
}

const metaOfShape = (parts: Shape["parts"], aggregates: Shape["aggregates"]) => ({
  shape: JSON.stringify(parts),
  aggregates: JSON.stringify(aggregates),
});

/** Whether the shape is the stored one. Refuses one that differs, unless the job is told to go on with it. */
function isSameShape({ options }: JobRequest, state: JobState, job: string, parts: Shape["parts"]): boolean {
  const known = state.meta("shape");
  const pending = state.pending();
  // Before the first plan nothing is stored that could not fit.
  if (known === null || (state.lastBatch() === 0 && pending === null)) return true;
  const before = JSON.parse(known) as Record<string, string>;
  const differing = [...new Set([...Object.keys(before), ...Object.keys(parts)])].filter(
    (what) => before[what] !== parts[what],
  );
  if (differing.length === 0) return true;
  if (pending?.kind === "migrate") return false;
  const differences = differing
    .map((what) => `the ${what} was ${before[what] ?? "not there"} and is ${parts[what] ?? "not there"}`)
    .join("; ");
  const isOtherSource = differing.some((what) => what.startsWith(SOURCE));
  if (!options.migrate || isOtherSource) {
    const remedies = [
      "run it under another --job",
      ...(isOtherSource ? [] : ["go on with --migrate"]),
      "begin anew with --reset",
    ];
    throw new UsageError(`The job ${job} cannot go on, for ${differences}: ${remedies.join(", or ")}`);
  }
  if (pending !== null)
    throw new UsageError(
      `The job ${job} has a batch under way, which only the definition that planned it can end: run that one with --once first, then --migrate`,
    );
  return false;
}

/** Letters are of the records that were refused: most of them may well be refused again. */
const NO_LIMIT: RunContext["deadLetterLimit"] = { share: 1, consecutive: Number.MAX_SAFE_INTEGER, sample: 0 };

const contextOf = (request: JobRequest, job: string, batch: string, batchTime: number): RunContext =>
  batchContext(request, { job, batch, batchTime, goesOn: true });

/** Tries again, with growing pauses, what fails because something outside does not answer. */
async function patiently<T>(request: JobRequest, state: JobState, what: Waiting, action: () => Promise<T>): Promise<T> {
  const started = performance.now();
  for (let attempt = 1; ; attempt += 1) {
    try {
      const result = await action();
      if (attempt > 1) {
        state.dropMeta(LAST_ERROR);
        request.onEvent?.({ kind: "back", what });
      }
      return result;
    } catch (error) {
      const isOver = performance.now() - started > request.options["give-up-after"];
      if (!(error instanceof UnavailableError) || isOver || request.signal?.aborted === true) throw error;
      const ms = Math.min(LONGEST_PAUSE, 250 * 2 ** (attempt - 1)) * (0.5 + Math.random() / 2);
      noteError(state, error);
      request.onEvent?.({ kind: "retrying", what, error, attempt, pause: ms });
      await pause(ms, undefined, { signal: request.signal }).catch(() => undefined);
    }
  }
}

/** Who only asks a source does not wait for its answer when the job is told to end. */
function unlessAborted<T>(answer: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return answer;
  // Nobody may be there any more when it fails.
  answer.catch(() => undefined);
  return new Promise((resolve, reject) => {
    const stop = () => reject(signal.reason as Error);
    if (signal.aborted) stop();
    signal.addEventListener("abort", stop, { once: true });
    void answer.then(resolve, reject).finally(() => signal.removeEventListener("abort", stop));
  });
}

/** What there is to read, and what the next plan has to write down of it. */
interface Outlook {
  readonly parts: readonly SeenPart[];
  /** Where each of them goes on. */
  readonly next: ReadonlyMap<string, number>;
  /** Those that the job has not known. */
  readonly fresh: readonly SeenPart[];
  readonly gaps: readonly Gap[];
  /** What a source that flows did not give in front of what is read next. */
  readonly missing: readonly Missing[];
}

class Job {
  private readonly memory: JobMemory;
  private readonly tasting = new Tasting();
  private readonly totals: Record<string, number> = {};
  private readonly written: Record<string, number> = {};
  private replayed: Replayed = { letters: 0, ok: 0, dropped: 0, dead: 0, closed: 0, foreign: 0, rows: 0 };
  /** Whether something of the batch under way may be visible already. */
  private isCommitting = false;
  private batches = 0;
  private lastPlanned = 0;
  private nextDelivery = 0;
  private deliveryPause = FIRST_DELIVERY_PAUSE;
  private readonly delivered: Record<string, number> = {};
  private readonly wants: Record<string, "update" | "final">;
  private readonly outputs: Output[];
  /** Aborted when a batch that is under way takes too long after the job was told to end. */
  private readonly atOnce = new AbortController();

  constructor(
    private readonly request: JobRequest,
    private readonly name: string,
    private readonly state: JobState,
    private readonly sources: JobSources,
    private readonly shape: Shape,
    private readonly fallback: Fallback | null,
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
    checkEnded(this.state, this.name);
    this.noteSettings();
    const started = performance.now();
    const stopWatching = watchProgress(request.onProgress);
    const endAtOnce = () => setTimeout(() => this.atOnce.abort(request.signal?.reason), LAST_BATCH_PATIENCE).unref();
    request.signal?.addEventListener("abort", endAtOnce, { once: true });
    try {
      request.onEvent?.({ kind: "started", batch: this.state.lastBatch() + 1, epoch: this.state.epoch });
      this.sources.begin(request.signal);
      await this.goOn().catch((error: unknown) => {
        // Where it only waited for a source, all that was begun is committed.
        if (request.signal?.aborted !== true || this.state.pending() !== null) throw error;
      });
      await this.sources.stop();
    } catch (error) {
      // The batch under way took too long: it is left to the next start.
      if (request.signal?.aborted === true) this.tellEnd(started);
      throw error;
    } finally {
      request.signal?.removeEventListener("abort", endAtOnce);
      stopWatching();
    }
    return this.tellEnd(started);
  }

  private tellEnd(started: number): Report & { readonly sample: Sample } {
    const report = this.report((performance.now() - started) / 1000);
    const { batches = 0, read, seconds, state: reason } = report;
    this.request.onEvent?.({ kind: "stopped", reason, batches, read, seconds });
    return report;
  }

  private patiently<T>(what: Waiting, action: () => Promise<T>): Promise<T> {
    const { signal } = this.request;
    const attempt = what === "source" ? () => unlessAborted(action(), signal) : action;
    return patiently(this.request, this.state, what, attempt);
  }

  /** For whoever asks how far behind the job is, or tries its letters again. */
  private noteSettings(): void {
    const { pipeline, inputs, outputs, params } = this.request;
    this.state.setMeta("pipeline", pipeline.name);
    for (const [name, value] of Object.entries({ inputs, outputs, params }))
      this.state.setMeta(name, JSON.stringify(value));
  }

  async replayOnly(choice: LetterChoice): Promise<Replayed> {
    const pending = this.state.pending();
    if (pending !== null) await this.runPlan(await this.amended(pending));
    return this.replay(choice);
  }

  /** Closes what is open by the definition before; what comes is counted by the new one, from where the job stands. */
  private async migrate(): Promise<void> {
    const { state, shape } = this;
    const names = new Set(shape.aggregates.map(({ name }) => name));
    const lost = state.definitions().find(({ name }) => !names.has(name) && state.firstOpenEnd(name) !== null);
    if (lost !== undefined)
      throw new UsageError(
        `The job ${this.name} has open windows of “${lost.name}”, which the pipeline no longer has, so nothing can write them: give it back its name, or begin anew with --reset or another --job`,
      );
    const plan = await this.plan("migrate", []);
    try {
      await this.runPlan(plan);
    } catch (error) {
      if (this.isCommitting || error instanceof UnavailableError) throw error;
      // The same definition would fail in the same way at each start.
      state.withdraw(plan);
      throw new UsageError(
        `The windows that are open do not go through the new definition (${messageOf(error)}): end the job with the one before (--flush), and begin another --job`,
      );
    }
  }

  /** Tries dead letters again, batch after batch. */
  private async replay(choice: LetterChoice): Promise<Replayed> {
    const { request, state, name } = this;
    this.checkReplay();
    const started = performance.now();
    const place = { pipeline: request.pipeline, job: name, outputs: request.outputs };
    const { closed, foreign, rows } = await this.patiently("sink", () => putLettersAside(state, place, choice));
    this.replayed = { letters: 0, ok: 0, dropped: 0, dead: 0, closed, foreign, rows };
    while (state.lettersWaiting() > 0 && request.signal?.aborted !== true) {
      const plan = this.draft("replay", []);
      state.beginReplay(plan, LETTERS_OF_A_BATCH);
      await this.runPlan(plan);
    }
    const { replayed } = this;
    request.onEvent?.({ kind: "replayed", replayed, seconds: (performance.now() - started) / 1000 });
    return replayed;
  }

  /** A record that goes two ways may have been refused on one of them only, and would count again on the other. */
  private checkReplay(): void {
    const { pipeline, params } = this.request;
    const { cleanedOnce } = buildGraph(pipeline, params, contextOf(this.request, this.name, "check", 0), {});
    if (!cleanedOnce)
      throw new UsageError(
        `Dead letters of ${pipeline.name} cannot be replayed, for it cleans an input more than once: a record would count again where it was good`,
      );
  }

  /** Does what others ask of the job. What is wrong with the request is theirs to know, and no reason to stop. */
  private async answerRequests(): Promise<void> {
    for (const { id, request } of this.state.requests()) {
      let answer: ReplayAnswer;
      try {
        answer = { replayed: await this.replay(JSON.parse(request) as LetterChoice) };
      } catch (error) {
        if (!(error instanceof UsageError)) throw error;
        answer = { error: messageOf(error) };
      }
      this.state.answer(id, JSON.stringify(answer));
    }
  }

  private async goOn(): Promise<void> {
    const { request, state } = this;
    const { once, flush } = request.options;
    await this.checkStart();
    await this.deliverWaiting();
    const pending = state.pending();
    if (pending !== null) await this.runPlan(await this.amended(pending));
    // That was the end of the job, but for the crash before it.
    if (pending?.kind === "flush") return;
    if (this.shape.isNew && pending?.kind !== "migrate") await this.migrate();
    // The end of a job with --once: what was there at its start. What flows is read to its own end.
    const ends = once || flush ? new Map((await this.look()).map((part) => [partId(part), part.end])) : null;
    while (request.signal?.aborted !== true) {
      await this.answerRequests();
      if (performance.now() >= this.nextDelivery) await this.deliverWaiting();
      // Asked before looking: what flows in after that is seen by the next look.
      const isLastLook = ends === null ? this.sources.isOver : this.sources.areFlowsOver;
      const outlook = await this.outlook();
      const { parts, next } = outlook;
      const limited =
        ends === null
          ? parts
          : parts.map((part) =>
              this.sources.flows(part.input)
                ? part
                : { ...part, end: Math.min(part.end, ends.get(partId(part)) ?? part.first) },
            );
      const backlog = limited.reduce(
        (sum, part) => sum + Math.max(0, part.end - (next.get(partId(part)) ?? part.first)),
        0,
      );
      const lag = parts.map((part) => ({
        input: part.input,
        source: part.source,
        records: Math.max(0, part.end - (next.get(partId(part)) ?? part.first)),
      }));
      request.onEvent?.({ kind: "looked", lag, inbox: this.inInboxes(lag) });
      // Where the job begins, and what it does without, is kept at once, also when there is nothing to read.
      const isNews =
        outlook.gaps.length > 0 ||
        (state.lastBatch() === 0 && startOf(request.options) !== "earliest") ||
        outlook.missing.some(({ source }) => !state.cuts().some((cut) => cut.source === source));
      if (isLastLook && backlog === 0 && !isNews) break;
      if (!isNews && (await this.isTooEarly(backlog, isLastLook))) continue;
      const planned = await this.sources.cut(limited, next, request.options["max-batch"], request.options.idle);
      if (backlog === 0 && !isNews && !this.wouldClose(planned)) continue;
      await this.runPlan(await this.plan("read", planned, outlook));
    }
    if (flush && request.signal?.aborted !== true) await this.runPlan(await this.plan("flush", []));
  }

  /** Gives places that did not answer what waits for them, in order; tried again with growing pauses. */
  private async deliverWaiting(): Promise<void> {
    const { fallback, request, state } = this;
    if (fallback === null || !fallback.isWaiting) return;
    const { delivered, failures } = await fallback.deliver({
      addresses: request.outputs,
      mayMove: false,
      epoch: state.epoch,
    });
    const rows = sumOf(delivered);
    for (const [output, more] of Object.entries(delivered))
      this.delivered[output] = (this.delivered[output] ?? 0) + more;
    if (rows > 0) request.onEvent?.({ kind: "rows delivered", rows, waiting: sumOf(fallback.waiting()) });
    this.deliveryPause = failures.length === 0 ? FIRST_DELIVERY_PAUSE : Math.min(2 * this.deliveryPause, LONGEST_PAUSE);
    this.nextDelivery = performance.now() + this.deliveryPause;
  }

  private inInboxes(lag: readonly { input: string; records: number }[]): number | null {
    if (!Object.keys(this.request.inputs).some((input) => this.sources.flows(input))) return null;
    return lag.reduce((sum, { input, records }) => sum + (this.sources.flows(input) ? records : 0), 0);
  }

  private look(): Promise<SeenPart[]> {
    return this.patiently("source", () => this.sources.look());
  }

  /** At the start: is the state there, are the sources the same as before, and can the outputs be written? */
  private async checkStart(): Promise<void> {
    const { state, sources, request } = this;
    const isKnown = state.meta(BEGUN) !== null || state.lastBatch() > 0 || state.pending() !== null;
    if (!isKnown) {
      const input = await this.patiently("source", () => sources.whoKnowsJob());
      if (input !== null)
        throw new UsageError(
          `The job ${this.name} has read ${input} before, but its state is missing from ${state.file}: bring it back, or begin anew with --reset or another --job`,
        );
    }
    state.setMeta(BEGUN, "yes");
    const parts = await this.look();
    await this.patiently("source", () => sources.verify(parts, state.positions()));
    // A crash behind a commit left in the inboxes what it had read: in a full one, nothing would ever make room.
    await sources.committed(state.positions());
    request.onEvent?.({ kind: "connected", what: "sources" });
    await this.patiently("sink", () => this.checkOutputs());
    request.onEvent?.({ kind: "connected", what: "sinks" });
    state.dropMeta(LAST_ERROR);
  }

  /** Opens the outputs and lets go of them: what is wrong with one is told now, and not when the first record comes. */
  private async checkOutputs(): Promise<void> {
    const { state, request, name } = this;
    const turn = { number: state.lastBatch() + 1, epoch: state.epoch };
    const id = `${state.incarnation}-check`;
    const batch = { job: name, pipeline: request.pipeline.name, id, plan: id, turn };
    const opened = await OpenOutputs.open(
      this.outputs,
      request.outputs,
      { ...batch, ranges: [], replays: [] },
      { run: contextOf(request, name, id, 0), refused: RefusedRows.of(""), onRows: () => {}, fallback: this.fallback },
    );
    await opened.abort();
  }

  /** Looks at the sources. Ends the job at a gap, unless it is told to do without what is gone. Changes nothing. */
  private async outlook(): Promise<Outlook> {
    const { state, sources, request } = this;
    const parts = await this.look();
    const positions = state.positions();
    const next = nextOf(positions);
    // Made anew while the job runs, a source could soon have as many records again.
    if (parts.some((part) => part.end < (next.get(partId(part)) ?? 0)))
      await this.patiently("source", () => sources.verify(parts, positions));
    const fresh = parts.filter((part) => !next.has(partId(part)));
    for (const part of fresh) {
      const begin = () => sources.start(part, startOf(request.options));
      next.set(partId(part), state.lastBatch() === 0 ? await this.patiently("source", begin) : part.first);
    }
    const found = gaps(parts, next);
    for (const { part, lost } of found) {
      if (request.options["on-gap"] === "fail") throw gapError(part, lost);
      next.set(partId(part), part.first);
    }
    const places = parts.map((part) => ({ ...part, next: next.get(partId(part)) ?? part.first }));
    return { parts, next, fresh, gaps: found, missing: sources.missing(places) };
  }

  /** What is missing because of where a job begins. */
  private cutsOfStart({ fresh, next }: Outlook, now: number): Cut[] {
    const { since } = this.request.options;
    if (this.state.lastBatch() > 0) return [];
    return fresh.flatMap((part): Cut[] => {
      const position = next.get(partId(part)) ?? 0;
      if (position === 0) return [];
      const gone: Cut = { from: null, until: now, source: part.source };
      if (since === undefined) return [gone];
      // Where it begins with a time, all that was left out is older than that; where the log begins later, some is gone.
      const older: Cut = { from: null, until: Date.parse(since), source: null };
      return position === part.first ? [older, gone] : [older];
    });
  }

  /** What is missing because it is gone: nothing of before the watermark, as far as the disorder is right. */
  private cutsOfGaps(found: readonly Gap[], now: number): Cut[] {
    const watermarks = new Map(this.state.positions().map((position) => [partId(position), position.watermark]));
    return found.map(({ part }) => ({ from: watermarks.get(partId(part)) ?? null, until: now, source: part.source }));
  }

  /** What is missing because a source that flows was joined midway, or was not heard for a while. */
  private cutsOfFlows(missing: readonly Missing[], now: number): Cut[] {
    const reached = this.reached();
    return missing.map((one) => ({
      from: completeBefore(reached[partId(one)] ?? [], one.since),
      until: now,
      source: one.source,
    }));
  }

  /** How far event time had come where in the sources that flow. */
  private reached(): Readonly<Record<string, readonly Reached[]>> {
    return JSON.parse(this.state.meta(REACHED) ?? "{}") as Record<string, readonly Reached[]>;
  }

  private metaOfReached(positions: readonly Position[]): Record<string, string> {
    const flowing = positions.filter(({ input }) => this.sources.flows(input));
    if (flowing.length === 0) return {};
    const reached = { ...this.reached() };
    const step = Math.max(1_000, this.request.options.disorder);
    for (const position of flowing)
      reached[partId(position)] = withReached(reached[partId(position)] ?? [], reachedAt(position), step);
    return { [REACHED]: JSON.stringify(reached) };
  }

  private tellGaps(found: readonly Gap[]): void {
    for (const { part, lost } of found) {
      const { input, source, first } = part;
      this.request.onEvent?.({ kind: "gap", input, source, next: first - lost, lost });
    }
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
      const at = amended.findIndex((planned) => partId(planned) === partId(part));
      const old = amended[at] as PlannedPart;
      const to = Math.max(old.to, part.first);
      const range = old.range === null || part.first >= old.to ? null : { ...old.range, from: part.first };
      amended[at] = { ...old, from: part.first, to, range };
    }
    const durable = {
      ...plan,
      parts: amended,
      lost: plan.lost + lostIn(found),
      cuts: [...plan.cuts, ...this.cutsOfGaps(found, latestTime(plan))],
    };
    this.state.amend(durable);
    this.tellGaps(found);
    return durable;
  }

  /** Waits for more, unless there is enough or the wait was long enough. Answers whether to look again. */
  private async isTooEarly(backlog: number, isLastLook: boolean): Promise<boolean> {
    const { options, signal } = this.request;
    if (
      backlog >= options["max-batch"] ||
      (backlog > 0 && (isLastLook || this.sources.isFull || this.sources.isBroken))
    )
      return false;
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

  private async plan(
    kind: StoredPlan["kind"],
    parts: readonly PlannedPart[],
    outlook: Outlook | null = null,
  ): Promise<StoredPlan> {
    const isFirst = this.state.lastBatch() === 0;
    const plan = this.draft(kind, parts, outlook);
    this.state.begin(plan);
    if (!isFirst) {
      for (const { input, source, first } of outlook?.fresh ?? [])
        this.request.onEvent?.({ kind: "new part", input, source, from: first });
    }
    this.tellGaps(outlook?.gaps ?? []);
    this.request.onEvent?.({ kind: "planned", plan });
    return plan;
  }

  private draft(kind: StoredPlan["kind"], parts: readonly PlannedPart[], outlook: Outlook | null = null): StoredPlan {
    const { state } = this;
    const { options } = this.request;
    const batchTime = options["batch-time"] === undefined ? Date.now() : Date.parse(options["batch-time"]);
    const now = latestTime({ batchTime });
    this.lastPlanned = performance.now();
    // Also windows that are closed without a look at the sources may lack what was missed.
    const missing = kind === "replay" ? [] : (outlook?.missing ?? this.sources.missing(state.positions()));
    return {
      batch: state.lastBatch() + 1,
      batchTime,
      parts,
      kind,
      cuts: [
        ...state.cuts(),
        ...(outlook === null ? [] : [...this.cutsOfStart(outlook, now), ...this.cutsOfGaps(outlook.gaps, now)]),
        ...this.cutsOfFlows(missing, now),
      ],
      lost: lostIn(outlook?.gaps ?? []),
    };
  }

  private async runPlan(plan: StoredPlan): Promise<void> {
    await this.request.onPoint?.("planned");
    await this.patiently("batch", () => this.tryPlan(plan));
    await this.sources.committed(plan.parts.map(({ input, source, to }) => ({ input, source, next: to })));
  }

  private async tryPlan(plan: StoredPlan): Promise<void> {
    const { request, state, memory } = this;
    this.isCommitting = false;
    const started = performance.now();
    const id = `${state.incarnation}-${String(plan.batch).padStart(9, "0")}`;
    const isReplay = plan.kind === "replay";
    const letters = isReplay ? state.lettersOf(plan.batch) : [];
    const ranges = isReplay ? letterRanges(letters) : rangesOf(plan.parts);
    const refused = RefusedRows.of(state.meta(REFUSED) ?? "");
    const batch = {
      job: this.name,
      pipeline: request.pipeline.name,
      id,
      plan: id,
      ranges: [...(isReplay ? originsOf(letters) : Object.values(ranges).flat()), ...refused.ranges],
      replays: [...letters.map((letter) => letter.id), ...refused.done],
      turn: { number: plan.batch, epoch: state.epoch },
    };
    const usual = contextOf(request, this.name, id, plan.batchTime);
    const context = isReplay ? { ...usual, deadLetterLimit: NO_LIMIT } : usual;
    const { graph, cleanedOnce } = buildGraph(request.pipeline, request.params, context, ranges, (name) =>
      writeOutput(name, context.batch, this.wants[name]),
    );
    const lastRows = new Map<string, Row>();
    const onRows = ({ name, table }: Output, rows: readonly Row[]): void => {
      this.tasting.taste(name, table, rows);
      const last = rows[rows.length - 1];
      if (last !== undefined) lastRows.set(name, last);
    };
    const opened = await OpenOutputs.open(this.outputs, request.outputs, batch, {
      ...{ run: context, refused, onRows, fallback: this.fallback },
    });
    const stopWatching = watchReading(id, {
      signal: this.atOnce.signal,
      onRecords: (source, records) => memory.sawRecords(source, records),
      readers: { ...this.sources.readers, [LETTERS]: (range) => readLetters(letters, range) },
    });
    try {
      memory.startBatch(plan);
      const counters = await withMemory(memory, () => runDirect(graph));
      this.atOnce.signal.throwIfAborted();
      const counts = checkCounts(counters, opened, cleanedOnce);
      await request.onPoint?.("run");
      const seconds = (performance.now() - started) / 1000;
      const { written: _, ...sums } = counts;
      // Over the job, a record that was dead and is good now was read once and is good: dead are the letters that wait.
      const of = isReplay ? { ...sums, read: 0, dead: sums.dead - letters.length } : sums;
      const positions = memory.positions();
      const commit: BatchCommit = {
        plan,
        positions,
        watermark: memory.watermark(),
        aggregates: memory.stored(),
        cuts: memory.cuts(),
        counts: { ...of, lost: plan.lost },
        seconds,
        meta: {
          ...(refused.hasChanged ? { [REFUSED]: refused.left() } : {}),
          ...this.metaOfReached(positions),
          ...(plan.kind === "migrate" ? this.metaOfMigration() : {}),
        },
      };
      // Nothing is left of those of the definition before, behind it.
      if (plan.kind === "migrate") memory.partialWindows();
      this.isCommitting = true;
      const toTargets = () => opened.commit(async () => request.onPoint?.("target committed"));
      await (request.commitInOrder ?? inOrder)(toTargets, () => state.commit(commit));
      const partial = memory.partialWindows();
      if (plan.kind === "migrate") memory.forget();
      else memory.settle();
      this.note(plan, { ...counts, written: Object.fromEntries(opened.written) }, seconds);
      this.tellWaiting(plan, opened);
      if (partial.length > 0) request.onEvent?.({ kind: "partial", windows: partial });
      this.announce(lastRows, counts);
    } catch (error) {
      memory.forget();
      await opened.abort();
      throw error;
    } finally {
      stopWatching();
    }
    await request.onPoint?.("committed");
  }

  private tellWaiting({ batch }: StoredPlan, { waits }: OpenOutputs): void {
    const [error] = waits;
    if (error === undefined || this.fallback === null) return;
    this.request.onEvent?.({ kind: "rows wait", batch, rows: sumOf(this.fallback.waiting()), error });
  }

  private announce(lastRows: ReadonlyMap<string, Row>, { written }: Counts): void {
    for (const [name, { announced }] of Object.entries(this.request.pipeline.outputs)) {
      const row = lastRows.get(name);
      if (announced === undefined || row === undefined) continue;
      this.request.onEvent?.({
        kind: "announced",
        said: `${announced}: ${JSON.stringify(row)}`,
        rows: written[name] ?? 0,
      });
    }
  }

  private metaOfMigration(): Record<string, string> {
    const { parts, aggregates } = this.shape;
    const end = this.state.lastWindowEnd();
    // A window of the new definition is whole when nothing of it has been read before.
    const cuts = end === null ? [] : [{ from: null, until: end, source: null }];
    return { ...metaOfShape(parts, aggregates), cuts: JSON.stringify([...this.state.cuts(), ...cuts]) };
  }

  private note(plan: StoredPlan, counts: Counts, seconds: number): void {
    this.batches += 1;
    const { written, ...sums } = counts;
    if (plan.kind === "replay") {
      const { letters, ok, dropped, dead, ...rest } = this.replayed;
      this.replayed = {
        ...rest,
        letters: letters + counts.read,
        ok: ok + counts.ok,
        dropped: dropped + counts.dropped,
        dead: dead + counts.dead,
      };
    } else {
      for (const [name, by] of Object.entries({ ...sums, lost: plan.lost }))
        this.totals[name] = (this.totals[name] ?? 0) + by;
    }
    for (const [output, rows] of Object.entries(written)) this.written[output] = (this.written[output] ?? 0) + rows;
    const openWindows = this.state.openWindows();
    const watermark = this.state.watermark();
    const lettersWaiting = this.state.totals()["dead"] ?? 0;
    this.request.onEvent?.({
      kind: "committed",
      plan,
      counts,
      seconds,
      watermark,
      openWindows,
      lettersWaiting,
      rowsWaiting: this.fallback === null ? null : sumOf(this.fallback.waiting()),
      stateBytes: this.state.bytes(),
    });
  }

  private report(seconds: number): Report & { readonly sample: Sample } {
    const of = (name: string) => this.totals[name] ?? 0;
    return {
      pipeline: this.request.pipeline.name,
      runner: "direct",
      state:
        this.request.signal?.aborted === true ? "interrupted" : this.fallback?.isWaiting === true ? "degraded" : "done",
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
      ...(this.fallback === null ? {} : { delivered: this.delivered, waiting: this.fallback.waiting() }),
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

const reachedAt = ({ next, watermark }: Position): Reached => ({ next, watermark });

const sumOf = (rows: RowsOf): number => Object.values(rows).reduce((sum, count) => sum + count, 0);

const lostIn = (found: readonly Gap[]): number => found.reduce((sum, { lost }) => sum + lost, 0);

/** No record that was there when the plan was made is later, whatever time the plan is told to take for now. */
const latestTime = ({ batchTime }: Pick<StoredPlan, "batchTime">): number => Math.max(batchTime, Date.now());

const gapError = ({ source, first }: SeenPart, lost: number) =>
  new GapError(
    `${lost} records of ${source} are gone before they were read: it begins at ${first} now. Go on without them with --on-gap=continue, or begin anew with --reset`,
  );
