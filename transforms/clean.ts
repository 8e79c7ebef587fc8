// clean(step, step, …): named steps fused into one DoFn, from records as they were found to values that can be used.
// Every record is counted once: read = ok + dead + dropped.
import {
  named,
  perElement,
  register,
  registeredName,
  runContextOf,
  type Count,
  type DoFn,
  type Emitters,
  type PCollection,
  type PTransform,
  type RunContext,
} from "../beam";
import { messageOf } from "../schema/errors";
import { sizeOf, type Raw, type SourceRecord } from "../schema/record";
import { from } from "./arrivals";
import { DeadLetterGuard, WINDOW_CLOSED, type DeadLetter } from "./dead-letter";
import { currentMemory, type Memory } from "./memory";
import { type FirstStep, type Step, type StepContext, type StepFunction, type StepResult } from "./step";

export interface Cleaned<T> {
  readonly good: PCollection<T>;
  readonly bad: PCollection<DeadLetter>;
}

type Outputs = { good: unknown; bad: DeadLetter };

/** How many records are counted in memory before the run's counters hear of them. */
const REPORT_EVERY = 8192;

export class Clean implements DoFn<SourceRecord, Outputs> {
  readonly outputs = ["good", "bad"] as const;
  private chain?: { readonly name: string; readonly run: StepFunction<unknown, unknown> }[];
  private guard?: DeadLetterGuard;
  private guarded: string | undefined;
  private guards?: Map<string, DeadLetterGuard>;
  private count?: Count;
  private ok = 0;
  private dead = 0;
  private dropped = 0;
  private current?: { batchTime: number; record: SourceRecord };
  private memory?: Memory | null;

  constructor(
    readonly transform: string,
    readonly steps: readonly Step<never, unknown>[],
    readonly run: RunContext,
  ) {}

  startBundle(count: Count): void {
    this.chain = this.steps.map((step) => {
      const runnable = step as Step<unknown, unknown>;
      return typeof runnable === "function"
        ? { name: runnable.name, run: runnable }
        : { name: runnable.name, run: (value, context) => runnable.run(value, context) };
    });
    this.guards = new Map();
    this.guarded = undefined;
    this.count = count;
    this.memory = currentMemory();
    this.ok = this.dead = this.dropped = 0;
  }

  process(record: SourceRecord, emit: Emitters<Outputs>): void {
    if (this.memory != null) this.memory.record = record;
    if (record.source !== this.guarded) this.guardOf(record.source);
    const bytes = typeof record.value === "string" ? record.value.length : record.value.byteLength;
    // No character of a text takes more than three bytes: only a text that may be too long is measured.
    if (bytes * 3 > this.run.maxRecordBytes && sizeOf(record.value) > this.run.maxRecordBytes) {
      const error = `${sizeOf(record.value)} bytes, the limit is ${this.run.maxRecordBytes}`;
      this.bury(record, "size", "too large", error, emit);
      return;
    }
    const context: StepContext = (this.current ??= { batchTime: this.run.batchTime, record });
    this.current.record = record;
    // Where no batch ends, the records themselves say how late it is: the same when they are read again.
    if (this.run.unbounded !== undefined)
      this.current.batchTime = Math.max(this.run.batchTime, record.timestamp ?? Number.NEGATIVE_INFINITY);
    let value: unknown = record.value;
    for (const step of this.chain ?? []) {
      let result: StepResult<unknown>;
      try {
        result = step.run(value, context);
        if (result.kind === "ok") {
          value = result.value;
          continue;
        }
      } catch (error) {
        this.bury(record, step.name, "error in step", messageOf(error), emit);
        return;
      }
      if (result.kind === "dead") {
        this.bury(record, step.name, result.reason, result.error, emit);
      } else if (result.kind === "drop") {
        this.dropped += 1;
        this.guard?.passed();
      } else {
        // The compiler forbids it, but not every caller has one; taken for a drop, records would be lost in silence.
        this.bury(
          record,
          step.name,
          "error in step",
          "it answered with neither ok nor dead nor drop: is it async?",
          emit,
        );
      }
      return;
    }
    if (this.run.unbounded === undefined) emit.good(value);
    else from(record.source, () => emit.good(value));
    if (this.memory?.refused != null) {
      const { start, end } = this.memory.refused;
      this.memory.refused = null;
      const stretch = `--since ${new Date(start).toISOString()} --until ${new Date(end).toISOString()}`;
      const error = `its window is no longer kept; a run without --streaming over its time counts it: ${stretch}`;
      this.bury(record, "aggregate", WINDOW_CLOSED, error, emit);
      return;
    }
    this.ok += 1;
    if (this.ok >= REPORT_EVERY) this.report();
    this.guard?.passed();
  }

