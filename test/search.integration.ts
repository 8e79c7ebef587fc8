// OpenSearch and Elasticsearch as sinks, on real servers: values, batches that are run again and that race, rows that are
// refused, servers that are killed or hang, and whole jobs that are killed.
import fs, { mkdtempSync, realpathSync, rmSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import fc from "fast-check";
import { z } from "zod";
import { freePort, isFree } from "../infra/services/ports";
import { killService, startServices, stopServices } from "../infra/services/services";
import { parseAddress } from "../io/address";
import { EVERYTHING, type Batch, type LetterNews, type OpenTarget, type Output, type Stretch } from "../io/connector";
import { sinkOf } from "../io/registry";
import { closeClients } from "../io/search/cluster";
import { type DyingJob } from "./dying-job";
import { RunError, UnavailableError, UsageError } from "../schema/errors";
import { date, decimal, raw, tableOf, timestamp, type Row } from "../schema/table";
import { POINTS } from "../runners/direct/run-continuous";
import { deadLettersTable } from "../transforms/dead-letter";
import { startFaultProxy, whileCutting } from "./fault-proxy";
import { Ledger } from "./ledger";
import { runDying } from "./run-dying";
import { scratchDirectory } from "./scratch";

const at = scratchDirectory();
const directory = mkdtempSync(path.join(realpathSync(os.tmpdir()), "beamline-search-"));
const options = { directory };
const names = ["opensearch", "elasticsearch"] as const;
const ports = { opensearch: 0, elasticsearch: 0 };

beforeAll(async () => {
  const wanted = { opensearch: await freePort(), elasticsearch: await freePort() };
  const services = await startServices(names, { ...options, ports: wanted });
  for (const name of names) ports[name] = services[name].port;
});

afterAll(async () => {
  await closeClients();
  await stopServices(names, { ...options, data: true });
  rmSync(directory, { recursive: true, force: true });
});

describe.each(names)("%s", (server) => {
  const uri = (query = "", port = ports[server]) => `${server}://127.0.0.1:${port}${query}`;

  /** A request of the test's own. Gives the text of the answer. */
  async function ask(method: string, path: string, body?: unknown): Promise<string> {
    const headers = { "content-type": "application/json" };
    const sent = body === undefined ? {} : { body: JSON.stringify(body), headers };
    const response = await fetch(`http://127.0.0.1:${ports[server]}${path}`, { method, ...sent });
    return response.text();
  }

  /** Everything of tests, and only that. */
  beforeEach(async () => {
    for (const { index } of JSON.parse(await ask("GET", "/_cat/indices?format=json")) as { index: string }[])
      if (/^(test_|trades_1min_agg|dead_letters|beamline-batches)/.test(index)) await ask("DELETE", `/${index}`);
    const { index_templates } = JSON.parse(await ask("GET", "/_index_template")) as {
      index_templates: { name: string }[];
    };
    for (const { name } of index_templates)
      if (name.startsWith("beamline-")) await ask("DELETE", `/_index_template/${name}`);
  });

  interface Hit {
    readonly _index: string;
    readonly _id: string;
    readonly _source: Record<string, unknown>;
  }

  async function hits(index: string): Promise<Hit[]> {
    await ask("POST", `/${index}/_refresh`);
    const answer = await ask("POST", `/${index}/_search`, { size: 10_000, sort: ["_doc"] });
    return (JSON.parse(answer) as { hits: { hits: Hit[] } }).hits.hits.sort((a, b) => (a._id < b._id ? -1 : 1));
  }

  const count = async (index: string) => {
    await ask("POST", `/${index}/_refresh`);
    return (JSON.parse(await ask("GET", `/${index}/_count`)) as { count: number }).count;
  };

  const candleModel = z.object({ symbol: z.string(), start: timestamp(), volume: decimal(), count: z.int() });
  const candles: Output = {
    name: "candles",
    table: tableOf("test_candles", candleModel, { key: ["symbol", "start"] }),
  };
  const dead: Output = { name: "dead", table: { ...deadLettersTable, name: "test_dead" } };
  const candle = (symbol: string, volume = "1.5", start = 0): Row => ({ symbol, start, volume, count: 1 });
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

  const open = (
    outputs: readonly Output[],
    batch: Partial<Batch> = {},
    query = "",
    port?: number,
  ): Promise<OpenTarget> => {
    const address = parseAddress(uri(query, port));
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

  const volumes = async () =>
    (await hits("test_candles")).map(({ _source }) => `${String(_source["symbol"])} ${String(_source["volume"])}`);
  const check = async (outputs: readonly Output[], query = "") =>
    sinkOf(parseAddress(uri())).check?.(parseAddress(uri(query)), outputs);

  async function failure(work: Promise<unknown>): Promise<Error> {
    try {
      await work;
    } catch (error) {
      return error as Error;
    }
    throw new Error("nothing was thrown");
  }

  /** Ends it as a crash does, and starts it again. */
  async function restart(server: (typeof names)[number]): Promise<void> {
    await killService(server, options);
    // A process with many threads holds its port a little longer than it is seen.
    while (!(await isFree(ports[server]))) await sleep(50);
    await startServices([server], options);
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
    const all: Output = { name: "all", table: tableOf("test_all", model, { key: ["id"] }) };
    const maybe = <T>(of: fc.Arbitrary<T>) => fc.option(of, { nil: null });
    const digits = fc.tuple(fc.boolean(), fc.bigInt({ min: 0n, max: 10n ** 30n - 1n }), fc.nat(99_999_999));
    const row = fc.record({
      text: maybe(fc.oneof(fc.string({ unit: "binary" }), fc.constant(""), fc.constant("ü".repeat(20_000)))),
      double: maybe(fc.double({ noNaN: true, noDefaultInfinity: true })),
      boolean: maybe(fc.boolean()),
      decimal: maybe(
        digits.map(([minus, whole, part]) => `${minus ? "-" : ""}${whole}.${String(part).padStart(8, "0")}`),
      ),
      timestamp: maybe(
        fc.date({ min: new Date("0000-01-01"), max: new Date(8.64e15), noInvalidDate: true }).map(Number),
      ),
      date: maybe(
        fc
          .date({ min: new Date("0000-01-01"), max: new Date("9999-12-31"), noInvalidDate: true })
          .map((day) => day.toISOString().slice(0, 10)),
      ),
      bytes: maybe(fc.uint8Array()),
      json: maybe(fc.dictionary(fc.string(), fc.jsonValue())),
    });
    /** What a reader makes of a document. */
    const read = (text: string): Row => {
      const source = JSON.parse(text.replace(/"id":(-?\d+)/, '"id":"$1"')) as Record<string, string | number | null>;
      const { id, timestamp: time, bytes } = source;
      return {
        ...source,
        id: BigInt(id ?? 0),
        timestamp: typeof time === "string" ? Date.parse(time) : time,
        bytes: bytes === null ? null : new Uint8Array(Buffer.from(String(bytes), "base64")),
      };
    };
    const canonical = (text: string) => text.replace(/\.?0+$/, "").replace(/^-0$/, "0");

    it("come back as they went, with their ids", async () => {
      const ids = fc.uniqueArray(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }), {
        minLength: 1,
        maxLength: 40,
      });
      await fc.assert(
        fc.asyncProperty(ids, fc.array(row, { minLength: 40, maxLength: 40 }), async (ids, rows) => {
          const given: Row[] = ids.map((id, at) => ({ id, ...rows[at] }));
          await run({ all: given }, {}, [all]);
          for (const one of given) {
            const text = await ask("GET", `/test_all/_source/${String(one["id"])}`);
            const wanted = one["decimal"] === null ? one : { ...one, decimal: canonical(one["decimal"] as string) };
            expect(JSON.stringify(read(text), plainly)).toBe(JSON.stringify(wanted, plainly));
          }
        }),
        { numRuns: 15 },
      );
    });

    const plainly = (_key: string, value: unknown) =>
      typeof value === "bigint"
        ? `${value}n`
        : value instanceof Uint8Array
          ? Buffer.from(value).toString("hex")
          : value;

    it("of decimals are found as they are, and added up as numbers", async () => {
      await run({ candles: [candle("A", "123456789012345678901234567890.12345678"), candle("B", "2.50")] });
      const search = async (body: unknown) => JSON.parse(await ask("POST", "/test_candles/_search", body)) as never;
      const found: { hits: { total: { value: number } } } = await search({
        query: { term: { volume: "123456789012345678901234567890.12345678" } },
      });
      expect(found.hits.total.value).toBe(1);
      const sum: { aggregations: { sum: { value: number } } } = await search({
        ...{ query: { term: { symbol: "B" } }, aggs: { sum: { sum: { field: "volume.number" } } } },
      });
      expect(sum.aggregations.sum.value).toBe(2.5);
    });

    it.each([Number.NaN, Number.POSITIVE_INFINITY])(
      "that are no numbers (%p) are refused before anything is sent",
      async (double) => {
        const target = await open([all]);
        const error = await failure(target.write("all", [{ id: 1, double }]));
        expect(error).toBeInstanceOf(RunError);
        expect(error.message).toMatch(/Column double of test_all takes a finite number/);
        await target.abort();
      },
    );

    it("that do not fit are refused one by one, and the others are there", async () => {
      const target = await open([all]);
      const rows: Row[] = [
        { id: 1 },
        { id: 2n ** 63n, text: "too much" },
        { id: 3 },
        { id: 4, json: nested(2_000) },
        { id: 5 },
      ];
      const { written, rejected = [] } = await target.write("all", rows);
      await target.commit();
      expect(rejected.map(({ row, reason }) => [row["id"], reason])).toEqual(
        [2n ** 63n, ...(rejected.length > 1 ? [4] : [])].map((id) => [id, "unfit-value"]),
      );
      expect(rejected[0]?.error).toMatch(/failed to parse field \[id\] of type \[long\].*out of range/);
      expect(written).toBe(5 - rejected.length);
      expect((await hits("test_all")).map(({ _id }) => _id)).toEqual(expect.arrayContaining(["1", "3", "5"]));
      expect(await count("test_all")).toBe(written);
    });

    const nested = (depth: number): unknown => {
      let value: unknown = 1;
      for (let n = 0; n < depth; n += 1) value = { a: value };
      return value;
    };
  });

  describe("rows", () => {
    it("replace the row of their key, the last one written counts", async () => {
      await run({ candles: many(1500, "7"), dead: [letter("f", 1)] });
      await run(
        { candles: [candle("S0", "2"), ...many(1500, "3"), candle("S0", "4.50"), candle("ü|", "5")] },
        { id: "b2" },
      );
      expect(await count("test_candles")).toBe(1501);
      expect(await volumes()).toEqual(expect.arrayContaining(["S0 4.5", "S1499 3", "ü| 5"]));
      const records = (await hits("beamline-batches")).map(({ _source }) => _source);
      expect(records).toContainEqual({
        ...{ job: "j", output: "candles", index: "test_candles", batch: "b2", number: null, epoch: null, rows: 1503 },
      });
    });

    it("of many small requests at once are in order all the same", async () => {
      const target = await open([candles], {}, "?concurrency=8&bulk-bytes=2000");
      for (let n = 1; n <= 5; n += 1) await target.write("candles", many(2000, String(n)));
      await target.commit();
      // Each in a request of its own, and its predecessor with the same key just before it.
      const twice = await open([candles], { id: "b2" }, "?concurrency=8&bulk-bytes=1");
      await twice.write(
        "candles",
        many(300).flatMap((row) => [row, { ...row, volume: "5" }]),
      );
      await twice.commit();
      expect(await count("test_candles")).toBe(2000);
      expect(new Set((await volumes()).map((text) => text.split(" ")[1]))).toEqual(new Set(["5"]));
    });

    it("with refresh=false are found when the server makes them so", async () => {
      await run({ candles: many(3) }, {}, [candles], "?refresh=false");
      expect(await count("test_candles")).toBe(3);
    });
  });

  describe("a batch", () => {
    it("that is run again leaves one document of each row; one that is there is skipped", async () => {
      const half = await open([candles, dead], turn(1, 1));
      await half.write("candles", many(1000));
      await half.abort();
      await run({ candles: many(2000), dead: [letter("f", 1)] }, turn(1, 1));
      expect(await count("test_candles")).toBe(2000);
      const versions = () => ask("POST", "/test_candles/_search?version=true", { size: 3, sort: ["symbol"] });
      const before = JSON.parse(await versions()) as { hits: unknown };
      await run({ candles: many(2000, "9") }, turn(1, 1));
      expect((JSON.parse(await versions()) as { hits: unknown }).hits).toEqual(before.hits);
      await run({ candles: many(1, "9") }, turn(2, 1));
      expect((await volumes())[0]).toBe("S0 9");
    });

    it("of an older process is refused, whenever the younger one came", async () => {
      const old = await open([candles], turn(1, 1));
      await old.write("candles", many(2));
      const young = await open([candles], turn(1, 2));
      await young.write("candles", [candle("S0", "2")]);
      const refused = /The job j was taken over by another process \(its epoch is 2, ours 1\)/;
      expect((await failure(old.write("candles", [candle("S0", "1")]))).message).toMatch(refused);
      await old.abort();
      await young.commit();
      expect(await volumes()).toEqual(["S0 2", "S1 1"]);
      expect((await failure(open([candles], turn(1, 1)))).message).toMatch(refused);

      const late = await open([candles], turn(2, 2));
      await late.write("candles", [candle("S1", "3")]);
      await (await open([candles], turn(2, 3))).commit();
      expect((await failure(late.commit())).message).toMatch(/its epoch is 3, ours 2/);
      // A run on its own takes no job over, and keeps nobody out.
      await run({ candles: [candle("S1", "4")] });
      expect((await failure(open([candles], turn(3, 2)))).message).toMatch(/taken over/);
      await run({ candles: [candle("S1", "5")] }, turn(3, 3));
    });

    it("that has failed is not committed", async () => {
      const target = await open([candles]);
      await failure(target.write("candles", [{ symbol: "A" }]));
      expect((await failure(target.commit())).message).toMatch(/Column start of test_candles takes a value/);
      await target.abort();
      await expect(open([candles], { id: "x-check" }).then((checked) => checked.abort())).resolves.toBeUndefined();
      expect(await ask("GET", "/_cat/indices")).not.toContain("test_candles");
    });
  });

  describe("an index", () => {
    const wider: Output = {
      name: "candles",
      table: tableOf("test_candles", candleModel.extend({ note: z.string().nullable() }), { key: ["symbol", "start"] }),
    };

    it("is made with its template, and looked at without a change", async () => {
      expect(await check([candles])).toEqual([
        {
          state: "fine",
          text: expect.stringMatching(/ is (OpenSearch 2|Elasticsearch 7).*, reached without a login$/) as string,
        },
        { state: "missing", text: "The index test_candles is not there; the first run makes it" },
      ]);
      await run({ candles: many(1) }, {}, [candles], "?shards=2&replicas=0");
      expect(await check([candles])).toContainEqual({
        state: "fine",
        text: "The index test_candles fits test_candles",
      });
      // Deleted by somebody, it comes again as it was.
      await ask("DELETE", "/test_candles");
      await ask("PUT", "/test_candles/_doc/x", { volume: "1" });
      expect(JSON.parse(await ask("GET", "/test_candles"))).toMatchObject({
        test_candles: {
          mappings: {
            dynamic: "strict",
            properties: { volume: { type: "keyword", fields: { number: { type: "double" } } } },
          },
          settings: { index: { number_of_shards: "2", number_of_replicas: "0" } },
        },
      });
    });

    it("gets a column that is new, and a part of one", async () => {
      await run({ candles: many(1) }, {}, [candles]);
      expect(await check([wider])).toContainEqual({
        ...{ state: "missing", text: "The index test_candles lacks note; the first run adds that" },
      });
      await run({ candles: [{ ...candle("A"), note: "some words" }] }, { id: "b2" }, [wider], "?full-text=note");
      const found = await ask("POST", "/test_candles/_count", { query: { match: { "note.text": "WORDS" } } });
      expect(JSON.parse(found)).toMatchObject({ count: 1 });
      await run({ candles: many(1) }, { id: "b3" }, [candles]);
    });

    it("with another shape is refused with the difference, and left as it is", async () => {
      const properties = { symbol: { type: "text" }, volume: { type: "double" }, start: { type: "date" } };
      await ask("PUT", "/test_candles", { mappings: { properties } });
      const before = await ask("GET", "/test_candles");
      const error = await failure(open([candles]));
      expect(error).toBeInstanceOf(UsageError);
      expect(error.message).toBe(
        `The index test_candles of ${uri()} has another shape: field symbol is text, not keyword; field volume is double, not keyword. ` +
          "Delete it, or write to another (index=…)",
      );
      expect(await check([candles])).toContainEqual({ state: "wrong", text: error.message });
      expect(await ask("GET", "/test_candles")).toBe(before);
    });

    it.each([
      ["?full-text=volume", [candles], /full-text=volume: the column volume of test_candles is no text/],
      ["?full-text=nothing", [candles], /no such column is in test_candles/],
      ["?index=test_x", [candles, dead], /for several outputs \(candles, dead\): give each its own/],
      [
        "",
        [{ ...candles, table: { ...candles.table, name: "Trades" } }],
        /The table Trades cannot be an index.*say another by index=/,
      ],
      ["", [candles, { ...candles, name: "c2" }], /Two outputs go to the index test_candles/],
      ["?index=beamline-batches", [candles], /is for the record of batches/],
      ["?rollover=day(volume)", [candles], /that column is not in the key of test_candles/],
      ["?rollover=day(symbol)", [candles], /is no timestamp or date/],
      ["?rollover=day(start)&lifecycle=30d", [candles], /has no .*index.*management.*, which lifecycle= needs/i],
    ])("%s is refused before anything is made", async (query, outputs, message) => {
      expect(await failure(open(outputs, {}, query))).toMatchObject({
        name: "UsageError",
        message: expect.stringMatching(message) as string,
      });
    });

    it("whose disks are nearly full takes no rows, and says so", async () => {
      await run({ candles: many(1) }, {}, [candles]);
      await ask("PUT", "/test_candles/_settings", { "index.blocks.read_only_allow_delete": true });
      const target = await open([candles]);
      const error = await failure(target.write("candles", many(1)));
      expect(error).toBeInstanceOf(UnavailableError);
      expect(error.message).toMatch(/takes no rows because its disks are nearly full/);
      await target.abort();
      expect(await check([candles])).toContainEqual({
        state: "wrong",
        text: expect.stringMatching(/read_only_allow_delete is true/) as string,
      });
    });

    it("of each day keeps rows that are written again apart by their own time", async () => {
      const day = 86_400_000;
      const query = "?rollover=day(start)&replicas=0";
      await run(
        { candles: [candle("A", "1", 0), candle("A", "1", day)], dead: [letter("f", 1)] },
        {},
        undefined,
        query,
      );
      await run({ candles: [candle("A", "2", 0), candle("B", "2", 2 * day)] }, { id: "b2" }, undefined, query);
      expect((await hits("test_candles")).map(({ _index, _source }) => [_index, _source["volume"]])).toEqual([
        ["test_candles.day-1970.01.01", "2"],
        ["test_candles.day-1970.01.02", "1"],
        ["test_candles.day-1970.01.03", "2"],
      ]);
      // A table whose key does not have the column lies in one index.
      expect((await hits("test_dead"))[0]?._index).toBe("test_dead");
      await run({ candles: [{ ...candle("C"), note: "x" }] }, { id: "b3" }, [wider], query);
      expect((await failure(open([candles], {}, "?rollover=month(start)"))).message).toMatch(
        /which rollover=month\(start\) does not make/,
      );
      expect((await failure(open([candles]))).message).toMatch(/is an alias of 3 indices.*say rollover=/);
    });
  });

  describe("letters", () => {
    it("of what is read again make way, in their ranges and times only", async () => {
      const places = async () =>
        (await hits("test_dead"))
          .map(({ _source: { job, source, position } }) => [job, source, position].join(" "))
          .sort();
      await run({
        dead: [letter("f", 1), letter("f", 2), letter("f", 9), letter("g", 1), letter("f", 1, { job: "other" })],
      });
      await run({ dead: [letter("f", 2)] }, { ranges: [range("f", 1, 9), range("h")] });
      expect(await places()).toEqual(["j f 2", "j f 9", "j g 1", "other f 1"]);
      await run({}, { ranges: Array.from({ length: 250 }, (_, n) => range("f", n, n + 1)) });
      expect(await places()).toEqual(["j g 1", "other f 1"]);

      await run({ dead: [1, 2, 3].map((n) => letter("t", n, { timestamp: n * 1000 })) });
      await run({}, { ranges: [{ ...range("t", 0), times: { since: 2000, until: 3000 } }] });
      expect(await places()).toEqual(["j g 1", "j t 1", "j t 3", "other f 1"]);
    });

    it("come back in order, whole", async () => {
      const address = parseAddress(uri());
      const read = async () => {
        const found: LetterNews[] = [];
        for await (const news of sinkOf(address).letters?.(address, dead.table, "j") ?? []) found.push(...news);
        return found;
      };
      expect(await read()).toEqual([]);
      const bytes = new Uint8Array([0xff, 0]);
      const letters = Array.from({ length: 2500 }, (_, n) => letter("f", n, { timestamp: n * 1000, headers: "{}" }));
      letters[7] = letter("f", 7, { value: bytes, key: "schlüssel", timestamp: 253402300800000 });
      await run({ dead: [...letters].reverse(), candles: [] });
      await run({ dead: [letter("f", 1, { job: "other" })] });
      const back = await read();
      expect(back).toEqual(letters.map((row) => ({ kind: "letter", row })));
    });
  });

  describe("rows that a run gives whole", () => {
    const model = z.object({ day: date(), symbol: z.string(), n: z.int(), computed_at: z.string() });
    const daily: Output = {
      name: "daily",
      table: tableOf("test_daily", model, { key: ["day", "symbol"], stamps: ["computed_at"], recomputedBy: "day" }),
    };
    const row = (day: string, symbol: string, n: number, stamp: string): Row => ({
      day,
      symbol,
      n,
      computed_at: stamp,
    });
    const write = (rows: readonly Row[], covers?: Stretch) =>
      run({ daily: rows }, covers === undefined ? {} : { covers }, [daily]);
    const rows = async () =>
      (await hits("test_daily")).map(({ _source }) =>
        ["day", "symbol", "n", "computed_at"].map((name) => _source[name]).join(" "),
      );
    const oneDay = { since: Date.UTC(2026, 0, 5), until: Date.UTC(2026, 0, 6) };

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
      const all = Array.from({ length: 5000 }, (_, n) => row("2026-01-05", `S${n}`, n, "a"));
      await write(all);
      await write(all.slice(4500), oneDay);
      expect(await count("test_daily")).toBe(500);
    });
  });

  describe("a server", () => {
    it("that cuts connections, hangs for a while or is slow gets each row once", async () => {
      const proxy = await startFaultProxy({ port: ports[server] });
      try {
        const target = await open([candles], turn(1, 1), "?timeout=2s", proxy.port);
        for (let n = 1; n <= 10; n += 1)
          await whileCutting(proxy, () => target.write("candles", many(2000, String(n))));
        expect(proxy.connections.interrupted).toBeGreaterThan(0);
        proxy.delay(200);
        await target.write("candles", many(2000, "11"));
        proxy.delay(0);
        proxy.stall(true);
        setTimeout(() => proxy.stall(false), 3500);
        await target.write("candles", many(2000, "12"));
        await target.commit();
      } finally {
        await proxy.close();
      }
      expect(await count("test_candles")).toBe(2000);
      expect(new Set((await volumes()).map((text) => text.split(" ")[1]))).toEqual(new Set(["12"]));
    });

    it("that is down for longer than it may be is said so", async () => {
      const proxy = await startFaultProxy({ port: ports[server] });
      const target = await open([candles], {}, "?give-up=1s&timeout=1s", proxy.port);
      await proxy.refuse(true);
      proxy.cut();
      const error = await failure(target.write("candles", many(1)));
      expect(error).toBeInstanceOf(UnavailableError);
      expect(error.message).toMatch(/cannot be reached: nothing listens there/);
      await target.abort();
      await proxy.close();
    });

    it("that is killed in the midst of a run and comes back has every row once", async () => {
      const target = await open([candles], turn(1, 1));
      let isBack: Promise<unknown> | null = null;
      for (let n = 0; n < 20; n += 1) {
        if (n === 5) isBack = restart(server);
        await target.write("candles", many(500, String(n)));
      }
      await isBack;
      await target.commit();
      expect(await count("test_candles")).toBe(500);
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
      const going = job({ flags: { once: "false", "batch-interval": "20ms" } }, 600 + Math.random() * 600);
      for (let n = 0; n < 6; n += 1) {
        append(100);
        await sleep(80);
      }
      if ((await going) === "killed") killed += 1;
    }
    expect(await job({})).toBe("done");
    const found = (await hits("trades_1min_agg")).map(({ _source: { symbol, window_start, trade_count, volume } }) => ({
      ...{ symbol, window_start, trade_count, volume },
    }));
    expect(found).toEqual(ledger.expected());
    const broken = fs.readFileSync(at("in.ndjson"), "utf8").match(/^broken$/gm) ?? [];
    const letters = (await hits("dead_letters")).map(({ _source }) =>
      Buffer.from(String(_source["value"]), "base64").toString(),
    );
    expect(letters).toEqual(broken);
  });
});
