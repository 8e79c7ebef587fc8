import { spawnSync } from "node:child_process";
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { z } from "zod";
import { RunError, UsageError } from "../../schema/errors";
import { date, decimal, raw, tableOf, timestamp, type Row, type Table } from "../../schema/table";
import { asOrdinaryUser, scratchDirectory } from "../../test/scratch";
import { parseAddress } from "../address";
import { type Batch, type OpenTarget, type Output } from "../connector";
import { openDatabase } from "./database";
import { explain } from "./failures";
import { quoteName } from "./shape";
import { sqlite } from "./sqlite";
import { SqliteTarget } from "./target";

const scratch = scratchDirectory();
const file = () => scratch("app.db");
const batch: Batch = { job: "j", pipeline: "p", id: "b1", plan: "p1", ranges: [], replays: [], turn: null };

const candleModel = z.object({ symbol: z.string(), start: timestamp(), volume: decimal(), count: z.int() });
const candles: Output = { name: "candles", table: tableOf("candles", candleModel, { key: ["symbol", "start"] }) };
const deadModel = z.object({
  job: z.string(),
  step: z.string(),
  source: z.string(),
  position: z.int(),
  raw: raw().nullable(),
});
const dead: Output = {
  name: "dead",
  table: tableOf("dead", deadModel, { key: ["job", "step", "source", "position"], mode: "by-origin" }),
};

const candle = (symbol: string, volume = "1.5", count = 1): Row => ({ symbol, start: 0, volume, count });
const letter = (source: string, position: number, job = "j"): Row => ({
  job,
  step: "parse",
  source,
  position,
  raw: "x",
});

function open(
  outputs: Output[] = [candles, dead],
  options: Partial<Batch> = {},
  patienceMs?: number,
): Promise<SqliteTarget> {
  return SqliteTarget.open(file(), outputs, { ...batch, ...options }, { patienceMs });
}

async function run(rows: Record<string, Row[]>, options: Partial<Batch> = {}, outputs?: Output[]): Promise<void> {
  const target = await open(outputs, options);
  for (const [name, some] of Object.entries(rows))
    expect(await target.write(name, some)).toEqual({ written: some.length });
  await target.commit();
}

function select(sql: string, of = file()): Record<string, unknown>[] {
  const database = openDatabase(of);
  try {
    return database
      .prepare(sql)
      .all([])
      .map((row) => ({ ...row }));
  } finally {
    database.close();
  }
}

const query = (sql: string): unknown[] => select(sql).map((row) => Object.values(row));
const rowsOf = (table: string, of = file()) => select(`SELECT * FROM ${quoteName(table)}`, of);

/** Everything in the file: what is in it, and every row of every table. */
function dump(): unknown[] {
  const entries = query("SELECT type, name, sql FROM sqlite_master ORDER BY type, name");
  const tables = (entries as [string, string][]).filter(([type]) => type === "table").map(([, name]) => name);
  return [entries, ...tables.map((name) => [name, query(`SELECT * FROM ${quoteName(name)}`)])];
}

