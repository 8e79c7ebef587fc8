// The Kafka connector against a real broker, which also can be reached through a proxy that breaks on demand.
// TLS and SASL are not tried here: the broker that tests start takes plain connections only (see io/kafka/settings.test.ts).
import { chmodSync, mkdtempSync, rmSync } from "node:fs";
import http from "node:http";
import { type AddressInfo } from "node:net";
import os from "node:os";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import {
  CompressionCodecs,
  CompressionTypes,
  Kafka,
  logLevel,
  Partitioners,
  type Admin,
  type ITopicConfig,
  type Message,
} from "kafkajs";
import { z } from "zod";
import { freePort } from "../infra/services/ports";
import { killService, startServices, stopServices } from "../infra/services/services";
import { parseAddress } from "../io/address";
import { EVERYTHING, type Batch, type Followed, type Output, type Part, type Stretch } from "../io/connector";
import { followTopic } from "../io/kafka/follow";
import { kafka as connector } from "../io/kafka/kafka";
import { readRange, type ReadOptions } from "../io/kafka/read";
import { planTopic } from "../io/kafka/source";
import { packZstd, zstdReady } from "../io/zstd";
import { RunError, UnavailableError, UsageError } from "../schema/errors";
import { type Range, type SourceRecord } from "../schema/record";
import { tableOf, timestamp } from "../schema/table";
import { exactProducer } from "./exact-producer";
import { startFaultProxy, type FaultProxy } from "./fault-proxy";

const directory = mkdtempSync(path.join(os.tmpdir(), "beamline-kafka-"));
// The server may run as another user.
chmodSync(directory, 0o755);

let port: number;
let proxy: FaultProxy;
let admin: Admin;
let options: Parameters<typeof startServices>[1];
const source = connector.source!;
const sink = connector.sink!;

const client = (): Kafka =>
  new Kafka({
    brokers: [`127.0.0.1:${port}`],
    logLevel: logLevel.NOTHING,
    retry: { retries: 10, initialRetryTime: 50, maxRetryTime: 500 },
  });

const uri = (topic: string, at = port): string => `kafka://127.0.0.1:${at}/${topic}`;

async function createTopic(topic: string, numPartitions = 1, config: Record<string, string> = {}): Promise<void> {
  const configEntries = Object.entries(config).map(([name, value]) => ({ name, value }));
  const made: ITopicConfig = { topic, numPartitions, configEntries };
  await admin.createTopics({ topics: [made], waitForLeaders: true });
}

async function produce(topic: string, messages: Message[], compression = CompressionTypes.None): Promise<void> {
  const producer = exactProducer(client());
  await producer.connect();
  await producer.send({ topic, messages, compression });
  await producer.disconnect();
}

const numbered = (from: number, to: number, more: Partial<Message> = {}): Message[] =>
  Array.from({ length: to - from }, (_, at) => ({
    value: String(from + at),
    timestamp: "1000",
    partition: 0,
    ...more,
  }));

const plan = (topic: string, stretch: Stretch = EVERYTHING): Promise<Range[]> =>
  source.plan(parseAddress(uri(topic)), stretch);

async function recordsIn(range: Range, signal?: AbortSignal, settings?: ReadOptions): Promise<SourceRecord[]> {
  const records: SourceRecord[] = [];
  for await (const some of readRange(range, signal, settings)) records.push(...some);
  return records;
}

async function readAll(topic: string, stretch?: Stretch): Promise<SourceRecord[]> {
  const records: SourceRecord[] = [];
  for (const range of await plan(topic, stretch)) {
    for await (const some of source.read(range)) records.push(...some);
  }
  return records;
}

const valuesOf = (records: readonly SourceRecord[]): number[] => records.map(({ value }) => Number(value));
const upTo = (from: number, to: number): number[] => Array.from({ length: to - from }, (_, at) => from + at);

