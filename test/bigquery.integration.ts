// BigQuery as sink and source, on its emulator: what tables look like, batches of several outputs, tables that change, files by
// way of Cloud Storage, jobs that are killed. What every sink must do is in test/conformance/bigquery.integration.ts.
import { appendFileSync, mkdtempSync, realpathSync, rmSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { z } from "zod";
import { freePort } from "../infra/services/ports";
import { startServices, stopServices } from "../infra/services/services";
import { parseAddress } from "../io/address";
import { bigquery } from "../io/bigquery/bigquery";
import { plainDecimal } from "../io/bigquery/row-json";
import { EVERYTHING, type Batch, type Output, type Rejected, type Stretch } from "../io/connector";
import { POINTS } from "../runners/direct/run-continuous";
import { RunError, UsageError } from "../schema/errors";
import { type SourceRecord } from "../schema/record";
import { date, decimal, raw, tableOf, timestamp, type Row } from "../schema/table";
import { BigQueryTestClient } from "./bigquery-client";
import { type DyingJob } from "./dying-job";
import { Ledger, type Expected } from "./ledger";
import { runDying } from "./run-dying";
import { scratchDirectory } from "./scratch";

const at = scratchDirectory();
const directory = mkdtempSync(path.join(realpathSync(os.tmpdir()), "beamline-test-"));
const PROJECT = "beamline-test";
const before = { ...process.env };
let client: BigQueryTestClient;
let datasets = 0;
let dataset = "";

beforeAll(async () => {
  const ports = { bigquery: await freePort(), gcs: await freePort() };
  const services = await startServices(["bigquery", "gcs"], { directory, ports });
  process.env["BIGQUERY_EMULATOR_HOST"] = `http://127.0.0.1:${services.bigquery.port}`;
  process.env["BIGQUERY_STORAGE_EMULATOR_HOST"] = `127.0.0.1:${services.bigquery.port + 1}`;
  process.env["STORAGE_EMULATOR_HOST"] = `http://127.0.0.1:${services.gcs.port}`;
  client = new BigQueryTestClient(process.env["BIGQUERY_EMULATOR_HOST"], PROJECT);
  await fetch(`${process.env["STORAGE_EMULATOR_HOST"]}/storage/v1/b?project=${PROJECT}`, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ name: "staging-test" }),
  });
});

beforeEach(async () => {
  datasets += 1;
  dataset = `d${datasets}_test`;
  await client.makeDataset(dataset);
});

afterAll(async () => {
  process.env = before;
  await stopServices(["bigquery", "gcs"], { directory, data: true });
  rmSync(directory, { recursive: true, force: true });
});

const query = (sql: string) => client.query(sql.replaceAll("$", `${PROJECT}.${dataset}.`));
const uri = (options = "") => `bigquery://${PROJECT}/${dataset}${options === "" ? "" : `?${options}`}`;

let plans = 0;
const turn = (number: number, epoch = 1): Partial<Batch> => ({
  ...{ id: `b${number}`, plan: `turn-${number}` },
  turn: { number, epoch },
});
const range = (source: string, from = 1, to: number | null = null, times?: Stretch) => ({
  ...{ connector: "file", source, from, to, detail: {} },
  ...(times === undefined ? {} : { times }),
});

async function run(
  outputs: readonly Output[],
  rows: Readonly<Record<string, readonly Row[]>>,
  batch: Partial<Batch> = {},
  options = "",
): Promise<readonly Rejected[]> {
  plans += 1;
  const plain: Batch = {
    job: "j",
    pipeline: "p",
    id: "b1",
    plan: `alone-${plans}`,
    ranges: [],
    replays: [],
    turn: null,
  };
  if (bigquery.sink === undefined) throw new Error("no sink");
  const target = await bigquery.sink.open(parseAddress(uri(options)), outputs, { ...plain, ...batch });
  const rejected: Rejected[] = [];
  try {
    for (const [name, some] of Object.entries(rows)) {
      for (let from = 0; from < some.length; from += 2000)
        rejected.push(...((await target.write(name, some.slice(from, from + 2000))).rejected ?? []));
    }
    await target.commit();
  } finally {
    await target.abort();
  }
  // Nothing of it stays behind.
  expect((await client.tables(dataset)).filter((name) => name.startsWith("beamline_staging_"))).toEqual([]);
  return rejected;
}

