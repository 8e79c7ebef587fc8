// What a connector is: a folder of io/ that knows how to read from, or write to, one outside system.
// A source plans ranges and reads one of them at a time. A sink opens a target for one batch, writes rows, and makes
// all of them visible at once with commit, or none of them with abort.
import { type Range, type SourceRecord } from "../schema/record";
import { type Row, type Table } from "../schema/table";
import { type About } from "./about";

/**
 * A connector URI taken apart: `scheme:rest`. Options come after a question mark: `file:out.csv?header=false`; those of a
 * web address after a `#`: `https://host/path?for=the-server#every=30s`.
 */
export interface Address {
  readonly scheme: string;
  /** All behind the scheme and before the options: a path, `//host:port/topic`, … */
  readonly path: string;
  readonly options: Readonly<Record<string, string>>;
}

/** What of a source a bounded run reads. Times in milliseconds; null: no limit on that side. */
export interface Stretch {
  /** By the time of the record where the source knows one (Kafka's timestamps); a source that knows none ignores it. */
  readonly since: number | null;
  readonly until: number | null;
}

export const EVERYTHING: Stretch = { since: null, until: null };

export interface SourceConnector {
  /** What lies there now, cut into ranges. Changes nothing. Throws a UsageError when nothing is there. */
  plan(address: Address, stretch: Stretch): Promise<Range[]>;
  /**
   * In a few words, what is missing for records to have times, by which a stretch chooses them; null when nothing is.
   * Absent where records never have one.
   */
  withoutTimes?(address: Address): string | null;
  /** Reaches the source and authenticates; changes nothing, and takes nothing that is given only once. Never throws. */
  check?(address: Address): Promise<readonly Finding[]>;
  /** The records of one range, in order, some at a time. It ends early, by throwing the reason, when the signal says so. */
  read(range: Range, signal?: AbortSignal): AsyncIterable<SourceRecord[]>;
  /** Opens a source that goes on, for a job. Absent where a source has an end. */
  follow?(address: Address, job: string): Promise<Followed>;
  /** What a cluster needs to read it by itself, without an end; changes nothing. Absent where no cluster can. */
  readByRunner?(address: Address, wish: RunnerWish): Promise<RunnerRead>;
  /**
   * The records of a source that gives each of them once and never again; they go through an inbox. It ends when the
   * signal says so, with all that it has taken in. What may pass it tries again by itself: what it throws ends the job.
   */
  flow?(address: Address, signal: AbortSignal, talk?: FlowTalk): AsyncIterable<readonly SourceRecord[]>;
}

/** What passes between a flow and whoever takes its records, beside the records. */
export interface FlowTalk {
  /** Told what happens that people or counters should know of. */
  readonly tell?: (news: FlowNews) => void;
  /**
   * Told, before records are given, a short text to be kept together with them: it says how far the source has got with
   * these records. The newest one takes the place of those before.
   */
  readonly note?: (text: string) => void;
  /** What was noted last, in an earlier start too: what came in the meantime can be asked for. */
  readonly noted?: string | null;
  /** The position that the first record gets; 0 where nothing is said. */
  readonly from?: number;
  /**
   * Told that in front of the record of this position some may be missing that will not come: the flow was joined midway,
   * or did not hear its source for a while. It may be told of a record that was given before, but soon: until then all
   * seems to be there. A flow that never tells it gives all that there is.
   */
  readonly missed?: (before: number) => void;
  /** How long a server that does not answer is tried again, in milliseconds, where its address does not say so itself. */
  readonly giveUpAfter?: number;
}

/**
 * What happens to a flow: a request or connection failed and is made again (`retry`); the server asked for a pause
 * (`wait`); a connection was made anew (`reconnect`); records that were missed came from the source's history
 * (`filled`), or will not come any more (`lost`); something came that is not what was to be expected (`garbage`: it is
 * given on where it has content); there is more than was asked for (`left`).
 */
export interface FlowNews {
  readonly kind: "retry" | "wait" | "reconnect" | "filled" | "lost" | "garbage" | "left";
  /** How many records, requests or connections it is about. */
  readonly count: number;
  /** One sentence for people, without secrets. */
  readonly text: string;
}