/** Waits for what the broker does in its own time. */
async function until<T>(look: () => Promise<T>, isDone: (found: T) => boolean): Promise<T> {
  for (;;) {
    const found = await look();
    if (isDone(found)) return found;
    await sleep(200);
  }
}

beforeAll(async () => {
  const advertised = await freePort();
  proxy = await startFaultProxy({ port: advertised });
  const environment = { ...process.env, BEAMLINE_KAFKA_PROXY: `${advertised}:${proxy.port}` };
  options = { directory, environment, ports: { kafka: await freePort() } };
  port = (await startServices(["kafka"], options)).kafka.port;
  admin = client().admin();
  await admin.connect();
});

afterAll(async () => {
  await admin.disconnect();
  await proxy.close();
  await stopServices(["kafka"], { directory, data: true });
  rmSync(directory, { recursive: true, force: true });
});

describe("what is read", () => {
  it("is what was written: keys, headers, times, texts that are not ASCII, bytes that are no text, tombstones", async () => {
    await createTopic("records");
    await produce("records", [
      { partition: 0, key: "k", value: '{"a":1}', timestamp: "1700000000000", headers: { one: "1", two: "zwei ü" } },
      { partition: 0, key: null, value: "ü 😀", timestamp: "1700000000001" },
      { partition: 0, key: Buffer.from([0xff, 0x00]), value: Buffer.from([0x61, 0xff]), timestamp: "1600000000000" },
      { partition: 0, key: "gone", value: null, timestamp: "1700000000003", headers: { why: Buffer.from([0x80]) } },
      { partition: 0, key: "", value: "", timestamp: "1700000000004" },
    ]);
    const records = await readAll("records");
    expect(records.map(({ headers, ...rest }) => ({ ...rest, headers: headers && { ...headers } }))).toEqual(
      [
        { key: "k", value: '{"a":1}', timestamp: 1700000000000, headers: { one: "1", two: "zwei ü" } },
        { key: null, value: "ü 😀", timestamp: 1700000000001, headers: null },
        { key: new Uint8Array([255, 0]), value: new Uint8Array([97, 255]), timestamp: 1600000000000, headers: null },
        { key: "gone", value: "", timestamp: 1700000000003, headers: { why: "base64:gA==", tombstone: "true" } },
        { key: "", value: "", timestamp: 1700000000004, headers: null },
      ].map((record, position) => ({ source: "records/0", position, fields: null, ...record })),
    );
  });

  it("comes from all partitions that have something, each by itself", async () => {
    await createTopic("partitions", 4);
    expect(await plan("partitions")).toEqual([]);
    await produce("partitions", [...numbered(0, 3, { partition: 1 }), ...numbered(3, 5, { partition: 3 })]);
    const broker = `127.0.0.1:${port}`;
    const detail = { brokers: broker, topic: "partitions" };
    expect(await plan("partitions")).toEqual([
      { connector: "kafka", source: "partitions/1", from: 0, to: 3, detail: { ...detail, partition: 1 } },
      { connector: "kafka", source: "partitions/3", from: 0, to: 2, detail: { ...detail, partition: 3 } },
    ]);
    expect(valuesOf(await readAll("partitions"))).toEqual([0, 1, 2, 3, 4]);
  });

  it("can be cut into ranges anywhere, also inside a batch of the producer", async () => {
    await createTopic("ranges");
    for (let from = 0; from < 5000; from += 1000) await produce("ranges", numbered(from, from + 1000));
    const [whole] = await plan("ranges");
    for (const [from, to] of [
      [0, 1],
      [999, 1001],
      [1000, 2000],
      [1234, 4321],
      [4999, 5000],
    ] as const) {
      const range = { ...whole!, from, to };
      expect(valuesOf(await recordsIn(range))).toEqual(upTo(from, to));
      expect(valuesOf(await recordsIn(range, undefined, { fetchBytes: 1 }))).toEqual(upTo(from, to));
    }
  });

  it("makes several ranges of a large partition", async () => {
    const ranges = await planTopic(parseAddress(uri("ranges")), EVERYTHING, 2400);
    expect(ranges.map(({ from, to }) => [from, to])).toEqual([
      [0, 2400],
      [2400, 4800],
      [4800, 5000],
    ]);
    // All at the same time, through one client.
    const records = await Promise.all(ranges.map((range) => recordsIn(range)));
    expect(valuesOf(records.flat())).toEqual(upTo(0, 5000));
  });

  it("can begin and end with a time", async () => {
    await createTopic("times", 2);
    const at = (value: number, partition: number) => ({ value: String(value), timestamp: String(value), partition });
    await produce("times", [...[100, 200, 300, 400].map((time) => at(time, 0)), at(150, 1)]);
    expect(valuesOf(await readAll("times", { since: 200, until: 400 }))).toEqual([200, 300]);
    expect(valuesOf(await readAll("times", { since: 101, until: null }))).toEqual([200, 300, 400, 150]);
    expect(valuesOf(await readAll("times", { since: null, until: 200 }))).toEqual([100, 150]);
    expect(await plan("times", { since: 500, until: null })).toEqual([]);
    expect(await plan("times", { since: null, until: 50 })).toEqual([]);
  });

  it("may be packed by gzip, snappy, lz4 or zstd", async () => {
    await zstdReady();
    const pack = (pack: (bytes: Buffer) => Uint8Array) => () => ({
      compress: async ({ buffer }: { buffer: Buffer }) => Buffer.from(pack(buffer)),
      decompress: async () => Promise.reject(new Error("not used")),
    });
    /* eslint-disable @typescript-eslint/no-require-imports -- neither has types */
    const snappy = require("snappyjs") as { compress(bytes: Buffer): Uint8Array };
    const lz4 = require("lz4js") as { compress(bytes: Buffer): Uint8Array };
    const { hash } = require("lz4js/xxh32") as {
      hash(seed: number, bytes: Uint8Array, at: number, length: number): number;
    };
    /* eslint-enable @typescript-eslint/no-require-imports */
    CompressionCodecs[CompressionTypes.Snappy] = pack(snappy.compress);
    CompressionCodecs[CompressionTypes.LZ4] = pack((bytes) => {
      const packed = lz4.compress(bytes);
      // Kafka takes only frames that say that their blocks stand alone, which lz4js's do not, though with one block it is so.
      packed[4]! |= 0x20;
      packed[6] = (hash(0, packed, 4, 2) >> 8) & 255;
      return packed;
    });
    CompressionCodecs[CompressionTypes.ZSTD] = pack((bytes) => packZstd(bytes, 3));
    await createTopic("packed");
    const { GZIP, Snappy, LZ4, ZSTD, None } = CompressionTypes;
    let from = 0;
    for (const codec of [GZIP, Snappy, LZ4, ZSTD, None]) {
      await produce("packed", numbered(from, from + 500), codec);
      from += 500;
    }
    expect(valuesOf(await readAll("packed"))).toEqual(upTo(0, 2500));
  });

  it("begins where the log begins after records were deleted; an older range says that they are gone", async () => {
    await createTopic("trimmed");
    await produce("trimmed", numbered(0, 100));
    const [before] = await plan("trimmed");
    // Without it, kafkajs does not know who leads the topic.
    await admin.fetchTopicOffsets("trimmed");
    await admin.deleteTopicRecords({ topic: "trimmed", partitions: [{ partition: 0, offset: "60" }] });
    const [now] = await plan("trimmed");
    expect(now).toMatchObject({ from: 60, to: 100 });
    expect(valuesOf(await recordsIn(now!))).toEqual(upTo(60, 100));
    await expect(recordsIn(before!)).rejects.toThrow(
      new RunError(
        "Offset 0 of trimmed/0 is gone: Kafka deleted what lies before 60, so keep records longer (retention.ms) or read them sooner",
      ),
    );
    await expect(recordsIn({ ...now!, from: 200, to: 300 })).rejects.toThrow(
      "Offset 200 of trimmed/0 is not there: the partition ends at 100",
    );
  });

  it("has holes where a topic was compacted, at the end of a range too", async () => {
    await createTopic("compacted", 1, {
      "cleanup.policy": "compact",
      "segment.ms": "100",
      "min.cleanable.dirty.ratio": "0.01",
      "min.compaction.lag.ms": "0",
      "delete.retention.ms": "0",
    });
    const keyed = (from: number, to: number): Message[] =>
      upTo(from, to).map((number) => ({
        key: `k${number % 7}`,
        value: String(number),
        partition: 0,
        // A segment is closed by the time of the records.
        timestamp: String(1000 * number),
      }));
    await produce("compacted", keyed(0, 500));
    await produce("compacted", keyed(500, 1000));
    // The active segment is never compacted.
    await produce("compacted", [{ key: "last", value: "1000", partition: 0, timestamp: "2000000" }]);
    const [range] = await plan("compacted");
    expect(range).toMatchObject({ from: 0, to: 1001 });
    const records = await until(
      () => recordsIn(range!),
      (found) => found.length <= 8,
    );
    expect(records.map(({ position, value }) => [position, Number(value)])).toEqual(
      [...upTo(993, 1000), 1000].map((number) => [number, number]),
    );
    // Nothing of these ranges is left.
    expect(await recordsIn({ ...range!, from: 0, to: 900 })).toEqual([]);
    expect(await recordsIn({ ...range!, from: 100, to: 993 })).toEqual([]);
  });
});

