// Reading planned ranges, the same transform on every runner: Create(ranges) → asynchronous read.
import { create, named, read, register, type PCollection, type Reader, type Root } from "../beam";
import { connectorOf } from "../io/registry";
import { RunError } from "../schema/errors";
import { type Range, type SourceRecord } from "../schema/record";

// Set by a runner in this process when the run is to end early; a worker elsewhere never sees it.
let stopped: AbortSignal | null = null;

/** Reading stops, with the signal's reason, when `signal` says so. */
export function stopReadingOn(signal: AbortSignal | null): void {
  stopped = signal;
}

export class ReadRange implements Reader<Range, SourceRecord> {
  /** One after the other: duplicates are told in the order of the plan. */
  readonly concurrency = 1;
  readonly counter = "read";

  async *read(range: Range): AsyncIterable<SourceRecord[]> {
    const { source } = connectorOf({ scheme: range.connector, path: "", options: {} });
    if (source === undefined) throw new RunError(`${range.connector} has a range to read, but is no source`);
    for await (const records of source.read(range)) {
      stopped?.throwIfAborted();
      yield records;
    }
  }
}

/** The records of an input's ranges. */
export function readRanges(root: Root, input: string, ranges: readonly Range[]): PCollection<SourceRecord> {
  const transform = named(`read ${input}`, (start: Root) =>
    start.apply(create(ranges, "ranges")).apply(read("range", new ReadRange())),
  );
  return root.apply(transform);
}

register("beamline/runners/read-range", { ReadRange });
