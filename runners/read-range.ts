// Reading planned ranges, the same transform on every runner: Create(ranges) → asynchronous read.
import { create, named, read, register, runContextOf, type PCollection, type Reader, type Root } from "../beam";
import { connectorOf } from "../io/registry";
import { RunError } from "../schema/errors";
import { type Range, type SourceRecord } from "../schema/record";

// Which batches of this process end early, and on which signal, by the batch's name. A worker elsewhere never sees it.
const signals = new Map<string, AbortSignal>();

/** Reading of a batch stops, with the signal's reason, when `signal` says so; until the returned function is called. */
export function stopReadingOn(batch: string, signal: AbortSignal): () => void {
  signals.set(batch, signal);
  return () => void signals.delete(batch);
}

export class ReadRange implements Reader<Range, SourceRecord> {
  /** One after the other: duplicates are told in the order of the plan. */
  readonly concurrency = 1;
  readonly counter = "read";

  constructor(readonly batch: string) {}

  async *read(range: Range): AsyncIterable<SourceRecord[]> {
    const { source } = connectorOf({ scheme: range.connector, path: "", options: {} });
    if (source === undefined) throw new RunError(`${range.connector} has a range to read, but is no source`);
    const signal = signals.get(this.batch);
    for await (const records of source.read(range, signal)) {
      signal?.throwIfAborted();
      yield records;
    }
  }
}

/** The records of an input's ranges. */
export function readRanges(root: Root, input: string, ranges: readonly Range[]): PCollection<SourceRecord> {
  const transform = named(`read ${input}`, (start: Root) =>
    start.apply(create(ranges, "ranges")).apply(read("range", new ReadRange(runContextOf(start).batch))),
  );
  return root.apply(transform);
}

register("beamline/runners/read-range", { ReadRange });
