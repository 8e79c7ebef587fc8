// The trades system from its one command: a simulator with faults → WebSocket → inbox → Kafka → candles in PostgreSQL, every
// process killed on the way. The candles are computed again from the simulator's ledger, and must be equal.
import { readFileSync } from "node:fs";
import { setTimeout as pause } from "node:timers/promises";
import { Client } from "pg";
import { type TradeEntry } from "../infra/simulators/ledger";
import { type SystemRecord } from "../infra/systems/running-system";
import { parseAddress } from "../io/address";
import { EVERYTHING } from "../io/connector";
import { readRange } from "../io/kafka/read";
import { planTopic } from "../io/kafka/source";
import { divide, formatDecimal, parseDecimal } from "../schema/decimal";
import { systemScene } from "./system-scene";

const { at, system, status, kill, ledger } = systemScene("trades");
const MINUTE = 60_000;

const record = () => JSON.parse(readFileSync(at("systems/trades/system.json"), "utf8")) as SystemRecord;

async function query(sql: string): Promise<Record<string, unknown>[]> {
  const { places } = record();
  const client = new Client({ connectionString: String(places.postgres).replace("postgres:", "postgresql:") });
  await client.connect();
  try {
    return (await client.query(sql)).rows as Record<string, unknown>[];
  } finally {
    await client.end();
  }
}

const units = (text: string): bigint => parseDecimal(text, 8) ?? 0n;
const text = (value: bigint, scale: number): string => formatDecimal(value, scale);

/** A candle as the contract has it, by a way of its own: all trades of a symbol and minute, exact decimals. */
function candleOf(symbol: string, minute: number, trades: readonly TradeEntry[]) {
  const inOrder = [...trades].sort((a, b) => a.time - b.time || a.id - b.id);
  const prices = trades.map(({ price }) => units(price));
  const volume = trades.reduce((sum, { quantity }) => sum + units(quantity), 0n);
  const quote = trades.reduce((sum, { price, quantity }) => sum + units(price) * units(quantity), 0n);
  const sum = prices.reduce((total, price) => total + price, 0n);
  return {
    symbol,
    window_start: new Date(minute * MINUTE).toISOString(),
    trade_count: trades.length,
    volume: text(volume, 8),
    quote_volume: text(quote, 16),
    open: text(units(inOrder[0]?.price ?? ""), 8),
    high: text(
      prices.reduce((a, b) => (a > b ? a : b)),
      8,
    ),
    low: text(
      prices.reduce((a, b) => (a < b ? a : b)),
      8,
    ),
    close: text(units(inOrder[inOrder.length - 1]?.price ?? ""), 8),
    avg_price: text(divide(sum, BigInt(trades.length)) ?? 0n, 8),
    vwap: text(divide(quote, volume) ?? 0n, 8),
  };
}

/** The ids in the topic, by symbol, in the order in which they came. */
async function published(): Promise<Map<string, Set<number>>> {
  const ids = new Map<string, Set<number>>();
  const { places } = record();
  for (const range of await planTopic(parseAddress(`kafka://${places.brokers}/raw_trades`), EVERYTHING)) {
    for await (const records of readRange(range)) {
      for (const { value } of records) {
        const { s, t } = JSON.parse(String(value)) as { s: string; t: number };
        ids.set(s, (ids.get(s) ?? new Set()).add(t));
      }
    }
  }
  return ids;
}

/** The trades that must count: all that were made after the first one that came. */
const due = (ids: ReadonlyMap<string, ReadonlySet<number>>): TradeEntry[] =>
  ledger().flatMap((entry) => {
    if (entry.kind !== "trade") return [];
    const published = ids.get(entry.symbol) ?? new Set();
    const [first = Infinity] = published;
    // One that was made before may have been sent before, or, out of its turn, behind.
    return entry.id >= first || published.has(entry.id) ? [entry] : [];
  });

/** From now on nothing goes wrong: what is missing shows by the trades that follow, and so some must follow. */
async function endFaults(): Promise<void> {
  const faults = { disconnectEvery: 0, gaps: 0, garbage: 0 };
  const answer = await fetch(`${record().places.simulator?.http}/_simulator/faults`, {
    method: "POST",
    body: JSON.stringify(faults),
  });
  expect(answer.status).toBe(200);
}

function expected(trades: readonly TradeEntry[]) {
  const groups = new Map<string, TradeEntry[]>();
  for (const entry of trades) {
    const place = `${entry.symbol} ${Math.floor(entry.time / MINUTE)}`;
    groups.set(place, [...(groups.get(place) ?? []), entry]);
  }
  return [...groups]
    .map(([place, trades]) => candleOf(place.split(" ")[0] ?? "", Number(place.split(" ")[1]), trades))
    .sort((a, b) => (a.symbol + a.window_start < b.symbol + b.window_start ? -1 : 1));
}

const candles = () =>
  query(
    `select symbol, to_char(window_start at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') as window_start, trade_count::int,
      ${["volume", "quote_volume", "open", "high", "low", "close", "avg_price", "vwap"].map((name) => `trim_scale(${name})::text as ${name}`).join(", ")}
      from trades_1min_agg order by symbol, window_start`,
  );

test("faults on the wire and kill -9 everywhere: every trade that was made counts exactly once", async () => {
  const faults = [
    ...[`ledger=${at("ledger.ndjson")}`, "rate=40", "trading-for=55s", "disconnect-every=700", "garbage=0.005"],
    ...["duplicates=0.05", "gaps=0.002", "disorder=1s"],
  ].flatMap((fault) => ["--fault", fault]);
  const going = system("up", "trades", "--simulate", ...faults, "--for", "75s");
  while (!(await status()).up) await pause(200);
  for (const job of ["CryptoAnalytics", "trades-ingest", "CryptoAnalytics", "trades-ingest", "trades-ingest"]) {
    await pause(2_500);
    await kill(job);
  }
  await endFaults();
  const { code, stderr } = await going;
  expect({ code, stderr }).toMatchObject({ code: 0 });
  expect(ledger().filter(({ kind }) => kind === "trade").length).toBeGreaterThan(2_500);
  const ids = await published();
  const trades = due(ids);
  expect(trades.filter(({ symbol, id }) => ids.get(symbol)?.has(id) !== true)).toEqual([]);
  expect(await candles()).toEqual(expected(trades));
  const log = (await system("logs", "trades", "trades-ingest")).stdout;
  expect(log).not.toMatch(/\n\s+at /);
});

test("the ingest says at a readable rate what it published", async () => {
  const text = readFileSync(at("systems/trades/logs/trades-ingest.log"), "utf8");
  const said = text.match(/Published trade to Kafka: /g) ?? [];
  expect(said.length).toBeGreaterThan(0);
  expect(said.length).toBeLessThan(60);
});
