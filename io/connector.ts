// What a connector is: a folder of io/ that knows how to read from, or write to, one outside system.
// A source plans ranges and reads one of them at a time. A sink opens a target for one batch, writes rows, and makes
// all of them visible at once with commit, or none of them with abort.
import { type Range, type SourceRecord } from "../schema/record";
import { type Row, type Table } from "../schema/table";

/** A connector URI taken apart: `scheme:rest`. Options come after a question mark: `file:out.csv?header=false`. */
export interface Address {
  readonly scheme: string;
  /** All behind the scheme and before the options: a path, `//host:port/topic`, … */
  readonly path: string;
  readonly options: Readonly<Record<string, string>>;
}

export interface SourceConnector {
  /** What lies there now, cut into ranges. Changes nothing. Throws a UsageError when nothing is there. */
  plan(address: Address): Promise<Range[]>;
  /** The records of one range, in order, some at a time. */
  read(range: Range): AsyncIterable<SourceRecord[]>;
}

/** One batch: what is being run, and over which ranges. */
export interface Batch {
  readonly job: string;
  readonly pipeline: string;
  readonly id: string;
  readonly ranges: readonly Range[];
}

/** An output of the pipeline that goes to this target. */
export interface Output {
  readonly name: string;
  readonly table: Table;
}

export interface WriteResult {
  readonly written: number;
}

/** A target that is open for one batch and some of its outputs. Calls for one output never overlap. */
export interface OpenTarget {
  write(output: string, rows: readonly Row[]): Promise<WriteResult>;
  /** Makes everything written visible. Nothing may be written after that. */
  commit(): Promise<void>;
  /** Leaves the target as it was before the batch, as far as it can, and lets go of it. Never throws. */
  abort(): Promise<void>;
}

export interface SinkConnector {
  /** In a few words, what happens to rows when a batch is run again. */
  readonly delivery: string;
  /** One text for the place that an address means, however it is written. Outputs of one place are opened together. */
  place(address: Address): string;
  open(address: Address, outputs: readonly Output[], batch: Batch): Promise<OpenTarget>;
}

export interface Connector {
  readonly name: string;
  readonly source?: SourceConnector;
  readonly sink?: SinkConnector;
}
