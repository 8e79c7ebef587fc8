// From the bytes of record batches to records: against kafkajs's own encoder, and with bytes that are damaged.
import fc from "fast-check";
import { CompressionTypes } from "kafkajs";
import { RunError, UnavailableError } from "../../schema/errors";
import { type Range, type SourceRecord } from "../../schema/record";
import { crc32c } from "./crc32c";
import { parseFetch, type AbortedTransaction, type FetchedPartition } from "./fetch-response";
import { recordsOf } from "./read";
import { batchesOf, decodeRecords } from "./record-batch";
import { preparationOf, unpack, type Codec } from "./unpack";

interface Encoder {
  readonly buffer: Buffer;
}
interface Written {
  readonly key: Buffer | null;
  readonly value: Buffer | null;
  readonly timestamp: number;
  readonly offset: number;
  readonly headers?: Record<string, Buffer>;
}

/* eslint-disable @typescript-eslint/no-require-imports -- the inside of kafkajs has no types */
const { RecordBatch } = require("kafkajs/src/protocol/recordBatch/v0") as {
  RecordBatch(batch: object): Promise<Encoder>;
};
const Record = require("kafkajs/src/protocol/recordBatch/record/v0") as (record: object) => Encoder;
const Long = require("kafkajs/src/utils/long") as { fromNumber(number: number): unknown };
/* eslint-enable @typescript-eslint/no-require-imports */

/** A batch as kafkajs writes it; changed by `change` before its checksum is made. */
async function batchOf(written: readonly Written[], options: object = {}, change?: (bytes: Buffer) => void) {
  const base = written[0]?.timestamp ?? 0;
  const firstOffset = written[0]?.offset ?? 0;
  const encoded = await RecordBatch({
    firstOffset: Long.fromNumber(firstOffset),
    firstTimestamp: base,
    maxTimestamp: Math.max(base, ...written.map(({ timestamp }) => timestamp)),
    lastOffsetDelta: (written[written.length - 1]?.offset ?? 0) - firstOffset,
    records: written.map(({ timestamp, offset, ...record }) =>
      Record({ ...record, timestampDelta: timestamp - base, offsetDelta: offset - firstOffset }),
    ),
    ...options,
  });
  const bytes = Buffer.from(encoded.buffer);
  change?.(bytes);
  bytes.writeUInt32BE(crc32c(bytes, 21), 17);
  return bytes;
}

const plain = (offset: number, value = `value ${offset}`): Written => ({
  key: null,
  value: Buffer.from(value),
  timestamp: 1000,
  offset,
});

const everything = { source: "topic/0", from: 0, to: Number.MAX_SAFE_INTEGER };

function decoded(bytes: Buffer): SourceRecord[] {
  const records: SourceRecord[] = [];
  for (const batch of batchesOf(bytes, "topic/0")) {
    decodeRecords(batch, unpack(batch.codec, batch.packed), everything, records);
  }
  return records;
}

it("has Castagnoli's checksum", () => {
  expect(crc32c(Buffer.from("123456789"))).toBe(0xe3069283);
  expect(crc32c(Buffer.from("xx123456789xx"), 2, 11)).toBe(0xe3069283);
  expect(crc32c(Buffer.alloc(32))).toBe(0x8a9136aa);
  expect(crc32c(Buffer.alloc(0))).toBe(0);
});

