/**
 * # 2. A job that goes on
 *
 * This chapter is a test: everything in it ran. A file of trades grows, and a job makes candles of it in SQLite, batch
 * after batch. `beamline("…")` is the command: `npm run pipeline -- …` here, `npx beamline …` in your own package.
 *
 * With `--streaming` the job runs until it is stopped. With `--once` beside it, it ends when it has read what was there:
 * the same job, the same state, started by a timer or, as here, by a test.
 */
import fs from "node:fs";
import { openDatabase } from "../../io/sqlite/database";
import { lines, scene, trade } from "../../test/command-scene";
import { runDying } from "../../test/run-dying";

const { at, beamline, query } = scene();

const FILE = "file:trades.ndjson";

/** A trade made so many seconds after 09:30:00. */
const tradeAt = (seconds: number, id: number, more: object = {}) =>
  trade(id, { T: Date.UTC(2026, 0, 5, 9, 30, seconds), q: "2", ...more });

/** Somebody else writes the file, whether the job runs or not. */
const append = (...trades: string[]) => fs.appendFileSync(at("trades.ndjson"), lines(...trades));

/** Starts the job over what is there by now. A record may be 10 s older than one before it, and a window waits a minute for such. */
async function start(...flags: string[]): Promise<Record<string, unknown>> {
  const words = ["--streaming", "--once", "--from", FILE, "--disorder", "10s", "--lateness", "1m", "--json"];
  const { code, stdout, stderr } = await beamline("trades-aggregate", ...words, ...flags);
  if (code !== 0) throw new Error(stderr);
  return JSON.parse(stdout) as Record<string, unknown>;
}

const candles = () =>
  query("SELECT window_start, trade_count, volume FROM trades_1min_agg ORDER BY 1").map(
    (row) =>
      `${String(row["window_start"]).slice(11, 16)}: ${String(row["trade_count"])} trades, ${String(row["volume"])}`,
  );

