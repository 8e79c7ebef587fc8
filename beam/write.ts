// Asynchronous batched writing as a Beam transform: rows gather into batches, a bounded number of batches is under way,
// a failing batch is tried again with growing, jittered pauses, and then fails the run or leaves by `failed`.
import { setTimeout as pause } from "node:timers/promises";
import { countsOf, type Count } from "./counts";
import { type Abandonable } from "./failed-bundles";
import { parDo, type PCollection, type PTransform } from "./collection";
import { operatorByUrn } from "./operator-registry";
import { wholeAtLeast } from "./options";
import { type sdk } from "./sdk";
import { packBytes, unpackBytes } from "./travel";
import { messageOf } from "../schema/errors";

export const WRITE_URN = "beamline:write:v1";

export interface WriteOptions {
  /** Rows of a batch. */
  readonly batchRows: number;
  /** What the rows of a batch weigh together at most, where the writer weighs them; one row may weigh more. */
  readonly batchWeight: number;
  /** Batches under way at the same time; 1 keeps their order. */
  readonly concurrency: number;
  /** How often a failed batch is tried again. */
  readonly retries: number;
  /** The pause before the first repetition, in milliseconds; it doubles, up to maxPause, and is jittered. */
  readonly firstPause: number;
  readonly maxPause: number;
  /** When the last repetition has failed: fail the run, or send the batch's elements to `failed`. */
  readonly onFailure: "fail" | "emit";
}

export const writeDefaults: WriteOptions = {
  batchRows: 1000,
  batchWeight: 4 * 1024 * 1024,
  concurrency: 1,
  retries: 3,
  firstPause: 200,
  maxPause: 10_000,
  onFailure: "fail",
};

/** An instance of a registered class with its options as plain public fields. */
export interface BatchWriter<T> {
  readonly options: WriteOptions;
  /** The counter that grows by the rows written. */
  readonly counter: string;
  open?(): Promise<void>;
  write(rows: readonly T[]): Promise<void>;
  /** How many rows an element is, for the counter; one unless it is said. */
  rowsIn?(row: T): number;
  /** How heavy a row is, in bytes or anything else, where rows can be of any size: a batch is full at batchWeight too. */
  weigh?(row: T): number;
  /** Whether trying again can help; without this every error is tried again. */
  isTransient?(error: unknown): boolean;
  /** `isWhole`: all rows of the bundle were written, and not only some. */
  close?(isWhole: boolean): Promise<void>;
}

export interface FailedWrite<T> {
  readonly element: T;
  readonly error: string;
}

export interface Written<T> {
  /** The number of rows of each batch that was written. */
  readonly written: PCollection<number>;
  readonly failed: PCollection<FailedWrite<T>>;
}

export function writeBatches<T>(name: string, writer: BatchWriter<T>): PTransform<PCollection<T>, Written<T>> {
  const { batchRows, batchWeight, concurrency, retries, firstPause, maxPause } = writer.options;
  for (const [option, value] of Object.entries({ batchRows, batchWeight, concurrency }))
    wholeAtLeast(1, `${name}: ${option}`, value);
  for (const [option, value] of Object.entries({ retries, firstPause, maxPause }))
    wholeAtLeast(0, `${name}: ${option}`, value);
  return parDo(name, WRITE_URN, packBytes(writer), (collection) => ({ written: collection(), failed: collection() }));
}

/** The pause before repetition number `attempt` (from 1): doubling, at most maxPause, between half of it and all of it. */
export function pauseBefore(attempt: number, options: WriteOptions, random: () => number = Math.random): number {
  const full = Math.min(options.maxPause, options.firstPause * 2 ** (attempt - 1));
  return full * (0.5 + random() / 2);
}

class WriteOperator implements Abandonable {
  private gathered: sdk.WindowedValue[] = [];
  /** Of what is gathered. */
  private weight = 0;
  private queued: sdk.WindowedValue[][] = [];
  private underWay = 0;
  private isOpen = false;
  private failure: { readonly error: unknown } | null = null;
  /** Ends the pauses between attempts when the bundle has failed. */
  private stop = new AbortController();
  // One promise that all wait for while too much is under way. It never rejects: the next call throws instead.
  private gate: { readonly promise: Promise<void>; readonly open: () => void } | null = null;
  private readonly count: Count;