describe("transactions", () => {
  it("only what was committed is read; an open transaction holds back what comes after it", async () => {
    await createTopic("transactions");
    const producerOf = async (transactionalId: string) => {
      const producer = client().producer({
        createPartitioner: Partitioners.DefaultPartitioner,
        transactionalId,
        idempotent: true,
        maxInFlightRequests: 1,
      });
      await producer.connect();
      return producer;
    };
    const [one, two] = [await producerOf("one"), await producerOf("two")];
    await produce("transactions", numbered(0, 2));
    const committed = await one.transaction();
    const aborted = await two.transaction();
    await committed.send({ topic: "transactions", messages: numbered(2, 4) });
    await aborted.send({ topic: "transactions", messages: numbered(100, 104) });
    await committed.send({ topic: "transactions", messages: numbered(4, 6) });
    await committed.commit();
    await produce("transactions", numbered(6, 7));
    await aborted.abort();
    const again = await two.transaction();
    await again.send({ topic: "transactions", messages: numbered(7, 9) });
    await again.commit();
    // Offsets: 0–1, 2–3, 4 aborted, 2 committed, a marker, 1, a marker, 2, a marker. The range ends with markers only.
    // A commit is answered before its markers are in the partitions.
    const [range] = await until(
      () => plan("transactions"),
      ([found]) => found?.to === 16,
    );
    expect(valuesOf(await recordsIn(range!))).toEqual(upTo(0, 9));
    expect(valuesOf(await recordsIn(range!, undefined, { fetchBytes: 1 }))).toEqual(upTo(0, 9));
    expect(valuesOf(await recordsIn({ ...range!, from: 15 }))).toEqual([]);
    // A range that begins inside the aborted transaction.
    expect(valuesOf(await recordsIn({ ...range!, from: 5 }))).toEqual(upTo(4, 9));

    const open = await one.transaction();
    await open.send({ topic: "transactions", messages: numbered(9, 11) });
    await produce("transactions", numbered(11, 12));
    expect((await plan("transactions"))[0]).toMatchObject({ from: 0, to: 16 });
    await open.abort();
    const [after] = await until(
      () => plan("transactions"),
      ([found]) => found?.to === 20,
    );
    expect(valuesOf(await recordsIn(after!))).toEqual([...upTo(0, 9), 11]);
    await Promise.all([one.disconnect(), two.disconnect()]);
  });
});