  /** Each source is judged by itself: a broken file among a hundred good ones is a broken file. */
  private guardOf(source: string): void {
    this.guarded = source;
    const guards = this.guards as Map<string, DeadLetterGuard>;
    let guard = guards.get(source);
    if (guard === undefined)
      guards.set(source, (guard = new DeadLetterGuard(this.run.deadLetterLimit, this.transform)));
    this.guard = guard;
  }

  private bury(record: SourceRecord, step: string, reason: string, error: string, emit: Emitters<Outputs>): void {
    this.dead += 1;
    const { job, pipeline, version, batch } = this.run;
    const { source, position, attempt = this.run.attempt } = record;
    const value = detached(record.value);
    const key = record.key === null ? null : detached(record.key);
    const timestamp = storableTime(record.timestamp);
    const headers = record.headers === null ? null : JSON.stringify(record.headers);
    const fields = record.fields === null ? null : JSON.stringify(record.fields);
    const origin = { job, source, position, step, reason, error };
    emit.bad({ ...origin, value, key, timestamp, headers, fields, pipeline, version, batch, attempt });
    this.guard?.died(`${source}, ${position}: ${reason}${error === "" ? "" : ` (${error})`}`);
  }

  private report(): void {
    this.count?.("ok", this.ok);
    this.count?.("dead", this.dead);
    this.count?.("dropped", this.dropped);
    this.ok = this.dead = this.dropped = 0;
  }

  finishBundle(): void {
    this.report();
  }
}

/** A source may say any number, but not every store has a time for it. */
function storableTime(time: number | null): number | null {
  return time !== null && time >= 0 && time < Date.UTC(10_000, 0) ? Math.trunc(time) : null;
}

/**
 * A value of a record is a slice of the block that it was read in, and keeps all of it in memory. A letter lives until
 * its batch is written, so it gets a value of its own.
 */
function detached(value: Raw): Raw {
  if (typeof value !== "string") return new Uint8Array(value);
  const own = Buffer.from(value).toString();
  // A text that is not well-formed, which no bytes give but a source of texts may, would not come through whole.
  return own === value ? own : value;
}

const cleanings = new WeakMap<PCollection<SourceRecord>, number>();

/** How many times a collection is cleaned in its graph: only where that is once, good, dead and dropped make all read. */
export function timesCleaned(records: PCollection<SourceRecord>): number {
  return cleanings.get(records) ?? 0;
}

/** Runs every record through the steps. What the last step answers is `good`, what any of them refuses is `bad`. */
export function clean<A>(a: FirstStep<A>): PTransform<PCollection<SourceRecord>, Cleaned<A>>;
export function clean<A, B>(a: FirstStep<A>, b: Step<NoInfer<A>, B>): PTransform<PCollection<SourceRecord>, Cleaned<B>>;
export function clean<A, B, C>(
  a: FirstStep<A>,
  b: Step<NoInfer<A>, B>,
  c: Step<NoInfer<B>, C>,
): PTransform<PCollection<SourceRecord>, Cleaned<C>>;
export function clean<A, B, C, D>(
  a: FirstStep<A>,
  b: Step<NoInfer<A>, B>,
  c: Step<NoInfer<B>, C>,
  d: Step<NoInfer<C>, D>,
): PTransform<PCollection<SourceRecord>, Cleaned<D>>;
export function clean<A, B, C, D, E>(
  a: FirstStep<A>,
  b: Step<NoInfer<A>, B>,
  c: Step<NoInfer<B>, C>,
  d: Step<NoInfer<C>, D>,
  e: Step<NoInfer<D>, E>,
): PTransform<PCollection<SourceRecord>, Cleaned<E>>;
export function clean<A, B, C, D, E, F>(
  a: FirstStep<A>,
  b: Step<NoInfer<A>, B>,
  c: Step<NoInfer<B>, C>,
  d: Step<NoInfer<C>, D>,
  e: Step<NoInfer<D>, E>,
  f: Step<NoInfer<E>, F>,
): PTransform<PCollection<SourceRecord>, Cleaned<F>>;
export function clean(...steps: Step<never, unknown>[]): PTransform<PCollection<SourceRecord>, Cleaned<unknown>> {
  for (const step of steps) {
    if (typeof step === "function" && registeredName(step) === null) {
      throw new Error(
        `The step “${step.name || "without a name"}” is not registered: export it, and call register("<package>/<module>", { ${step.name || "step"} }) in its module`,
      );
    }
  }
  const name = `clean: ${steps.map((step) => step.name).join(", ")}`;
  return named(name, (input: PCollection<SourceRecord>) => {
    cleanings.set(input, timesCleaned(input) + 1);
    return input.apply(perElement("steps", new Clean(name, steps, runContextOf(input))));
  });
}

register("beamline/transforms/clean", { Clean });
