// The ticker system's tables in PostgreSQL instead of SQLite (TICKER_STORE=postgres://…): the same runs over the same answers
// of the exchange, hour by hour and day by day, leave the same rows in both, stamps included.
import { appendFileSync, chmodSync, mkdtempSync, realpathSync, rmSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { freePort } from "../infra/services/ports";
import { startServices, stopServices, type RunningService } from "../infra/services/services";
import { closePools } from "../io/postgres/pool";
import { openDatabase } from "../io/sqlite/database";
import { type Report } from "../runners/report";
import { lines, scene } from "./command-scene";
import { inPostgres, jsonFromPostgres } from "./job-scene";

const { at, beamline, query } = scene();
const directory = mkdtempSync(path.join(realpathSync(os.tmpdir()), "beamline-ticker-"));
// The server may run as another user.
chmodSync(directory, 0o755);
const options = { directory };
let postgres: RunningService;

beforeAll(async () => {
  postgres = (await startServices(["postgres"], { ...options, ports: { postgres: await freePort() } })).postgres;
});

afterAll(async () => {
  await closePools();
  await stopServices(["postgres"], { ...options, data: true });
  rmSync(directory, { recursive: true, force: true });
});

const SCHEMA = "ticker_test";
beforeEach(async () => {
  await inPostgres(postgres.url, `drop schema if exists ${SCHEMA} cascade`);
  await inPostgres(postgres.url, `create schema ${SCHEMA}`);
});

const ticker = (closeTime: string, lastPrice: string, symbol = "BTCUSDT") =>
  JSON.stringify({ symbol, lastPrice, closeTime: Date.parse(closeTime), source: "api.binance.com" });
const append = (...texts: string[]) => appendFileSync(at("ticker.ndjson"), lines(...texts));

/** The same command for each store, which writes as much. */
async function inBoth(...words: string[]): Promise<void> {
  const said = [];
  for (const [job, store] of [
    ["in-sqlite", "sqlite:data/app.db"],
    ["in-postgres", `${postgres.url}?schema=${SCHEMA}`],
  ] as const) {
    process.env["TICKER_STORE"] = store;
    const isJob = words.includes("--streaming");
    const { code, stdout, stderr } = await beamline(
      ...words,
      "--to",
      "live:",
      "--json",
      ...(isJob ? ["--job", job] : []),
    );
    expect({ code, stderr }).toMatchObject({ code: 0 });
    // Not what it read: PostgreSQL cannot look times up in a text, and a stretch of days is chosen behind it.
    const { dead, written } = JSON.parse(stdout) as Report;
    said.push({ dead, written });
  }
  expect(said[1]).toEqual(said[0]);
}

/** The hourly run: what has come since the last one. */
const cleanHour = (batchTime: string) =>
  inBoth("ticker-clean", "--streaming", "--once", "--from", "file:ticker.ndjson", "--batch-time", batchTime);
const daily = (batchTime: string, ...stretch: string[]) =>
  inBoth("ticker-daily", "--from", "live:", "--batch-time", batchTime, ...stretch);

/** What both stores have of a table. */
async function rows(table: string, columns = "*"): Promise<Record<string, unknown>[]> {
  const from = (place: string) => `select ${columns} from ${place} order by 1, 2`;
  const inSqlite = query(from(table));
  expect(await jsonFromPostgres(postgres.url, from(`${SCHEMA}.${table}`))).toEqual(inSqlite);
  return inSqlite;
}

test("hours and days, a late event, a skipped and a repeated run: the same rows in both", async () => {
  append(ticker("2026-01-05T12:00:00.123Z", "93398.14000000"), ticker("2026-01-06T00:04:00Z", "0.00000001", "ETHUSDT"));
  await cleanHour("2026-01-06T01:00:00Z");
  await daily("2026-01-06T02:00:00Z");
  expect(await rows("events")).toEqual([
    {
      event_id: `BTCUSDT:${Date.parse("2026-01-05T12:00:00.123Z")}`,
      symbol: "BTCUSDT",
      price: 93398.14,
      event_time: "2026-01-05T12:00:00.123Z",
      source: "api.binance.com",
      ingested_at: "2026-01-06T01:00:00.000Z",
    },
    expect.objectContaining({ price: 1e-8, event_time: "2026-01-06T00:04:00.000Z" }),
  ]);
  // Of 23:59:59, after midnight; and a moment that was there before, and one that is nothing.
  append(ticker("2026-01-05T23:59:59Z", "200"), ticker("2026-01-06T00:04:00Z", "0.00000001", "ETHUSDT"), "{");
  await cleanHour("2026-01-06T03:00:00Z");
  await daily("2026-01-06T04:00:00Z", "--since", "2026-01-05T00:00:00Z", "--until", "2026-01-06T00:00:00Z");
  const days = await rows("daily_summary");
  expect(days).toEqual([
    {
      day: "2026-01-05",
      symbol: "BTCUSDT",
      avg_price: 46799.07,
      min_price: 200,
      max_price: 93398.14,
      n_records: 2,
      computed_at: "2026-01-06T04:00:00.000Z",
    },
    // Nothing of this day has changed.
    expect.objectContaining({ day: "2026-01-06", n_records: 1, computed_at: "2026-01-06T02:00:00.000Z" }),
  ]);
  expect(await rows("dead_letters", "source, position, step, reason")).toHaveLength(1);

  // Run again, nothing changes, and not even a stamp.
  const before = await rows("events");
  await cleanHour("2026-01-06T05:00:00Z");
  await daily("2026-01-06T05:00:00Z");
  expect([await rows("events"), await rows("daily_summary")]).toEqual([before, days]);
});

test("a day whose events are gone loses its row", async () => {
  append(...["05", "06", "07"].map((day) => ticker(`2026-01-${day}T12:00:00Z`, day)));
  await cleanHour("2026-01-08T01:00:00Z");
  await daily("2026-01-08T01:00:00Z");
  const remove = "delete from events where price < 7";
  const database = openDatabase(at("data/app.db"));
  database.exec(remove);
  database.close();
  await inPostgres(postgres.url, `set search_path to ${SCHEMA}; ${remove}`);
  await daily("2026-01-08T02:00:00Z");
  expect((await rows("daily_summary")).map(({ day }) => day)).toEqual(["2026-01-07"]);
});