describe("a broker that goes away", () => {
  it("killed and started again while a range is read: every record once", async () => {
    await createTopic("killed");
    for (let from = 0; from < 4000; from += 100) await produce("killed", numbered(from, from + 100));
    const [range] = await plan("killed");
    const records: SourceRecord[] = [];
    let back: Promise<unknown> | null = null;
    try {
      for await (const some of readRange(range!, undefined, { fetchBytes: 2000, patienceMs: 120_000 })) {
        records.push(...some);
        if (back === null) {
          await killService("kafka", { directory });
          back = startServices(["kafka"], options);
        }
      }
    } finally {
      // When the broker does not come back, that is what is told.
      await back;
    }
    expect(valuesOf(records)).toEqual(upTo(0, 4000));
  });

  it("a connection that is cut is made again", async () => {
    const [range] = await source.plan(parseAddress(uri("ranges", proxy.port)), EVERYTHING);
    const records: SourceRecord[] = [];
    for await (const some of readRange(range!, undefined, { fetchBytes: 2000 })) {
      records.push(...some);
      proxy.cut();
    }
    expect(valuesOf(records)).toEqual(upTo(0, 5000));
  });

  it("a connection that swallows everything is given up, and the signal ends it at once", async () => {
    const [range] = await source.plan(parseAddress(uri("ranges", proxy.port)), EVERYTHING);
    const stop = new AbortController();
    const reading = (async () => {
      for await (const _some of readRange(range!, stop.signal, { fetchBytes: 2000 })) proxy.stall(true);
    })();
    const stalled = expect(reading).rejects.toThrow("stopped by the test");
    await sleep(500);
    stop.abort(new Error("stopped by the test"));
    await stalled;
    const gaveUp = recordsIn(range!, undefined, { patienceMs: 1000 });
    await expect(gaveUp).rejects.toThrow(UnavailableError);
    proxy.stall(false);
    expect(valuesOf(await recordsIn(range!))).toEqual(upTo(0, 5000));
  });

  it("a signal that is given already lets nothing begin", async () => {
    const [range] = await plan("ranges");
    await expect(recordsIn(range!, AbortSignal.abort(new Error("stopped before")))).rejects.toThrow("stopped before");
  });

  it("wrong addresses are told in a sentence", async () => {
    const free = await freePort();
    await expect(source.plan(parseAddress(uri("ranges", free)), EVERYTHING)).rejects.toThrow(
      new UnavailableError(
        `No Kafka broker answers at 127.0.0.1:${free} (connection refused): start it, or correct the address`,
      ),
    );
    await expect(plan("rangs")).rejects.toThrow(
      new UsageError(`There is no topic “rangs” at 127.0.0.1:${port}: did you mean “ranges”?`),
    );
  });
});

