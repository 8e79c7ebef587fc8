// Reading planned ranges, the same transform on every runner: Create(ranges) → asynchronous read.
import { create, named, read, register, runContextOf, spread, type PCollection, type Reader, type Root } from "../beam";
import { connectorOf } from "../io/registry";
import { RunError } from "../schema/errors";
import { type Range, type SourceRecord } from "../schema/record";
import { isWithin } from "./stretch";

/** Who follows the reading of a batch in this process. A worker elsewhere never sees it. */
export interface ReadingWatch {
  /** Reading stops, with the signal's reason, when it says so. */
  readonly signal?: AbortSignal;
  readonly onRecords?: (source: string, records: readonly SourceRecord[]) => void;
  /** Reads what no connector does, but the runner itself: by the name that stands in place of a connector's. */
  readonly readers?: Readonly<Record<string, (range: Range) => Iterable<SourceRecord[]>>>;
}

const watches = new Map<string, ReadingWatch>();

/** Watches the reading of a batch, by its name, until the returned function is called. */
export function watchReading(batch: string, watch: ReadingWatch): () => void {
  watches.set(batch, watch);
  return () => void watches.delete(batch);
}

export class ReadRange implements Reader<Range, SourceRecord> {
  /** One after the other: duplicates are told in the order of the plan. */
  readonly concurrency = 1;
  readonly counter = "read";

  constructor(readonly batch: string) {}

  async *read(range: Range): AsyncIterable<SourceRecord[]> {
    const { signal, onRecords, readers = {} } = watches.get(this.batch) ?? {};
    const own = Object.hasOwn(readers, range.connector) ? readers[range.connector] : undefined;
    const { times } = range;
    for await (const found of own?.(range) ?? readByConnector(range, signal)) {
      signal?.throwIfAborted();
      const records = times === undefined ? found : found.filter(({ timestamp }) => isWithin(times, timestamp));
      onRecords?.(range.source, records);
      yield records;
    }
  }
}

function readByConnector(range: Range, signal: AbortSignal | undefined): AsyncIterable<SourceRecord[]> {
  const { source } = connectorOf({ scheme: range.connector, path: "", options: {} });
  if (source === undefined) throw new RunError(`${range.connector} has a range to read, but is no source`);
  return source.read(range, signal);
}

/** The records of an input's ranges. */
export function readRanges(root: Root, input: string, ranges: readonly Range[]): PCollection<SourceRecord> {
  const transform = named(`read ${input}`, (start: Root) => {
    const { batch, duplicates } = runContextOf(start);
    const planned = start.apply(create(ranges, "ranges"));
    // In one place they are read in the order of the plan; a cluster must not keep them all with whoever made them.
    return (duplicates === "grouped" ? planned.apply(spread("spread")) : planned).apply(
      read("range", new ReadRange(batch)),
    );
  });
  return root.apply(transform);
}

register("beamline/runners/read-range", { ReadRange });
