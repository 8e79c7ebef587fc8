// Which partition a message goes to: the one that Java's clients and kafkajs choose too, so that all writers of a topic agree.
// kafkajs's own computes the same with big integers, which takes longer than all the rest of a message.
import { randomInt } from "node:crypto";
import { type ICustomPartitioner, type Message } from "kafkajs";

const MIX = 0x5bd1e995;

/** The hash of a key that Kafka's clients share. */
export function murmur2(key: Uint8Array): number {
  const { length } = key;
  let hash = 0x9747b28c ^ length;
  let at = 0;
  for (; at + 4 <= length; at += 4) {
    let word =
      (key[at] as number) |
      ((key[at + 1] as number) << 8) |
      ((key[at + 2] as number) << 16) |
      ((key[at + 3] as number) << 24);
    word = Math.imul(word, MIX);
    word = Math.imul(word ^ (word >>> 24), MIX);
    hash = Math.imul(hash, MIX) ^ word;
  }
  if (at < length) {
    for (let shift = 0; at < length; at += 1, shift += 8) hash ^= (key[at] as number) << shift;
    hash = Math.imul(hash, MIX);
  }
  hash = Math.imul(hash ^ (hash >>> 13), MIX);
  return hash ^ (hash >>> 15);
}

/**
 * By the key; without one in turns, starting anywhere, over the partitions that have a leader. A message that is sent again
 * goes where it went: kafkajs asks again with each attempt, and under the numbers of what was sent before, another message
 * in that partition would be taken for one that is already there.
 */
export const partitioner: ICustomPartitioner = () => {
  let turn = randomInt(0x7fffffff);
  const chosen = new WeakMap<Message, number>();
  return ({ partitionMetadata, message }) => {
    const { key, partition = chosen.get(message) } = message;
    if (partition !== undefined) return partition;
    if (key != null) {
      const bytes = typeof key === "string" ? Buffer.from(key) : key;
      return (murmur2(bytes) & 0x7fffffff) % partitionMetadata.length;
    }
    const led = partitionMetadata.filter(({ leader }) => leader >= 0);
    const open = led.length > 0 ? led : partitionMetadata;
    turn = (turn + 1) & 0x7fffffff;
    const next = open[turn % open.length]?.partitionId ?? 0;
    chosen.set(message, next);
    return next;
  };
};