describe("a topic that is followed", () => {
  const opened: Followed[] = [];
  const follow = async (topic: string, job: string): Promise<Followed> => {
    const followed = await followTopic(parseAddress(uri(topic)), job);
    opened.push(followed);
    return followed;
  };
  const partOf = (parts: readonly Part[], name: string): Part => parts.find((part) => part.source === name)!;

  afterAll(async () => {
    for (const followed of opened) await followed.close();
  });

  it("shows what there is, grows, and gets new partitions", async () => {
    await createTopic("followed", 2);
    const followed = await follow("followed", "follower");
    expect(await followed.look()).toEqual([
      { source: "followed/0", first: 0, end: 0 },
      { source: "followed/1", first: 0, end: 0 },
    ]);
    await produce("followed", numbered(0, 10));
    const part = partOf(await followed.look(), "followed/0");
    expect(part).toEqual({ source: "followed/0", first: 0, end: 10 });
    const range = await followed.cut(part, 3, 4);
    expect(range).toMatchObject({ connector: "kafka", source: "followed/0", from: 3, to: 7 });
    expect(valuesOf(await recordsIn(range))).toEqual([3, 4, 5, 6]);
    expect(await followed.cut(part, 8, 1000)).toMatchObject({ from: 8, to: 10 });

    await admin.createPartitions({ topicPartitions: [{ topic: "followed", count: 3 }] });
    await produce("followed", numbered(0, 1, { partition: 2 }));
    const parts = await until(
      () => followed.look(),
      (found) => partOf(found, "followed/2")?.end === 1,
    );
    expect(parts).toHaveLength(3);
  });

  it("begins at the start, at the end, or at a time", async () => {
    const followed = await follow("times", "starter");
    const part = partOf(await followed.look(), "times/0");
    expect(await followed.start(part, "earliest")).toBe(0);
    expect(await followed.start(part, "latest")).toBe(4);
    expect(await followed.start(part, { since: 250 })).toBe(2);
    expect(await followed.start(part, { since: 401 })).toBe(4);
  });

  it("does not read behind an open transaction", async () => {
    await createTopic("held");
    const followed = await follow("held", "holder");
    const producer = client().producer({ transactionalId: "holder", idempotent: true, maxInFlightRequests: 1 });
    await producer.connect();
    await produce("held", numbered(0, 5));
    const open = await producer.transaction();
    await open.send({ topic: "held", messages: numbered(5, 6) });
    expect(await followed.look()).toEqual([{ source: "held/0", first: 0, end: 5 }]);
    await open.commit();
    await until(
      () => followed.look(),
      ([part]) => part?.end === 7,
    );
    await producer.disconnect();
  });

  it("stores offsets under the job's name without being in a group", async () => {
    const followed = await follow("followed", "committer");
    expect(await followed.knowsJob!()).toBe(false);
    await followed.committed!(
      new Map([
        ["followed/0", 7],
        ["followed/2", 1],
      ]),
    );
    expect(await followed.knowsJob!()).toBe(true);
    const [stored] = await admin.fetchOffsets({ groupId: "committer", topics: ["followed"] });
    expect(Object.fromEntries(stored!.partitions.map(({ partition, offset }) => [partition, offset]))).toEqual({
      0: "7",
      1: "-1",
      2: "1",
    });
    expect(await (await follow("followed", "somebody else")).knowsJob!()).toBe(false);
  });

  it("storing offsets never fails the job, and a topic that is not there is told at once", async () => {
    const followed = await followTopic(parseAddress(uri("followed", proxy.port)), "careless");
    await proxy.refuse(true);
    proxy.cut();
    await followed.committed!(new Map([["followed/0", 3]]));
    await expect(followed.look()).rejects.toThrow(UnavailableError);
    await proxy.refuse(false);
    expect(await followed.look()).toHaveLength(3);
    await followed.close();
    await expect(followTopic(parseAddress(uri("followd")), "job")).rejects.toThrow("did you mean “followed”?");
  });
});

