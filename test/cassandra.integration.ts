// Cassandra as a sink, on a real server: values, batches that are run again and that race, rows that are refused, a server
// that is killed or hangs, and whole jobs that are killed.
import { spawn } from "node:child_process";
import { once } from "node:events";
import fs, { mkdtempSync, realpathSync, rmSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { types, type Client } from "cassandra-driver";
import fc from "fast-check";
import { z } from "zod";
import { freePort, isFree } from "../infra/services/ports";
import { killService, startServices, stopServices } from "../infra/services/services";
import { parseAddress } from "../io/address";
import { clientOf, endClient } from "../io/cassandra/driver";
import { EVERYTHING, type Batch, type LetterNews, type OpenTarget, type Output, type Stretch } from "../io/connector";
import { sinkOf } from "../io/registry";
import { canonicalDecimal } from "../schema/decimal";
import { RunError, UnavailableError, UsageError } from "../schema/errors";
import { date, decimal, raw, tableOf, timestamp, type Row, type Table } from "../schema/table";
import { POINTS } from "../runners/direct/run-continuous";
import { deadLettersTable } from "../transforms/dead-letter";
import { asProcess } from "./command-scene";
import { type DyingJob } from "./dying-job";
import { startFaultProxy, whileCutting } from "./fault-proxy";
import { Ledger } from "./ledger";
import { runDying } from "./run-dying";
import { scratchDirectory } from "./scratch";

const at = scratchDirectory();
const directory = mkdtempSync(path.join(realpathSync(os.tmpdir()), "beamline-cassandra-"));
const options = { directory };
const KEYSPACE = "beamline_test";
let port = 0;
let client: Client;

const uri = (query = "", to = port, keyspace = KEYSPACE) => `cassandra://127.0.0.1:${to}/${keyspace}${query}`;

/** A connection of the test's own. */
const connected = () => clientOf({ contactPoints: [`127.0.0.1:${port}`], localDataCenter: "datacenter1" });

async function query(cql: string): Promise<readonly types.Row[]> {
  return (await client.execute(cql, [], { fetchSize: 10_000 })).rows;
}

beforeAll(async () => {
  port = (await startServices(["cassandra"], { ...options, ports: { cassandra: await freePort() } })).cassandra.port;
  client = connected();
  await client.connect();
  await query(
    `CREATE KEYSPACE IF NOT EXISTS ${KEYSPACE} WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 1}`,
  );
});

/** Everything of tests, and only that. */
beforeEach(async () => {
  const { rows } = await client.execute("SELECT table_name FROM system_schema.tables WHERE keyspace_name = ?", [
    KEYSPACE,
  ]);
  for (const row of rows) await query(`DROP TABLE IF EXISTS ${KEYSPACE}."${String(row["table_name"])}"`);
});

afterAll(async () => {
  if (client !== undefined) await endClient(client);
  await stopServices(["cassandra"], { ...options, data: true });
  rmSync(directory, { recursive: true, force: true });
});

const candleModel = z.object({ symbol: z.string(), start: timestamp(), volume: decimal().nullable(), count: z.int() });
const candles: Output = { name: "candles", table: tableOf("candles", candleModel, { key: ["symbol", "start"] }) };
const dead: Output = { name: "dead", table: deadLettersTable };
const candle = (symbol: string, volume: string | null = "1.5", start = 0): Row => ({ symbol, start, volume, count: 1 });
const many = (count: number, volume = "1"): Row[] => Array.from({ length: count }, (_, n) => candle(`S${n}`, volume));
const letter = (source: string, position: number, more: Row = {}): Row => ({
  ...{ job: "j", source, position, step: "parse", reason: "not JSON", error: "why", value: "x", key: null },
  ...{ timestamp: null, headers: null, fields: null, pipeline: "p", version: "1", batch: "b", attempt: 1, ...more },
});

const plain: Batch = { job: "j", pipeline: "p", id: "b1", ranges: [], replays: [], plan: "p1", turn: null };
const turn = (number: number, epoch: number): Partial<Batch> => ({ id: `b${number}`, turn: { number, epoch } });
const range = (source: string, from = 1, to: number | null = null) => ({
  ...{ connector: "file", source, from, to, detail: {} },
});

const open = (outputs: readonly Output[], batch: Partial<Batch> = {}, query = "", to?: number): Promise<OpenTarget> => {
  const address = parseAddress(uri(query, to));
  return sinkOf(address).open(address, outputs, { ...plain, ...batch });
};

async function run(
  rows: Record<string, readonly Row[]>,
  batch: Partial<Batch> = {},
  outputs: readonly Output[] = [candles, dead],
  query = "",
): Promise<void> {
  const target = await open(outputs, batch, query);
  try {
    for (const [name, some] of Object.entries(rows))
      expect(await target.write(name, some)).toEqual({ written: some.length });
    await target.commit();
  } finally {
    await target.abort();
  }
}

/** `symbol volume`, by symbol. */
async function volumes(): Promise<string[]> {
  const rows = await query(`SELECT symbol, volume FROM ${KEYSPACE}.candles`);
  return rows.map((row) => `${String(row["symbol"])} ${canonicalDecimal(String(row["volume"])) ?? "null"}`).sort();
}

const count = async (table: string): Promise<number> =>
  Number((await query(`SELECT count(*) AS n FROM ${KEYSPACE}.${table}`))[0]?.["n"]);

const check = async (outputs: readonly Output[], query = "", keyspace?: string) =>
  sinkOf(parseAddress(uri())).check?.(parseAddress(uri(query, port, keyspace)), outputs);

async function failure(work: Promise<unknown>): Promise<Error> {
  try {
    await work;
  } catch (error) {
    return error as Error;
  }
  throw new Error("nothing was thrown");
}

/** Ends it as a crash does, and starts it again. */
async function restart(): Promise<void> {
  await killService("cassandra", options);
  // A process with many threads holds its port a little longer than it is seen.
  while (!(await isFree(port))) await sleep(50);
  await startServices(["cassandra"], options);
}

describe("values", () => {
  const model = z.object({
    id: z.bigint().meta({ column: { kind: "integer" } }),
    text: z.string().nullable(),
    double: z.number().nullable(),
    boolean: z.boolean().nullable(),
    decimal: decimal().nullable(),
    timestamp: timestamp().nullable(),
    date: date().nullable(),
    bytes: raw().nullable(),
    json: z.record(z.string(), z.unknown()).nullable(),
  });
  const all: Output = { name: "all", table: tableOf("everything", model, { key: ["id"] }) };
  const maybe = <T>(of: fc.Arbitrary<T>) => fc.option(of, { nil: null });
  const digits = fc.tuple(fc.boolean(), fc.bigInt({ min: 0n, max: 10n ** 30n - 1n }), fc.nat(99_999_999));
  const day = { min: new Date("0000-01-01"), max: new Date("9999-12-31"), noInvalidDate: true };
  const row = fc.record({
    text: maybe(fc.oneof(fc.string({ unit: "binary" }), fc.constant(""), fc.constant("ü\0".repeat(20_000)))),
    double: maybe(fc.double({ noNaN: true, noDefaultInfinity: true })),
    boolean: maybe(fc.boolean()),
    decimal: maybe(
      digits.map(([minus, whole, part]) => `${minus ? "-" : ""}${whole}.${String(part).padStart(8, "0")}`),
    ),
    timestamp: maybe(fc.date({ noInvalidDate: true }).map(Number)),
    date: maybe(fc.date(day).map((time) => time.toISOString().slice(0, 10))),
    bytes: maybe(fc.uint8Array()),
    json: maybe(fc.dictionary(fc.string(), fc.jsonValue())),
  });

  it("come back as they went", async () => {
    const ids = fc.uniqueArray(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }), { minLength: 1, maxLength: 40 });
    await fc.assert(
      fc.asyncProperty(ids, fc.array(row, { minLength: 40, maxLength: 40 }), async (ids, rows) => {
        const given = ids.map((id, at) => ({ id, ...rows[at] }));
        await run({ all: given }, {}, [all]);
        for (const one of given) {
          const { rows } = await client.execute(
            `SELECT * FROM ${KEYSPACE}.everything WHERE id = ?`,
            [types.Long.fromString(String(one.id))],
            { prepare: true },
          );
          const [found] = rows;
          expect({
            ...{
              text: found?.["text"] as string,
              double: found?.["double"] as number,
              boolean: found?.["boolean"] as boolean,
            },
            decimal: found?.["decimal"] === null ? null : canonicalDecimal(String(found?.["decimal"])),
            timestamp: (found?.["timestamp"] as Date | null)?.getTime() ?? null,
            date: (found?.["date"] as types.LocalDate | null)?.toString() ?? null,
            bytes: (found?.["bytes"] as Buffer | null)?.toString("hex") ?? null,
            json: found?.["json"] as string | null,
          }).toEqual({
            ...{ text: one.text, double: one.double, boolean: one.boolean },
            decimal: one.decimal == null ? null : canonicalDecimal(one.decimal),
            timestamp: one.timestamp,
            date: one.date,
            bytes: one.bytes == null ? null : Buffer.from(one.bytes).toString("hex"),
            json: one.json == null ? null : JSON.stringify(one.json),
          });
        }
      }),
      { numRuns: 15 },
    );
  });

  it.each([Number.NaN, Number.POSITIVE_INFINITY])("that are no numbers (%p) are refused", async (double) => {
    const target = await open([all]);
    const error = await failure(target.write("all", [{ id: 1, double }]));
    expect(error).toBeInstanceOf(RunError);
    expect(error.message).toMatch(/Column double of everything takes a finite number/);
    await target.abort();
  });

  it("that do not fit are refused one by one, and the others are there", async () => {
    const target = await open([all]);
    const rows: Row[] = [
      { id: 1 },
      { id: 2n ** 63n },
      { id: 3, bytes: new Uint8Array(12_000_000) },
      { id: 4, date: "tomorrow" },
      { id: 5, bytes: new Uint8Array(40_000_000) },
      { id: 6 },
    ];
    const { written, rejected = [] } = await target.write("all", rows);
    await target.commit();
    const reasons = new Map(rejected.map(({ row, reason }) => [rows.indexOf(row), reason]));
    expect([...reasons].sort()).toEqual([
      ...([
        [1, "unfit-value"],
        ...(reasons.has(2) ? [[2, "too-large"]] : []),
        [3, "unfit-value"],
        [4, "too-large"],
      ] as const),
    ]);
    expect(written).toBe(rows.length - rejected.length);
    expect(await count("everything")).toBe(written);
  });

  it("of a key that is too long or empty are refused", async () => {
    const target = await open([candles]);
    const rows = [candle("x".repeat(70_000)), candle("A"), candle("")];
    const { written, rejected = [] } = await target.write("candles", rows);
    await target.commit();
    expect(rejected.map(({ row, reason }) => [rows.indexOf(row), reason]).sort()).toEqual([
      [0, "too-large"],
      [2, "unfit-value"],
    ]);
    expect([written, await volumes()]).toEqual([1, ["A 1.5"]]);
  });
});

