import { parseAddress } from "../address";
import { EVERYTHING, type Batch, type Stretch } from "../connector";
import { type SourceRecord } from "../../schema/record";
import { date, tableOf, timestamp, type Row } from "../../schema/table";
import { scratchDirectory } from "../../test/scratch";
import { z } from "zod";
import { openDatabase } from "./database";
import { sqliteSource } from "./source";
import { SqliteTarget } from "./target";

const at = scratchDirectory();

function make(...sql: string[]): void {
  const database = openDatabase(at("app.db"));
  for (const statement of sql) database.exec(statement);
  database.close();
}

const plan = (options: string, stretch: Stretch = EVERYTHING) =>
  sqliteSource.plan(parseAddress(`sqlite:${at("app.db")}?${options}`), stretch);

async function read(options: string, stretch?: Stretch): Promise<SourceRecord[]> {
  const records: SourceRecord[] = [];
  for (const range of await plan(options, stretch))
    for await (const some of sqliteSource.read(range)) records.push(...some);
  return records;
}
const valuesOf = (records: readonly SourceRecord[]) => records.map(({ value }) => JSON.parse(String(value)) as unknown);

describe("a table that is read", () => {
  test("every row once, in the order of its key, also beyond a page", async () => {
    make(
      "CREATE TABLE t (a TEXT, b INTEGER, PRIMARY KEY (a, b)) WITHOUT ROWID",
      "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 4999) INSERT INTO t SELECT 'x' || (i % 7), i FROM n",
    );
    const records = await read("table=t");
    expect(records).toHaveLength(5000);
    const values = valuesOf(records) as { a: string; b: number }[];
    expect(values).toEqual([...values].sort((l, r) => (l.a < r.a ? -1 : l.a > r.a ? 1 : l.b - r.b)));
    expect(records.map(({ position }) => position)).toEqual(Array.from({ length: 5000 }, (_, index) => index + 1));
  });

  test("values as they are: numbers, null, bytes, hostile text; only the columns that are asked for", async () => {
    make(
      "CREATE TABLE t (a REAL, b TEXT, c BLOB, d INTEGER)",
      `INSERT INTO t VALUES (93398.14, '"\u2028''; DROP TABLE t', x'00ff', NULL), (1e-7, '', x'', 9007199254740991)`,
    );
    expect(valuesOf(await read("table=t"))).toEqual([
      { a: 93398.14, b: "\"\u2028'; DROP TABLE t", c: "AP8=", d: null },
      { a: 1e-7, b: "", c: "", d: 9007199254740991 },
    ]);
    expect(valuesOf(await read("table=t&columns=d, a"))).toEqual([
      { d: null, a: 93398.14 },
      { d: 9007199254740991, a: 1e-7 },
    ]);
  });

  test("a stretch by its column of time, in any form of ISO 8601 and in milliseconds", async () => {
    make(
      "CREATE TABLE t (id INTEGER PRIMARY KEY, at)",
      `INSERT INTO t VALUES (1, '2026-01-04T23:59:59.999Z'), (2, '2026-01-05'), (3, '2026-01-05 09:30:00'), (4, '2026-01-05T23:59:59Z'),
        (5, '2026-01-06T00:00:00Z'), (6, ${Date.UTC(2026, 0, 5, 12)}), (7, NULL), (8, 'never'), (9, '2026-01-06T01:00:00+02:00')`,
    );
    const stretch = { since: Date.UTC(2026, 0, 5), until: Date.UTC(2026, 0, 6) };
    const ids = (records: readonly SourceRecord[]) => valuesOf(records).map((row) => (row as { id: number }).id);
    const records = await read("table=t&time=at", stretch);
    expect(ids(records)).toEqual([2, 3, 4, 6, 9]);
    expect(records[1]?.timestamp).toBe(Date.UTC(2026, 0, 5, 9, 30));
    expect(ids(await read("table=t&time=at"))).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9]);
  });

  test("what cannot be read is told in a sentence", async () => {
    await expect(plan("table=t")).rejects.toThrow("app.db does not exist");
    make("CREATE TABLE trades (a)", "CREATE VIEW v AS SELECT * FROM trades");
    await expect(plan("table=trade")).rejects.toThrow("has no table trade: did you mean “trades”?");
    await expect(plan("table=v")).rejects.toThrow("is a view, which has no order");
    await expect(plan("table=trades&columns=b")).rejects.toThrow("has no column b");
    await expect(plan("tabel=trades")).rejects.toThrow("has no option “tabel”: did you mean “table”?");
    await expect(plan("columns=a")).rejects.toThrow("Say which table");
  });
});

describe("rows that a run gives whole", () => {
  const Summary = z.object({ day: date(), symbol: z.string(), n: z.int(), computed_at: timestamp() });
  const table = tableOf("daily", Summary, {
    key: ["day", "symbol"],
    stamps: ["computed_at"],
    recomputedBy: "day",
  });
  const batch: Batch = { job: "j", pipeline: "p", id: "b", plan: "p1", ranges: [], replays: [], turn: null };
  const row = (day: string, symbol: string, n: number, computed_at: number): Row => ({ day, symbol, n, computed_at });

  async function run(rows: readonly Row[], covers?: Stretch): Promise<void> {
    const target = await SqliteTarget.open(at("app.db"), [{ name: "daily", table }], {
      ...batch,
      ...(covers === undefined ? {} : { covers }),
    });
    await target.write("daily", rows);
    await target.commit();
  }
  const rows = () => {
    const database = openDatabase(at("app.db"));
    const found = database.prepare("SELECT day, symbol, n, computed_at FROM daily ORDER BY 1, 2").all([]);
    database.close();
    return found.map((one) => Object.values(one).join(" "));
  };
  const stamp = (time: number) => new Date(time).toISOString();

  test("a row that is equal but for its stamp stays; what does not arise again is gone, within the stretch only", async () => {
    await run([row("2026-01-04", "A", 1, 0), row("2026-01-05", "A", 2, 0), row("2026-01-05", "B", 3, 0)]);
    await run([row("2026-01-05", "A", 2, 9)], { since: Date.UTC(2026, 0, 5), until: Date.UTC(2026, 0, 6) });
    expect(rows()).toEqual([`2026-01-04 A 1 ${stamp(0)}`, `2026-01-05 A 2 ${stamp(0)}`]);
    await run([row("2026-01-05", "A", 4, 9)], EVERYTHING);
    expect(rows()).toEqual([`2026-01-05 A 4 ${stamp(9)}`]);
    await run([], { since: Date.UTC(2026, 0, 6), until: null });
    expect(rows()).toHaveLength(1);
    await run([], EVERYTHING);
    expect(rows()).toEqual([]);
  });

  test("a day of which the source has only the end stays as it was", async () => {
    await run([row("2026-01-05", "A", 1, 0), row("2026-01-06", "A", 1, 0)]);
    await run([], { since: Date.UTC(2026, 0, 5, 10), until: null });
    expect(rows()).toEqual([`2026-01-05 A 1 ${stamp(0)}`]);
  });

  test("a batch that gives only what is new takes nothing out", async () => {
    await run([row("2026-01-04", "A", 1, 0)]);
    await run([row("2026-01-05", "A", 1, 0)]);
    expect(rows()).toHaveLength(2);
  });
});