describe("rows in SQLite", () => {
  it("are there after the commit, in tables that were made for them", async () => {
    await run({ candles: [candle("A"), candle("B", "12345678901234567890.12345678")], dead: [letter("f", 1)] });
    expect(query("SELECT * FROM candles")).toEqual([
      ["A", "1970-01-01T00:00:00.000Z", "1.5", 1],
      ["B", "1970-01-01T00:00:00.000Z", "12345678901234567890.12345678", 1],
    ]);
    expect(query("SELECT volume, typeof(volume) FROM candles_numeric")).toEqual([
      [1.5, "real"],
      [12345678901234567000, "real"],
    ]);
    expect(query("SELECT * FROM dead")).toEqual([["j", "parse", "f", 1, "x"]]);
    expect(query("SELECT * FROM _beamline_batches")).toEqual([
      ["j", "candles", "b1", 2, null, null],
      ["j", "dead", "b1", 1, null, null],
    ]);
    expect(query("PRAGMA journal_mode")).toEqual([["wal"]]);
  });

  it("replace the row of their key", async () => {
    await run({ candles: [candle("A", "1"), candle("B", "1")] });
    await run({ candles: [candle("A", "2"), candle("A", "3"), candle("C", "4")] });
    expect(query("SELECT symbol, volume FROM candles")).toEqual([
      ["A", "3"],
      ["B", "1"],
      ["C", "4"],
    ]);
  });

  it("are the same, and all that is beside them, when a batch is run twice", async () => {
    const rows = { candles: Array.from({ length: 101 }, (_, at) => candle(`S${at}`)), dead: [letter("f", 1)] };
    const ranges = [{ connector: "file", source: "f", from: 1, to: null, detail: {} }];
    await run(rows, { ranges });
    const once = dump();
    await run(rows, { ranges });
    expect(dump()).toEqual(once);
    expect(JSON.stringify(once)).toContain("S100");
  });

  it("leave tables and the batch behind when there are none", async () => {
    await run({});
    expect(query("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY 1")).toEqual([
      ["_beamline_batches"],
      ["candles"],
      ["dead"],
    ]);
    expect(query("SELECT output, rows FROM _beamline_batches")).toEqual([
      ["candles", 0],
      ["dead", 0],
    ]);
  });

  it("keep every kind of value", async () => {
    const model = z.object({
      id: z.int(),
      double: z.number().nullable(),
      boolean: z.boolean().nullable(),
      decimal: decimal().nullable(),
      at: timestamp().nullable(),
      day: date().nullable(),
      raw: raw().nullable(),
      json: z.array(z.int()).nullable(),
    });
    const output = { name: "all", table: tableOf("all", model, { key: ["id"] }) };
    const nothing = { double: null, boolean: null, decimal: null, at: null, day: null, raw: null, json: null };
    const rows: Row[] = [
      { id: 1, double: 1, boolean: true, decimal: "2.50", at: 1, day: "2026-01-31", raw: "text ü", json: [1] },
      { id: 2, ...nothing, raw: new Uint8Array([0, 255]) },
      { id: 3, ...nothing, raw: "a\0b" },
      { id: -4, ...nothing },
      { id: 2 ** 53 - 1, ...nothing },
    ];
    await run({ all: rows }, {}, [output]);
    expect(query('SELECT id, typeof(double), boolean, decimal, at, day, raw, json FROM "all" WHERE id = 1')).toEqual([
      [1, "real", 1, "2.5", "1970-01-01T00:00:00.001Z", "2026-01-31", "text ü", "[1]"],
    ]);
    expect(query('SELECT id, typeof(raw), hex(raw) FROM "all" WHERE id > 1 AND id < 4')).toEqual([
      [2, "blob", "00FF"],
      [3, "blob", "610062"],
    ]);
    expect(query('SELECT max(id), min(id) FROM "all"')).toEqual([[2 ** 53 - 1, -4]]);
  });

  it("keep their names, whatever they are", async () => {
    const names = ['a"b', "x'); DROP TABLE candles; --", "ü 😀", "select", "[a]", "`b`", "a.b", "?"];
    const model = z.object(Object.fromEntries(names.map((name) => [name, name === "ü 😀" ? decimal() : z.string()])));
    const output = { name: "o", table: tableOf('t"; DROP TABLE candles; --', model, { key: names.slice(0, 2) }) };
    const row = Object.fromEntries(names.map((name) => [name, name === "ü 😀" ? "1.5" : `value of ${name}`]));
    await run({ candles: [candle("A")] });
    for (let times = 0; times < 2; times += 1) await run({ o: [row] }, {}, [output]);
    expect(rowsOf(output.table.name)).toEqual([row]);
    expect(rowsOf(`${output.table.name}_numeric`)).toEqual([{ ...row, "ü 😀": 1.5 }]);
    expect(rowsOf("candles")).toHaveLength(1);
  });

  it("go through an address, into a directory that is made", async () => {
    const target = await sqlite.sink?.open(
      parseAddress(`sqlite:${scratch("new ü", "deep", "a?b#c%20.db")}`),
      [candles],
      batch,
    );
    await target?.write("candles", [candle("A")]);
    await target?.commit();
    // One file, the whole of it: what waits beside it is empty or gone.
    const sizes = readdirSync(scratch("new ü", "deep")).filter(
      (name) => readFileSync(scratch("new ü", "deep", name)).length > 0 && !name.endsWith("-shm"),
    );
    expect(sizes).toEqual(["a?b#c%20.db"]);
    expect(rowsOf("candles", scratch("new ü", "deep", "a?b#c%20.db"))).toHaveLength(1);
  });

  it("do not hold up others for long", async () => {
    const target = await open();
    let turns = 0;
    const timer = setInterval(() => (turns += 1), 0);
    await target.write(
      "candles",
      Array.from({ length: 40_000 }, (_, at) => candle(`S${at}`)),
    );
    clearInterval(timer);
    await target.commit();
    expect(turns).toBeGreaterThanOrEqual(3);
    expect(query("SELECT count(*) FROM candles")).toEqual([[40_000]]);
  });

  it("have a table whose key is all of it", async () => {
    const output = { name: "o", table: tableOf("o", z.object({ a: z.string() }), { key: ["a"] }) };
    await run({ o: [{ a: "x" }, { a: "x" }] }, {}, [output]);
    expect(query("SELECT * FROM o")).toEqual([["x"]]);
  });
});

