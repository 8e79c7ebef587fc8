// A topic as a source with an end: what lies there now, by partition.
import { type Range } from "../../schema/record";
import { type Address, type SourceConnector, type Stretch } from "../connector";
import { LOG_END, LOG_START, withClient, type KafkaClient } from "./client";
import { explain } from "./failures";
import { followTopic } from "./follow";
import { patiently } from "./patience";
import { readRange } from "./read";
import { rangeOf, readPlaceOf, type ReadPlace } from "./topic-range";

/** Large partitions are cut into ranges of so many offsets, so that several workers can read one, and each piece is small. */
const RANGE_OFFSETS = 250_000;

/** Enough for the first record of a log, unless that is a large one. */
const FIRST_BYTES = 64 * 1024;

/** A person waits: longer than a leader's election, shorter than a coffee. */
const PLAN_PATIENCE_MS = 5_000;

export const kafkaSource: SourceConnector = {
  plan: (address, stretch) => planTopic(address, stretch),
  withoutTimes: () => null,
  read: (range, signal) => readRange(range, signal),
  follow: followTopic,
};

/** What lies in a topic now, in ranges of at most so many offsets. */
export async function planTopic(address: Address, stretch: Stretch, rangeOffsets = RANGE_OFFSETS): Promise<Range[]> {
  const place = readPlaceOf(address);
  try {
    return await patiently(() => withClient(place, (client) => plan(client, place, stretch, rangeOffsets)), {
      limitMs: PLAN_PATIENCE_MS,
    });
  } catch (error) {
    throw explain(error, `Topic ${place.topic} at ${place.brokers.join(",")}`);
  }
}

/**
 * From the log's start to the last stable offset: what an open transaction holds back is not there yet. Times are those
 * of the records: a stretch begins with the first record of its time, and ends before the first one after it.
 */
async function plan(
  client: KafkaClient,
  place: ReadPlace,
  { since, until }: Stretch,
  rangeOffsets: number,
): Promise<Range[]> {
  const { topic } = place;
  const partitions = await client.partitions(topic);
  const [starts, ends, sinces, untils] = await Promise.all([
    client.offsets(topic, partitions, LOG_START),
    client.offsets(topic, partitions, LOG_END),
    // No record is older than 0, and what is below it asks for an end of the log.
    since === null ? null : client.offsets(topic, partitions, Math.max(0, since)),
    until === null ? null : client.offsets(topic, partitions, Math.max(0, until)),
  ]);
  const planned = partitions.map(async (partition) => {
    const start = starts.get(partition) ?? 0;
    const last = ends.get(partition) ?? 0;
    // No record of that time or later: nothing to read since then, and no end before the end.
    const from = Math.max(start, sinces === null ? 0 : (sinces.get(partition) ?? last));
    const to = Math.min(last, untils?.get(partition) ?? last);
    const ranges = split(from, to, rangeOffsets).map(([first, next]) => rangeOf(place, partition, first, next));
    // What was deleted is older than a record that is there and older than the stretch. Where a partition is empty, nothing
    // says how old it was.
    const isCut = start > 0 && start < last && from === start;
    const cutAt = isCut ? await timeOfFirst(place, partition, start, last) : null;
    if (cutAt === null) return ranges;
    // Also where the stretch ends before it, and so has nothing to read.
    const [range = rangeOf(place, partition, start, start), ...more] = ranges;
    return [{ ...range, cutAt }, ...more];
  });
  return (await Promise.all(planned)).flat();
}

async function timeOfFirst(place: ReadPlace, partition: number, from: number, to: number): Promise<number | null> {
  // Its value is not looked at.
  const range = rangeOf({ ...place, registry: null }, partition, from, to);
  for await (const [record] of readRange(range, undefined, { fetchBytes: FIRST_BYTES })) {
    if (record !== undefined) return record.timestamp;
  }
  return null;
}

function split(from: number, to: number, most: number): [number, number][] {
  const pieces: [number, number][] = [];
  for (let at = from; at < to; at += most) pieces.push([at, Math.min(to, at + most)]);
  return pieces;
}