describe("rows", () => {
  it("replace the row of their key wholly, the last one written counts", async () => {
    await run({ candles: many(1500, "7"), dead: [letter("f", 1)] });
    await run(
      { candles: [candle("S0", "2"), ...many(1500, "3"), candle("S0", "4.50"), candle("ü"), candle("S1", null)] },
      { id: "b2" },
    );
    expect(await count("candles")).toBe(1501);
    expect(await volumes()).toEqual(expect.arrayContaining(["S0 4.5", "S1 null", "S1499 3", "ü 1.5"]));
    const records = await query(`SELECT job, output, "batch", number, epoch, rows FROM ${KEYSPACE}.beamline_batches`);
    expect(records.map((row) => Object.values(row).map(String))).toContainEqual([
      "j",
      "candles",
      "b2",
      "null",
      "null",
      "1504",
    ]);
  });

  it("of many in flight are in order all the same", async () => {
    const target = await open([candles], {}, "?in-flight=1000");
    for (let n = 1; n <= 8; n += 1) await target.write("candles", [...many(1000, "9"), ...many(1000, String(n))]);
    await target.commit();
    expect(new Set((await volumes()).map((text) => text.split(" ")[1]))).toEqual(new Set(["8"]));
    expect(await count("candles")).toBe(1000);
  });

  it("are later than all before, whatever the clock says", async () => {
    await run({ candles: many(2, "1") }, turn(1, 1));
    const now = jest.spyOn(Date, "now").mockReturnValue(Date.now() - 3_600_000);
    try {
      await run({ candles: many(1, "2") }, turn(2, 1));
      expect(await volumes()).toEqual(["S0 2", "S1 1"]);
      // And so are those of one that comes after one that was killed.
      const killed = await open([candles], turn(3, 1));
      await killed.write("candles", many(2, "3"));
      await run({ candles: many(1, "4") }, turn(3, 2));
      expect(await volumes()).toEqual(["S0 4", "S1 3"]);
      await killed.abort();
    } finally {
      now.mockRestore();
    }
  });
});