describe("rows by origin", () => {
  const range = (source: string, from = 1, to: number | null = null) => ({
    connector: "file",
    source,
    from,
    to,
    detail: {},
  });

  it("are replaced for the ranges that are read again, and only there", async () => {
    await run({ dead: [letter("f", 1), letter("f", 2), letter("f", 7), letter("g", 1)] });
    await run({ dead: [letter("f", 2, "other")] }, { job: "other" });
    await run({ dead: [letter("f", 3)] }, { ranges: [range("f", 1, 7), range("h")] });
    expect(query("SELECT job, source, position FROM dead ORDER BY job, source, position")).toEqual([
      ["j", "f", 3],
      ["j", "f", 7],
      ["j", "g", 1],
      ["other", "f", 2],
    ]);
    // Nothing written at all is an answer too: those lines are good now.
    await run({}, { ranges: [range("f"), range("g")] });
    expect(query("SELECT job, source FROM dead")).toEqual([["other", "f"]]);
  });

  it("stay where only records of other times were read", async () => {
    const model = deadModel.extend({ timestamp: timestamp().nullable() });
    const timed: Output = { name: "dead", table: tableOf("dead", model, { key: dead.table.key, mode: "by-origin" }) };
    const at = (position: number, time: number | null) => ({ ...letter("f", position), timestamp: time });
    const left = () => query("SELECT position FROM dead ORDER BY position").flat();
    await run({ dead: [at(1, 999), at(2, 1000), at(3, 1999), at(4, 2000), at(5, null)] }, {}, [timed]);
    const times = { since: 1000, until: 2000 };
    await run({ dead: [at(3, 1999)] }, { ranges: [{ ...range("f"), times }] }, [timed]);
    expect(left()).toEqual([1, 3, 4, 5]);
    await run({}, { ranges: [{ ...range("f"), times: { since: 2000, until: null } }] }, [timed]);
    expect(left()).toEqual([1, 3, 5]);
    await run({}, { ranges: [{ ...range("f"), times: { since: null, until: 1000 } }, range("g")] }, [timed]);
    expect(left()).toEqual([3, 5]);
    await run({}, { ranges: [range("f")] }, [timed]);
    expect(left()).toEqual([]);
  });

  it("stay when the batch is not finished", async () => {
    await run({ dead: [letter("f", 1)] });
    const target = await open(undefined, { ranges: [range("f")] });
    await target.write("dead", [letter("f", 2)]);
    await target.abort();
    expect(query("SELECT position FROM dead")).toEqual([[1]]);
  });
});