async function failure(work: Promise<unknown>): Promise<Error> {
  try {
    await work;
  } catch (error) {
    return error as Error;
  }
  throw new Error("nothing was thrown");
}

const candleModel = z.object({
  symbol: z.string().describe("the traded pair"),
  window_start: timestamp(),
  volume: decimal(),
  count: z.int(),
});
const candles: Output = {
  name: "candles",
  table: tableOf("candles", candleModel, { key: ["symbol", "window_start"] }),
};
const START = Date.UTC(2026, 0, 5, 9, 30);
const candle = (symbol: string, volume = "1.5", window_start = START): Row => ({
  symbol,
  window_start,
  volume,
  count: 1,
});

const letterModel = z.object({
  job: z.string(),
  source: z.string(),
  position: z.int(),
  step: z.string(),
  timestamp: timestamp().nullable(),
  error: z.string(),
  value: raw(),
});
const letters: Output = {
  name: "letters",
  table: tableOf("letters", letterModel, { key: ["job", "source", "position", "step"], mode: "by-origin" }),
};
const letter = (source: string, position: number, more: Row = {}): Row => ({
  ...{ job: "j", source, position, step: "parse", timestamp: null, error: "why", value: "x" },
  ...more,
});

describe("a table that is made", () => {
  const metadata = async (name: string) =>
    (await client.ask("GET", `/datasets/${dataset}/tables/${name}`)) as {
      schema: { fields: { name: string; type: string; mode: string; description?: string }[] };
      timePartitioning?: { type: string; field: string };
      clustering?: { fields: string[] };
    };

  it("is partitioned by the day of its key's time and clustered by the rest, with types, modes and descriptions", async () => {
    const model = z.object({
      at: timestamp(),
      id: z.int(),
      words: z.string().nullable().describe("it's `quoted`"),
      share: z.number().nullable(),
      yes: z.boolean().nullable(),
      price: decimal(20, 9).nullable(),
      day: date().nullable(),
      body: raw().nullable(),
      tree: z.array(z.unknown()).nullable(),
    });
    await run([{ name: "all", table: tableOf("all", model, { key: ["id", "at"] }) }], {});
    const { schema, timePartitioning, clustering } = await metadata("all");
    expect(timePartitioning).toEqual({ type: "DAY", field: "at" });
    expect(clustering).toEqual({ fields: ["id"] });
    expect(schema.fields.map(({ name, type, mode }) => `${name} ${type} ${mode}`)).toEqual([
      "at TIMESTAMP REQUIRED",
      "id INT64 REQUIRED",
      "words STRING NULLABLE",
      "share FLOAT64 NULLABLE",
      "yes BOOL NULLABLE",
      "price NUMERIC NULLABLE",
      "day DATE NULLABLE",
      "body BYTES NULLABLE",
      "tree JSON NULLABLE",
    ]);
    expect(schema.fields[2]?.description).toBe("it's `quoted`");
  });

  it("is partitioned and clustered as its address says, where it has these columns", async () => {
    await run([candles, letters], {}, {}, "partition=window_start&cluster=count,symbol");
    expect((await metadata("candles")).clustering).toEqual({ fields: ["count", "symbol"] });
    expect((await metadata("letters")).clustering).toEqual({ fields: ["job", "source", "position", "step"] });
    expect((await metadata("letters")).timePartitioning).toBeUndefined();
    expect(await failure(run([candles], {}, {}, "partition=none"))).toEqual(
      new UsageError(
        `The table candles in ${uri()} has another shape: it is partitioned by window_start, not by nothing. ` +
          `Rename or drop it, or write to another dataset`,
      ),
    );
    expect((await failure(run([candles], {}, {}, "partition=symbol"))).message).toBe(
      "partition=symbol: that column is text, and not a time or a day",
    );
  });
});