describe("a batch", () => {
  it("that is run again leaves each row once; one that is there is skipped", async () => {
    const half = await open([candles, dead], turn(1, 1));
    await half.write("candles", many(1000));
    await half.abort();
    await run({ candles: many(2000), dead: [letter("f", 1)] }, turn(1, 1));
    expect(await count("candles")).toBe(2000);
    await run({ candles: many(2000, "9") }, turn(1, 1));
    expect((await volumes())[0]).toBe("S0 1");
    await run({ candles: many(1, "9") }, turn(2, 1));
    expect((await volumes())[0]).toBe("S0 9");
  });

  it("of an older process is refused, and its rows lose whenever they come", async () => {
    const old = await open([candles], turn(1, 1));
    await old.write("candles", many(2, "1"));
    await run({ candles: [candle("S0", "2")] }, turn(1, 2));
    await old.write("candles", [candle("S0", "3")]);
    expect(await volumes()).toEqual(["S0 2", "S1 1"]);
    const refused = /The job j was taken over by another process \(its epoch is 2, ours 1\)/;
    expect((await failure(old.commit())).message).toMatch(refused);
    await old.abort();
    expect((await failure(open([candles], turn(1, 1)))).message).toMatch(refused);
    // A run on its own takes no job over, and keeps nobody out.
    await run({ candles: [candle("S1", "4")] });
    expect((await failure(open([candles], turn(3, 1)))).message).toMatch(refused);
    await run({ candles: [candle("S1", "5")] }, turn(3, 2));
    expect(await volumes()).toEqual(["S0 2", "S1 5"]);
  });

  it("that has failed is not committed", async () => {
    const target = await open([candles], turn(1, 1));
    await failure(target.write("candles", [{ symbol: "A" }]));
    expect((await failure(target.commit())).message).toMatch(/Column start of candles takes a value/);
    await target.abort();
    await run({ candles: many(1) }, turn(1, 1));
    expect(await count("candles")).toBe(1);
  });
});