describe("the record of batches", () => {
  const range = { connector: "file", source: "f", from: 1, to: null, detail: {} };
  const turn = (number: number, epoch: number, id = `b${number}`): Partial<Batch> => ({
    id,
    turn: { number, epoch },
    ranges: [range],
  });
  const records = () => select("SELECT * FROM _beamline_batches WHERE output = 'candles'");
  const volumes = () => query("SELECT symbol, volume FROM candles ORDER BY symbol");

  it("makes a batch that is there be skipped, though its rows count as written, even when they are others", async () => {
    await run({ candles: [candle("A", "1")], dead: [letter("f", 1)] }, turn(1, 1));
    const before = dump();
    await run({ candles: [candle("A", "2"), candle("B")], dead: [letter("f", 2)] }, turn(1, 1));
    // A process that took over runs the last plan again, too.
    await run({ candles: [candle("A", "3")] }, turn(1, 2));
    expect(dump()).toEqual(before);
    await run({ candles: [candle("A", "2")] }, turn(2, 2));
    expect(volumes()).toEqual([["A", "2"]]);
    expect(query("SELECT * FROM dead")).toEqual([]);
    expect(records()).toEqual([{ job: "j", output: "candles", batch: "b2", rows: 1, number: 2, epoch: 2 }]);
  });

  it("keeps a process out whose job was taken over", async () => {
    await run({ candles: [candle("A", "1")] }, turn(1, 2));
    const before = dump();
    for (const id of ["b1", "b2"]) {
      const old = await open(undefined, turn(2, 1, id));
      const refused = old.write("candles", [candle("A", "2")]);
      await expect(refused).rejects.toThrow(RunError);
      await expect(refused).rejects.toThrow(
        /^The job j was taken over by another process \(its epoch is 2, ours 1\): this one is too old to write$/,
      );
      await old.abort();
    }
    expect(dump()).toEqual(before);
    await run({ candles: [candle("A", "2")] }, { ...turn(1, 1), job: "other" });
    expect(volumes()).toEqual([["A", "2"]]);
  });

  it("neither skips nor refuses a run on its own, which takes no job over", async () => {
    await run({ candles: [candle("A", "1")] }, turn(1, 2));
    for (const volume of ["2", "3"]) await run({ candles: [candle("A", volume)] }, { id: "b1" });
    expect(volumes()).toEqual([["A", "3"]]);
    expect(records()).toEqual([{ job: "j", output: "candles", batch: "b1", rows: 1, number: null, epoch: 2 }]);
  });

  it("writes an output that came new to a batch that is there for the others", async () => {
    await run({ candles: [candle("A", "1")] }, turn(1, 1), [candles]);
    await run({ candles: [candle("A", "2")], dead: [letter("f", 1)] }, turn(1, 1));
    expect(volumes()).toEqual([["A", "1"]]);
    expect(query("SELECT position FROM dead")).toEqual([[1]]);
  });

  it("of an earlier version gets what it lacks", async () => {
    const database = openDatabase(file());
    database.exec(
      `CREATE TABLE _beamline_batches (job TEXT NOT NULL, output TEXT NOT NULL, batch TEXT NOT NULL, rows INTEGER NOT NULL, ` +
        `PRIMARY KEY (job, output)) WITHOUT ROWID; INSERT INTO _beamline_batches VALUES ('j', 'candles', 'b0', 7)`,
    );
    database.close();
    await run({ candles: [candle("A", "1")] }, turn(1, 1));
    expect(records()).toEqual([{ job: "j", output: "candles", batch: "b1", rows: 1, number: 1, epoch: 1 }]);
  });
});