describe("rows", () => {
  it.each(["load", "write"])("keep their names and values, whatever they are (via=%s)", async (via) => {
    const names = ["select", "at", "ünï çode", "a-b", "it's", "100%", "n", "c0", "g"];
    const model = z.object(Object.fromEntries(names.map((name) => [name, z.string()])));
    const output = { name: "o'; --", table: tableOf("any_table", model, { key: names.slice(0, 2) }) };
    const row = (number: number) =>
      Object.fromEntries(names.map((name) => [name, `value ${number} of ${name}'); \\ {"a",NULL}\t\\N\n\u0000`]));
    for (let times = 0; times < 2; times += 1)
      await run([output], { [output.name]: [row(1), row(2)] }, { job: "j'; DROP TABLE `x`; --\\" }, `via=${via}`);
    expect(await query(`SELECT * FROM \`$any_table\` ORDER BY 1`)).toEqual([1, 2].map((n) => Object.values(row(n))));
  });

  it("equal but for their stamps stay as they are, and what a run does not give of its stretch is taken out", async () => {
    const model = z.object({ day: date(), symbol: z.string(), n: z.int(), computed_at: z.string() });
    const daily: Output = {
      name: "daily",
      table: tableOf("daily", model, { key: ["day", "symbol"], stamps: ["computed_at"], recomputedBy: "day" }),
    };
    const row = (day: string, symbol: string, n: number, stamp: string): Row => ({
      day,
      symbol,
      n,
      computed_at: stamp,
    });
    const write = (rows: readonly Row[], covers?: Stretch) =>
      run([daily], { daily: rows }, covers === undefined ? {} : { covers });
    const rows = async () =>
      (await query("SELECT `day`, `symbol`, `n`, `computed_at` FROM `$daily` ORDER BY 1, 2")).map((one) =>
        one.join(" "),
      );
    const oneDay = { since: Date.UTC(2026, 0, 5), until: Date.UTC(2026, 0, 6) };
    await write([row("2026-01-04", "A", 1, "a"), row("2026-01-05", "A", 2, "a"), row("2026-01-05", "B", 3, "a")]);
    await write([row("2026-01-05", "A", 2, "b")], oneDay);
    expect(await rows()).toEqual(["2026-01-04 A 1 a", "2026-01-05 A 2 a"]);
    await write([row("2026-01-05", "A", 4, "c")], EVERYTHING);
    expect(await rows()).toEqual(["2026-01-05 A 4 c"]);
    await write([], { since: Date.UTC(2026, 0, 6), until: null });
    expect(await rows()).toHaveLength(1);
    await write([], oneDay);
    expect(await rows()).toEqual([]);
  });

  it("of ranges that are read again replace what these ranges gave before, of this job and these times only", async () => {
    const there = () => query("SELECT `job`, `source`, `position` FROM `$letters` ORDER BY 1, 2, 3");
    await run([letters], {
      letters: [
        ...[letter("a", 1), letter("a", 5), letter("b", 1), letter("a", 1, { job: "other" })],
        ...[letter("c", 1, { timestamp: 1000 }), letter("c", 2, { timestamp: 5000 })],
      ],
    });
    await run([letters], { letters: [letter("a", 2)] }, { ranges: [range("a", 1, 5)] });
    expect(await there()).toEqual([
      ...[["j", "a", "2"], ["j", "a", "5"], ["j", "b", "1"], ["j", "c", "1"], ["j", "c", "2"]], // prettier-ignore
      ["other", "a", "1"],
    ]);
    const times = { since: 2000, until: null };
    await run([letters], {}, { ranges: [range("a"), range("b"), range("c", 1, null, times)] });
    expect(await there()).toEqual([
      ["j", "c", "1"],
      ["other", "a", "1"],
    ]);
  });

  it("of several outputs become visible together or not at all", async () => {
    await run([candles, letters], { candles: [candle("A")], letters: [letter("a", 1)] }, turn(1));
    // One of the tables is taken away behind the back of a batch that is under way.
    if (bigquery.sink === undefined) throw new Error("no sink");
    const batch: Batch = { job: "j", pipeline: "p", ranges: [], replays: [], ...turn(2) } as Batch;
    const target = await bigquery.sink.open(parseAddress(uri()), [candles, letters], batch);
    await target.write("candles", [candle("A", "2")]);
    await target.write("letters", [letter("a", 2)]);
    await client.ask("DELETE", `/datasets/${dataset}/tables/letters`);
    expect(await failure(target.commit())).toBeInstanceOf(RunError);
    await target.abort();
    expect(await query("SELECT CAST(`volume` AS FLOAT64) FROM `$candles`")).toEqual([["1.5"]]);
    expect(await query("SELECT `output`, `batch` FROM `$beamline_batches` ORDER BY 1")).toEqual([
      ["candles", "b1"],
      ["letters", "b1"],
    ]);
  });

  it("of two processes that have the batch open: what is on record is decided within the transaction", async () => {
    const opened = async (batch: Partial<Batch>, volume: string) => {
      const plain = { job: "j", pipeline: "p", ranges: [], replays: [] };
      const target = await bigquery.sink?.open(parseAddress(uri()), [candles], { ...plain, ...batch } as Batch);
      if (target === undefined) throw new Error("no sink");
      await target.write("candles", [candle("A", volume)]);
      return target;
    };
    const volume = () => query("SELECT CAST(`volume` AS FLOAT64) FROM `$candles`");
    const [one, other] = [await opened(turn(1, 2), "1"), await opened(turn(1, 2), "2")];
    await one.commit();
    // The same batch by another process: it is there, and stays as it is.
    await other.commit();
    expect(await volume()).toEqual([["1.0"]]);
    const [older, younger] = [await opened(turn(2, 2), "3"), await opened(turn(2, 3), "4")];
    await younger.commit();
    expect(await failure(older.commit())).toEqual(
      new RunError(
        "The job j was taken over by another process (its epoch is 3, ours 2): this one is too old to write",
      ),
    );
    await older.abort();
    expect(await volume()).toEqual([["4.0"]]);
  });

  it("that BigQuery cannot hold are refused one by one, with the reason, and the others are written", async () => {
    const model = z.object({
      id: z.string(),
      price: decimal(38, 9).nullable(),
      at: timestamp().nullable(),
      n: z.int().nullable(),
      day: z
        .string()
        .meta({ column: { kind: "date" } })
        .nullable(),
      text: z.string().nullable(),
      tree: z
        .unknown()
        .meta({ column: { kind: "json" } })
        .nullable(),
    });
    const output: Output = { name: "o", table: tableOf("o", model, { key: ["id"] }) };
    const row = (id: string, more: Row = {}): Row => ({
      ...{ id, price: null, at: null, n: null, day: null, text: null, tree: null },
      ...more,
    });
    let deep: unknown = 1;
    for (let level = 0; level < 501; level += 1) deep = [deep];
    const rejected = await run([output], {
      o: [
        row("good"),
        row("price", { price: "1".repeat(30) }),
        row("early", { at: -62_135_596_800_001 }),
        row("late", { at: 8.64e15 }),
        row("n", { n: 2n ** 63n }),
        row("day", { day: "2026-02-30" }),
        row("year", { day: "0000-01-01" }),
        row("long", { text: "x".repeat(10_000_001) }),
        row("deep", { tree: deep }),
        row("also good", { price: "-0.000000001", at: -62_135_596_800_000, n: -(2n ** 63n), day: "0001-01-01" }),
      ],
    });
    expect(rejected.map(({ row: refused, reason }) => [refused["id"], reason])).toEqual([
      ["price", "out of range"],
      ["early", "out of range"],
      ["late", "out of range"],
      ["n", "out of range"],
      ["day", "out of range"],
      ["year", "out of range"],
      ["long", "too large"],
      ["deep", "too deep"],
    ]);
    expect(rejected[0]?.error).toBe(
      `price is ${"1".repeat(30)}, and its NUMERIC takes 29 digits before and 9 after the point`,
    );
    expect(await query("SELECT `id`, `n` FROM `$o` ORDER BY 1")).toEqual([
      ["also good", "-9223372036854775808"],
      ["good", null],
    ]);
  });
});

