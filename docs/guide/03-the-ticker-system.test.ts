/**
 * # 3. A whole system: ticker
 *
 * This chapter is a test: everything in it ran. A system is pipelines that hand on to each other, with a store between
 * them that each can be stopped and started beside.
 *
 * ```text
 *   exchange            ticker-ingest        ticker-clean             ticker-daily
 *   24 hour ticker ───▶ asked every 30 s ──▶ ticker_raw (Kafka) ────▶ events (SQLite) ───▶ daily_summary (SQLite)
 *                       inbox                one event a moment       one row a day and symbol
 * ```
 *
 * With servers, all of it is one command, which also says where to look, and one that ends it:
 *
 * ```sh
 * npm run system -- up ticker                 # the exchange, over the internet
 * npm run system -- up ticker --simulate      # a simulator on this machine, with faults on demand
 * npm run system -- up ticker --simulate --kafka localhost:9092 --postgres postgres://me@localhost/mine
 * npm run system -- status ticker
 * npm run system -- down ticker --data
 * ```
 *
 * With `--kafka` and `--postgres` it uses servers that are there, and its tables are in PostgreSQL instead of SQLite.
 *
 * The same path with every process killed on the way is test/ticker-system.integration.ts. Here it runs on files, with
 * no server at all, which is what every pipeline in `npm run pipeline -- list` can do.
 */
import fs from "node:fs";
import { lines, scene } from "../../test/command-scene";

const { at, beamline, query } = scene();

/** An answer of the exchange: it says far more, and what nobody needs is left out on the way. */
const answer = (closeTime: string, lastPrice: string) =>
  JSON.stringify({ symbol: "BTCUSDT", lastPrice, closeTime: Date.parse(closeTime), bidPrice: "1.0" });
const append = (...answers: string[]) => fs.appendFileSync(at("ticker_raw.ndjson"), lines(...answers));

describe("3. A whole system: ticker", () => {
  /**
   * ## From the exchange to the topic
   *
   * `ticker-ingest --from live:` asks the address in `API_URL`, and `--to live:` writes to the topic in `KAFKA_TOPIC`:
   * `live:` stands for where the system has its things. An answer cannot be asked for again, so it lies in a durable
   * inbox beside the job's state before anything else happens with it.
   *
   * Here the bundled sample stands for the exchange, and a file for the topic.
   */
  test("ticker-ingest passes on what came, with the host that gave it", async () => {
    expect(await beamline("ticker-ingest", "--to", "ticker=file:raw.ndjson")).toMatchObject({ code: 0 });
    const [first = ""] = fs.readFileSync(at("raw.ndjson"), "utf8").split("\n");
    expect(JSON.parse(first)).toMatchObject({
      symbol: "BTCUSDT",
      lastPrice: "93410.46000000",
      source: "sample:ticker",
    });
  });

  /**
   * ## Each hour: what has come since the last one
   *
   * `--streaming --once` reads on from where the job was. An hour that is skipped is read with the next one, an hour that
   * is run again reads nothing. The same moment asked for twice is one event: its key is symbol and closeTime.
   */
  test("ticker-clean makes one event of each moment, whatever the timer does", async () => {
    const hour = () => beamline("ticker-clean", "--streaming", "--once", "--from", "file:ticker_raw.ndjson");
    append(answer("2026-01-05T09:30:00Z", "100.5"), answer("2026-01-05T09:30:00Z", "100.5"));
    await hour();
    // Nobody came at eleven.
    append(answer("2026-01-05T10:30:00Z", "101.5"), answer("2026-01-05T11:30:00Z", "102.5"));
    await hour();
    await hour();
    expect(query("SELECT event_time, price FROM events ORDER BY 1")).toEqual([
      { event_time: "2026-01-05T09:30:00.000Z", price: 100.5 },
      { event_time: "2026-01-05T10:30:00.000Z", price: 101.5 },
      { event_time: "2026-01-05T11:30:00.000Z", price: 102.5 },
    ]);
  });

  /**
   * ## Each day, whole
   *
   * `ticker-daily` does not go on from anything: it reads the events of the days that it is about, and gives those days
   * whole. So an event that came after midnight corrects its day, and running it twice changes nothing, not even the
   * column that says when it was computed.
   */
  test("ticker-daily recomputes a day when an event of 23:59:59 arrives at five past midnight", async () => {
    const clean = () => beamline("ticker-clean", "--streaming", "--once", "--from", "file:ticker_raw.ndjson");
    const daily = (...stretch: string[]) =>
      beamline("ticker-daily", "--from", "sqlite:data/app.db?table=events&time=event_time", ...stretch);
    append(answer("2026-01-05T12:00:00Z", "100"), answer("2026-01-06T00:04:00Z", "300"));
    await clean();
    await daily();
    append(answer("2026-01-05T23:59:59Z", "200"));
    await clean();
    await daily("--since", "2026-01-05T00:00:00Z", "--until", "2026-01-06T00:00:00Z");
    const days = () => query("SELECT * FROM daily_summary ORDER BY day");
    expect(days()).toMatchObject([
      { day: "2026-01-05", symbol: "BTCUSDT", avg_price: 150, min_price: 100, max_price: 200, n_records: 2 },
      { day: "2026-01-06", avg_price: 300, n_records: 1 },
    ]);
    const before = days();
    await daily();
    expect(days()).toEqual(before);
  });
});
