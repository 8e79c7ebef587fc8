// Bounded runs over a stretch of time on a real topic, whose records have times of their own and come out of order, and
// whose beginning may have been deleted.
import { chmodSync, mkdtempSync, rmSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { Kafka, logLevel, type Admin, type Message } from "kafkajs";
import { z } from "zod";
import { quietSdkLogs, sessions } from "../beam";
import { freePort } from "../infra/services/ports";
import { startServices, stopServices } from "../infra/services/services";
import { parseAddress } from "../io/address";
import { readParameters } from "../cli/parameters";
import { deadLetters, definePipeline, input, table } from "../pipelines/definition";
import { RawTrade } from "../pipelines/trades/schemas";
import { toTrade } from "../pipelines/trades/steps";
import { runBatch } from "../runners/direct/run-batch";
import { runContinuous } from "../runners/direct/run-continuous";
import { RunOptions } from "../runners/run-options";
import { decimal, timestamp } from "../schema/table";
import { aggregate, clean, count, decode } from "../transforms";
import { scene, trade } from "./command-scene";
import { exactProducer } from "./exact-producer";

const directory = mkdtempSync(path.join(os.tmpdir(), "beamline-stretch-"));
// The server may run as another user.
chmodSync(directory, 0o755);

const { beamline, query } = scene();

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const DISORDER = 5 * SECOND;
const T0 = Date.UTC(2026, 0, 5, 9, 30);
const iso = (time: number) => new Date(time).toISOString();
const minute = (n: number) => iso(T0 + n * MINUTE);

let port: number;
let admin: Admin;
let kafka: Kafka;

beforeAll(async () => {
  quietSdkLogs();
  port = (await startServices(["kafka"], { directory, ports: { kafka: await freePort() } })).kafka.port;
  kafka = new Kafka({ brokers: [`127.0.0.1:${port}`], logLevel: logLevel.NOTHING });
  admin = kafka.admin();
  await admin.connect();
});

afterAll(async () => {
  await admin.disconnect();
  await stopServices(["kafka"], { directory, data: true });
  rmSync(directory, { recursive: true, force: true });
});

async function topicOf(name: string, messages: readonly Message[], numPartitions = 1): Promise<string> {
  await admin.createTopics({ topics: [{ topic: name, numPartitions }], waitForLeaders: true });
  const producer = exactProducer(kafka);
  await producer.connect();
  await producer.send({ topic: name, messages: [...messages] });
  await producer.disconnect();
  return `kafka://127.0.0.1:${port}/${name}`;
}

async function deleteBefore(topic: string, partition: number, offset: number): Promise<void> {
  // Without it, kafkajs does not know who leads the topic.
  await admin.fetchTopicOffsets(topic);
  await admin.deleteTopicRecords({ topic, partitions: [{ partition, offset: String(offset) }] });
}

/** A trade of this event time, with a time of its own in the topic. */
const message = (id: number, time: number, more: Partial<Message> & { trade?: object } = {}): Message => {
  const { trade: fields, ...rest } = more;
  return { partition: 0, timestamp: String(time), value: trade(id, { T: time, E: time, ...fields }), ...rest };
};

interface Candle {
  readonly symbol: string;
  readonly window_start: string;
  readonly window_end: string;
  readonly trade_count: number;
}
const candles = (file = "data/app.db") =>
  query("SELECT * FROM trades_1min_agg ORDER BY symbol, window_start", file) as unknown as Candle[];
const starts = (file?: string) => candles(file).map(({ window_start }) => window_start);

async function run(...words: string[]): Promise<Record<string, unknown> & { stderr: string }> {
  const { code, stdout, stderr } = await beamline("run", "trades-aggregate", "--json", ...words);
  expect({ code, stderr }).toMatchObject({ code: 0 });
  return { ...(JSON.parse(stdout) as object), stderr };
}

const burst = z.object({ symbol: z.string(), window_start: timestamp(), window_end: timestamp(), n: z.int() });

const optionsOf = (flags: Record<string, string>) =>
  readParameters(RunOptions, new Map(Object.entries(flags).map(([flag, text]) => [flag, [text]])), {});

/** The same numbers below one for the same seed. */
function numbers(seed: number): () => number {
  let state = seed;
  return () => (state = (state * 1103515245 + 12345) % 2147483648) / 2147483648;
}

describe("windows", () => {
  it.each([1, 2, 3])("of a stretch are those of a run over everything (seed %p)", async (seed) => {
    const random = numbers(seed);
    const made = Array.from({ length: 1500 }, (_, id) => {
      const time = T0 + Math.floor(random() * 10 * MINUTE);
      // What the topic says differs from the event's time both ways; some come twice, and some are bad.
      const timestamp = String(time + Math.floor((2 * random() - 1) * DISORDER));
      const symbol = random() < 0.5 ? "BTCUSDT" : "ETHUSDT";
      const value =
        random() < 0.02 ? "{bad" : trade(id % 1400, { T: time, E: time, s: `${symbol}${id >= 1400 ? 2 : ""}` });
      // Each comes so late at most that it is the disorder older than one before it.
      return { time: time + random() * DISORDER, message: { partition: Math.floor(random() * 3), timestamp, value } };
    });
    const all = made.sort((a, b) => a.time - b.time).map((each) => each.message);
    const twice = all.flatMap((each) => (random() < 0.05 ? [each, each] : [each]));
    const topic = await topicOf(`shuffled-${seed}`, twice, 3);
    const whole = await run("--from", topic, "--to", "sqlite:data/all.db");
    expect(whole).not.toHaveProperty("outside");
    for (const [since, until] of [
      [2, 5],
      [5, 6],
      [7, null],
      [null, 3],
    ] as const) {
      const ends = [
        ...(since === null ? [] : ["--since", minute(since)]),
        ...(until === null ? [] : ["--until", minute(until)]),
      ];
      const to = `sqlite:data/${since}-${until}.db`;
      const report = await run("--from", topic, "--to", to, "--disorder", "5s", ...ends);
      const expected = candles("data/all.db").filter(
        ({ window_start, window_end }) =>
          (since === null || window_start >= minute(since)) && (until === null || window_end <= minute(until)),
      );
      expect(expected.length).toBeGreaterThan(0);
      expect(candles(to.slice("sqlite:".length))).toEqual(expected);
      const counted = expected.reduce((sum, row) => sum + row.trade_count, 0);
      expect(counted + Number(report["duplicate"]) + Number(report["outside"])).toBe(report["ok"]);
      // Not the whole topic is read for a part of it.
      expect(Number(report["read"])).toBeLessThan(Number(whole["read"]) * 0.7);
    }
  });

  it("have what happened before midnight and came after it", async () => {
    const midnight = Date.UTC(2026, 0, 6);
    const topic = await topicOf("midnight", [
      message(1, midnight - 2 * SECOND),
      message(2, midnight + SECOND, { timestamp: String(midnight + SECOND) }),
      message(3, midnight - SECOND, { timestamp: String(midnight + 5 * SECOND) }),
      message(4, midnight + 30 * SECOND),
    ]);
    const day = ["--window", "1d", "--since", iso(midnight - 86_400_000), "--until", iso(midnight)];
    const report = await run("--from", topic, ...day);
    expect(report).toMatchObject({ read: 3, outside: 1, written: { candles: 1 } });
    expect(candles()).toMatchObject([{ trade_count: 2 }]);
    // Told that records are at most a second out of order, the run does not look for one that is six.
    await run("--from", topic, "--to", "sqlite:data/strict.db", "--disorder", "1s", ...day);
    expect(candles("data/strict.db")).toMatchObject([{ trade_count: 1 }]);
  });
});

it("a stretch may begin with time itself", async () => {
  const topic = await topicOf(
    "epoch",
    [0, 1, 2].map((n) => message(n, T0 + n * MINUTE)),
  );
  // A millisecond before 1970 is what Kafka takes for the end of a log.
  for (const disorder of ["1ms", "2ms", "1h"]) {
    const ends = ["--since", "1970-01-01T00:00:00Z", "--until", "1970-01-01T00:01:00Z"];
    expect(await run("--from", topic, ...ends, "--disorder", disorder)).toMatchObject({ read: 0 });
    const report = await run("--from", topic, ...ends.slice(0, 2), "--disorder", disorder);
    expect(report).toMatchObject({ read: 3, outside: 0, written: { candles: 3 } });
  }
});

describe("a topic whose beginning was deleted", () => {
  /** A trade every ten seconds for five minutes, of which those before 9:31:30 are gone. */
  async function deleted(name: string): Promise<string> {
    const messages = Array.from({ length: 30 }, (_, n) => message(n, T0 + n * 10 * SECOND));
    const topic = await topicOf(name, messages);
    await deleteBefore(name, 0, 9);
    return topic;
  }

  it("gives no row for a window that it cut, and names it", async () => {
    const topic = await deleted("cut");
    const report = await run("--from", topic, "--disorder", "5s");
    expect(report).toMatchObject({
      read: 21,
      ok: 21,
      written: { candles: 3 },
      notWhole: {
        before: "2026-01-05T09:31:35.001Z",
        windows: 1,
        named: ["aggregate by symbol 2026-01-05T09:31:00Z – 2026-01-05T09:32:00Z, BTCUSDT"],
      },
    });
    expect(starts()).toEqual([minute(2), minute(3), minute(4)]);
    expect(report.stderr).toContain(
      "  not whole  1 window not written: of windows that begin before 2026-01-05T09:31:35.001Z the source has lost records\n" +
        "             aggregate by symbol 2026-01-05T09:31:00Z – 2026-01-05T09:32:00Z, BTCUSDT\n" +
        "             --partial-windows=write writes them all the same\n",
    );
    // The more out of order records may be, the later is the first window that none of the deleted ones can belong to.
    expect(await run("--from", topic, "--disorder", "31s", "--to", "sqlite:data/wide.db")).toMatchObject({
      notWhole: { before: "2026-01-05T09:32:01.001Z", windows: 2 },
    });
    expect(starts("data/wide.db")).toEqual([minute(3), minute(4)]);
  });

  it("gives it all the same when that is asked for", async () => {
    const topic = await deleted("cut-and-written");
    const report = await run("--from", topic, "--partial-windows", "write");
    expect(report).not.toHaveProperty("notWhole");
    expect(candles()).toMatchObject([{ window_start: minute(1), trade_count: 3 }, ...Array<object>(3).fill({ trade_count: 6 })]); // prettier-ignore
  });

  it("cuts no window of a stretch that begins later, and says so of one that begins before", async () => {
    const topic = await deleted("cut-and-since");
    const later = await run("--from", topic, "--since", minute(3));
    expect(later).not.toHaveProperty("notWhole");
    expect(later).toMatchObject({ read: 13, outside: 1, written: { candles: 2 } });
    const before = ["--since", minute(0), "--until", minute(3), "--to", "sqlite:data/before.db"];
    expect(await run("--from", topic, ...before)).toMatchObject({ outside: 2, notWhole: { windows: 1 } });
    expect(starts("data/before.db")).toEqual([minute(2)]);
    const gone = ["--since", minute(0), "--until", minute(1), "--to", "sqlite:data/gone.db", "--disorder", "0"];
    expect(await run("--from", topic, ...gone)).toMatchObject({
      read: 0,
      written: { candles: 0 },
      notWhole: { before: "2026-01-05T09:31:30.001Z", windows: 0, named: [] },
    });
  });

  it("gives a job that goes on the same rows, also when that begins with a time before", async () => {
    const topic = await deleted("cut-and-followed");
    for (const disorder of ["5s", "30s"]) {
      const words = ["--from", topic, "--disorder", disorder];
      await run(...words, "--to", `sqlite:data/${disorder}.db`);
      for (const since of [[], ["--since", minute(0)]]) {
        const job = `followed-${disorder}-${since.length}`;
        await run(...words, ...since, "--to", `sqlite:data/${job}.db`, "--job", job, "--streaming", "--once");
        expect(candles(`data/${job}.db`)).toEqual(candles(`data/${disorder}.db`));
      }
    }
    // A deleted record that is just the disorder older than the first one that is there could lie in 9:32.
    expect(starts("data/30s.db")).toEqual([minute(3), minute(4)]);
  });

  it("cuts the windows of a job that was told to go on over the gap, whatever time it began with", async () => {
    const topic = await topicOf(
      "gap",
      Array.from({ length: 9 }, (_, n) => message(n, T0 + n * 10 * SECOND)),
    );
    const words = ["--from", topic, "--since", minute(0), "--disorder", "5s", "--streaming", "--once"];
    await run(...words);
    expect(candles()).toMatchObject([{ trade_count: 6 }, { trade_count: 3 }]);
    const producer = exactProducer(kafka);
    await producer.connect();
    const more = Array.from({ length: 21 }, (_, n) => message(n + 9, T0 + (n + 9) * 10 * SECOND));
    await producer.send({ topic: "gap", messages: more });
    await producer.disconnect();
    // Up to 9:32:20 all is gone.
    await deleteBefore("gap", 0, 14);
    await run(...words, "--on-gap", "continue");
    expect(starts()).toEqual([minute(0), minute(1), minute(3), minute(4)]);
    expect(candles()[1]).toMatchObject({ trade_count: 3 });
  });

  it("cuts sessions that a deleted record may have been a part of, in both kinds of runs", async () => {
    const visits = definePipeline({
      name: "visits",
      summary: "Trades in bursts",
      inputs: { trades: input(RawTrade, { sample: "none" }) },
      outputs: { bursts: table(burst, { name: "bursts", key: ["symbol", "window_start"] }), dead_letters: deadLetters },
      params: z.object({}),
      build({ trades }, { bursts, dead_letters }) {
        const { good, bad } = trades.apply(clean(decode(RawTrade), toTrade));
        good
          .apply(aggregate({ by: ["symbol"], at: "time", window: sessions(30 * SECOND), measures: { n: count() } }))
          .apply(bursts);
        bad.apply(dead_letters);
      },
    });
    // Deleted are those before 20 s. Another one of up to 25 s may have been among them, and gone on until 54 s.
    const topic = await topicOf(
      "bursts",
      [0, 10, 20, 54, 200, 210].map((second, id) => message(id, T0 + second * SECOND)),
    );
    await deleteBefore("bursts", 0, 2);
    const request = (flags: Record<string, string>, file: string) => ({
      pipeline: visits,
      params: {},
      options: optionsOf({ disorder: "5s", ...flags }),
      outputs: { bursts: parseAddress(`sqlite:data/${file}`), dead_letters: parseAddress(`sqlite:data/${file}`) },
    });
    const address = parseAddress(topic);
    const report = await runBatch({ ...request({}, "once.db"), inputs: { trades: { address, as: null } } });
    expect(report).toMatchObject({ ok: 4, written: { bursts: 1 }, notWhole: { windows: 2 } });
    await runContinuous({
      ...request({ streaming: "true", flush: "true" }, "on.db"),
      inputs: { trades: address },
    });
    for (const file of ["once.db", "on.db"])
      expect(query("SELECT window_start, n FROM bursts", `data/${file}`).map((found) => ({ ...found }))).toEqual([
        { window_start: iso(T0 + 200 * SECOND), n: 2 },
      ]);
  });

  it("cuts the windows of other partitions, too, even where it has nothing of the stretch itself", async () => {
    const all = Array.from({ length: 30 }, (_, n) => message(n, T0 + n * 10 * SECOND, { partition: n % 2 }));
    const topic = await topicOf("cut-beside", all, 2);
    // What is left of the second partition begins at 9:33:30.
    await deleteBefore("cut-beside", 1, 10);
    // The first one lost less, which makes nothing whole.
    await deleteBefore("cut-beside", 0, 1);
    const stretch = ["--since", minute(0), "--until", minute(2), "--disorder", "5s"];
    expect(await run("--from", topic, ...stretch)).toMatchObject({
      written: { candles: 0 },
      notWhole: { before: "2026-01-05T09:33:35.001Z", windows: 2 },
    });
    expect(await run("--from", topic, "--disorder", "5s")).toMatchObject({ notWhole: { windows: 4 } });
    expect(starts()).toEqual([minute(4)]);
  });
});

describe("records, where nothing has windows", () => {
  const row = z.object({ symbol: z.string(), id: z.int(), time: timestamp(), price: decimal(), quantity: decimal() });
  const copying = definePipeline({
    name: "copying",
    summary: "Trades as they are",
    inputs: { trades: input(RawTrade, { sample: "none" }) },
    outputs: { trades: table(row, { name: "trades", key: ["symbol", "id"] }), dead_letters: deadLetters },
    params: z.object({}),
    build({ trades }, outputs) {
      const { good, bad } = trades.apply(clean(decode(RawTrade), toTrade));
      good.apply(outputs.trades);
      bad.apply(outputs.dead_letters);
    },
  });

  const copy = (from: string, flags: Record<string, string>) =>
    runBatch({
      pipeline: copying,
      params: {},
      options: optionsOf(flags),
      inputs: { trades: { address: parseAddress(from), as: null } },
      outputs: { trades: parseAddress("sqlite:data/app.db"), dead_letters: parseAddress("sqlite:data/app.db") },
    });
  const ids = () => query("SELECT id FROM trades ORDER BY id").map(({ id }) => Number(id));
  const letters = () => query("SELECT position FROM dead_letters ORDER BY position").map((found) => Number(found["position"])); // prettier-ignore

  it("are those of these times in the topic, wherever they lie", async () => {
    const times = [1, 59, 62, 58, 118, 123, 119, 61, 180].map((second) => T0 + second * SECOND);
    const topic = await topicOf(
      "copied",
      times.map((time, id) => message(id, time)),
    );
    const report = await copy(topic, { since: minute(1), until: minute(2) });
    expect(ids()).toEqual([2, 4, 6, 7]);
    expect(report).toMatchObject({ read: 4, ok: 4, written: { trades: 4 } });
  });

  it("leave the dead letters of other times where they are", async () => {
    const bad = { value: "{bad" };
    const topic = await topicOf("letters", [
      message(0, T0 + 61 * SECOND, bad),
      message(1, T0 + 59 * SECOND, bad),
      message(2, T0 + 62 * SECOND, bad),
      message(3, T0 + 121 * SECOND, bad),
      message(4, T0 + 119 * SECOND, bad),
    ]);
    const flags = { "dead-letter-share": "1" };
    await copy(topic, flags);
    expect(letters()).toEqual([0, 1, 2, 3, 4]);
    expect(await copy(topic, { ...flags, since: minute(1), until: minute(2) })).toMatchObject({ read: 3, dead: 3 });
    expect(letters()).toEqual([0, 1, 2, 3, 4]);
  });
});