describe("2. A job that goes on", () => {
  /**
   * ## It goes on where it was
   *
   * The second start reads only what has come since, and adds it to what the first one counted: a candle is written
   * again whenever it changed, and always stands for its whole minute.
   */
  test("each start reads what is new, and candles grow", async () => {
    append(tradeAt(5, 1), tradeAt(20, 2));
    expect(await start()).toMatchObject({ read: 2, batches: 1 });
    expect(candles()).toEqual(["09:30: 2 trades, 4"]);

    append(tradeAt(40, 3), tradeAt(61, 4));
    expect(await start()).toMatchObject({ read: 2, batches: 1 });
    expect(candles()).toEqual(["09:30: 3 trades, 6", "09:31: 1 trades, 2"]);

    expect(await start()).toMatchObject({ read: 0, batches: 0 });
  });

  /**
   * ## How it stands
   *
   * All that the job knows of itself lies in `data/state/trades-aggregate.db`: how far each file was read, the open
   * windows, and the watermark, the time up to which nothing more is awaited: that of the newest trade, less the
   * disorder. `status` reads it, also while the job runs, and looks how much more there is to read.
   */
  test("status tells how far the job is, and how far behind", async () => {
    append(tradeAt(5, 1), tradeAt(65, 2));
    await start();
    append(tradeAt(70, 3));

    const { stdout } = await beamline("status", "trades-aggregate", "--json");
    expect(JSON.parse(stdout)).toMatchObject([
      {
        job: "trades-aggregate",
        state: "stopped",
        lastBatch: 1,
        watermark: Date.UTC(2026, 0, 5, 9, 30, 55),
        openWindows: 2,
        read: 2,
        lag: [{ source: "trades.ndjson", records: tradeAt(70, 3).length + 1 }],
      },
    ]);
  });

  /**
   * ## The same trade again, and trades that come late
   *
   * Whatever sends the trades may send one twice, a batch or a day apart: `unique: "id"` counts it once in its minute.
   * A trade that is late changes its candle as long as its window waits for it; after that it is counted as late, and
   * the candle stays as it was told.
   */
  test("a duplicate counts once, and what is late counts while its window waits", async () => {
    append(tradeAt(5, 1), tradeAt(100, 2));
    await start();
    expect(candles()).toEqual(["09:30: 1 trades, 2", "09:31: 1 trades, 2"]);

    append(tradeAt(5, 1), tradeAt(30, 3));
    expect(await start()).toMatchObject({ duplicate: 1, late: 0 });
    expect(candles()).toEqual(["09:30: 2 trades, 4", "09:31: 1 trades, 2"]);

    // 09:32:10 less 10 s of disorder: the minute that ended at 09:31 has waited its minute.
    append(tradeAt(130, 4));
    await start();
    append(tradeAt(40, 5));
    expect(await start()).toMatchObject({ read: 1, ok: 1, late: 1 });
    expect(candles()).toEqual(["09:30: 2 trades, 4", "09:31: 1 trades, 2", "09:32: 1 trades, 2"]);
  });

  /**
   * ## The power goes out
   *
   * A batch is planned before anything is read: these files from this byte to that one, at this time. The plan is
   * written down first. So whatever happens then, the next start runs the same plan again before it makes another one.
   *
   * Here the process is killed at the worst moment: SQLite has the candles, the job's state does not know yet. The next
   * start runs the batch again; SQLite has a record of it beside its rows, and does not take it twice.
   */
  test("a job that was killed counts everything once", async () => {
    append(tradeAt(5, 1), tradeAt(20, 2));
    await start();
    append(tradeAt(30, 3), tradeAt(62, 4));
    const flags = { once: "true", disorder: "10s" };
    const die = { point: "target committed" as const, nth: 1 };
    expect(await runDying(at(), { from: FILE, to: "sqlite:data/app.db", flags, die })).toBe("killed");

    append(tradeAt(50, 5));
    expect(await start()).toMatchObject({ batches: 2, read: 3, duplicate: 0 });
    expect(candles()).toEqual(["09:30: 4 trades, 8", "09:31: 1 trades, 2"]);
  });

  /**
   * ## What cannot be used
   *
   * A record that a step refuses stops nothing. It lies beside the candles, as it was found, with its place in the file
   * and why it was refused. (When nearly everything is refused, the job does stop: then it is not the records that are
   * wrong.)
   */
  test("dead letters lie beside the data", async () => {
    append(tradeAt(5, 1), tradeAt(20, 2, { q: "2,5" }), tradeAt(30, 3));
    expect(await start()).toMatchObject({ read: 3, ok: 2, dead: 1 });
    expect(candles()).toEqual(["09:30: 2 trades, 4"]);
    expect(query("SELECT source, position, step, reason, error FROM dead_letters")).toEqual([
      {
        source: "trades.ndjson",
        // Where a file grows, a place in it is a byte.
        position: tradeAt(5, 1).length + 1,
        step: "decode",
        reason: "invalid",
        error: "q: must be a plain decimal text above 0 with at most 8 digits after the point",
      },
    ]);
  });

  /**
   * ## Trying again
   *
   * Mostly it is a step that is repaired and deployed, sometimes the record itself, as here. `replay` then gives the dead
   * letters to the job once more. What is good now counts in its own minute, also when that was closed long ago (for 30
   * days, see `--retain`), and its letter is gone. `--dry-run` only shows what would be tried.
   */
  test("a repaired letter counts in its minute, once", async () => {
    append(tradeAt(5, 1), tradeAt(20, 2, { q: "2,5" }), tradeAt(600, 3));
    await start();
    append(tradeAt(1200, 4));
    await start();
    expect(candles()).toEqual(["09:30: 1 trades, 2", "09:40: 1 trades, 2", "09:50: 1 trades, 2"]);

    const database = openDatabase(at("data/app.db"));
    database.exec("UPDATE dead_letters SET value = replace(value, '2,5', '2.5')");
    database.close();

    const { stderr } = await beamline("replay", "trades-aggregate");
    expect(stderr).toContain("1 dead letter tried again: 1 good now, 0 dead again");
    expect(candles()).toEqual(["09:30: 2 trades, 4.5", "09:40: 1 trades, 2", "09:50: 1 trades, 2"]);
    expect(query("SELECT * FROM dead_letters")).toEqual([]);
    expect((await beamline("replay", "trades-aggregate")).stderr).toContain("No dead letter was tried again");
  });
});
