// The ticker system from its one command: a simulator with faults → ticker-ingest → Kafka → ticker-clean → events →
// ticker-daily, every process killed on the way. What the tables say is computed again from the simulator's ledger.
import { setTimeout as pause } from "node:timers/promises";
import { openDatabase } from "../io/sqlite/database";
import { divide, formatDecimal, parseDecimal, rescale } from "../schema/decimal";
import { systemScene } from "./system-scene";

const { at, system, status, kill, ledger } = systemScene("ticker");

function rows(sql: string): Record<string, unknown>[] {
  const database = openDatabase(at("systems/ticker/app.db"));
  try {
    return database.prepare(sql).all([]);
  } finally {
    database.close();
  }
}

/** The mean of prices as the contract's REAL: exact, rounded once to eight digits, and then a float. */
function mean(prices: readonly string[]): number {
  const sum = prices.reduce((total, price) => total + (parseDecimal(price, 8) ?? 0n), 0n);
  return Number(formatDecimal(rescale(divide(sum * 100n, BigInt(prices.length)) ?? 0n, 10, 8), 8));
}

test("faults on the wire and kill -9 everywhere: no event that was taken in is lost, none is there twice", async () => {
  const faults = [
    ...["ledger=" + at("ledger.ndjson"), "ticker-every=500ms", "answer429=0.05", "answer5xx=0.1"],
    ...["garbage-answers=0.05", "cut=0.05", "slow=20ms"],
  ].flatMap((fault) => ["--fault", fault]);
  const going = system("up", "ticker", "--simulate", ...faults, "--for", "45s");
  while (!(await status()).up) await pause(200);
  const kills = ["ticker-clean", "ticker-ingest", "ticker-clean", "ticker-ingest", "simulator"];
  for (const job of kills) {
    await pause(2_000);
    await kill(job);
  }
  const { code, stderr } = await going;
  expect({ code, stderr }).toMatchObject({ code: 0 });

  const given = new Map(
    ledger().flatMap((entry) => (entry.kind === "ticker" ? [[`${entry.symbol}:${entry.closeTime}`, entry]] : [])),
  );
  const events = rows("SELECT * FROM events ORDER BY event_time") as { event_id: string; price: number }[];
  expect(events.length).toBeGreaterThan(5);
  for (const { event_id, price } of events) expect(price).toBe(Number(given.get(event_id)?.lastPrice));
  // What was asked for and had not reached the inbox when ticker-ingest was killed, or broke off on the way, is not there.
  const lost = given.size - events.length;
  const brokenOff = ledger().filter((entry) => entry.kind === "fault").length;
  expect(lost).toBeLessThanOrEqual(
    kills.filter((job) => job === "ticker-ingest" || job === "simulator").length + brokenOff,
  );

  const byDay = new Map<string, string[]>();
  for (const { event_id } of events) {
    const ticker = given.get(event_id);
    const day = new Date(ticker?.closeTime ?? 0).toISOString().slice(0, 10);
    byDay.set(day, [...(byDay.get(day) ?? []), ticker?.lastPrice ?? ""]);
  }
  const numbers = (prices: readonly string[]) => prices.map(Number);
  expect(
    rows("SELECT day, symbol, avg_price, min_price, max_price, n_records FROM daily_summary ORDER BY day"),
  ).toEqual(
    [...byDay]
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([day, prices]) => ({
        day,
        symbol: "BTCUSDT",
        avg_price: mean(prices),
        min_price: Math.min(...numbers(prices)),
        max_price: Math.max(...numbers(prices)),
        n_records: prices.length,
      })),
  );
});

test("what is wrong is told in a sentence", async () => {
  expect(await system("up", "ticker")).toMatchObject({
    code: 2,
    stderr: expect.stringContaining("has simulated data") as string,
  });
  expect(await system("up", "tickr")).toMatchObject({
    code: 2,
    stderr: expect.stringContaining("did you mean “ticker”?") as string,
  });
  expect(await system("logs", "ticker", "x")).toMatchObject({ code: 2 });
  expect((await system("logs", "ticker", "ticker-clean")).stdout).toContain("job started");
  expect(await system("up", "ticker", "--simulate", "--fault", "no-such=1")).toMatchObject({
    code: 1,
    stderr: expect.stringMatching(/simulator cannot run[\s\S]*no-such/) as string,
  });
});
