// What the aggregates of a job that goes on remember from batch to batch. The runner gives it, stores it and commits it
// with the batch; while a batch runs, aggregates find it here.
import { AsyncLocalStorage } from "node:async_hooks";
import { type SourceRecord } from "../schema/record";
import { type Accumulating, type Contents } from "./accumulate";
import { type Plan } from "./aggregate-plan";
import { type IdSet } from "./id-set";

/** What is known of one window and key, over all batches so far. */
export interface Kept {
  readonly start: number;
  readonly end: number;
  readonly key: string;
  readonly contents: Contents;
  /** Ids that were counted; null where nothing says which rows are the same, or where the contents know. */
  readonly ids: IdSet | null;
  /** Those of them that this batch added. */
  fresh: IdSet | null;
  /** Whether this batch changed it. */
  changed: boolean;
}

/** How far the event time of a source came in this batch. */
export interface Progress {
  greatest: number;
  /** The time that came first; null before any. */
  first: number | null;
}

/** What a row may still do to its window. */
export type Fate = "counts" | "late" | "too old";

export interface AggregateMemory {
  /** Whether a row of a window that ends then still counts. */
  fate(end: number): Fate;
  find(start: number, end: number, key: string): Kept;
  /** The session that [start, end) belongs to, joined with every other one of the key that it bridges. */
  session(start: number, end: number, key: string): Kept;
  /** How many rows that had counted turned out to be the same as others, when this batch joined their sessions. */
  readonly foundAgain: number;
  progressOf(source: string): Progress;
  /** What this batch changed, when all its rows were seen. */
  changed(): Iterable<Kept>;
  /** What the watermark of this batch closes, where an output wants to know. */
  closing(): Iterable<Kept>;
  /** Whether a window is known from its very beginning; one that is not gets no row. */
  isWhole(start: number, end: number, key: string): boolean;
}

export interface Memory {
  /** The record at hand. All between a record and its aggregate is synchronous in this process. */
  record: SourceRecord | null;
  /** Set by an aggregate that may not take the record at hand any more, to the windows that it lies in: it is to be a dead letter. */
  refused: { readonly start: number; readonly end: number } | null;
  /** Whether the records are dead letters that are tried again: no news of their sources' times. */
  readonly replays: boolean;
  /** The definition that an aggregate had before, in the batch that closes its windows by that one; else null. */
  planBefore(name: string): Plan | null;
  aggregate(name: string, plan: Plan, accumulating: Accumulating<Contents>): AggregateMemory;
}

const memories = new AsyncLocalStorage<Memory>();

export const currentMemory = (): Memory | null => memories.getStore() ?? null;

/** Runs a batch with this memory. */
export function withMemory<T>(memory: Memory, body: () => Promise<T>): Promise<T> {
  return memories.run(memory, body);
}