describe("a batch", () => {
  const bytes = fc.oneof(
    fc.uint8Array({ maxLength: 20 }).map((array) => Buffer.from(array)),
    fc.string({ unit: "grapheme", maxLength: 200 }).map((text) => Buffer.from(text)),
  );
  const field = fc.option(bytes);
  const timestamp = fc.oneof(fc.integer({ min: 0, max: 5000 }), fc.integer({ min: 0, max: 4_000_000_000_000 }));
  const headers = fc.option(fc.dictionary(fc.string({ minLength: 1, maxLength: 5 }), bytes, { maxKeys: 3 }), {
    nil: undefined,
  });
  const record = fc.record({ key: field, value: field, timestamp, gap: fc.integer({ min: 1, max: 300 }), headers });

  const textOf = (buffer: Buffer | null): string | Uint8Array | null => {
    if (buffer === null) return null;
    const text = buffer.toString("utf8");
    return Buffer.from(text).equals(buffer) ? text : new Uint8Array(buffer);
  };

  it("gives back what kafkajs wrote, packed or not", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(record, { minLength: 1, maxLength: 10 }),
        fc.integer({ min: 0, max: 2 ** 48 }),
        fc.constantFrom(CompressionTypes.None, CompressionTypes.GZIP),
        async (records, firstOffset, compression) => {
          let offset = firstOffset;
          const written = records.map(({ gap, ...rest }) => ({ ...rest, offset: (offset += gap) }));
          const read = decoded(await batchOf(written, { compression }));
          expect(
            read.map(({ headers: found, ...rest }) => ({ ...rest, headers: found && Object.entries(found).sort() })),
          ).toEqual(
            written.map(({ key, value, timestamp: at, offset: position, headers: sent }) => {
              const named = Object.entries(sent ?? {}).map(([name, content]) => {
                const text = textOf(content);
                return [name, typeof text === "string" ? text : `base64:${content.toString("base64")}`];
              });
              if (value === null) named.push(["tombstone", "true"]);
              return {
                source: "topic/0",
                position,
                key: textOf(key),
                value: textOf(value) ?? "",
                timestamp: at,
                fields: null,
                headers: named.length === 0 ? null : named.sort(),
              };
            }),
          );
        },
      ),
      { numRuns: 300 },
    );
  });

  it("has the broker's time where the topic wants that, and none where there is none", async () => {
    const appended = await batchOf([plain(1), { ...plain(2), timestamp: 3000 }], {}, (found) => {
      found.writeInt16BE(8, 21);
    });
    expect(decoded(appended).map(({ timestamp: at }) => at)).toEqual([3000, 3000]);
    expect(decoded(await batchOf([{ ...plain(1), timestamp: -1 }]))[0]?.timestamp).toBeNull();
  });

  it("takes hostile header names for what they are: names", async () => {
    const header = Buffer.from("x");
    const names = Object.fromEntries([
      ["constructor", header],
      ["toString", header],
    ]);
    Object.defineProperty(names, "__proto__", { value: header, enumerable: true });
    const [read] = decoded(await batchOf([{ ...plain(1), headers: names }]));
    expect(Object.keys(read?.headers ?? {}).sort()).toEqual(["__proto__", "constructor", "toString"]);
    expect(decoded(await batchOf([{ ...plain(1), headers: { a: header } }]))[0]?.headers?.["toString"]).toBeUndefined();
  });

  it("that is cut off at the end of an answer is left for the next one", async () => {
    const whole = await batchOf([plain(0), plain(1)]);
    const two = Buffer.concat([whole, await batchOf([plain(2)])]);
    for (let end = 0; end < two.length; end += 1) {
      expect(decoded(two.subarray(0, end))).toHaveLength(end < whole.length ? 0 : 2);
    }
  });

  it("with any byte changed is refused, never read wrong", async () => {
    const sound = await batchOf([plain(5), plain(6)]);
    for (let at = 12; at < sound.length; at += 1) {
      // The leader's epoch is not part of what the checksum covers, nor of what is read.
      if (at < 16) continue;
      const broken = Buffer.from(sound);
      broken[at]! ^= 0x41;
      expect(() => decoded(broken)).toThrow(RunError);
    }
  });

  it("that is sound by its checksum, but not inside, is refused as a whole", async () => {
    const records = [plain(5), plain(6)];
    const length = (await batchOf(records)).length;
    for (let at = 61; at < length; at += 1) {
      for (const bit of [1, 2, 64, 128]) {
        const bytes = await batchOf(records, {}, (found) => {
          found[at]! ^= bit;
        });
        try {
          expect(decoded(bytes)).toHaveLength(2);
        } catch (error) {
          expect(error).toEqual(
            new RunError("The batch at offset 5 of topic/0 cannot be read: a record in it is cut off"),
          );
        }
      }
    }
  });

  it("of an older format is refused with what to do", async () => {
    const old = await batchOf([plain(7)]);
    old[16] = 1;
    expect(() => decoded(old)).toThrow(
      /^The batch at offset 7 of topic\/0 cannot be read: it has format 1, from before/,
    );
  });
});