describe("a table that changes", () => {
  const wider: Output = {
    name: "candles",
    table: tableOf("candles", candleModel.extend({ trades: z.int().nullable().describe("it's new") }), {
      key: ["symbol", "window_start"],
    }),
  };

  it("gets a new column that may be empty", async () => {
    await run([candles], { candles: [candle("A")] });
    await run([wider], { candles: [{ ...candle("B"), trades: 7 }] });
    expect(await query("SELECT `symbol`, `trades` FROM `$candles` ORDER BY 1")).toEqual([
      ["A", null],
      ["B", "7"],
    ]);
    await run([wider], { candles: [{ ...candle("A"), trades: 8 }] });
    expect(await query("SELECT `symbol`, `trades` FROM `$candles` ORDER BY 1")).toEqual([
      ["A", "8"],
      ["B", "7"],
    ]);
  });

  it("in a way that does not fit is refused with the difference, and nothing is changed", async () => {
    await run([candles], { candles: [candle("A")] });
    const other = candleModel.extend({ count: z.string(), needed: z.int(), volume: decimal(38, 20) });
    const output = { name: "candles", table: tableOf("candles", other, { key: ["symbol", "window_start"] }) };
    expect(await failure(run([output], {}))).toEqual(
      new UsageError(
        `The table candles in ${uri()} has another shape: column volume is NUMERIC, not BIGNUMERIC for decimal(38, 20); ` +
          `column count is INT64, not STRING; column needed is missing (INT64), and cannot be added, since it must not be ` +
          `empty. Rename or drop it, or write to another dataset`,
      ),
    );
    expect(await query("SELECT `symbol` FROM `$candles`")).toEqual([["A"]]);
  });
});

