// The ticker system on files and SQLite: from answers of the exchange to events to days.
import fs from "node:fs";
import { openDatabase } from "../../io/sqlite/database";
import { outputAddresses, inputAddresses } from "../../runners/addresses";
import { lines, scene } from "../../test/command-scene";
import { tickerClean } from "./ticker-clean";
import { tickerDaily } from "./ticker-daily";
import { tickerIngest } from "./ticker-ingest";

const { at, beamline, query, dump } = scene();

const ticker = (closeTime: string, lastPrice: string, more: object = {}) =>
  JSON.stringify({ symbol: "BTCUSDT", lastPrice, closeTime: Date.parse(closeTime), ...more });
const append = (...texts: string[]) => fs.appendFileSync(at("ticker.ndjson"), lines(...texts));
const EVENTS = "sqlite:data/app.db?table=events&time=event_time";

/** The hourly run: what has come since the last one. */
const cleanHour = () => beamline("ticker-clean", "--streaming", "--once", "--from", "file:ticker.ndjson", "--json");
const daily = (...more: string[]) => beamline("ticker-daily", "--from", EVENTS, ...more);
const days = () =>
  query("SELECT day, symbol, avg_price, min_price, max_price, n_records FROM daily_summary ORDER BY 1, 2");

test("the whole path on the bundled samples, run twice: nothing changes, not even a stamp", async () => {
  const runAll = async () => {
    expect(await beamline("ticker-ingest", "--to", "ticker=file:raw.ndjson")).toMatchObject({ code: 0 });
    expect(await beamline("ticker-clean", "--from", "file:raw.ndjson")).toMatchObject({ code: 0 });
    expect(await daily()).toMatchObject({ code: 0 });
  };
  await runAll();
  const tables = () => [query("SELECT * FROM events ORDER BY 1"), query("SELECT * FROM daily_summary ORDER BY 1, 2")];
  const before = tables();
  expect(before.map((rows) => rows.length)).toEqual([1148, 4]);
  await runAll();
  expect(tables()).toEqual(before);
});

test("an event is the contract's: its id, its time, the host that gave it", async () => {
  append(ticker("2026-01-05T10:00:00.123Z", "93398.14000000", { source: "api.binance.com" }));
  await beamline("ticker-clean", "--from", "file:ticker.ndjson", "--batch-time", "2026-01-05T11:00:00Z");
  expect(query("SELECT * FROM events")).toEqual([
    {
      event_id: `BTCUSDT:${Date.parse("2026-01-05T10:00:00.123Z")}`,
      symbol: "BTCUSDT",
      price: 93398.14,
      event_time: "2026-01-05T10:00:00.123Z",
      source: "api.binance.com",
      ingested_at: "2026-01-05T11:00:00.000Z",
    },
  ]);
  expect(query("SELECT name, type FROM pragma_table_info('events')")).toEqual(
    ["event_id TEXT", "symbol TEXT", "price REAL", "event_time TEXT", "source TEXT", "ingested_at TEXT"].map(
      (column) => {
        const [name, type] = column.split(" ");
        return { name, type };
      },
    ),
  );
});

test("an event of 23:59:59 that arrives at 00:05 belongs to its day, which is recomputed whole", async () => {
  append(ticker("2026-01-05T12:00:00Z", "100"), ticker("2026-01-06T00:04:00Z", "300"));
  await cleanHour();
  await daily();
  append(ticker("2026-01-05T23:59:59Z", "200"), ticker("2026-01-06T00:09:00Z", "500"));
  await cleanHour();
  await daily("--since", "2026-01-05T00:00:00Z", "--until", "2026-01-06T00:00:00Z");
  expect(days()).toEqual([
    { day: "2026-01-05", symbol: "BTCUSDT", avg_price: 150, min_price: 100, max_price: 200, n_records: 2 },
    { day: "2026-01-06", symbol: "BTCUSDT", avg_price: 300, min_price: 300, max_price: 300, n_records: 1 },
  ]);
  await daily();
  expect(days()[1]).toMatchObject({ avg_price: 400, n_records: 2 });
});

