// Reads one range of a partition, without a group: fetch, unpack, leave out what transactions took back.
import { RunError, UnavailableError } from "../../schema/errors";
import { type Range, type SourceRecord } from "../../schema/record";
import { LOG_END, LOG_START, useClient, type KafkaClient } from "./client";
import { explain, mayPass } from "./failures";
import { type AbortedTransaction, type FetchedPartition } from "./fetch-response";
import { protocolError } from "./internals";
import { patiently, sleep } from "./patience";
import { batchesOf, damaged, decodeRecords, isAbortMarker, type RecordBatch, type Wanted } from "./record-batch";
import { RegisteredRecords } from "./schema-registry-read";
import { topicRangeOf } from "./topic-range";
import { preparationOf, unpack } from "./unpack";

/** How much is asked for at once. Two such answers are in memory at a time: one in work, one on its way. */
const FETCH_BYTES = 2 * 1024 * 1024;

/** A single batch is never larger than what a broker can hold. */
const MAX_FETCH_BYTES = 1024 * 1024 * 1024;

/** At least so many records are handed on together, when there are. */
const RECORDS_TOGETHER = 2048;

/** A broker may answer with nothing for other reasons; so often in a row, nothing is there. */
const EMPTY_ANSWERS = 3;

const OFFSET_OUT_OF_RANGE = 1;

/** How long a read bears that no broker answers. */
export const READ_PATIENCE_MS = 30_000;

export interface ReadOptions {
  readonly fetchBytes?: number;
  readonly patienceMs?: number;
}

/** The records of one range, in order. */
export async function* readRange(
  range: Range,
  signal?: AbortSignal,
  { fetchBytes = FETCH_BYTES, patienceMs = READ_PATIENCE_MS }: ReadOptions = {},
): AsyncGenerator<SourceRecord[]> {
  signal?.throwIfAborted();
  const { brokers, topic, partition, registry } = topicRangeOf(range);
  const patience = { limitMs: patienceMs, signal };
  try {
    const client = await patiently(() => useClient(brokers), patience);
    const fetcher = (offset: number, maxBytes: number): Promise<FetchedPartition | null> =>
      patiently(() => fetchOnce(client, topic, partition, offset, maxBytes), patience);
    try {
      const records = recordsOf(range, fetcher, { fetchBytes, patienceMs, signal });
      if (registry === null) yield* records;
      else {
        const registered = new RegisteredRecords(registry, patience);
        for await (const some of records) yield await registered.decoded(some);
      }
    } finally {
      client.release();
    }
  } catch (error) {
    signal?.throwIfAborted();
    throw explain(error, `Topic ${topic} at ${brokers.join(",")}`);
  }
}

async function fetchOnce(
  client: KafkaClient,
  topic: string,
  partition: number,
  offset: number,
  maxBytes: number,
): Promise<FetchedPartition | null> {
  const fetched = await client.fetch(topic, partition, offset, maxBytes);
  if (fetched === null || fetched.errorCode === 0) return fetched;
  if (fetched.errorCode === OFFSET_OUT_OF_RANGE) throw await gone(client, topic, partition, offset);
  const error = protocolError(fetched.errorCode);
  if (mayPass(error)) client.forget(topic);
  throw error;
}

async function gone(client: KafkaClient, topic: string, partition: number, offset: number): Promise<RunError> {
  const first = (await client.offsets(topic, [partition], LOG_START)).get(partition) ?? 0;
  const end = (await client.offsets(topic, [partition], LOG_END)).get(partition) ?? 0;
  return new RunError(
    offset < first
      ? `Offset ${offset} of ${topic}/${partition} is gone: Kafka deleted what lies before ${first}, so keep records longer (retention.ms) or read them sooner`
      : `Offset ${offset} of ${topic}/${partition} is not there: the partition ends at ${end}, so the topic was made anew or has lost records`,
  );
}

type Fetcher = (offset: number, maxBytes: number) => Promise<FetchedPartition | null>;

interface Limits {
  readonly fetchBytes: number;
  readonly patienceMs: number;
  readonly signal?: AbortSignal;
}