describe("what is written", () => {
  const Row = z.object({ symbol: z.string(), window_start: timestamp(), trades: z.int() });
  const output: Output = { name: "candles", table: tableOf("candles", Row, { key: ["symbol", "window_start"] }) };
  const batch: Batch = {
    job: "job",
    pipeline: "pipeline",
    id: "batch-1",
    plan: "p1",
    ranges: [],
    replays: [],
    turn: null,
  };
  const row = (symbol: string, at: number) => ({ symbol, window_start: 60_000 * at, trades: at });
  const write = async (address: string, rows: object[], which = batch): Promise<void> => {
    const target = await sink.open(parseAddress(address), [output], which);
    expect(await target.write("candles", rows as Record<string, unknown>[])).toEqual({ written: rows.length });
    await target.commit();
  };
  const messages = async (topic: string) =>
    (await readAll(topic)).map(({ key, value, timestamp: at, headers }) => ({
      key,
      value,
      at,
      id: headers?.["beamline-id"],
    }));

  it("is one message a row, the same again when the batch is run again", async () => {
    await createTopic("written");
    await write(uri("written"), [row("A", 1), row("B", 2)]);
    const first = await messages("written");
    const id = expect.stringMatching(/^[0-9a-f]{20}$/) as unknown;
    const start = (minute: number) => `1970-01-01T00:0${minute}:00.000Z`;
    expect(first).toEqual([
      {
        key: `["A","${start(1)}"]`,
        value: `{"symbol":"A","window_start":"${start(1)}","trades":1}`,
        at: 60_000,
        id,
      },
      {
        key: `["B","${start(2)}"]`,
        value: `{"symbol":"B","window_start":"${start(2)}","trades":2}`,
        at: 120_000,
        id,
      },
    ]);
    await write(uri("written"), [row("A", 1), row("B", 2)]);
    expect(await messages("written")).toEqual([...first, ...first]);
    await write(uri("written"), [row("A", 1)], { ...batch, id: "batch-2" });
    const last = (await messages("written")).pop();
    expect(last).toMatchObject({ key: first[0]!.key });
    expect(last!.id).not.toBe(first[0]!.id);
  });

  it("goes to a new topic only when that is asked for", async () => {
    await expect(write(uri("writen"), [row("A", 1)])).rejects.toThrow(
      new UsageError(
        `There is no topic “writen” at 127.0.0.1:${port}: did you mean “written”?; a new topic is made with ?create=true behind the address`,
      ),
    );
    await write(`${uri("made")}?create=true&partitions=3&replication=1`, [row("A", 1), row("B", 2)]);
    await write(`${uri("made")}?create=true&partitions=3`, [row("C", 3)]);
    expect(await messages("made")).toHaveLength(3);
    expect((await admin.fetchTopicMetadata({ topics: ["made"] })).topics[0]?.partitions).toHaveLength(3);
  });

  it("may be Avro, and is read as JSON again", async () => {
    // A test double of a schema registry that knows one schema; there is no real one to be had.
    let schema = "";
    const registry = http.createServer((request, response) => {
      let body = "";
      request.on("data", (chunk) => (body += String(chunk)));
      request.on("end", () => {
        const isKnown = request.method === "POST" || request.url === "/schemas/ids/1";
        if (request.method === "POST") schema = (JSON.parse(body) as { schema: string }).schema;
        response.writeHead(isKnown ? 200 : 404, { connection: "close" });
        response.end(JSON.stringify(request.method === "POST" ? { id: 1 } : { schema }));
      });
    });
    await new Promise<void>((resolve) => registry.listen(0, "127.0.0.1", resolve));
    const at = `registry=http://127.0.0.1:${(registry.address() as AddressInfo).port}`;
    await write(`${uri("avro")}?create=true&partitions=1&format=avro&${at}`, [row("A", 1)]);
    const [plain] = await readAll("avro");
    expect(String(plain?.value).startsWith("{")).toBe(false);
    const [range] = await source.plan(parseAddress(`${uri("avro")}?${at}`), EVERYTHING);
    const [read] = await recordsIn(range!);
    expect(read?.value).toBe('{"symbol":"A","window_start":"1970-01-01T00:01:00.000Z","trades":1}');
    await new Promise((resolve) => registry.close(resolve));
  });

  it("may be more than fits into one request, and survives a connection that is cut", async () => {
    await createTopic("much");
    const target = await sink.open(parseAddress(uri("much", proxy.port)), [output], batch);
    const rows = upTo(0, 20_000).map((at) => row(`symbol-${at}`, at));
    const writing = target.write("candles", rows);
    await sleep(100);
    proxy.cut();
    expect(await writing).toEqual({ written: 20_000 });
    await target.commit();
    const ids = (await readAll("much")).map(({ headers }) => headers?.["beamline-id"]);
    expect(ids).toHaveLength(20_000);
    expect(new Set(ids).size).toBe(20_000);
  });
});