test("a skipped hour loses nothing, and an hour that is run again changes nothing", async () => {
  append(ticker("2026-01-05T09:30:00Z", "1"));
  expect(JSON.parse((await cleanHour()).stdout)).toMatchObject({ read: 1 });
  append(ticker("2026-01-05T10:30:00Z", "2"));
  append(ticker("2026-01-05T11:30:00Z", "3"), ticker("2026-01-05T10:30:00Z", "2"));
  expect(JSON.parse((await cleanHour()).stdout)).toMatchObject({ read: 3 });
  const before = dump();
  expect(JSON.parse((await cleanHour()).stdout)).toMatchObject({ read: 0 });
  expect(dump()).toEqual(before);
  expect(query("SELECT price FROM events ORDER BY event_time")).toEqual([{ price: 1 }, { price: 2 }, { price: 3 }]);
});

test("the order of the answers does not matter", async () => {
  const answers = Array.from({ length: 50 }, (_, n) =>
    ticker(new Date(Date.UTC(2026, 0, 5) + n * 3_600_000).toISOString(), String(100 + ((n * 37) % 50))),
  );
  append(...answers);
  await beamline("ticker-clean", "--from", "file:ticker.ndjson");
  await daily();
  const inOrder = days();
  fs.rmSync(at("data"), { recursive: true });
  fs.rmSync(at("ticker.ndjson"));
  append(...[...answers].sort((a, b) => (a.slice(-9) < b.slice(-9) ? -1 : 1)));
  await beamline("ticker-clean", "--from", "file:ticker.ndjson");
  await daily();
  expect(days()).toEqual(inOrder);
  expect(inOrder).toHaveLength(3);
});

test("a day whose events are gone loses its row; other days outside the stretch stay", async () => {
  append(ticker("2026-01-05T12:00:00Z", "1"), ticker("2026-01-06T12:00:00Z", "2"), ticker("2026-01-07T12:00:00Z", "3"));
  await beamline("ticker-clean", "--from", "file:ticker.ndjson");
  await daily();
  const database = openDatabase(at("data/app.db"));
  database.exec("DELETE FROM events WHERE price < 3");
  database.close();
  await daily("--since", "2026-01-06T00:00:00Z", "--until", "2026-01-08T00:00:00Z");
  expect(days().map(({ day }) => day)).toEqual(["2026-01-05", "2026-01-07"]);
});

test.each([
  ["not JSON", "{"],
  ["an error of the exchange", '{"code":-1003,"msg":"Too much request weight used"}'],
  ["a price of 0", ticker("2026-01-05T12:00:00Z", "0.00000000")],
  ["a price that is a number", '{"symbol":"A","lastPrice":1.5,"closeTime":1767571200409}'],
  ["seconds", '{"symbol":"A","lastPrice":"1","closeTime":1767571200}'],
  ["a time of the future", ticker("2999-01-01T00:00:00Z", "1")],
])("%s is a dead letter", async (_name, line) => {
  append(line, ticker("2026-01-05T12:00:00Z", "1"));
  expect(await beamline("ticker-clean", "--from", "file:ticker.ndjson", "--json")).toMatchObject({ code: 0 });
  expect(query("SELECT position FROM dead_letters")).toEqual([{ position: 1 }]);
  expect(query("SELECT price FROM events")).toEqual([{ price: 1 }]);
});

test("live: is the exchange, the broker and the database, by environment or flag", () => {
  const ingest = tickerIngest.params.parse({
    api_url: "https://h/t?symbol=X",
    every: "1m",
    brokers: "b:1",
    topic: "t",
  });
  expect(tickerIngest.inputs["ticker"]?.live?.(ingest as never)).toBe("https://h/t?symbol=X#every=1m&variable=API_URL");
  expect(outputAddresses(tickerIngest, ["ticker=live:"], ingest)["ticker"]).toMatchObject({ path: "//b:1/t" });
  const clean = tickerClean.params.parse({ brokers: "b:1", topic: "t" });
  expect(inputAddresses(tickerClean, ["live:"], clean)["ticker"]?.address).toMatchObject({ scheme: "kafka" });
  expect(outputAddresses(tickerClean, ["live:"], clean)["dead_letters"]).toMatchObject({ path: "data/app.db" });
  const inPostgres = tickerDaily.params.parse({ store: "postgres://h/d?schema=x" });
  expect(tickerDaily.inputs["events"]?.live?.(inPostgres as never)).toBe("postgres://h/d?schema=x&table=events");
});