describe("a keyspace", () => {
  const FRESH = "beamline_fresh_test";
  afterEach(() => query(`DROP KEYSPACE IF EXISTS ${FRESH}`));

  it("is made when it is missing, and looked at without a change", async () => {
    expect(await check([candles], "", FRESH)).toEqual([
      {
        state: "fine",
        text: expect.stringMatching(
          / is Cassandra \d.* in the data centre datacenter1, reached without a login$/,
        ) as string,
      },
      { state: "missing", text: `The keyspace ${FRESH} is not there; the first run makes it` },
    ]);
    const address = parseAddress(uri("?replication=datacenter1:1", port, FRESH));
    const looked = await sinkOf(address).open(address, [candles], { ...plain, id: "x-check" });
    await looked.abort();
    const find = () => query(`SELECT replication FROM system_schema.keyspaces WHERE keyspace_name = '${FRESH}'`);
    expect(await find()).toEqual([]);
    const target = await sinkOf(address).open(address, [candles], plain);
    await target.write("candles", many(3));
    await target.commit();
    expect((await find())[0]?.["replication"]).toMatchObject({
      class: expect.stringMatching(/NetworkTopologyStrategy/) as string,
      datacenter1: "1",
    });
    expect(await check([candles], "", FRESH)).toContainEqual({ state: "fine", text: "The table candles fits" });
  });

  it.each([
    ["?datacenter=east", KEYSPACE, UsageError, /has no data centre east: datacenter= must be one of datacenter1/],
    ["?replication=east:3", FRESH, UsageError, /cannot be made so \(.*east.*\): check replication=/],
    ["?consistency=three&give-up=1s", KEYSPACE, UnavailableError, /has too few servers up .*lower consistency=/],
  ])("with %s is refused", async (query, keyspace, kind, message) => {
    const address = parseAddress(uri(query, port, keyspace));
    const error = await failure(
      sinkOf(address)
        .open(address, [candles], plain)
        .then(async (target) => {
          try {
            await target.write("candles", many(1));
          } finally {
            await target.abort();
          }
        }),
    );
    expect(error.message).toMatch(message);
    expect(error).toBeInstanceOf(kind);
  });
});