describe("packings", () => {
  const text = Buffer.from("beamline ".repeat(1000));

  it("of Java's snappy, which is cut into blocks", () => {
    /* eslint-disable-next-line @typescript-eslint/no-require-imports -- it has no types */
    const snappy = require("snappyjs") as { compress(bytes: Buffer): Buffer };
    const block = (bytes: Buffer): Buffer => {
      const packed = snappy.compress(bytes);
      const length = Buffer.alloc(4);
      length.writeInt32BE(packed.length);
      return Buffer.concat([length, packed]);
    };
    const head = Buffer.from([0x82, 0x53, 0x4e, 0x41, 0x50, 0x50, 0x59, 0, 0, 0, 0, 1, 0, 0, 0, 1]);
    const framed = Buffer.concat([head, block(text.subarray(0, 4000)), block(text.subarray(4000))]);
    expect(unpack("snappy", framed)).toEqual(text);
    expect(unpack("snappy", Buffer.from(snappy.compress(text)))).toEqual(text);
    expect(() => unpack("snappy", framed.subarray(0, -1))).toThrow("cut off");
  });

  it("of zstd without the size in its head, however large", async () => {
    await preparationOf("zstd");
    // Blocks that repeat one byte 128 KiB times: 40 of them are more than the room that is tried first.
    const frame = (count: number): Buffer => {
      const head = Buffer.from([0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x58]);
      const blocks = Array.from({ length: count }, (_, at) => {
        const block = Buffer.alloc(4, "a");
        block.writeUIntLE(((128 * 1024) << 3) | (1 << 1) | (at === count - 1 ? 1 : 0), 0, 3);
        return block;
      });
      return Buffer.concat([head, ...blocks]);
    };
    expect(unpack("zstd", frame(1)).equals(Buffer.alloc(128 * 1024, "a"))).toBe(true);
    expect(unpack("zstd", frame(40)).equals(Buffer.alloc(40 * 128 * 1024, "a"))).toBe(true);
    // A frame that would fill the memory.
    expect(() => unpack("zstd", frame(3000))).toThrow();
  });

  it.each<Codec>(["gzip", "snappy", "lz4", "zstd"])("%s that is damaged throws", async (codec) => {
    await preparationOf(codec);
    expect(() => unpack(codec, Buffer.from("this is not packed at all, and too long for a head"))).toThrow();
  });
});

describe("a fetch's answer", () => {
  const int = (size: number, value: number | bigint): Buffer => {
    const bytes = Buffer.alloc(size);
    if (size === 8) bytes.writeBigInt64BE(BigInt(value));
    else bytes.writeIntBE(Number(value), 0, size);
    return bytes;
  };
  const answer = (version: number, records: Buffer): Buffer =>
    Buffer.concat([
      int(4, 0),
      ...(version >= 7 ? [int(2, 0), int(4, 0)] : []),
      int(4, 1),
      int(2, 5),
      Buffer.from("topic"),
      int(4, 1),
      int(4, 3),
      int(2, 0),
      int(8, 100),
      int(8, 90),
      ...(version >= 5 ? [int(8, 10)] : []),
      int(4, 1),
      int(8, 77n),
      int(8, 50),
      ...(version >= 11 ? [int(4, -1)] : []),
      int(4, records.length),
      records,
    ]);

  it.each([4, 5, 7, 10, 11])("of version %i is taken apart", (version) => {
    const bytes = answer(version, Buffer.from("records"));
    expect(parseFetch(bytes, version)).toEqual({
      errorCode: 0,
      lastStableOffset: 90,
      aborted: [{ producerId: 77n, firstOffset: 50 }],
      records: Buffer.from("records"),
    });
    for (let end = 0; end < bytes.length; end += 1) {
      expect(() => parseFetch(bytes.subarray(0, end), version)).toThrow(RunError);
    }
  });

  it("may have no partition in it, or an error for all", () => {
    expect(parseFetch(Buffer.concat([int(4, 50), int(2, 0), int(4, 0), int(4, 0)]), 11)).toBeNull();
    expect(parseFetch(Buffer.concat([int(4, 0), int(2, 70), int(4, 0), int(4, 0)]), 11)).toMatchObject({
      errorCode: 70,
    });
  });
});