/** One part of a source that grows at its end: a partition, a file. */
export interface Part {
  /** As in the records that are read of it. */
  readonly source: string;
  /** The first position that is still there. */
  readonly first: number;
  /** The position behind the last one that may be read now (in Kafka the last stable offset). */
  readonly end: number;
}

/** Where a job that has read nothing yet begins. */
export type StartAt = "earliest" | "latest" | { readonly since: number };

/** A source that goes on. What it gives is asked for again and again; what was read of it, the job keeps. */
export interface Followed {
  /** What there is now: all parts, new ones too. */
  look(): Promise<readonly Part[]>;
  /** Where to begin in a part. */
  start(part: Part, at: StartAt): Promise<number>;
  /** A range from `from` on, to the part's end at most, of about `most` records at most. Its `to` is never null. */
  cut(part: Part, from: number, most: number): Promise<Range>;
  /** Told after each commit the next position of each part, for tools that show the lag. Never read back. */
  committed?(next: ReadonlyMap<string, number>): Promise<void>;
  /** Whether the other side remembers that this job read there before. */
  knowsJob?(): Promise<boolean>;
  close(): Promise<void>;
}

export interface RunnerWish {
  readonly job: string;
  readonly at: StartAt;
  /** How far a record's time may be from its event time, in milliseconds. */
  readonly disorder: number;
  /** Whether it begins there, and does not go on from where another one stood. */
  readonly isNew: boolean;
}

/** A topic of Kafka, as Beam's own reader takes it. */
export interface RunnerRead {
  /** host:port, with commas between them. */
  readonly brokers: string;
  readonly topic: string;
  /** Settings of the consumer, as Kafka names them. Never a secret. */
  readonly consumer: Readonly<Record<string, string>>;
  /** It begins with records of this time; null: where the settings say. */
  readonly since: number | null;
  readonly partitions: number;
  /** Those that have no record now: until they have one, nobody knows how far their time is, and no window ends. */
  readonly silent: readonly string[];
  /** Of this time or later no record is missing in front of where it begins; null when none is missing at all. */
  readonly wholeFrom: number | null;
}

/** One batch: what is being run, and over which ranges. */
export interface Batch {
  readonly job: string;
  readonly pipeline: string;
  /**
   * The same when the same is read again: of a run on its own, it follows from what that covers. In letters and records of
   * batches, which are replaced; never in the name of what is to be kept beside others.
   */
  readonly id: string;
  /**
   * Of this plan alone: another run over the same input has another one, and the same plan that is run again behind a crash
   * has the same. Files and objects that are kept beside others are named by it. In letters, digits and “-”.
   */
  readonly plan: string;
  readonly ranges: readonly Range[];
  /** The dead letters that this batch tries again: what of them it does not give anew is done with. */
  readonly replays: readonly LetterId[];
  /** The time of which this batch gives all rows that there are; absent where it gives only what is new. */
  readonly covers?: Stretch;
  /** Of a batch that is planned durably and run again after a crash until it is committed; null for a run on its own. */
  readonly turn: Turn | null;
  /**
   * Of what a cluster's workers write, each by itself and many at once: no record of such batches is kept, since they have no
   * order, and one that is written again takes the place of what it left, complete or not.
   */
  readonly isPart?: boolean;
}

/**
 * A target that can, records (job, output, batch, epoch) with the rows: it skips a batch that it has, and refuses one of
 * an epoch below that on record, because then another process has taken the job over.
 */
export interface Turn {
  /** 1, 2, … within the job. */
  readonly number: number;
  /** Goes up with every process that takes the job over. */
  readonly epoch: number;
}

/** An output of the pipeline that goes to this target. */
export interface Output {
  readonly name: string;
  readonly table: Table;
  /**
   * A column that only grows: a row never takes the place of one that has more there. So a writer that was taken for dead, and
   * is not, puts nothing old over what another has written since.
   */
  readonly growsBy?: string;
}