describe("a table", () => {
  const wider: Table = tableOf("candles", candleModel.extend({ note: z.string().nullable() }), {
    key: ["symbol", "start"],
  });

  it("gets a column that is new", async () => {
    await run({ candles: many(1) }, {}, [candles]);
    expect(await check([{ name: "candles", table: wider }])).toContainEqual({
      ...{ state: "missing", text: "The table candles lacks note; the first run adds that" },
    });
    await run({ candles: [{ ...candle("A"), note: "x" }] }, { id: "b2" }, [{ name: "candles", table: wider }]);
    expect((await query(`SELECT note FROM ${KEYSPACE}.candles WHERE symbol = 'A'`))[0]?.["note"]).toBe("x");
    // Rows without it go on coming, from a process that does not know it.
    await run({ candles: many(1, "8") }, { id: "b3" }, [candles]);
    expect(await volumes()).toContain("S0 8");
  });

  it("with another shape is refused with the difference, and left as it is", async () => {
    await query(
      `CREATE TABLE ${KEYSPACE}.candles (symbol text, start bigint, volume decimal, count int, PRIMARY KEY (symbol))`,
    );
    const error = await failure(open([candles]));
    expect(error).toBeInstanceOf(UsageError);
    expect(error.message).toBe(
      `The table candles of ${uri()} has another shape: column start is bigint, not timestamp; column count is int, not bigint; ` +
        "its key is (symbol), not (symbol, start). Drop it, or write to another keyspace",
    );
    expect(await check([candles])).toContainEqual({ state: "wrong", text: error.message });
  });

  it("with another partition key than is asked for is refused; without asking it is as good", async () => {
    await run({ candles: [candle("A", "1", 0), candle("B", "1", 0)] }, {}, undefined, "?partition-key=start");
    await run({ candles: [candle("A", "2", 0)] }, { id: "b2" });
    expect(await volumes()).toEqual(["A 2", "B 1"]);
    const error = await failure(open([candles], {}, "?partition-key=symbol"));
    expect(error.message).toMatch(/its partition key is \(start\), not \(symbol\)/);
  });

  it("that somebody drops meanwhile is no matter of its rows", async () => {
    const target = await open([candles], {}, "?give-up=3s");
    await target.write("candles", many(1));
    await query(`DROP TABLE ${KEYSPACE}.candles`);
    const error = await failure(target.write("candles", many(1)));
    expect(error.message).toMatch(/was its table dropped|does not exist|unconfigured/);
    await target.abort();
  });
});