describe("files by way of Cloud Storage", () => {
  it("are loaded from the bucket, and taken away", async () => {
    for (const volume of ["1", "2"])
      await run([candles], { candles: [candle("A", volume)] }, {}, "staging=gs://staging-test/some/prefix");
    expect(await query("SELECT CAST(`volume` AS FLOAT64) FROM `$candles`")).toEqual([["2.0"]]);
    const listed = await fetch(`${process.env["STORAGE_EMULATOR_HOST"]}/storage/v1/b/staging-test/o`);
    expect(((await listed.json()) as { items?: unknown[] }).items ?? []).toEqual([]);
  });

  it("a bucket that is not there", async () => {
    const failed = await failure(
      run([candles], { candles: [candle("A")] }, {}, "staging=gs://no-such-bucket&give-up=1s"),
    );
    expect(failed).toBeInstanceOf(RunError);
    expect(failed.message).toMatch(/gs:\/\/no-such-bucket/);
  });
});

describe("read", () => {
  const read = async (options: string, stretch: Stretch = EVERYTHING) => {
    const { source } = bigquery;
    if (source === undefined) throw new Error("no source");
    const ranges = await source.plan(parseAddress(uri(options)), stretch);
    const records: SourceRecord[] = [];
    for (const one of ranges) for await (const some of source.read(one)) records.push(...some);
    return { ranges, records, values: records.map(({ value }) => JSON.parse(String(value)) as unknown) };
  };

  it("a table: rows as JSON with exact numbers, in the order that is asked for, by their time", async () => {
    await run([candles], {
      candles: [candle("B", "0.00000001", START + 1), candle("A", "12345678901234567890123456789.12345678")],
    });
    const { records, values } = await read("table=candles&order=symbol&time=window_start");
    expect(values).toEqual([
      { symbol: "A", window_start: "2026-01-05T09:30:00.000Z", volume: "12345678901234567890123456789.12345678", count: "1" }, // prettier-ignore
      { symbol: "B", window_start: "2026-01-05T09:30:00.001Z", volume: "0.00000001", count: "1" },
    ]);
    expect(records.map(({ source, position, timestamp: time }) => [source, position, time])).toEqual([
      [`${dataset}.candles`, 1, START],
      [`${dataset}.candles`, 2, START + 1],
    ]);
    const part = await read("table=candles&columns=symbol&time=window_start", { since: START + 1, until: START + 2 });
    expect(part.values).toEqual([{ symbol: "B" }]);
    expect(part.records[0]?.source).toBe(
      `${dataset}.candles since 2026-01-05T09:30:00.001Z until 2026-01-05T09:30:00.002Z`,
    );
  });

  it("a query: what was planned is what is read, however often and whatever happens to the tables", async () => {
    await run([candles], { candles: [candle("A"), candle("B")] });
    const { source } = bigquery;
    if (source === undefined) throw new Error("no source");
    const [first] = await source.plan(
      parseAddress(uri("query=SELECT symbol AS s, [1, 2] AS list, STRUCT(1.5 AS x) AS inner_ FROM candles ORDER BY 1")),
      EVERYTHING,
    );
    if (first === undefined) throw new Error("no range");
    await run([candles], { candles: [candle("C")] });
    for (const [from, to, expected] of [
      [1, 3, ["A", "B"]],
      [2, 3, ["B"]],
      [1, 2, ["A"]],
    ] as const) {
      const found: unknown[] = [];
      for await (const some of source.read({ ...first, from, to }))
        found.push(...some.map(({ value }) => JSON.parse(String(value)) as unknown));
      expect(found).toEqual(expected.map((s) => ({ s, list: ["1", "2"], inner_: { x: 1.5 } })));
    }
  });

  it("many rows: in ranges that give each row once", async () => {
    const { ranges, records } = await read("query=SELECT x FROM UNNEST(GENERATE_ARRAY(1, 250000)) AS x ORDER BY x");
    expect(ranges.map(({ from, to }) => [from, to])).toEqual([
      [1, 100_001],
      [100_001, 200_001],
      [200_001, 250_001],
    ]);
    expect(records).toHaveLength(250_000);
    expect(records.every(({ value, position }) => value === `{"x":"${position}"}`)).toBe(true);
  });

  it("nothing where there is nothing, and a sentence where it cannot be", async () => {
    expect((await read("query=SELECT 1 AS x FROM UNNEST([1]) AS y WHERE FALSE")).values).toEqual([]);
    await run([candles], {});
    for (const [options, says] of [
      ["table=candle", `${uri()} has no table candle: check table=`],
      ["", `Say what of ${uri()} to read: ?table=name, or ?query=SELECT …`],
      ["table=candles&time=symbol", `time=symbol: that column of ${dataset}.candles is STRING, and not a time`],
      ["table=candles&columns=symbl", `columns=symbl: ${dataset}.candles has no such column; did you mean “symbol”?`],
    ] as const)
      expect(await failure(read(options))).toEqual(new UsageError(says));
    const check = await bigquery.source?.check?.(parseAddress(uri("table=candles")));
    expect(check).toEqual([{ state: "fine", text: `${uri()} answers, and ${dataset}.candles has 4 columns` }]);
  });

  it("dead letters come back as they were written", async () => {
    const output: Output = { name: "letters", table: letters.table };
    const written = [
      letter("a", 2, { value: Uint8Array.of(0, 255) }),
      letter("a", 10, { timestamp: -1 }),
      letter("b", 1),
    ];
    expect(await lettersOf(output)).toEqual([]);
    await run([output], { letters: [...written, letter("a", 1, { job: "other" })] });
    expect(await lettersOf(output)).toEqual(written);
  });

  async function lettersOf({ table }: Output): Promise<Row[]> {
    const rows: Row[] = [];
    for await (const news of bigquery.sink?.letters?.(parseAddress(uri()), table, "j") ?? [])
      for (const one of news) if (one.kind === "letter") rows.push(one.row);
    return rows;
  }
});

