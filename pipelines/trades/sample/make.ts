// Writes trades.ndjson beside it: ten minutes of two symbols, with a few duplicates and records that cannot be used.
// The same every time. Run it with: npx tsx pipelines/trades/sample/make.ts
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

const START = Date.UTC(2026, 0, 5, 9, 30);
const market = [
  { symbol: "BTCUSDT", id: 5_600_000_001, price: 93_412.51 },
  { symbol: "ETHUSDT", id: 2_300_000_001, price: 3_214.77 },
];

const lines: string[] = [];
let time = START;
while (time < START + 10 * 60_000) {
  const side = market[random() < 0.6 ? 0 : 1] as (typeof market)[number];
  side.price *= 1 + (random() - 0.5) / 2_000;
  const quantity = (0.0005 + random() ** 4 * 2).toFixed(5);
  const trade = {
    e: "trade",
    E: time + 2 + Math.floor(random() * 40),
    s: side.symbol,
    t: side.id++,
    p: `${side.price.toFixed(2)}000000`,
    q: `${quantity}000`,
    T: time,
    m: random() < 0.5,
    M: true,
  };
  lines.push(JSON.stringify(trade));
  if (random() < 0.01) lines.push(lines[Math.max(0, lines.length - 4)] as string);
  time += Math.floor(random() * 600);
}

const spoil = (at: number, how: (line: string) => string) => (lines[at] = how(lines[at] as string));
spoil(200, (line) => line.slice(0, 40));
spoil(555, (line) => line.replace(/"p":"[^"]*"/, '"p":"-1.00"'));
spoil(556, (line) => line.replace(/"q":"([^"]*)"/, '"q":$1'));
spoil(900, (line) => line.replace(/"s":"[^"]*",/, ""));
spoil(1300, (line) => line.replace(/"T":(\d+)\d{3}/, '"T":$1'));
spoil(1500, () => "\u0000\u0001 heartbeat");

fs.writeFileSync(path.join(__dirname, "trades.ndjson"), `${lines.join("\n")}\n`);
