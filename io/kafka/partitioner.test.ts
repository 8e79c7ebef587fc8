// Against kafkajs's own partitioner, which chooses as Java's clients do.
import fc from "fast-check";
import { Partitioners, type PartitionMetadata } from "kafkajs";
import { murmur2, partitioner } from "./partitioner";

const metadata = (count: number, leaderOf: (partition: number) => number = () => 1): PartitionMetadata[] =>
  Array.from({ length: count }, (_, partitionId) => ({
    ...{ partitionErrorCode: 0, partitionId, leader: leaderOf(partitionId), replicas: [1], isr: [1] },
  }));

const chosen = (key: string | Buffer | null, partitionMetadata: PartitionMetadata[], partition?: number) => ({
  topic: "candles",
  partitionMetadata,
  message: { key, value: "", ...(partition === undefined ? {} : { partition }) },
});

describe("the partitioner", () => {
  it("chooses for any key as kafkajs does", () => {
    const [own, theirs] = [partitioner(), Partitioners.DefaultPartitioner()];
    const key = fc.oneof(
      fc.string({ unit: "binary" }),
      fc.uint8Array({ maxLength: 100 }).map((array) => Buffer.from(array)),
    );
    fc.assert(
      fc.property(key, fc.integer({ min: 1, max: 1_000 }), (one, count) => {
        const asked = chosen(one, metadata(count));
        expect(own(asked)).toBe(theirs(asked));
      }),
      { numRuns: 1_000 },
    );
  });

  it("has the hash that Java has", () => {
    // A value that the tests of Kafka's own clients state.
    expect(murmur2(Buffer.from("21"))).toBe(-973932308);
  });

  it("takes the partitions that have a leader in turns when there is no key", () => {
    const choose = partitioner();
    const all = metadata(4, (partition) => (partition === 2 ? -1 : 1));
    const nine = Array.from({ length: 9 }, () => choose(chosen(null, all)));
    for (const partition of [0, 1, 3]) expect(nine.filter((one) => one === partition)).toHaveLength(3);
    const leaderless = metadata(2, () => -1);
    expect(new Set([choose(chosen(null, leaderless)), choose(chosen(null, leaderless))]).size).toBe(2);
  });

  it("sends a message without a key where it was sent before, when it is sent again", () => {
    const choose = partitioner();
    const messages = Array.from({ length: 5 }, () => chosen(null, metadata(3)));
    const first = messages.map(choose);
    expect(messages.map(choose)).toEqual(first);
  });

  it("keeps to a partition that is named", () => {
    expect(partitioner()(chosen("a", metadata(4), 3))).toBe(3);
  });
});
