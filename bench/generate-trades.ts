// Trade events as they come over the exchange's wire, with the faults that real feeds have, the same for the same seed.
// What was put in is written down in a ledger, so that no contender's counts have to be trusted.
import fs from "node:fs";
import path from "node:path";

const SYMBOLS = 50;
const BAD_SHARE = 0.005;
const DUPLICATE_SHARE = 0.01;
const START = Date.UTC(2026, 0, 5, 9, 30);
const MAX_DISORDER_MS = 2_000;
const MAX_REPEAT_MS = 5_000;
const UNIT = 100_000_000;

export type BadKind = "not-json" | "missing-field" | "negative-price" | "wrong-type" | "absurd-time";
const BAD_KINDS: readonly BadKind[] = ["not-json", "missing-field", "negative-price", "wrong-type", "absurd-time"];

export interface TradesLedger {
  read: number;
  /** Good records, the repeated ones among them. */
  ok: number;
  dead: number;
  duplicate: number;
  bad: Record<BadKind, number>;
}

interface Trade {
  e: string;
  E: number;
  s: string;
  t: number;
  p: string;
  q: string;
  T: number;
  m: boolean;
}

/** mulberry32: 32 bits of state, only integer arithmetic, hence the same numbers on every machine. */
export function randomNumbers(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

const KNOWN_SYMBOLS = ["BTC", "ETH", "SOL", "BNB", "XRP", "DOGE", "ADA", "LINK", "AVAX", "LTC"];

interface Market {
  symbol: string;
  nextId: number;
  price: number;
  tick: number;
}

function openMarkets(random: () => number): Market[] {
  return Array.from({ length: SYMBOLS }, (_, index) => {
    // From a coin of 95,000 with ticks of 0.01 down to one of a few cents with ticks of 0.00001.
    const price = Math.floor((95_000 * UNIT) / (1 + index * index * index * (1 + random())));
    const tick = price > 100 * UNIT ? UNIT / 100 : UNIT / 100_000;
    return {
      symbol: `${KNOWN_SYMBOLS[index] ?? `COIN${index}`}USDT`,
      nextId: 1_000_000_000 + Math.floor(random() * 4_000_000_000),
      price: Math.ceil(price / tick) * tick,
      tick,
    };
  });
}

/** The exchange always writes eight decimals. */
function eightDecimals(units: number): string {
  return `${Math.floor(units / UNIT)}.${String(units % UNIT).padStart(8, "0")}`;
}

function spoil(trade: Trade, kind: BadKind, random: () => number): string {
  const pick = <T>(choices: readonly T[]): T => choices[Math.floor(random() * choices.length)] as T;
  switch (kind) {
    case "not-json": {
      const line = JSON.stringify(trade);
      return line.slice(0, 1 + Math.floor(random() * (line.length - 1)));
    }
    case "missing-field": {
      const missing = pick(["e", "s", "t", "p", "q", "T", "m"] as const);
      return JSON.stringify({ ...trade, [missing]: undefined });
    }
    case "negative-price":
      return JSON.stringify({ ...trade, p: `-${trade.p}` });
    case "wrong-type":
      return JSON.stringify({
        ...trade,
        ...pick([
          { p: Number(trade.p) },
          { q: null },
          { t: String(trade.t) },
          { T: String(trade.T) },
          { m: "true" },
          { s: 7 },
        ]),
      });
    case "absurd-time":
      return JSON.stringify({ ...trade, T: pick([0, trade.T * 1_000, -trade.T, Date.UTC(2999, 0, 1)]) });
  }
}

/** Yields exactly `records` lines without line ends and returns the ledger of what is in them. */
export function* tradeLines(records: number, seed: number): Generator<string, TradesLedger> {
  const random = randomNumbers(seed);
  const markets = openMarkets(random);
  const bad = Object.fromEntries(BAD_KINDS.map((kind) => [kind, 0])) as Record<BadKind, number>;
  const ledger: TradesLedger = { read: 0, ok: 0, dead: 0, duplicate: 0, bad };

  // Lines wait here for the millisecond of their arrival: that is where disorder and late repeats come from.
  const arrivals = new Map<number, string[]>();
  const arrive = (at: number, line: string): void => {
    const lines = arrivals.get(at);
    if (lines === undefined) arrivals.set(at, [line]);
    else lines.push(line);
    ledger.read += 1;
  };

  let now = START;
  while (ledger.read < records) {
    // 0, 1 or 2 ms apart: about a thousand trades per second.
    const step = Math.floor(random() * 3);
    for (let passed = now; passed < now + step; passed += 1) {
      yield* arrivals.get(passed) ?? [];
      arrivals.delete(passed);
    }
    now += step;

    // Squaring prefers the first symbols, as the markets do.
    const position = random();
    const market = markets[Math.floor(position * position * SYMBOLS)] as Market;
    const movement = (Math.floor(random() * 7) - 3) * market.tick;
    market.price = Math.max(market.tick, market.price + movement);
    const lot = random();
    const trade: Trade = {
      e: "trade",
      E: now + Math.floor(random() * 20),
      s: market.symbol,
      t: market.nextId,
      p: eightDecimals(market.price),
      q: eightDecimals((1 + Math.floor(lot * lot * lot * 2_000_000)) * 1_000),
      T: now,
      m: random() < 0.5,
    };
    // A spoilt trade uses up its id too: the ids issued are contiguous, those received have gaps.
    market.nextId += 1;

    const delay = random();
    const arrivesAt = now + Math.floor(delay < 0.95 ? random() * 20 : random() * MAX_DISORDER_MS);
    if (random() < BAD_SHARE) {
      const kind = BAD_KINDS[Math.floor(random() * BAD_KINDS.length)] as BadKind;
      arrive(arrivesAt, spoil(trade, kind, random));
      ledger.dead += 1;
      ledger.bad[kind] += 1;
      continue;
    }
    const line = JSON.stringify(trade);
    arrive(arrivesAt, line);
    ledger.ok += 1;
    if (random() < DUPLICATE_SHARE && ledger.read < records) {
      arrive(arrivesAt + 1 + Math.floor(random() * MAX_REPEAT_MS), line);
      ledger.ok += 1;
      ledger.duplicate += 1;
    }
  }
  for (const at of [...arrivals.keys()].sort((left, right) => left - right)) yield* arrivals.get(at) ?? [];
  return ledger;
}

export interface TradesFile {
  path: string;
  bytes: number;
  ledger: TradesLedger;
}

/** Writes the file once; later calls with the same size and seed reuse it. */
export function ensureTradesFile(directory: string, records: number, seed: number): TradesFile {
  const name = `trades-${records}-${seed}`;
  const file = path.join(directory, `${name}.ndjson`);
  const ledgerFile = path.join(directory, `${name}.ledger.json`);
  // The ledger is written last, so its presence says that the file is whole.
  if (!fs.existsSync(ledgerFile)) {
    fs.mkdirSync(directory, { recursive: true });
    const ledger = writeLines(file, tradeLines(records, seed));
    fs.writeFileSync(ledgerFile, JSON.stringify(ledger));
  }
  const ledger = JSON.parse(fs.readFileSync(ledgerFile, "utf8")) as TradesLedger;
  return { path: file, bytes: fs.statSync(file).size, ledger };
}

function writeLines(file: string, lines: Generator<string, TradesLedger>): TradesLedger {
  const handle = fs.openSync(file, "w");
  try {
    let buffered: string[] = [];
    for (;;) {
      const next = lines.next();
      if (!next.done) buffered.push(next.value);
      if (next.done || buffered.length === 10_000) {
        if (buffered.length > 0) fs.writeSync(handle, `${buffered.join("\n")}\n`);
        buffered = [];
      }
      if (next.done) return next.value;
    }
  } finally {
    fs.closeSync(handle);
  }
}