describe("a batch that is not finished", () => {
  it("leaves the database as it was", async () => {
    await run({ candles: [candle("A", "1")] });
    const before = dump();
    const target = await open();
    await target.write("candles", [candle("A", "2"), candle("B")]);
    expect(dump()).toEqual(before);
    await target.abort();
    await target.abort();
    expect(dump()).toEqual(before);
    await run({ candles: [candle("A", "2")] });
    expect(dump()).not.toEqual(before);
  });

  it("leaves no file where there was none", async () => {
    const target = await open();
    await target.write("candles", [candle("A")]);
    await target.abort();
    expect(readdirSync(scratch())).toEqual([]);
  });

  it("is as if it had not been when the process is killed", async () => {
    await run({ candles: [candle("A", "1")], dead: [letter("f", 1)] });
    const before = dump();
    writeFileSync(scratch("out.ndjson"), "old\n");
    const script = (commits: boolean) => `
      const { SqliteTarget } = require(${JSON.stringify(path.join(__dirname, "target.ts"))});
      const { fileSink } = require(${JSON.stringify(path.join(__dirname, "../file/sink.ts"))});
      const [out] = ${JSON.stringify([candles])};
      const batch = { job: "j", pipeline: "p", id: "b1", plan: "p1", ranges: [], replays: [], turn: null };
      const rows = Array.from({ length: 50000 }, (_, at) => ({ symbol: "S" + at, start: 0, volume: "1", count: 1 }));
      (async () => {
        const targets = [
          await SqliteTarget.open(${JSON.stringify(file())}, [out], batch),
          await fileSink.open({ scheme: "file", path: ${JSON.stringify(scratch("out.ndjson"))}, options: {} }, [out], batch),
        ];
        for (const target of targets) await target.write("candles", rows);
        if (${commits}) for (const target of targets) await target.commit();
        process.kill(process.pid, "SIGKILL");
      })();`;
    const runAndKill = (commits: boolean) =>
      spawnSync(process.execPath, ["-r", "tsx/cjs", "-e", script(commits)], {
        cwd: path.resolve(__dirname, "../.."),
        encoding: "utf8",
      });
    expect(runAndKill(false)).toMatchObject({ stderr: "" });
    expect(dump()).toEqual(before);
    expect(readFileSync(scratch("out.ndjson"), "utf8")).toBe("old\n");
    // The same without the protection of not having committed: the rows are there, so the kill above hit real work.
    expect(runAndKill(true)).toMatchObject({ stderr: "" });
    expect(query("SELECT count(*) FROM candles")).toEqual([[50_001]]);
    expect(readFileSync(scratch("out.ndjson"), "utf8").split("\n")).toHaveLength(50_001);
  }, 30_000);
});

