// What a graph is built for: transforms take from here what the steps of one run share, and carry it to the workers.
import { type PCollection, type Root } from "./collection";

export interface DeadLetterLimit {
  /** The run fails when more than this share of the records is dead … */
  readonly share: number;
  /** … or when so many in a row are … */
  readonly consecutive: number;
  /** … but not before so many records were seen. */
  readonly sample: number;
}

/** The windows that a bounded run is about. Times in milliseconds; null: no limit. */
export interface CoveredWindows {
  /** Of a window that begins before `since` or ends after `until` nothing is counted or kept. */
  readonly since: number | null;
  readonly until: number | null;
  /** A window that begins before this is not whole, for records of it are gone: it gets no row. */
  readonly wholeFrom: number | null;
}

export const ALL_WINDOWS: CoveredWindows = { since: null, until: null, wholeFrom: null };

/** Of a job that a cluster keeps going: its runner holds the windows, and knows by the records' times when one is over. */
export interface Unbounded {
  /** How far a row's event time may be from the time of its record, in milliseconds. */
  readonly disorder: number;
  /** How far the watermark stays behind the newest record: a window that ends before that is over. */
  readonly delay: number;
  /** How soon a window that has changed gives its row again; null: each gives one row, when it is over. */
  readonly updatesEvery: number | null;
}

export interface RunContext {
  readonly pipeline: string;
  readonly version: string;
  readonly job: string;
  readonly batch: string;
  /** How often this batch was tried before, plus one. */
  readonly attempt: number;
  /** The one clock that steps may look at, in milliseconds: when the batch was planned. */
  readonly batchTime: number;
  readonly deadLetterLimit: DeadLetterLimit;
  /** Bytes above which a record is not even parsed. */
  readonly maxRecordBytes: number;
  /**
   * How duplicates are found: one after the other, in the one place that all records pass (direct runner), or by
   * grouping every record with its window (clusters).
   */
  readonly duplicates: "in order" | "grouped";
  /** Whether aggregates go on from what earlier batches left, in the memory that the runner gives them. */
  readonly goesOn: boolean;
  /** Absent where the input has an end, or where the memory of a job that goes on holds what comes. */
  readonly unbounded?: Unbounded;
  /** Absent: all windows. In a job that goes on, the memory of its aggregates knows. */
  readonly covers?: CoveredWindows;
}

export const defaultContext: RunContext = {
  pipeline: "test",
  version: "0",
  job: "test",
  batch: "test",
  attempt: 1,
  batchTime: Date.UTC(2030, 0, 1),
  deadLetterLimit: { share: 1, consecutive: Number.MAX_SAFE_INTEGER, sample: 0 },
  maxRecordBytes: 1024 * 1024,
  duplicates: "in order",
  goesOn: false,
};

// By the SDK's pipeline object, which every collection of a graph knows.
const contexts = new WeakMap<object, RunContext>();

/** Says what the graph of this root is built for. */
export function setRunContext(root: Root, context: RunContext): void {
  contexts.set(pipelineOf(root), context);
}

/** What the graph that this collection belongs to is built for. */
export function runContextOf(collection: Root | PCollection<unknown>): RunContext {
  return contexts.get(pipelineOf(collection)) ?? defaultContext;
}

function pipelineOf(place: Root | PCollection<unknown>): object {
  return (place as unknown as { pipeline: object }).pipeline;
}
