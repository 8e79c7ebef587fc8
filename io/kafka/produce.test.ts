// Against what kafkajs itself writes: the same bytes, for any messages.
import fc from "fast-check";
import { writeFast } from "./internals";
import { produceBody, type ProducedMessage, type ProduceInput } from "./produce";

interface Request {
  encode(): Promise<{ readonly buffer: Buffer }>;
}
/* eslint-disable @typescript-eslint/no-require-imports -- the inside of kafkajs has no types */
const requestOfKafkajs = require("kafkajs/src/protocol/requests/produce/v3/request") as (input: object) => Request;
const { requests } = require("kafkajs/src/protocol/requests") as {
  requests: { Produce: { protocol(which: { version: number }): (input: object) => { request: Request } } };
};
/* eslint-enable @typescript-eslint/no-require-imports */

const text = fc.string({ unit: "binary", maxLength: 300 });
const bytes = fc.oneof(
  text,
  fc.uint8Array({ maxLength: 300 }).map((array) => Buffer.from(array)),
);
// Of one length: kafkajs finds the earliest by comparing them as texts.
const timestamp = fc.integer({ min: 1e12, max: 9.9e12 }).map(String);
const message: fc.Arbitrary<ProducedMessage> = fc.record(
  {
    key: fc.option(bytes),
    value: fc.option(bytes),
    timestamp,
    headers: fc.dictionary(text, fc.oneof(bytes, fc.array(bytes, { maxLength: 3 })), { maxKeys: 3 }),
  },
  { requiredKeys: ["value", "timestamp"] },
);
const input: fc.Arbitrary<ProduceInput> = fc.record({
  acks: fc.constantFrom(-1, 0, 1),
  timeout: fc.integer({ min: 0, max: 60_000 }),
  transactionalId: fc.option(text),
  producerId: fc.bigInt({ min: -1n, max: 2n ** 62n }).map(String),
  producerEpoch: fc.integer({ min: 0, max: 32_767 }),
  topicData: fc.array(
    fc.record({
      topic: text,
      partitions: fc.array(
        fc.record({
          partition: fc.nat(100),
          firstSequence: fc.nat(),
          messages: fc.array(message, { minLength: 1, maxLength: 20 }),
        }),
        { maxLength: 3 },
      ),
    }),
    { maxLength: 3 },
  ),
});

const ofKafkajs = async (asked: ProduceInput): Promise<string> =>
  (await requestOfKafkajs(asked).encode()).buffer.toString("hex");

const oneBatch = (messages: readonly ProducedMessage[]): ProduceInput => ({
  ...{ acks: -1, timeout: 30_000, producerId: "7", producerEpoch: 0 },
  topicData: [{ topic: "candles", partitions: [{ partition: 0, firstSequence: 0, messages }] }],
});

describe("a produce request", () => {
  it("has the bytes that kafkajs gives it", async () => {
    await fc.assert(
      fc.asyncProperty(input, async (asked) => {
        expect(produceBody(asked).toString("hex")).toBe(await ofKafkajs(asked));
      }),
    );
  });

  it("grows as far as its messages need", async () => {
    const asked = oneBatch(
      [1, 1_000, 1_000_000].map((size) => ({
        key: "ü".repeat(size),
        value: "€".repeat(size),
        timestamp: "1700000000000",
      })),
    );
    expect(produceBody(asked).toString("hex")).toBe(await ofKafkajs(asked));
  });

  it("takes the present where a message has no time", async () => {
    jest.useFakeTimers({ now: 1_700_000_000_000 });
    const asked = oneBatch([{ value: "a" }, { value: "b" }]);
    expect(produceBody(asked).toString("hex")).toBe(await ofKafkajs(asked));
    jest.useRealTimers();
  });

  it("finds the earliest and the latest time by number", () => {
    const asked = oneBatch([
      { value: "a", timestamp: "1000000000000" },
      { value: "b", timestamp: "999999999999" },
    ]);
    const body = produceBody(asked);
    // Behind the topic's name, a count, the partition and the size.
    const batch = body.subarray(body.indexOf("candles") + "candles".length + 12);
    expect(batch.readBigInt64BE(27)).toBe(999_999_999_999n);
    expect(batch.readBigInt64BE(35)).toBe(1_000_000_000_000n);
  });
});

describe("writing fast", () => {
  it("is what kafkajs does once it was asked to, but for packed messages and old brokers", async () => {
    writeFast();
    writeFast();
    const late = oneBatch([
      { value: "a", timestamp: "1000000000000" },
      { value: "b", timestamp: "999999999999" },
    ]);
    const written = async (version: number, asked: object) =>
      (await requests.Produce.protocol({ version })(asked).request.encode()).buffer.toString("hex");
    const fast = produceBody(late).toString("hex");
    expect(fast).not.toBe(await ofKafkajs(late));
    for (const version of [3, 7]) expect(await written(version, late)).toBe(fast);
    expect(await written(7, { ...late, compression: 1 })).toBe(await ofKafkajs({ ...late, compression: 1 }));
    await expect(written(2, late)).resolves.not.toBe(fast);
  });
});