describe("a table that is there already", () => {
  const make = (sql: string) => {
    const database = openDatabase(file());
    database.exec(sql);
    database.close();
  };
  const shape = "symbol TEXT NOT NULL, start TEXT NOT NULL, volume TEXT NOT NULL, count INTEGER NOT NULL";

  it.each<[string, string, string]>([
    [
      "a missing column",
      `CREATE TABLE candles (symbol TEXT, start TEXT, volume TEXT, PRIMARY KEY (symbol, start))`,
      "column count is missing",
    ],
    [
      "another type",
      `CREATE TABLE candles (${shape.replace("volume TEXT", "volume REAL")}, PRIMARY KEY (symbol, start))`,
      "column volume is REAL, not TEXT",
    ],
    [
      "another key",
      `CREATE TABLE candles (${shape}, PRIMARY KEY (symbol))`,
      "its key is (symbol), not (symbol, start)",
    ],
    ["no key", `CREATE TABLE candles (${shape})`, "its key is (), not (symbol, start)"],
    [
      "a column that must be filled",
      `CREATE TABLE candles (${shape}, extra TEXT NOT NULL, PRIMARY KEY (symbol, start))`,
      "column extra is unknown and must not be empty",
    ],
    ["a view's name", `CREATE VIEW candles AS SELECT 1`, "it is a view"],
  ])("is refused for %s, and says which", async (_name, sql, difference) => {
    make(sql);
    const before = dump();
    const refused = open();
    await expect(refused).rejects.toThrow(UsageError);
    await expect(refused).rejects.toThrow(
      `app.db has another shape: ${difference}. Rename or drop it, or write to another file`,
    );
    expect(dump()).toEqual(before);
  });

  it("may have more columns, looser ones, and its key in another order", async () => {
    make(
      `CREATE TABLE candles (extra TEXT, ${shape.replaceAll(" NOT NULL", "")}, more INTEGER NOT NULL DEFAULT 7, PRIMARY KEY (start, symbol))`,
    );
    for (let times = 0; times < 2; times += 1) await run({ candles: [candle("A")] });
    expect(query("SELECT symbol, more FROM candles")).toEqual([["A", 7]]);
  });

  it("gets its view anew when the columns are others", async () => {
    await run({ candles: [candle("A")] });
    make("DROP VIEW candles_numeric; CREATE VIEW candles_numeric AS SELECT 1 AS old");
    await run({ candles: [candle("B")] });
    expect(query("SELECT volume FROM candles_numeric")).toEqual([[1.5], [1.5]]);
  });

  it("has no room for a view when a table has that name", async () => {
    make("CREATE TABLE candles_numeric (a TEXT)");
    const target = await open();
    await expect(target.write("candles", [candle("A")])).rejects.toThrow(/has a table candles_numeric, where the view/);
    await target.abort();
    expect(query("SELECT name FROM sqlite_master")).toEqual([["candles_numeric"]]);
  });
});

describe("what SQLite cannot keep faithfully is refused before anything is made", () => {
  const text = (name: string) => ({ name, type: { kind: "text" as const }, nullable: false, description: "" });
  const table = (change: Partial<Table>): Table => ({
    name: "t",
    columns: [text("a")],
    key: ["a"],
    mode: "upsert",
    ...change,
  });

  it.each<[string, Table[], RegExp]>([
    ["a table without a key", [table({ key: [] })], /has no key/],
    [
      "a key that may be null",
      [table({ columns: [{ ...text("a"), nullable: true }] })],
      /The key column a of t may be null/,
    ],
    ["a reserved name", [table({ name: "sqlite_x" })], /is reserved/],
    ["a name of its own", [table({ name: "_Beamline_batches" })], /is reserved/],
    ["a name with NUL", [table({ name: "a\0b" })], /cannot keep/],
    ["a column without a name", [table({ columns: [text("a"), text("")] })], /cannot keep/],
    [
      "columns that differ in case only",
      [table({ columns: [text("a"), text("A")] })],
      /column “A” twice for SQLite, which ignores case/,
    ],
    ["two outputs for one table", [table({}), table({ name: "T" })], /Two outputs go to the table T/],
  ])("%s", async (_name, tables, message) => {
    const refused = open(tables.map((one, at) => ({ name: `o${at}`, table: one })));
    await expect(refused).rejects.toThrow(UsageError);
    await expect(refused).rejects.toThrow(message);
    expect(readdirSync(scratch())).toEqual([]);
  });

  it.each<[Row, RegExp]>([
    [
      { ...candle("A"), count: 2n ** 63n },
      /Column count of candles has 9223372036854775808 in a row: in SQLite whole numbers go up to 2\^53/,
    ],
    [{ ...candle("A"), count: Number.NaN }, /takes a whole number of at most 2\^53, but a row has NaN/],
    [{ ...candle("A"), volume: 1.5 }, /Column volume of candles takes a decimal text, but a row has 1\.5/],
    [{ ...candle("A"), symbol: null }, /Column symbol of candles takes a value, but a row has null/],
    [{ ...candle("A"), symbol: true }, /Column symbol of candles takes text, but a row has true/],
  ])("a row such as %p", async (row, message) => {
    const target = await open();
    const refused = target.write("candles", [candle("B"), row]);
    await expect(refused).rejects.toThrow(RunError);
    await expect(refused).rejects.toThrow(message);
    await target.abort();
    expect(existsSync(file())).toBe(false);
  });
});