/** The records of a range out of the answers that `fetch` gives. While one answer is in work, the next is on its way. */
export async function* recordsOf(
  { source, from, to }: Range,
  fetch: Fetcher,
  { fetchBytes, patienceMs, signal }: Limits,
): AsyncGenerator<SourceRecord[]> {
  const end = to ?? Number.POSITIVE_INFINITY;
  let at = from;
  let maxBytes = fetchBytes;
  let empty = 0;
  let progress = performance.now();
  const start = (): Promise<FetchedPartition | null> => {
    const fetching = fetch(at, maxBytes);
    // It may fail while the answer before it is in work, or be left alone when the reader has had enough.
    fetching.catch(() => undefined);
    return fetching;
  };
  for (let next = at < end ? start() : null; next !== null;) {
    const fetched = await next;
    signal?.throwIfAborted();
    const batches = fetched === null ? [] : batchesOf(fetched.records, source);
    const last = batches[batches.length - 1];
    if (fetched !== null && last !== undefined) {
      if (last.nextOffset <= at)
        throw damaged(source, last.firstOffset, `it ends before offset ${at}, which was asked for`);
      const wanted = { source, from: at, to: end };
      at = last.nextOffset;
      empty = 0;
      next = at < end ? start() : null;
      yield* committedRecords(batches, fetched.aborted, wanted);
      // What the reader does with the records takes as long as it takes.
      progress = performance.now();
      continue;
    }
    if (fetched !== null && fetched.records.length > 0) {
      // One batch, larger than what was asked for, from a broker that cuts it off.
      maxBytes *= 2;
      if (maxBytes > MAX_FETCH_BYTES) throw damaged(source, at, `it is larger than ${MAX_FETCH_BYTES} bytes`);
    } else if (fetched !== null && fetched.lastStableOffset >= end) {
      // All up to the end may be read, and nothing is there: it was compacted away.
      empty += 1;
      if (empty === EMPTY_ANSWERS) return;
    } else if (performance.now() - progress > patienceMs) {
      const known = fetched === null ? "" : ` (it gives records up to ${fetched.lastStableOffset})`;
      throw new UnavailableError(`Kafka does not give the records of ${source} from ${at} to ${end} now${known}`);
    } else if (fetched === null) {
      // The broker wants fewer requests from this client.
      await sleep(100, signal);
    }
    next = start();
  }
}

/** The records of batches without those of transactions that were taken back, some at a time. */
async function* committedRecords(
  batches: readonly RecordBatch[],
  aborted: readonly AbortedTransaction[],
  wanted: Wanted,
): AsyncGenerator<SourceRecord[]> {
  // A producer has one transaction after the other: from an aborted one's first record to its marker, all of it is out.
  const toCome = [...aborted].sort((left, right) => left.firstOffset - right.firstOffset);
  const open = new Set<bigint>();
  let records: SourceRecord[] = [];
  for (const batch of batches) {
    while (toCome[0] !== undefined && toCome[0].firstOffset < batch.nextOffset) {
      open.add(toCome[0].producerId);
      toCome.shift();
    }
    if (batch.isControl) {
      if (isAbortMarker(batch)) open.delete(batch.producerId);
      continue;
    }
    if (batch.isTransactional && open.has(batch.producerId)) continue;
    if (batch.count === 0 || batch.nextOffset <= wanted.from || batch.firstOffset >= wanted.to) continue;
    const preparation = preparationOf(batch.codec);
    if (preparation !== null) await preparation;
    decodeRecords(batch, unpacked(batch, wanted.source), wanted, records);
    if (records.length >= RECORDS_TOGETHER) {
      yield records;
      records = [];
    }
  }
  if (records.length > 0) yield records;
}

function unpacked(batch: RecordBatch, source: string): Buffer {
  try {
    return unpack(batch.codec, batch.packed);
  } catch (error) {
    throw damaged(source, batch.firstOffset, `its ${batch.codec} data cannot be unpacked (${String(error)})`);
  }
}