/** What tells the dead letters of a job apart. */
export interface LetterId {
  readonly source: string;
  readonly position: number;
  readonly step: string;
}

/** What a place says of a dead letter: it lies there, or it is there no more. */
export type LetterNews =
  { readonly kind: "letter"; readonly row: Row } | { readonly kind: "gone"; readonly id: LetterId };

export interface WriteResult {
  readonly written: number;
  /** Rows that the place refused, one by one, while it took the others: they become dead letters. */
  readonly rejected?: readonly Rejected[];
}

export interface Rejected {
  /** One of those that were given, itself. */
  readonly row: Row;
  /** In one or two words that stay the same from row to row: a counter and `replay --reason` go by it. */
  readonly reason: string;
  /** What the place said, without secrets. */
  readonly error: string;
}

/** What `doctor` found out of a place, without changing anything there. */
export interface Finding {
  readonly state: "fine" | "missing" | "wrong";
  /**
   * One sentence. fine: what was reached, as whom; missing: what is not there yet and is made by the first run; wrong: what
   * fails and what to do about it.
   */
  readonly text: string;
}

/** A target that is open for one batch and some of its outputs. Calls for one output never overlap. */
export interface OpenTarget {
  /** How many rows it likes to get at once, where the usual number is too small: each write is a time of waiting. */
  readonly rowsTogether?: number;
  write(output: string, rows: readonly Row[]): Promise<WriteResult>;
  /** Makes everything written visible. Nothing may be written after that. */
  commit(): Promise<void>;
  /** Leaves the target as it was before the batch, as far as it can, and lets go of it. Never throws. */
  abort(): Promise<void>;
  /** Behind the commit of a run on its own: the outputs whose rows lie beside those of earlier runs, and in no one's place. */
  beside?(): readonly string[];
}

/**
 * What becomes of rows that are written again because their batch is. keyed: each replaces the row of its key; named file:
 * the batch's file is replaced by the same one; append: they are there once more.
 */
export type DeliveryClass = "keyed" | "named file" | "append";

/** Rows that are written by one worker as one batch: those of a stretch of time and a share of the keys. */
export interface Gathering {
  /** The length of the stretches, in milliseconds. */
  readonly every: number;
  /** Into how many shares keys are dealt. */
  readonly shards: number;
}

export interface SinkConnector {
  readonly deliveryClass: DeliveryClass;
  /** Whether processes on any machines may write rows of one output there at the same time. Unless it is said, they may not. */
  readonly isShared?: boolean;
  /**
   * How a cluster's workers put rows together before they write them, where many small batches are not what the place is for.
   * It gets a window's last word alone then. Absent: rows are written as they come. A UsageError where the address means a place that
   * workers cannot write.
   */
  gathers?(address: Address): Gathering;
  /** In a few words, what happens to rows when a batch is run again. */
  readonly delivery: string;
  /**
   * Whether what a run on its own leaves there goes by `plan`: then its plan is written down before anything is read, and a
   * run that finds that of one that was killed goes on with it. Unless it is said: where named files are.
   */
  namedByPlan?(address: Address): boolean;
  /**
   * Which rows of an aggregate it wants in a job that goes on. "update": a window's full row again whenever it changed,
   * since a row replaces that of its key; "final": once, when nothing more can come.
   */
  readonly wants: "update" | "final";
  /** One text for the place that an address means, however it is written. Outputs of one place are opened together. */
  place(address: Address): string;
  open(address: Address, outputs: readonly Output[], batch: Batch): Promise<OpenTarget>;
  /** Reaches the place, authenticates, compares what is there with the outputs' tables, and changes nothing. Never throws. */
  check?(address: Address, outputs: readonly Output[]): Promise<readonly Finding[]>;
  /**
   * The dead letters of a job that lie there, in the order in which they came: what is said later of one holds. Absent
   * where they cannot be read back.
   */
  letters?(address: Address, table: Table, job: string): AsyncIterable<readonly LetterNews[]>;
}

export interface Connector {
  readonly name: string;
  readonly about: About;
  readonly source?: SourceConnector;
  readonly sink?: SinkConnector;
}