describe("a database that cannot be written, in one sentence", () => {
  it.each<[string, () => void, RegExp]>([
    [
      "no database",
      () => writeFileSync(file(), "this is no database ".repeat(100)),
      /app\.db is damaged or is not a SQLite database: move it away, or write to another file$/,
    ],
    ["a directory", () => mkdirSync(file()), /app\.db is a directory: name a file in it/],
  ])("%s", async (_name, make, message) => {
    make();
    await expect(open()).rejects.toThrow(message);
    expect(existsSync(file())).toBe(true);
  });

  it("a damaged one", async () => {
    await run({ candles: Array.from({ length: 5_000 }, (_, at) => candle(`S${at}`)) });
    const bytes = readFileSync(file());
    bytes.fill(0x55, 4096);
    writeFileSync(file(), bytes);
    const attempt = async (): Promise<void> => {
      const target = await open();
      try {
        await target.write("candles", [candle("A")]);
        await target.commit();
      } finally {
        await target.abort();
      }
    };
    await expect(attempt()).rejects.toThrow(/app\.db is damaged or is not a SQLite database/);
  });

  it("a path through a file", async () => {
    writeFileSync(file(), "");
    await expect(SqliteTarget.open(path.join(file(), "x.db"), [candles], batch)).rejects.toThrow(
      /x\.db cannot be written: its directory cannot be made/,
    );
  });

  it("a directory that may not be written", async () => {
    mkdirSync(scratch("locked"), { mode: 0o555 });
    chmodSync(scratch(), 0o755);
    await asOrdinaryUser(async () => {
      await expect(SqliteTarget.open(scratch("locked", "x.db"), [candles], batch)).rejects.toThrow(
        /x\.db (cannot be (opened|written): its directory|may not be written: change the permissions)/,
      );
    });
  });

  it("a lock that is not given up", async () => {
    const first = await open();
    await first.write("candles", [candle("A")]);
    const second = await open([candles], {}, 100);
    await expect(second.write("candles", [candle("B")])).rejects.toThrow(
      new RunError(`${file().replaceAll("\\", "/")} is locked by another program: run again when that one is done`),
    );
    await second.abort();
    await first.commit();
    expect(query("SELECT symbol FROM candles")).toEqual([["A"]]);
  });

  it("but a lock that is given up is waited for", async () => {
    const first = await open();
    await first.write("candles", [candle("A")]);
    const second: OpenTarget = await open([candles], { job: "other" });
    const waiting = second.write("candles", [candle("B")]);
    await new Promise((resolve) => setTimeout(resolve, 100));
    await first.commit();
    await waiting;
    await second.commit();
    expect(query("SELECT symbol FROM candles")).toEqual([["A"], ["B"]]);
  });

  it("a full disk", () => {
    const database = openDatabase(file());
    database.exec("PRAGMA max_page_count = 3; CREATE TABLE t (a BLOB)");
    let thrown: unknown;
    try {
      database.prepare("INSERT INTO t VALUES (?)").run([Buffer.alloc(1 << 20)]);
    } catch (error) {
      thrown = error;
    }
    database.close();
    expect(explain(thrown, "app.db")).toEqual(new RunError("app.db could not be written: the disk is full"));
  });

  it.each([
    ["sqlite:", /needs a file behind it/],
    ["sqlite:app.db?mode=wal", /has the option “mode”, but sqlite: takes none/],
  ])("the address %s", async (uri, message) => {
    await expect(sqlite.sink?.open(parseAddress(uri), [candles], batch)).rejects.toThrow(message);
  });
});
