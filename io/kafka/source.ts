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

/** A person waits: longer than a leader's election, shorter than a coffee. */
const PLAN_PATIENCE_MS = 5_000;

export const kafkaSource: SourceConnector = {
  plan: (address, stretch) => planTopic(address, stretch),
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
    since === null ? null : client.offsets(topic, partitions, since),
    until === null ? null : client.offsets(topic, partitions, until),
  ]);
  return partitions.flatMap((partition) => {
    const last = ends.get(partition) ?? 0;
    // No record of that time or later: nothing to read since then, and no end before the end.
    const from = Math.max(starts.get(partition) ?? 0, sinces === null ? 0 : (sinces.get(partition) ?? last));
    const to = Math.min(last, untils?.get(partition) ?? last);
    return split(from, to, rangeOffsets).map(([first, next]) => rangeOf(place, partition, first, next));
  });
}

function split(from: number, to: number, most: number): [number, number][] {
  const pieces: [number, number][] = [];
  for (let at = from; at < to; at += most) pieces.push([at, Math.min(to, at + most)]);
  return pieces;
}