describe("letters", () => {
  const places = async () =>
    (await query(`SELECT job, source, position FROM ${KEYSPACE}.dead_letters`))
      .map((row) => Object.values(row).map(String).join(" "))
      .sort();

  it.each(["", "?partition-key=source"])(
    "of what is read again make way, in their ranges and times only %s",
    async (query) => {
      const write = (letters: readonly Row[], batch: Partial<Batch> = {}) =>
        run({ dead: letters }, batch, [dead], query);
      await write([letter("f", 1), letter("f", 2), letter("f", 9), letter("g", 1), letter("f", 1, { job: "other" })]);
      await write([letter("f", 2)], { ranges: [range("f", 1, 9), range("h")] });
      expect(await places()).toEqual(["j f 2", "j f 9", "j g 1", "other f 1"]);
      await write([], { ranges: [range("f", 0)] });
      expect(await places()).toEqual(["j g 1", "other f 1"]);
      await write([1, 2, 3].map((n) => letter("t", n, { timestamp: n * 1000 })));
      await write([], { ranges: [{ ...range("t", 0), times: { since: 2000, until: 3000 } }] });
      expect(await places()).toEqual(["j g 1", "j t 1", "j t 3", "other f 1"]);
      // What was taken out comes again.
      await write([letter("f", 1)], { ranges: [range("f", 0)] });
      expect(await places()).toContain("j f 1");
    },
  );

  it("come back in order, whole", async () => {
    const address = parseAddress(uri());
    const read = async () => {
      const found: LetterNews[] = [];
      for await (const news of sinkOf(address).letters?.(address, dead.table, "j") ?? []) found.push(...news);
      return found;
    };
    expect(await read()).toEqual([]);
    const letters = Array.from({ length: 2500 }, (_, n) => letter("f", n, { timestamp: n * 1000, headers: "{}" }));
    letters[7] = letter("f", 7, { value: new Uint8Array([0xff, 0]), key: "schlüssel", timestamp: 253402300800000 });
    await run({ dead: [...letters].reverse(), candles: [] });
    await run({ dead: [letter("f", 1, { job: "other" })] });
    expect(await read()).toEqual(letters.map((row) => ({ kind: "letter", row })));
  });
});

describe("rows that a run gives whole", () => {
  const model = z.object({ day: date(), symbol: z.string(), n: z.int(), price: decimal(), computed_at: z.string() });
  const row = (day: string, symbol: string, n: number, stamp: string): Row => ({
    day,
    symbol,
    n,
    price: "1.50",
    computed_at: stamp,
  });
  const oneDay = { since: Date.UTC(2026, 0, 5), until: Date.UTC(2026, 0, 6) };

  describe.each([[["day", "symbol"]], [["symbol", "day"]]])("with the key %s", (key) => {
    const table = tableOf("daily", model, { key, stamps: ["computed_at"], recomputedBy: "day" });
    const write = (rows: readonly Row[], covers?: Stretch) =>
      run({ daily: rows }, covers === undefined ? {} : { covers }, [{ name: "daily", table }]);
    const rows = async () =>
      (await query(`SELECT day, symbol, n, computed_at FROM ${KEYSPACE}.daily`))
        .map((one) => Object.values(one).map(String).join(" "))
        .sort();

    it("leave what is equal but for its stamp, and take out what does not arise again, within the stretch only", async () => {
      await write([row("2026-01-04", "A", 1, "a"), row("2026-01-05", "A", 2, "a"), row("2026-01-05", "B", 3, "a")]);
      await write([row("2026-01-05", "A", 2, "b")], oneDay);
      expect(await rows()).toEqual(["2026-01-04 A 1 a", "2026-01-05 A 2 a"]);
      await write([row("2026-01-05", "A", 4, "c")], EVERYTHING);
      expect(await rows()).toEqual(["2026-01-05 A 4 c"]);
      await write([], { since: Date.UTC(2026, 0, 6), until: null });
      // A day of which the run has only the end is not given whole.
      await write([], { since: Date.UTC(2026, 0, 5, 10), until: Date.UTC(2026, 0, 6) });
      expect(await rows()).toHaveLength(1);
      await write([], oneDay);
      expect(await rows()).toEqual([]);
    });

    it("do so with more rows than are found at once", async () => {
      const all = Array.from({ length: 3000 }, (_, n) => row("2026-01-05", `S${n}`, n, "a"));
      await write(all);
      await write(all.slice(2500), oneDay);
      expect(await count("daily")).toBe(500);
    });
  });
});