describe("a job that goes on", () => {
  const go = (job: Partial<DyingJob>, via: string, killAfter?: number) =>
    runDying(
      at(),
      {
        from: `file:${at("in.ndjson")}`,
        to: uri(`via=${via}`),
        ...job,
        flags: { "state-dir": at("state"), "max-batch": "400", once: "true", ...job.flags },
      },
      killAfter,
    );
  const append = (ledger: Ledger, count: number) =>
    appendFileSync(
      at("in.ndjson"),
      ledger
        .take(count)
        .map(({ value }) => `${value}\n`)
        .join(""),
    );
  const counted = async (): Promise<Expected[]> =>
    (
      await query(
        "SELECT `symbol`, `window_start`, `trade_count`, `volume` FROM `$trades_1min_agg` ORDER BY `symbol`, `window_start`",
      )
    ).map(([symbol, start, trades, volume]) => ({
      symbol: String(symbol),
      window_start: new Date(Number(start) / 1000).toISOString(),
      trade_count: Number(trades),
      volume: plainDecimal(String(volume)),
    }));

  it.each(["write", "load"])(
    "killed at each point of a batch, and at random moments: exactly once (via=%s)",
    async (via) => {
      const ledger = new Ledger(7);
      for (const point of POINTS) {
        append(ledger, 350);
        expect(await go({ die: { point, nth: 1 } }, via)).toBe("killed");
      }
      for (const killAfter of [1500, 2500]) {
        append(ledger, 350);
        await go({}, via, killAfter);
      }
      expect(await go({}, via)).toBe("done");
      expect(await counted()).toEqual(ledger.expected());
    },
  );
});
