// PostgreSQL as sink and source, on a real server: values, batches that race, servers that are killed or hang.
import { execFileSync, spawnSync } from "node:child_process";
import {
  chmodSync,
  chownSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import net from "node:net";
import os from "node:os";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { Client, escapeIdentifier } from "pg";
import { z } from "zod";
import { freePort } from "../infra/services/ports";
import {
  killService,
  restartService,
  startServices,
  stopServices,
  type RunningService,
} from "../infra/services/services";
import { parseAddress } from "../io/address";
import { EVERYTHING, type Batch, type OpenTarget, type Output, type Stretch } from "../io/connector";
import { closePools } from "../io/postgres/pool";
import { postgres } from "../io/postgres/postgres";
import { postgresSource } from "../io/postgres/source";
import { RunError, UnavailableError, UsageError } from "../schema/errors";
import { type SourceRecord } from "../schema/record";
import { date, decimal, raw, tableOf, timestamp, type Row, type Table } from "../schema/table";

const root = path.resolve(__dirname, "..");
/** Outside of the repository: PostgreSQL's user may not be allowed into that. */
const directory = mkdtempSync(path.join(realpathSync(os.tmpdir()), "beamline-postgres-"));
chmodSync(directory, 0o755);
const options = { directory };
const DATABASE = "beamline_test";

let service: RunningService;
const uri = (query = "", user = "beamline", database = DATABASE) =>
  `postgres://${user}@127.0.0.1:${service.port}/${database}${query}`;

/** A connection of the test's own. */
async function connected<T>(action: (client: Client) => Promise<T>, database = DATABASE): Promise<T> {
  const client = new Client({ connectionString: uri("", "beamline", database), ssl: false });
  client.on("error", () => undefined);
  await client.connect();
  try {
    return await action(client);
  } finally {
    await client.end();
  }
}

async function query(sql: string): Promise<unknown[][]> {
  return connected(async (client) => (await client.query<unknown[]>({ text: sql, rowMode: "array" })).rows);
}

/** Takes everything out of the database, which must be one for tests. */
async function emptyDatabase(): Promise<void> {
  await connected(async (client) => {
    const { rows } = await client.query<{ name: string }>("SELECT current_database() AS name");
    if (rows[0]?.name.includes("test") !== true) throw new Error(`${rows[0]?.name} is no database for tests`);
    await client.query("DROP SCHEMA public CASCADE; CREATE SCHEMA public");
  });
}

beforeAll(async () => {
  service = (await startServices(["postgres"], { ...options, ports: { postgres: await freePort() } })).postgres;
  await connected((client) => client.query(`CREATE DATABASE ${DATABASE}`), "beamline");
});

beforeEach(emptyDatabase);

afterAll(async () => {
  await closePools();
  await stopServices(["postgres"], { ...options, data: true });
  rmSync(directory, { recursive: true, force: true });
});

const candleModel = z.object({ symbol: z.string(), start: timestamp(), volume: decimal(), count: z.int() });
const candles: Output = { name: "candles", table: tableOf("candles", candleModel, { key: ["symbol", "start"] }) };
const deadModel = z.object({
  job: z.string(),
  source: z.string(),
  position: z.int(),
  step: z.string(),
  error: z.string(),
  value: raw(),
});
const dead: Output = {
  name: "dead",
  table: tableOf("dead", deadModel, { key: ["job", "source", "position", "step"], mode: "by-origin" }),
};

const candle = (symbol: string, volume = "1.5", count = 1): Row => ({ symbol, start: 0, volume, count });
const letter = (source: string, position: number, job = "j", value: string | Uint8Array = "x"): Row => ({
  ...{ job, source, position, step: "parse", error: "why", value },
});
const many = (count: number, volume = "1"): Row[] => Array.from({ length: count }, (_, at) => candle(`S${at}`, volume));

/** More than fit into one statement: these go through a temporary table. */
const MANY = 5_000;

const plain: Batch = { job: "j", pipeline: "p", id: "b1", plan: "p1", ranges: [], replays: [], turn: null };
const turn = (number: number, epoch: number): Partial<Batch> => ({ id: `b${number}`, turn: { number, epoch } });
const range = (source: string, from = 1, to: number | null = null) => ({
  ...{ connector: "file", source, from, to, detail: {} },
});

async function open(
  outputs: readonly Output[] = [candles, dead],
  batch: Partial<Batch> = {},
  query = "",
): Promise<OpenTarget> {
  if (postgres.sink === undefined) throw new Error("no sink");
  return postgres.sink.open(parseAddress(uri(query)), outputs, { ...plain, ...batch });
}

/** Writes a batch as a run does: some rows at a time, and an abort when anything fails. */
async function run(
  rows: Record<string, readonly Row[]>,
  batch: Partial<Batch> = {},
  outputs?: readonly Output[],
  query = "",
): Promise<void> {
  const target = await open(outputs, batch, query);
  try {
    for (const [name, some] of Object.entries(rows)) {
      for (let at = 0; at < some.length; at += 2_000) {
        const part = some.slice(at, at + 2_000);
        expect(await target.write(name, part)).toEqual({ written: part.length });
      }
    }
    await target.commit();
  } finally {
    await target.abort();
  }
}

const volumes = () => query("SELECT symbol, volume::text FROM candles ORDER BY symbol");

async function failure(work: Promise<unknown>): Promise<Error> {
  try {
    await work;
  } catch (error) {
    return error as Error;
  }
  throw new Error("nothing was thrown");
}

describe("rows that a run gives whole", () => {
  const model = z.object({ day: date(), symbol: z.string(), n: z.int(), computed_at: z.string() });
  const daily: Output = {
    name: "daily",
    table: tableOf("daily", model, { key: ["day", "symbol"], stamps: ["computed_at"], recomputedBy: "day" }),
  };
  const row = (day: string, symbol: string, n: number, stamp: string): Row => ({ day, symbol, n, computed_at: stamp });
  const write = (rows: readonly Row[], covers?: Stretch) =>
    run({ daily: rows }, covers === undefined ? {} : { covers }, [daily]);
  const rows = async () =>
    (await query("SELECT day::text, symbol, n, computed_at FROM daily ORDER BY 1, 2")).map((one) => one.join(" "));
  const oneDay = { since: Date.UTC(2026, 0, 5), until: Date.UTC(2026, 0, 6) };

  it("leaves what is equal but for its stamp, and takes out what does not arise again, within the stretch only", async () => {
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

  it("does so with more rows than fit into one statement", async () => {
    const all = Array.from({ length: MANY }, (_, n) => row("2026-01-05", `S${n}`, n, "a"));
    await write(all);
    await write(all.slice(1), oneDay);
    expect(await rows()).toHaveLength(MANY - 1);
  });
});

describe("rows", () => {
  it.each([1, MANY])("replace the row of their key, the last one written counts (%p rows)", async (count) => {
    await run({ candles: many(count, "7"), dead: [letter("f", 1)] });
    await run({ candles: [candle("S0", "2"), ...many(count, "3"), candle("S0", "4.50"), candle("ü", "5")] });
    expect(await query("SELECT count(*)::int, sum(volume)::float FROM candles")).toEqual([
      [count + 1, (count - 1) * 3 + 4.5 + 5],
    ]);
    expect(await query("SELECT volume::text FROM candles WHERE symbol = 'S0'")).toEqual([["4.50000000"]]);
    expect(await query("SELECT job, output, batch, number, epoch, rows::int FROM beamline_batches ORDER BY 2")).toEqual(
      [
        ["j", "candles", "b1", null, null, count + 3],
        ["j", "dead", "b1", null, null, 0],
      ],
    );
  });

  it.each([3, MANY])("that are there already are not written again (%p rows)", async (count) => {
    const rows = { candles: many(count), dead: [letter("f", 1)] };
    const versions = () =>
      query("SELECT ctid::text, xmin::text FROM candles UNION ALL SELECT ctid::text, xmin::text FROM dead");
    await run(rows, { ranges: [range("f")] });
    const before = await versions();
    await run(rows, { ranges: [range("f")] });
    expect(await versions()).toEqual(before);
    expect(before).toHaveLength(count + 1);
  });

  const everything = z.object({
    id: z.int(),
    text: z.string().nullable(),
    double: z.number().nullable(),
    boolean: z.boolean().nullable(),
    decimal: decimal(38, 8).nullable(),
    at: timestamp().nullable(),
    day: date().nullable(),
    raw: raw().nullable(),
    json: z.array(z.unknown()).nullable(),
  });
  const all: Output = { name: "all", table: tableOf("all", everything, { key: ["id"] }) };
  const nothing = {
    text: null,
    double: null,
    boolean: null,
    decimal: null,
    at: null,
    day: null,
    raw: null,
    json: null,
  };
  const bytes = Uint8Array.from({ length: 256 }, (_, at) => at);

  it.each([0, MANY])("keep every kind of value, in a table with proper types (%p more rows)", async (more) => {
    const rows: Row[] = [
      { ...nothing, id: -(2n ** 63n), double: 5e-324, at: Date.UTC(-4712, 0, 1), day: "0001-01-01" },
      { ...nothing, id: 2n ** 63n - 1n, double: -1.7976931348623157e308, at: 8.64e15, day: "9999-12-31" },
      { id: 1, text: "ü 😀\t\n\r\\N", double: 0.1, boolean: true, decimal: "123456789012345678901234567890.12345678" }, // prettier-ignore
      { ...nothing, id: 2, boolean: false, decimal: "-0.00000001", at: 1, day: "2026-01-31", raw: "a\0ü", json: [] },
      { ...nothing, id: 3, text: "", raw: bytes, json: ["\\", '"', null, 1e-7, { "ü\n": [true] }] },
      { ...nothing, id: 4, text: "\\.", at: -1 },
      ...Array.from({ length: more }, (_, at) => ({ ...nothing, id: 10 + at })),
    ];
    for (let times = 0; times < 2; times += 1) await run({ all: rows }, {}, [all]);
    expect(
      await query(
        `SELECT id::text, text, double, boolean, decimal::text, to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.MS AD'), day::text, raw, json ` +
          `FROM "all" WHERE id < 10 OR id = 9223372036854775807 ORDER BY id`,
      ),
    ).toEqual([
      ["-9223372036854775808", null, 5e-324, null, null, "4713-01-01 00:00:00.000 BC", "0001-01-01", null, null],
      [...["1", "ü 😀\t\n\r\\N", 0.1, true, "123456789012345678901234567890.12345678"], ...[null, null, null, null]],
      ["2", null, null, false, "-0.00000001", "1970-01-01 00:00:00.001 AD", "2026-01-31", Buffer.from("a\0ü"), []],
      ["3", "", null, null, null, null, null, Buffer.from(bytes), ["\\", '"', null, 1e-7, { "ü\n": [true] }]],
      ["4", "\\.", null, null, null, "1969-12-31 23:59:59.999 AD", null, null, null],
      [
        ...["9223372036854775807", null, -1.7976931348623157e308, null, null, "275760-09-13 00:00:00.000 AD"],
        ...["9999-12-31", null, null],
      ],
    ]);
    expect(
      await query(
        `SELECT attname::text, format_type(atttypid, atttypmod), attnotnull FROM pg_attribute ` +
          `WHERE attrelid = '"all"'::regclass AND attnum > 0 ORDER BY attnum`,
      ),
    ).toEqual([
      ["id", "bigint", true],
      ["text", "text", false],
      ["double", "double precision", false],
      ["boolean", "boolean", false],
      ["decimal", "numeric(38,8)", false],
      ["at", "timestamp with time zone", false],
      ["day", "date", false],
      ["raw", "bytea", false],
      ["json", "jsonb", false],
    ]);
    expect(
      await query("SELECT indexdef FROM pg_indexes WHERE tablename = 'all' AND indexdef LIKE '%(at)'"),
    ).toHaveLength(1);
  });

  it.each([0, MANY])("keep their names and values, whatever they are (%p more rows)", async (more) => {
    const names = ['a"b', "x'); DROP TABLE candles; --", "ü 😀", "select", "n", "c0", "s", "t", "$1", "?"];
    const model = z.object(Object.fromEntries(names.map((name) => [name, z.string()])));
    const output = { name: "o", table: tableOf('t"; DROP TABLE candles; --', model, { key: names.slice(0, 2) }) };
    const row = (at: number) =>
      Object.fromEntries(names.map((name) => [name, `value ${at} of ${name}'); \\ {"a",NULL}\t\\N\n`]));
    await run({ candles: [candle("A")] });
    const rows = Array.from({ length: more + 1 }, (_, at) => row(at));
    for (let times = 0; times < 2; times += 1) await run({ o: rows }, { job: "j'; --" }, [output]);
    const found = await connected((client) => client.query(`SELECT * FROM ${escapeIdentifier(output.table.name)}`));
    expect(found.rows).toHaveLength(more + 1);
    expect(found.rows).toContainEqual(row(0));
    expect(await volumes()).toHaveLength(1);
  });

  it("may have a key that is all of them", async () => {
    const output = { name: "o", table: tableOf("o", z.object({ a: z.string() }), { key: ["a"] }) };
    await run({ o: [{ a: "x" }, { a: "x" }] }, {}, [output]);
    expect(await query("SELECT * FROM o")).toEqual([["x"]]);
  });

  it("go to the schema that is named, and there only", async () => {
    expect(await failure(open(undefined, {}, "?schema=my"))).toEqual(
      new UsageError(`${uri()} has no schema my: CREATE SCHEMA "my", or name another (?schema=…)`),
    );
    await query("CREATE SCHEMA my");
    await run({ candles: [candle("A")] }, {}, undefined, "?schema=my");
    await query("DROP TABLE my.candles, my.dead, my.beamline_batches");
    await query("DROP SCHEMA my");
    expect(await query("SELECT to_regclass('candles')")).toEqual([[null]]);
  });

  it("with U+0000 are refused by column, but a dead letter keeps its bytes and is not", async () => {
    expect(await failure(run({ candles: [candle("A\0")] }))).toEqual(
      new RunError(
        "Column symbol of candles has the character U+0000 in a row, which PostgreSQL cannot keep in a text: " +
          "take it out in a step, or make the column bytes",
      ),
    );
    await run({ dead: [{ ...letter("f", 1, "j", "a\0b"), error: "a\0b" }] });
    expect(await query("SELECT error, value FROM dead")).toEqual([["a␀b", Buffer.from("a\0b")]]);
  });

  it("that the table refuses are told of in one sentence, and nothing of the batch is there", async () => {
    await run({ candles: [candle("A", "1")] });
    await query("ALTER TABLE candles ADD CONSTRAINT small CHECK (count < 10)");
    const refused = await failure(run({ dead: [letter("f", 1)], candles: [candle("A", "2"), candle("B", "1", 10)] }));
    expect(refused).toBeInstanceOf(RunError);
    expect(refused.message).toMatch(/refused a row for candles: .*constraint "small".*Change the row in a step/);
    expect(await volumes()).toEqual([["A", "1.00000000"]]);
    expect(await query("SELECT * FROM dead")).toEqual([]);
  });
});

describe("a table that is there already", () => {
  const shape =
    "symbol text NOT NULL, start timestamptz NOT NULL, volume numeric(38,8) NOT NULL, count bigint NOT NULL";
  const key = "PRIMARY KEY (symbol, start)";

  it.each<[string, string, string]>([
    [
      "a missing column",
      `(symbol text, start timestamptz, volume numeric, ${key})`,
      "column count is missing (bigint)",
    ],
    [
      "other types",
      `(symbol varchar(3), start timestamp, volume numeric(38,4), count smallint, ${key})`,
      "column symbol is character varying(3), not text; column start is timestamp without time zone, not timestamp with time zone; " +
        "column volume is numeric(38,4), not numeric(38,8); column count is smallint, not bigint",
    ],
    ["another key", `(${shape}, PRIMARY KEY (symbol))`, "its key is (symbol), not (symbol, start)"],
    ["no key", `(${shape})`, "its key is (), not (symbol, start)"],
    [
      "a column that must be filled",
      `(${shape}, extra text NOT NULL, ${key})`,
      "column extra is unknown and must not be empty",
    ],
    [
      "a column that fills itself",
      `(${shape.replace("count bigint NOT NULL", "count bigint GENERATED ALWAYS AS (1) STORED")}, ${key})`,
      "column count is generated by the server",
    ],
  ])("is refused for %s, and says which", async (_name, columns, difference) => {
    await query(`CREATE TABLE candles ${columns}`);
    expect(await failure(open())).toEqual(
      new UsageError(
        `The table public.candles in ${uri()} has another shape: ${difference}. Rename or drop it, or write to another schema (?schema=…)`,
      ),
    );
  });

  it("is refused when it is no table", async () => {
    await query("CREATE VIEW candles AS SELECT 1");
    expect((await failure(open())).message).toContain("has another shape: it is a view. Rename");
    await query("DROP VIEW candles");
    await query("CREATE SEQUENCE candles");
    expect((await failure(open())).message).toContain("it is a sequence");
  });

  it("may be wider, have more columns, and its key in another order or as a unique index", async () => {
    await query(
      `CREATE TABLE candles (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, extra text, more int NOT NULL DEFAULT 7, ` +
        `start timestamptz(3), symbol varchar, volume numeric, count integer)`,
    );
    await query("CREATE UNIQUE INDEX ON candles (start, symbol) INCLUDE (count)");
    for (let times = 0; times < 2; times += 1) await run({ candles: [candle("A"), ...many(MANY)] });
    expect(await query("SELECT symbol, more FROM candles WHERE symbol = 'A'")).toEqual([["A", 7]]);
    expect(await query("SELECT count(*)::int FROM candles")).toEqual([[MANY + 1]]);
  });

  it("made by several processes at once is made once", async () => {
    const runs = Array.from({ length: 8 }, (_, at) =>
      run({ candles: many(at % 2 === 0 ? 10 : MANY, String(at)) }, { job: `j${at}` }),
    );
    await Promise.all(runs);
    expect(await query("SELECT count(*)::int FROM candles")).toEqual([[MANY]]);
    expect(await query("SELECT count(*)::int FROM beamline_batches")).toEqual([[16]]);
  });
});

describe("rows by origin", () => {
  it.each([0, MANY])("are replaced for the ranges that are read again, and only there (%p more)", async (more) => {
    const others = Array.from({ length: more }, (_, at) => letter("big", at + 1));
    await run({ dead: [letter("f", 1), letter("f", 2), letter("f", 7), letter("g", 1), ...others] });
    await run({ dead: [letter("f", 2, "other")] }, { job: "other" });
    const again = [range("f", 1, 7), range("h"), range("big", 1, 10)];
    await run({ dead: [letter("f", 3), ...others.filter((row) => Number(row["position"]) > 5)] }, { ranges: again });
    expect(
      await query("SELECT job, source, position::int FROM dead WHERE source <> 'big' ORDER BY job, source, position"),
    ).toEqual([
      ["j", "f", 3],
      ["j", "f", 7],
      ["j", "g", 1],
      ["other", "f", 2],
    ]);
    expect(await query("SELECT count(*)::int FROM dead WHERE source = 'big'")).toEqual([[Math.max(0, more - 5)]]);
    // Nothing written at all is an answer too: those lines are good now.
    await run({}, { ranges: [range("f"), range("g"), range("big")] });
    expect(await query("SELECT job, source FROM dead")).toEqual([["other", "f"]]);
  });

  it("stay where only records of other times were read", async () => {
    const model = deadModel.extend({ timestamp: timestamp().nullable() });
    const timed: Output = { name: "dead", table: tableOf("dead", model, { key: dead.table.key, mode: "by-origin" }) };
    const at = (position: number, time: number | null) => ({ ...letter("f", position), timestamp: time });
    const left = async () => (await query("SELECT position::int FROM dead ORDER BY position")).flat();
    await run({ dead: [at(1, 999), at(2, 1000), at(3, 1999), at(4, 2000), at(5, null)] }, {}, [timed]);
    const times = { since: 1000, until: 2000 };
    await run({ dead: [at(3, 1999)] }, { ranges: [{ ...range("f"), times }] }, [timed]);
    expect(await left()).toEqual([1, 3, 4, 5]);
    await run({}, { ranges: [{ ...range("f"), times: { since: 2000, until: null } }] }, [timed]);
    expect(await left()).toEqual([1, 3, 5]);
    await run({}, { ranges: [{ ...range("f"), times: { since: null, until: 1000 } }, range("g")] }, [timed]);
    expect(await left()).toEqual([3, 5]);
    await run({}, { ranges: [range("f")] }, [timed]);
    expect(await left()).toEqual([]);
  });

  it("stay when the batch is not finished", async () => {
    await run({ dead: [letter("f", 1)] });
    const target = await open(undefined, { ranges: [range("f")] });
    await target.write("dead", [letter("f", 2)]);
    await target.abort();
    expect(await query("SELECT position::int FROM dead")).toEqual([[1]]);
  });
});

describe("a batch that is not finished", () => {
  it.each([3, MANY])("leaves nothing, no table either (%p rows)", async (count) => {
    const target = await open();
    await target.write("candles", many(count));
    await target.write("dead", [letter("f", 1)]);
    await target.abort();
    await target.abort();
    expect(
      await query("SELECT count(*)::int FROM pg_class WHERE relname IN ('candles', 'dead', 'beamline_batches')"),
    ).toEqual([[0]]);
    await expect(target.write("candles", many(1))).rejects.toThrow(/the batch is over/);
  });

  it("is not committed when a part of it failed", async () => {
    const target = await open();
    await expect(target.write("candles", [candle("A"), candle("B\0")])).rejects.toThrow(/U\+0000/);
    await expect(target.commit()).rejects.toThrow(/U\+0000/);
    await target.abort();
    expect(await query("SELECT to_regclass('candles')")).toEqual([[null]]);
  });

  it("holds up nobody while it is at work, not even when its process hangs", async () => {
    await run({ candles: many(MANY, "1") }, turn(1, 1));
    const old = await open(undefined, turn(2, 1));
    await old.write("candles", many(MANY, "2"));
    await run({ candles: many(MANY, "3") }, turn(2, 2), undefined, "?lock_timeout=2s");
    await expect(old.commit()).rejects.toThrow(/taken over/);
    await old.abort();
  });

  it("is broken off by an abort in the middle of its commit", async () => {
    await run({});
    await query(
      "CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(1); RETURN NEW; END'",
    );
    await query("CREATE TRIGGER slow BEFORE INSERT ON candles FOR EACH ROW EXECUTE FUNCTION slow()");
    const target = await open();
    await target.write("candles", [candle("A")]);
    const refused = failure(target.commit());
    await untilBusy("INSERT INTO%candles%");
    await target.abort();
    expect(await refused).toBeInstanceOf(UnavailableError);
    expect(await volumes()).toEqual([]);
  });
});

/** Comes back when the connector's connection does such a thing. */
async function untilBusy(like: string): Promise<void> {
  for (;;) {
    const found = await query(
      `SELECT 1 FROM pg_stat_activity WHERE application_name = 'beamline' AND state = 'active' AND query LIKE '${like}'`,
    );
    if (found.length > 0) return;
    await sleep(20);
  }
}

describe("the record of batches", () => {
  const record = () =>
    query("SELECT batch, number::int, epoch::int, rows::int FROM beamline_batches WHERE output = 'candles'");

  it.each([1, MANY])(
    "makes a batch that is there be skipped, even when its rows are others (%p rows)",
    async (count) => {
      await run({ candles: many(count, "1"), dead: [letter("f", 1)] }, { ...turn(1, 1), ranges: [range("f")] });
      for (const epoch of [1, 2])
        await run(
          { candles: many(count + 5, "2"), dead: [letter("f", 2)] },
          { ...turn(1, epoch), ranges: [range("f")] },
        );
      expect(await query("SELECT count(*)::int, max(volume)::int FROM candles")).toEqual([[count, 1]]);
      expect(await query("SELECT position::int FROM dead")).toEqual([[1]]);
      expect(await record()).toEqual([["b1", 1, 1, count]]);
      await run({ candles: many(1, "3") }, turn(2, 2));
      expect(await record()).toEqual([["b2", 2, 2, 1]]);
    },
  );

  it("keeps a process out whose job was taken over: at once, and at its commit", async () => {
    await run({ candles: [candle("A", "1")] }, turn(1, 1));
    const old = await open(undefined, turn(2, 1));
    await old.write("candles", [candle("A", "2")]);
    await run({ candles: [candle("A", "3")] }, turn(2, 2));
    const message =
      "The job j was taken over by another process (its epoch is 2, ours 1): this one is too old to write";
    expect(await failure(old.commit())).toEqual(new RunError(message));
    await old.abort();
    expect(await failure(open(undefined, turn(3, 1)))).toEqual(new RunError(message));
    expect(await volumes()).toEqual([["A", "3.00000000"]]);
    await run({ candles: [candle("A", "4")] }, { ...turn(1, 1), job: "other" });
  });

  it("neither skips nor refuses a run on its own, which takes no job over", async () => {
    await run({ candles: [candle("A", "1")] }, turn(1, 2));
    for (const volume of ["2", "3"]) await run({ candles: [candle("A", volume)] }, { id: "b1" });
    expect(await volumes()).toEqual([["A", "3.00000000"]]);
    expect(await record()).toEqual([["b1", null, 2, 1]]);
  });

  it("lets exactly one of two processes write that commit the same batch at the same moment", async () => {
    for (let number = 1; number <= 10; number += 1) {
      // The first time nothing is there, neither table nor record.
      const targets = await Promise.all([open(undefined, turn(number, 1)), open(undefined, turn(number, 1))]);
      await Promise.all(targets.map((target, at) => target.write("candles", many(50, `${number}.${at}`))));
      await Promise.all(targets.map((target) => target.commit()));
      const [[low, high] = []] = await query("SELECT min(volume)::float, max(volume)::float FROM candles");
      expect(low).toBe(high);
      expect(await record()).toEqual([[`b${number}`, number, 1, 50]]);
      if (number > 1) continue;
      await query("CREATE TABLE merges (number int)");
      await query(
        "CREATE FUNCTION merged() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN INSERT INTO merges VALUES (1); RETURN NULL; END'",
      );
      await query("CREATE TRIGGER merged AFTER INSERT ON candles FOR EACH STATEMENT EXECUTE FUNCTION merged()");
    }
    expect(await query("SELECT count(*)::int FROM merges")).toEqual([[9]]);
  });

  it("never lets an old process write over a young one, however they race", async () => {
    for (let round = 1; round <= 10; round += 1) {
      const [old, young] = await Promise.all([
        open(undefined, turn(round, round)),
        open(undefined, turn(round + 100, round + 1)),
      ]);
      await old.write("candles", many(50, "1"));
      await young.write("candles", many(50, "2"));
      const [first, second] = await Promise.allSettled([old.commit(), young.commit()]);
      await old.abort();
      expect(second.status).toBe("fulfilled");
      if (first.status === "rejected") expect(String(first.reason)).toMatch(/taken over/);
      expect(await query("SELECT DISTINCT volume::int FROM candles")).toEqual([[2]]);
      expect(await record()).toEqual([[`b${round + 100}`, round + 100, round + 1, 50]]);
    }
  });

  it("is refused when a table of another shape has its name", async () => {
    await query("CREATE TABLE beamline_batches (a int)");
    await expect(open()).rejects.toThrow(
      /The table public\.beamline_batches in .* has another shape: column job is missing/,
    );
  });
});

/** What stands between the connector and the server, and cuts the line as soon as it has passed on a COMMIT of rows. */
async function cuttingAtCommit<T>(action: (port: number) => Promise<T>): Promise<T> {
  const proxy = net.createServer((socket) => {
    const server = net.connect(service.port, "127.0.0.1");
    let hasRows = false;
    let isCut = false;
    socket.on("data", (data) => {
      const sent = data.toString("latin1");
      hasRows ||= sent.includes("READ WRITE");
      isCut ||= hasRows && sent.includes("COMMIT\0");
      server.write(data);
    });
    // The answer tells that it is done, and does not arrive.
    server.on("data", (data) => (isCut ? socket.destroy() : socket.write(data)));
    for (const [one, other] of [
      [socket, server],
      [server, socket],
    ] as const) {
      one.on("error", () => undefined);
      one.on("close", () => other.destroy());
    }
  });
  await new Promise<void>((resolve) => proxy.listen(0, "127.0.0.1", resolve));
  try {
    return await action((proxy.address() as net.AddressInfo).port);
  } finally {
    await closePools();
    await new Promise((resolve) => proxy.close(resolve));
  }
}

describe("a commit without an answer", () => {
  it.each([1, MANY])("is unavailable, and the same batch again finds that it was written (%p rows)", async (count) => {
    await run({ candles: many(count, "1") }, turn(1, 1));
    await cuttingAtCommit(async (port) => {
      const address = parseAddress(uri().replace(`:${service.port}`, `:${port}`));
      const target = await postgres.sink?.open(address, [candles, dead], { ...plain, ...turn(2, 1) });
      await target?.write("candles", many(count, "2"));
      const lost = await failure(target?.commit() ?? Promise.resolve());
      expect(lost).toBeInstanceOf(UnavailableError);
      expect(lost.message).toMatch(/does not answer: the connection was lost/);
      await target?.abort();
    });
    // Other rows, to tell whether they are written again.
    await run({ candles: many(count, "3") }, turn(2, 1));
    expect(await query("SELECT DISTINCT volume::int FROM candles")).toEqual([[2]]);
  });

  it("of a server that was killed is decided by the same batch again", async () => {
    await run({ candles: many(3, "1") }, turn(1, 1));
    await query(
      "CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(1); RETURN NULL; END'",
    );
    await query(
      "CREATE CONSTRAINT TRIGGER slow AFTER UPDATE ON candles DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION slow()",
    );
    const target = await open(undefined, turn(2, 1));
    await target.write("candles", many(3, "2"));
    const lost = failure(target.commit());
    await untilBusy("COMMIT");
    await killService("postgres", options);
    expect(await lost).toBeInstanceOf(UnavailableError);
    await target.abort();
    service = (await startServices(["postgres"], options)).postgres;
    await query("DROP TRIGGER slow ON candles");
    await run({ candles: many(3, "2") }, turn(2, 1));
    expect(await query("SELECT count(*)::int, sum(volume)::int FROM candles")).toEqual([[3, 6]]);
  });
});

describe("a server that fails", () => {
  const up = async () => {
    service = (await startServices(["postgres"], options)).postgres;
  };

  it("killed in the middle of a batch: unavailable, and the same batch again works when it is back", async () => {
    await run({ candles: [candle("A", "1")] }, turn(1, 1));
    const target = await open(undefined, turn(2, 1));
    await target.write("candles", many(MANY, "2"));
    await killService("postgres", options);
    const lost = await failure(target.write("candles", many(50_000, "2")).then(() => target.commit()));
    expect(lost).toBeInstanceOf(UnavailableError);
    expect(lost.message).toContain(uri());
    await target.abort();
    const down = await failure(open(undefined, turn(2, 1)));
    expect(down).toEqual(
      new UnavailableError(`${uri()} cannot be reached: nothing listens there. Start the server, or check the address`),
    );
    await up();
    expect(await volumes()).toEqual([["A", "1.00000000"]]);
    await run({ candles: many(MANY, "2") }, turn(2, 1));
    expect(await query("SELECT count(*)::int FROM candles")).toEqual([[MANY + 1]]);
  });

  it("killed while connections are idle: unavailable, and works again when it is back", async () => {
    await run({ candles: [candle("A")] });
    await killService("postgres", options);
    expect(await failure(open())).toBeInstanceOf(UnavailableError);
    await up();
    await run({ candles: [candle("B")] });
    // Restarted before anybody looked.
    service = await restartService("postgres", options);
    await run({ candles: [candle("C")] });
    expect(await volumes()).toHaveLength(3);
  });

  it("stopped by its administrator in the middle of a batch: unavailable", async () => {
    const target = await open();
    await target.write("candles", many(MANY));
    await query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'beamline'");
    expect(await failure(target.commit())).toBeInstanceOf(UnavailableError);
    await target.abort();
    await run({ candles: many(MANY) });
  });

  /** Everything that belongs to the server stands still, as when a machine hangs. */
  async function frozen(action: () => Promise<void>): Promise<void> {
    const children = execFileSync("ps", ["-o", "pid=", "--ppid", String(service.pid)], { encoding: "utf8" });
    const pids = [
      service.pid,
      ...children
        .split("\n")
        .map(Number)
        .filter((pid) => pid > 0),
    ];
    for (const pid of pids) process.kill(pid, "SIGSTOP");
    try {
      await action();
    } finally {
      for (const pid of pids.reverse()) process.kill(pid, "SIGCONT");
    }
  }
  const impatient = "?answer_timeout=300ms&connect_timeout=1s";

  it("that hangs in the middle of a batch, or before it: unavailable, without hanging too", async () => {
    await run({ candles: [candle("A", "1")] });
    const target = await open(undefined, {}, impatient);
    await target.write("candles", many(MANY, "2"));
    await frozen(async () => {
      const silent = await failure(target.write("candles", many(300_000)).then(() => target.commit()));
      expect(silent).toBeInstanceOf(UnavailableError);
      expect(silent.message).toMatch(/has stopped answering: the server hangs or the network is cut/);
      await target.abort();
      // On a connection that lay idle, or on a new one.
      for (let times = 0; times < 2; times += 1) {
        const refused = await failure(open(undefined, {}, impatient));
        expect(refused).toBeInstanceOf(UnavailableError);
        expect(refused.message).toMatch(/has stopped answering|does not answer/);
      }
    });
    await run({ candles: [candle("B", "3")] }, {}, undefined, impatient);
    expect(await volumes()).toEqual([
      ["A", "1.00000000"],
      ["B", "3.00000000"],
    ]);
  });

  it("that is only long at work is waited for", async () => {
    await run({});
    await query(
      "CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(1.5); RETURN NEW; END'",
    );
    await query("CREATE TRIGGER slow BEFORE INSERT ON candles FOR EACH ROW EXECUTE FUNCTION slow()");
    await run({ candles: [candle("A")] }, {}, undefined, "?answer_timeout=200ms");
    expect(await volumes()).toHaveLength(1);
    const slow = await failure(run({ candles: [candle("B")] }, {}, undefined, "?statement_timeout=300ms"));
    expect(slow).toBeInstanceOf(UnavailableError);
    expect(slow.message).toMatch(/took too long.*raise statement_timeout=$/);
  });

  it("has so many connections of this process, and more wait, but not for ever", async () => {
    const busy = await Promise.all(Array.from({ length: 10 }, () => open(undefined, {}, "?connect_timeout=1s")));
    for (const target of busy) await target.write("candles", many(MANY));
    const refused = await failure(open(undefined, {}, "?connect_timeout=1s"));
    expect(refused).toBeInstanceOf(UnavailableError);
    expect(refused.message).toMatch(/all 10 connections of this process are busy for too long/);
    for (const target of busy) await target.abort();
    await run({ candles: [candle("A")] }, {}, undefined, "?connect_timeout=1s");
  });

  it("whose table is locked: unavailable, in time", async () => {
    await run({});
    await connected(async (client) => {
      await client.query("BEGIN; LOCK TABLE candles");
      const locked = await failure(run({ candles: [candle("A")] }, {}, undefined, "?lock_timeout=200ms"));
      expect(locked).toBeInstanceOf(UnavailableError);
      expect(locked.message).toMatch(/locked by another program for too long/);
    });
  });
});

describe("who may come in", () => {
  const set = (name: string, value: string | undefined) => {
    if (value === undefined) delete process.env[name];
    else process.env[name] = value;
  };
  const open_ = (user: string, query = "", database = DATABASE) =>
    postgres.sink?.open(parseAddress(uri(query, user, database)), [candles], plain) ??
    Promise.reject(new Error("no sink"));

  beforeAll(async () => {
    const file = path.join(directory, "postgres", "data", "pg_hba.conf");
    writeFileSync(file, `host all secured 127.0.0.1/32 scram-sha-256\n${readFileSync(file, "utf8")}`);
    await connected(async (client) => {
      await client.query(
        "CREATE ROLE secured LOGIN PASSWORD 'hush: \\ü'; CREATE ROLE reader LOGIN; CREATE ROLE nobody_more LOGIN CONNECTION LIMIT 0",
      );
      await client.query("SELECT pg_reload_conf()");
    });
  });

  const variables = ["PGPASSWORD", "POSTGRES_PASSWORD_FILE", "PGPASSFILE", "HOME", "PGSSLMODE", "PGSSLROOTCERT"];
  const before = variables.map((name) => [name, process.env[name]] as const);
  beforeEach(() => {
    for (const name of variables) set(name, undefined);
    set("HOME", directory);
  });
  afterEach(async () => {
    for (const [name, value] of before) set(name, value);
    // A pool keeps the connections that a password opened.
    await closePools();
  });

  it("a password comes from the environment or a file, and a wrong one is never shown", async () => {
    await expect(open_("secured")).rejects.toThrow(
      /asks for a password: set PGPASSWORD, POSTGRES_PASSWORD_FILE or PGPASSFILE/,
    );
    set("PGPASSWORD", "wrong-one");
    const wrong = await failure(open_("secured"));
    expect(wrong).toBeInstanceOf(UsageError);
    expect(wrong.message).toMatch(/^postgres:\/\/secured@.* does not let this user in .*check user and password/);
    expect(wrong.message).not.toContain("wrong-one");
    set("PGPASSWORD", undefined);
    const file = path.join(directory, "password");
    writeFileSync(file, "hush: \\ü\n");
    set("POSTGRES_PASSWORD_FILE", file);
    await (await open_("secured")).abort();
    await closePools();
    set("POSTGRES_PASSWORD_FILE", undefined);
    writeFileSync(file, `127.0.0.1:${service.port}:${DATABASE}:secured:hush\\: \\\\ü\n`, { mode: 0o600 });
    chmodSync(file, 0o600);
    set("PGPASSFILE", file);
    await (await open_("secured")).abort();
  });

  it.each<[string, () => Promise<unknown>, new (message: string) => Error, RegExp]>([
    [
      "a missing database",
      () => open_("beamline", "", "no_such_test"),
      UsageError,
      /no_such_test does not exist on that server/,
    ],
    ["a missing user", () => open_("nobody"), UsageError, /does not let this user in/],
    ["too many connections", () => open_("nobody_more"), UnavailableError, /too many connections/],
    ["no TLS", () => open_("beamline", "?sslmode=require"), UsageError, /has no TLS: set sslmode=disable/],
  ])("%s", async (_name, action, kind, message) => {
    const refused = await failure(action());
    expect(refused.constructor).toBe(kind);
    expect(refused.message).toMatch(message);
  });

  it("an encrypted connection, as trusted as is asked for", async () => {
    const data = path.join(directory, "postgres", "data");
    const [key, certificate] = [path.join(data, "server.key"), path.join(data, "server.crt")];
    const subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"];
    const form = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-keyout", key, "-out", certificate];
    execFileSync("openssl", [...form, ...subject], { stdio: "ignore" });
    const { uid, gid } = statSync(data);
    for (const file of [key, certificate]) chownSync(file, uid, gid);
    chmodSync(key, 0o600);
    await query("ALTER SYSTEM SET ssl = on");
    service = await restartService("postgres", options);
    // Beside the data, which others may not enter.
    const trusted = path.join(directory, "root.crt");
    writeFileSync(trusted, readFileSync(certificate));

    const encrypted = async (uri: string): Promise<unknown> => {
      const target = await postgres.sink?.open(parseAddress(uri), [candles], plain);
      const found = await query(
        "SELECT DISTINCT ssl FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE application_name = 'beamline'",
      );
      await target?.abort();
      await closePools();
      return found;
    };
    const named = (query: string) => uri(query).replace("127.0.0.1", "localhost");
    expect(await encrypted(uri())).toEqual([[false]]);
    expect(await encrypted(uri("?sslmode=require"))).toEqual([[true]]);
    await expect(encrypted(named("?sslmode=verify-full"))).rejects.toThrow(
      /a certificate that is not trusted .*: set PGSSLROOTCERT/,
    );
    set("PGSSLROOTCERT", trusted);
    expect(await encrypted(named("?sslmode=verify-full"))).toEqual([[true]]);
    await expect(encrypted(uri("?sslmode=verify-full"))).rejects.toThrow(/a certificate that is not trusted/);
    expect(await encrypted(uri("?sslmode=verify-ca"))).toEqual([[true]]);
    set("PGSSLMODE", "verify-full");
    expect(await encrypted(named(""))).toEqual([[true]]);
  });

  it("a missing permission", async () => {
    await run({});
    await query("GRANT USAGE ON SCHEMA public TO reader; GRANT SELECT ON ALL TABLES IN SCHEMA public TO reader");
    const target = await open_("reader");
    await target.write("candles", [candle("A")]);
    const refused = await failure(target.commit());
    await target.abort();
    expect(refused.constructor).toBe(RunError);
    expect(refused.message).toMatch(
      /does not permit this user what is needed \(permission denied for table .*\): GRANT it/,
    );
  });
});

it("a process that is done ends by itself", () => {
  const script = `
    const { postgres } = require(${JSON.stringify(path.join(root, "io/postgres/postgres.ts"))});
    const { parseAddress } = require(${JSON.stringify(path.join(root, "io/address.ts"))});
    (async () => {
      const target = await postgres.sink.open(parseAddress(${JSON.stringify(uri())}), ${JSON.stringify([candles])}, ${JSON.stringify(plain)});
      await target.write("candles", ${JSON.stringify([candle("A")])});
      await target.commit();
      console.log("done");
    })();`;
  const ended = spawnSync(process.execPath, ["-r", "tsx/cjs", "-e", script], {
    cwd: root,
    encoding: "utf8",
    timeout: 60_000,
  });
  expect(ended).toMatchObject({ status: 0, stdout: "done\n", stderr: "" });
});

describe("a table as a source", () => {
  async function plan(query: string, stretch: Stretch = EVERYTHING) {
    return postgresSource.plan(parseAddress(uri(query)), stretch);
  }
  async function read(ranges: Awaited<ReturnType<typeof plan>>): Promise<SourceRecord[]> {
    const records: SourceRecord[] = [];
    for (const one of ranges) for await (const some of postgresSource.read(one)) records.push(...some);
    return records;
  }
  const valuesOf = (records: readonly SourceRecord[]) =>
    records.map(({ value }) => JSON.parse(String(value)) as unknown);

  it("is read in ranges of its key, each row once", async () => {
    await query("CREATE TABLE numbers AS SELECT g::bigint AS id, g * 2 AS twice FROM generate_series(-5, 249999) AS g");
    await query("ALTER TABLE numbers ADD PRIMARY KEY (id)");
    const ranges = await plan("?table=numbers");
    expect(ranges.map(({ connector, source, from, to }) => [connector, source, from, to])).toEqual([
      ["postgres", "numbers", -5, 83330],
      ["postgres", "numbers", 83330, 166665],
      ["postgres", "numbers", 166665, 250000],
    ]);
    expect(JSON.parse(JSON.stringify(ranges))).toEqual(ranges);
    const records = await read(ranges);
    expect(records.map(({ position }) => position)).toEqual(Array.from({ length: 250_005 }, (_, at) => at - 5));
    expect(records[7]).toEqual({
      ...{ value: '{"id":"2","twice":4}', source: "numbers", position: 2 },
      ...{ key: null, timestamp: null, headers: null, fields: null },
    });
    // Rows that came after the plan are no part of it.
    await query("INSERT INTO numbers VALUES (250000, 0)");
    expect(await read(ranges.slice(2))).toHaveLength(83_335);
  });

  it("with keys that lie far apart is cut into few ranges", async () => {
    await query("CREATE TABLE sparse (id bigint PRIMARY KEY)");
    await query("INSERT INTO sparse SELECT g * 1000000000000 FROM generate_series(1, 3000) AS g");
    await query("ANALYZE sparse");
    const ranges = await plan("?table=sparse");
    expect(ranges).toHaveLength(1);
    expect(await read(ranges)).toHaveLength(3_000);
    await query("INSERT INTO sparse VALUES (9007199254740993)");
    await expect(plan("?table=sparse")).rejects.toThrow(/has numbers beyond 2\^53: name another column/);
  });

  it("gives every value without loss", async () => {
    await query(
      `CREATE TABLE all_types (id int PRIMARY KEY, big bigint, exact numeric, plain double precision, small real, yes boolean, ` +
        `words text, bytes bytea, at timestamptz, clock timestamp, day date, doc jsonb, list numeric[], length interval, u uuid)`,
    );
    await query(
      `INSERT INTO all_types VALUES (1, 9223372036854775807, 123456789012345678901234567890.123456789, 0.1, 0.1, true, ` +
        `E'ü "\\n😀', decode(repeat('00ff', 60), 'hex'), '2026-01-31T12:00:00.123456+02', '2026-01-31T12:00:00', '2026-01-31', ` +
        `'{"a": [1.50]}', '{1.50,NULL}', '1 day', '00000000-0000-0000-0000-000000000001'), (2, NULL, 'NaN', 'NaN', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL)`,
    );
    await query(
      "INSERT INTO all_types (id, at, day) VALUES (3, 'infinity', 'infinity'), (4, '0044-03-15 BC', '12000-01-01')",
    );
    const [first, ...rest] = valuesOf(await read(await plan("?table=all_types"))) as Record<string, unknown>[];
    expect(first).toEqual({
      id: 1,
      big: "9223372036854775807",
      exact: "123456789012345678901234567890.123456789",
      plain: 0.1,
      small: 0.1,
      yes: true,
      words: 'ü "\n😀',
      bytes: Buffer.from("00ff".repeat(60), "hex").toString("base64"),
      at: "2026-01-31T10:00:00.123456Z",
      clock: "2026-01-31T12:00:00.000Z",
      day: "2026-01-31",
      doc: { a: [1.5] },
      list: ["1.50", null],
      length: "P1D",
      u: "00000000-0000-0000-0000-000000000001",
    });
    expect(rest).toMatchObject([
      { id: 2, big: null, exact: "NaN", plain: "NaN", bytes: null, at: null },
      { id: 3, at: "infinity", day: "infinity" },
      { id: 4, at: "0044-03-15 00:00:00+00 BC", day: "12000-01-01" },
    ]);
  });

  it("without a key of numbers is read in one piece, in the order of its key, by row number", async () => {
    await query(`CREATE TABLE "a ""b" ("x y" text, n int, PRIMARY KEY ("x y", n))`);
    await query(`INSERT INTO "a ""b" SELECT 'v', g FROM generate_series(5000, 1, -1) AS g`);
    const ranges = await plan(`?table=${encodeURIComponent('a "b')}&columns=n`);
    expect(ranges).toMatchObject([{ from: 1, to: null }]);
    const records = await read(ranges);
    expect(records.map(({ position, value }) => [position, value])).toEqual(
      Array.from({ length: 5_000 }, (_, at) => [at + 1, `{"n":${at + 1}}`]),
    );
    const part = { ...ranges[0], from: 3, to: 5 } as (typeof ranges)[number];
    expect((await read([part])).map(({ position, value }) => [position, value])).toEqual([
      [3, '{"n":3}'],
      [4, '{"n":4}'],
    ]);
  });

  it("has the time of a column, and gives the stretch that is asked for", async () => {
    await query("CREATE TABLE events (id int PRIMARY KEY, at timestamptz, day date)");
    await query(
      "INSERT INTO events VALUES (1, '1970-01-01T00:00:01.5Z', '1970-01-02'), (2, '1970-01-01T00:00:02Z', NULL), (3, NULL, NULL)",
    );
    const times = async (query: string, since: number | null, until: number | null) =>
      (await read(await plan(query, { since, until }))).map(({ position, timestamp: time }) => [position, time]);
    expect(await times("?table=events&time=at", null, null)).toEqual([[1, 1500], [2, 2000], [3, null]]); // prettier-ignore
    expect(await times("?table=events&time=at", 1500, 2000)).toEqual([[1, 1500]]);
    expect(await times("?table=events&time=day", 86_400_000, null)).toEqual([[1, 86_400_000]]);
    // Without a column of times a stretch has no meaning.
    expect(await times("?table=events", 5000, null)).toHaveLength(3);
    const [part, whole, timeless] = [
      await plan("?table=events&time=at", { since: 1500, until: null }),
      await plan("?table=events&time=at"),
      await plan("?table=events", { since: 1500, until: null }),
    ];
    expect(part).toMatchObject([{ source: "events", from: 1, to: 4, times: { since: 1500, until: null } }]);
    for (const ranges of [whole, timeless]) expect(ranges).toEqual([expect.not.objectContaining({ times: expect.anything() as unknown })]); // prettier-ignore
    expect(postgresSource.withoutTimes?.(parseAddress(uri("?table=events&time=at")))).toBeNull();
    expect(postgresSource.withoutTimes?.(parseAddress(uri("?table=events")))).toBe("name the column that has it: ?time=column"); // prettier-ignore
  });

  it("that has no key of numbers has other sources for other stretches, since their rows are numbered anew", async () => {
    await query("CREATE TABLE events (name text PRIMARY KEY, at timestamptz)");
    const sources = async (since: number | null, until: number | null) =>
      (await plan("?table=events&time=at", { since, until })).map(({ source, times }) => [source, times]);
    expect(await sources(null, null)).toEqual([["events", undefined]]);
    expect(await sources(0, null)).toEqual([["events since 1970-01-01T00:00:00Z", undefined]]);
    expect(await sources(0, 1500)).toEqual([
      ["events since 1970-01-01T00:00:00Z until 1970-01-01T00:00:01.500Z", undefined],
    ]);
  });

  it("may be a view, with a key that is named, or be empty, or lie in another schema", async () => {
    await query("CREATE SCHEMA other_test");
    await query("CREATE VIEW other_test.v AS SELECT g::bigint AS id FROM generate_series(1, 3) AS g");
    for (const [key, last] of [
      ["", null],
      ["&key=id", 4],
    ] as const) {
      const ranges = await plan(`?schema=other_test&table=v${key}`);
      expect(ranges).toMatchObject([{ source: "other_test.v", from: 1, to: last }]);
      expect(valuesOf(await read(ranges))).toEqual([{ id: "1" }, { id: "2" }, { id: "3" }]);
    }
    await query("DROP SCHEMA other_test CASCADE");
    await query("CREATE TABLE empty (id int PRIMARY KEY)");
    expect(await read(await plan("?table=empty"))).toEqual([]);
  });

  it.each([
    ["", /Say which table of postgres:.* to read: \?table=name/],
    ["?table=numberz", /has no table public\.numberz: check table= and schema=/],
    ["?table=t&columns=id,nam", /columns=nam: public\.t has no such column; did you mean “name”/],
    ["?table=t&key=name", /key=name: that column of public\.t is text, and not a whole number/],
    ["?table=t&key=other", /key=other: that column of public\.t may repeat or be null/],
    ["?table=t&time=name", /time=name: that column of public\.t is text, and not a time/],
  ])("refuses %j in one sentence", async (query_, message) => {
    await query("CREATE TABLE t (id int PRIMARY KEY, name text, other int)");
    const refused = await failure(plan(query_));
    expect(refused).toBeInstanceOf(UsageError);
    expect(refused.message).toMatch(message);
  });

  it.each(["id int PRIMARY KEY", "id text PRIMARY KEY"])("ends when the signal says so (%s)", async (column) => {
    await query(`CREATE TABLE t (${column})`);
    await query("INSERT INTO t SELECT g FROM generate_series(1, 10000) AS g");
    const [one] = await plan("?table=t");
    const stop = new AbortController();
    const reading = async () => {
      if (one === undefined) return;
      for await (const records of postgresSource.read(one, stop.signal)) {
        expect(records.length).toBeGreaterThan(0);
        stop.abort(new Error("enough"));
      }
    };
    await expect(reading()).rejects.toThrow("enough");
  });
});

it("the outputs of a table are checked before anything is asked of the server", async () => {
  const twice: Table = { ...candles.table };
  await expect(open([candles, { name: "again", table: twice }])).rejects.toThrow(/Two outputs go to the table candles/);
});