  constructor(
    readonly transformId: string,
    private readonly writer: BatchWriter<unknown>,
    private readonly written: sdk.Receiver | undefined,
    private readonly failed: sdk.Receiver | undefined,
    context: sdk.OperatorContext,
  ) {
    this.count = countsOf(transformId, context);
  }

  async startBundle(): Promise<void> {
    this.gathered = [];
    this.weight = 0;
    this.queued = [];
    this.failure = null;
    this.stop = new AbortController();
    await this.writer.open?.();
    this.isOpen = true;
  }

  process(element: sdk.WindowedValue): sdk.Done {
    if (this.failure !== null) throw this.failure.error;
    this.gathered.push(element);
    this.weight += this.writer.weigh?.(element.value) ?? 0;
    const { batchRows, batchWeight } = this.writer.options;
    if (this.gathered.length >= batchRows || this.weight >= batchWeight) {
      this.queued.push(this.gathered);
      this.gathered = [];
      this.weight = 0;
      this.launch();
    }
    return this.queued.length === 0 ? null : this.untilFree();
  }

  async finishBundle(): Promise<void> {
    if (this.gathered.length > 0) this.queued.push(this.gathered);
    this.gathered = [];
    this.launch();
    await this.untilIdle();
    // A failure is thrown before closing: what closes then is abandonBundle.
    if (this.failure !== null) throw this.failure.error;
    await this.close(true);
  }

  async abandonBundle(error: unknown): Promise<void> {
    this.fail(error);
    await this.untilIdle();
    await this.close(false);
  }

  private async close(isWhole: boolean): Promise<void> {
    if (!this.isOpen) return;
    this.isOpen = false;
    await this.writer.close?.(isWhole);
  }

  private fail(error: unknown): void {
    this.failure ??= { error };
    this.stop.abort();
  }

  private async untilIdle(): Promise<void> {
    while (this.underWay > 0) await this.untilFree();
  }

  private untilFree(): Promise<void> {
    if (this.gate === null) {
      let open = () => {};
      const promise = new Promise<void>((resolve) => (open = resolve));
      this.gate = { promise, open };
    }
    return this.gate.promise;
  }

  private launch(): void {
    while (this.failure === null && this.underWay < this.writer.options.concurrency) {
      const batch = this.queued.shift();
      if (batch === undefined) return;
      this.underWay += 1;
      void this.deliver(batch)
        .catch((error: unknown) => this.fail(error))
        .finally(() => {
          this.underWay -= 1;
          this.launch();
          const { gate } = this;
          this.gate = null;
          gate?.open();
        });
    }
  }

  private async deliver(batch: readonly sdk.WindowedValue[]): Promise<void> {
    const rows = batch.map((element) => element.value);
    const problem = await this.tryToWrite(rows);
    if (problem === null) {
      this.count(this.writer.counter, this.rowsIn(rows));
      const [first] = batch;
      if (first !== undefined) await this.written?.receive({ ...first, value: rows.length });
    } else if (this.writer.options.onFailure === "fail" || this.failure !== null) {
      throw problem.error;
    } else {
      const error = messageOf(problem.error);
      for (const element of batch) await this.failed?.receive({ ...element, value: { element: element.value, error } });
    }
  }

  private rowsIn(rows: readonly unknown[]): number {
    return rows.reduce<number>((sum, row) => sum + (this.writer.rowsIn?.(row) ?? 1), 0);
  }

  /** Answers with the last error when no attempt went well. */
  private async tryToWrite(rows: readonly unknown[]): Promise<{ readonly error: unknown } | null> {
    const { options } = this.writer;
    for (let attempt = 1; ; attempt += 1) {
      try {
        await this.writer.write(rows);
        return null;
      } catch (error) {
        if (attempt > options.retries || !(this.writer.isTransient?.(error) ?? true)) return { error };
        await pause(pauseBefore(attempt, options), undefined, { signal: this.stop.signal }).catch(() => {});
        if (this.failure !== null) return { error };
      }
    }
  }
}

operatorByUrn(WRITE_URN, (id, payload, receivers, context) => {
  const writer = unpackBytes(payload) as BatchWriter<unknown>;
  return new WriteOperator(id, writer, receivers.get("written"), receivers.get("failed"), context);
});
