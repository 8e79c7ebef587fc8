// Writes ticker.ndjson and events.ndjson beside it: two days of two symbols, asked every five minutes, with answers that
// came twice and some that cannot be used. The same every time. Run it with: npx tsx pipelines/ticker/sample/make.ts
import fs from "node:fs";
import path from "node:path";

let state = 20_260_105;
/** A seeded random number from 0 to 1 (mulberry32). */
function random(): number {
  state = (state + 0x6d2b79f5) | 0;
  let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
  mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
  return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
}

const DAY = 24 * 3_600_000;
const START = Date.UTC(2026, 0, 5);
const SOURCE = "api.binance.com";
const market = [
  { symbol: "BTCUSDT", price: 93_412.51, count: 5_600_000 },
  { symbol: "ETHUSDT", price: 3_214.77, count: 2_300_000 },
];

const tickers: object[] = [];
const lines: string[] = [];
for (let time = START; time < START + 2 * DAY; time += 300_000) {
  for (const side of market) {
    side.price *= 1 + (random() - 0.5) / 200;
    side.count += Math.floor(random() * 900);
    const closeTime = time + Math.floor(random() * 2_000);
    const ticker = {
      symbol: side.symbol,
      priceChange: `${(side.price * 0.01).toFixed(2)}000000`,
      priceChangePercent: (random() * 4 - 2).toFixed(3),
      lastPrice: `${side.price.toFixed(2)}000000`,
      volume: `${(20_000 + random() * 5_000).toFixed(5)}000`,
      openTime: closeTime - DAY,
      closeTime,
      count: side.count,
    };
    tickers.push(ticker);
    lines.push(JSON.stringify(ticker));
    // The exchange sometimes gives the same answer again.
    if (random() < 0.03) lines.push(JSON.stringify(ticker));
  }
}

const events = tickers.map((ticker) => {
  const { symbol, lastPrice, closeTime } = ticker as { symbol: string; lastPrice: string; closeTime: number };
  const event = {
    event_id: `${symbol}:${closeTime}`,
    symbol,
    price: Number(lastPrice),
    event_time: new Date(closeTime).toISOString(),
    source: SOURCE,
    ingested_at: new Date(Math.ceil(closeTime / 3_600_000) * 3_600_000).toISOString(),
  };
  return JSON.stringify(event);
});

const spoil = (at: number, how: (line: string) => string) => (lines[at] = how(lines[at] as string));
spoil(120, (line) => line.slice(0, 50));
spoil(333, (line) => line.replace(/"lastPrice":"[^"]*"/, '"lastPrice":"0.00000000"'));
spoil(500, (line) => line.replace(/"closeTime":(\d+)\d{3}/, '"closeTime":$1'));
spoil(777, () => '{"code":-1003,"msg":"Too much request weight used"}');

fs.writeFileSync(path.join(__dirname, "ticker.ndjson"), `${lines.join("\n")}\n`);
fs.writeFileSync(path.join(__dirname, "events.ndjson"), `${events.join("\n")}\n`);