describe("a range out of several answers", () => {
  const range = (from: number, to: number): Range => ({ connector: "kafka", source: "topic/0", from, to, detail: {} });
  const limits = { fetchBytes: 1000, patienceMs: 0 };
  const found = (records: Buffer, aborted: AbortedTransaction[] = [], lastStableOffset = 1000): FetchedPartition => ({
    errorCode: 0,
    lastStableOffset,
    aborted,
    records,
  });
  const nothing = found(Buffer.alloc(0));

  async function read(
    { from, to }: { from: number; to: number },
    answers: readonly (FetchedPartition | null)[],
  ): Promise<{ positions: number[]; asked: [number, number][] }> {
    const asked: [number, number][] = [];
    const positions: number[] = [];
    const fetch = async (offset: number, bytes: number): Promise<FetchedPartition | null> => {
      const given = answers[asked.length];
      asked.push([offset, bytes]);
      if (given === undefined) throw new Error("asked too often");
      return given;
    };
    for await (const records of recordsOf(range(from, to), fetch, limits)) {
      positions.push(...records.map(({ position }) => position));
    }
    return { positions, asked };
  }

  const marker = async (offset: number, producerId: number, type: 0 | 1): Promise<Buffer> =>
    batchOf(
      [{ key: Buffer.from([0, 0, 0, type]), value: Buffer.alloc(6), timestamp: 1, offset }],
      { producerId: Long.fromNumber(producerId) },
      (bytes) => bytes.writeInt16BE(16 | 32, 21),
    );
  const inTransaction = (offset: number, producerId: number): Promise<Buffer> =>
    batchOf([plain(offset)], { producerId: Long.fromNumber(producerId), transactional: true });

  it("goes on behind what it has, over holes, up to its end", async () => {
    const first = found(await batchOf([plain(3), plain(5)]));
    const second = found(Buffer.concat([await batchOf([plain(9)]), await batchOf([plain(12), plain(13)])]));
    expect(await read({ from: 4, to: 13 }, [first, second])).toEqual({
      positions: [5, 9, 12],
      asked: [
        [4, 1000],
        [6, 1000],
      ],
    });
  });

  it("ends when nothing more can come: behind its end, or in a hole at the end of what may be read", async () => {
    const far = found(await batchOf([plain(50)]));
    expect(await read({ from: 4, to: 10 }, [far])).toEqual({ positions: [], asked: [[4, 1000]] });
    expect((await read({ from: 4, to: 10 }, [nothing, nothing, nothing])).positions).toEqual([]);
    // Only a broker that is busy otherwise.
    const late = found(await batchOf([plain(4), plain(9)]));
    expect((await read({ from: 4, to: 10 }, [nothing, nothing, late])).positions).toEqual([4, 9]);
    expect(await read({ from: 4, to: 4 }, [])).toEqual({ positions: [], asked: [] });
  });

  it("waits for a broker that may not give the records yet, but not for ever", async () => {
    const behind = found(Buffer.alloc(0), [], 7);
    await expect(read({ from: 7, to: 10 }, [behind, behind, behind])).rejects.toThrow(
      new UnavailableError("Kafka does not give the records of topic/0 from 7 to 10 now (it gives records up to 7)"),
    );
  });

  it("asks for more when a batch is larger than what it asked for", async () => {
    const batch = await batchOf([plain(0, "x".repeat(3000))]);
    const cut = found(batch.subarray(0, 1000));
    expect(await read({ from: 0, to: 1 }, [cut, cut, found(batch)])).toEqual({
      positions: [0],
      asked: [
        [0, 1000],
        [0, 2000],
        [0, 4000],
      ],
    });
  });

  it("refuses a broker that goes backwards", async () => {
    const old = found(await batchOf([plain(1)]));
    await expect(read({ from: 5, to: 10 }, [old])).rejects.toThrow("it ends before offset 5, which was asked for");
  });

  it("leaves out what transactions took back, and only that", async () => {
    const records = Buffer.concat([
      await inTransaction(0, 1),
      await inTransaction(1, 2),
      await batchOf([plain(2)]),
      await inTransaction(3, 1),
      await marker(4, 1, 0),
      // The same producer again, and this time to its end.
      await inTransaction(5, 1),
      await marker(6, 1, 1),
      await marker(7, 2, 1),
      await inTransaction(8, 1),
      await marker(9, 1, 0),
    ]);
    const aborted = [
      { producerId: 1n, firstOffset: 8 },
      { producerId: 1n, firstOffset: 0 },
    ];
    expect((await read({ from: 0, to: 10 }, [found(records, aborted)])).positions).toEqual([1, 2, 5]);
    expect((await read({ from: 0, to: 10 }, [found(records)])).positions).toEqual([0, 1, 2, 3, 5, 8]);
  });

  it("ends with the signal, also while a broker keeps quiet", async () => {
    const stop = new AbortController();
    const fetch = async (): Promise<FetchedPartition> => {
      stop.abort(new Error("stopped"));
      return nothing;
    };
    const reading = recordsOf(range(0, 10), fetch, { ...limits, signal: stop.signal }).next();
    await expect(reading).rejects.toThrow("stopped");
  });
});