describe("a server", () => {
  it("that cuts connections, hangs for a while or is slow gets each row once", async () => {
    const proxy = await startFaultProxy({ port });
    try {
      const target = await open([candles], turn(1, 1), "?timeout=1s", proxy.port);
      for (let n = 1; n <= 3; n += 1) await whileCutting(proxy, () => target.write("candles", many(1000, String(n))));
      expect(proxy.connections.interrupted).toBeGreaterThan(0);
      proxy.delay(100);
      await target.write("candles", many(1000, "11"));
      proxy.delay(0);
      proxy.stall(true);
      setTimeout(() => proxy.stall(false), 2500);
      await target.write("candles", many(1000, "12"));
      await target.commit();
    } finally {
      await proxy.close();
    }
    expect(await count("candles")).toBe(1000);
    expect(new Set((await volumes()).map((text) => text.split(" ")[1]))).toEqual(new Set(["12"]));
  });

  it("whose connections are lost again and again does not keep a process that is done", async () => {
    const [node = "", ...words] = asProcess.slice(0, -1);
    const child = spawn(node, [...words, path.join(__dirname, "lose-cassandra.ts"), String(port)], {
      stdio: "inherit",
    });
    // What the driver leaves behind would keep it for a minute, or for ever.
    const timer = setTimeout(() => child.kill("SIGKILL"), 30_000);
    const [code] = (await once(child, "exit")) as [number | null];
    clearTimeout(timer);
    expect(code).toBe(0);
    expect(await count("lost")).toBe(30);
  });

  it("that is down for longer than it may be is said so", async () => {
    const proxy = await startFaultProxy({ port });
    const target = await open([candles], {}, "?give-up=1s&timeout=1s", proxy.port);
    await target.write("candles", many(1));
    await proxy.refuse(true);
    proxy.cut();
    const error = await failure(target.write("candles", many(1)));
    expect(error).toBeInstanceOf(UnavailableError);
    expect(error.message).toMatch(/cannot be reached|does not answer/);
    await target.abort();
    await proxy.close();
  });

  it("that is killed in the midst of a run and comes back has every row once", async () => {
    const target = await open([candles], turn(1, 1), "?give-up=3m");
    let isBack: Promise<unknown> | null = null;
    for (let n = 0; n < 20; n += 1) {
      if (n === 5) isBack = restart();
      await target.write("candles", many(500, String(n)));
    }
    await isBack;
    await target.commit();
    await endClient(client);
    client = connected();
    await client.connect();
    expect(await count("candles")).toBe(500);
    expect(new Set((await volumes()).map((text) => text.split(" ")[1]))).toEqual(new Set(["19"]));
  });
});

test("a job that is killed at each point and at random moments counts everything exactly once", async () => {
  const ledger = new Ledger(5);
  const append = (count: number) =>
    fs.appendFileSync(
      at("in.ndjson"),
      ledger
        .take(count)
        .map(({ value }, n) => `${n % 50 === 0 ? "broken\n" : ""}${value}\n`)
        .join(""),
    );
  const job = (more: Partial<DyingJob>, killAfter?: number) => {
    const flags = { "state-dir": at("state"), "max-batch": "150", once: "true", ...more.flags };
    return runDying(at(), { from: `file:${at("in.ndjson")}`, to: uri(), ...more, flags }, killAfter);
  };
  append(300);
  for (const point of POINTS) {
    append(400);
    expect(await job({ die: { point, nth: 2 } })).toBe("killed");
  }
  for (let killed = 0; killed < 8;) {
    const going = job({ flags: { once: "false", "batch-interval": "20ms" } }, 1000 + Math.random() * 1000);
    for (let n = 0; n < 6; n += 1) {
      append(100);
      await sleep(80);
    }
    if ((await going) === "killed") killed += 1;
  }
  expect(await job({})).toBe("done");
  const found = await query(`SELECT symbol, window_start, trade_count, volume FROM ${KEYSPACE}.trades_1min_agg`);
  const rows = found.map((row) => ({
    symbol: String(row["symbol"]),
    window_start: (row["window_start"] as Date).toISOString(),
    trade_count: Number(row["trade_count"]),
    volume: canonicalDecimal(String(row["volume"])),
  }));
  expect(rows.sort((a, b) => (`${a.symbol} ${a.window_start}` < `${b.symbol} ${b.window_start}` ? -1 : 1))).toEqual(
    ledger.expected(),
  );
  const broken = fs.readFileSync(at("in.ndjson"), "utf8").match(/^broken$/gm) ?? [];
  const letters = await query(`SELECT value FROM ${KEYSPACE}.dead_letters`);
  expect(letters.map((row) => String(row["value"]))).toEqual(broken);
});
