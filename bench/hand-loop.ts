// The yardstick: what a good engineer would write by hand, without any framework, for the work that the pipeline
// trades-aggregate does. It runs as plain JavaScript in a process of its own, and no rule is left out to make it faster.
import fs from "node:fs";

const WINDOW_MS = 60_000;
const EARLIEST = Date.UTC(2010, 0, 1);
const DAY_MS = 86_400_000;
const CHUNK_BYTES = 1 << 20;

interface Trade {
  symbol: string;
  id: number;
  price: bigint;
  priceText: string;
  quantity: bigint;
  time: number;
}

interface Candle {
  windowStart: number;
  symbol: string;
  ids: Set<number>;
  count: number;
  priceSum: bigint;
  volume: bigint;
  quoteVolume: bigint;
  high: bigint;
  low: bigint;
  first: Trade;
  last: Trade;
}

export interface HandLoopSummary {
  read: number;
  ok: number;
  dead: number;
  duplicate: number;
  rows: number;
}

const PLAIN_DECIMAL = /^\d+(?:\.\d{1,8})?$/;

/** In units of 10^-8; undefined when it is not a plain positive decimal of at most eight places. */
function toUnits(text: unknown): bigint | undefined {
  if (typeof text !== "string" || !PLAIN_DECIMAL.test(text)) return undefined;
  const point = text.indexOf(".");
  const units =
    point < 0 ? BigInt(text) * 100_000_000n : BigInt(text.slice(0, point) + text.slice(point + 1).padEnd(8, "0"));
  return units > 0n ? units : undefined;
}

/** The trade, or the reason why it is none. */
function toTrade(line: string, latest: number): Trade | string {
  let event: unknown;
  try {
    event = JSON.parse(line);
  } catch {
    return "not JSON";
  }
  if (typeof event !== "object" || event === null) return "not an object";
  const { e, E, s, t, p, q, T, m } = event as Record<string, unknown>;
  if (e !== "trade") return "e: not a trade";
  if (typeof s !== "string" || s.length === 0 || s.length > 32) return "s: not a symbol";
  if (typeof t !== "number" || !Number.isSafeInteger(t) || t < 0) return "t: not a trade id";
  if (typeof T !== "number" || !Number.isInteger(T) || T < EARLIEST || T > latest) return "T: not a plausible time";
  if (!Number.isInteger(E)) return "E: not an integer";
  if (typeof m !== "boolean") return "m: not a boolean";
  const price = toUnits(p);
  if (price === undefined) return "p: not a positive decimal";
  const quantity = toUnits(q);
  if (quantity === undefined) return "q: not a positive decimal";
  return { symbol: s, id: t, price, priceText: p as string, quantity, time: T };
}

function isBefore(left: Trade, right: Trade): boolean {
  return left.time < right.time || (left.time === right.time && left.id < right.id);
}

/** The order where ids say nothing. */
function isBeforeByPrice(left: Trade, right: Trade): boolean {
  return left.time < right.time || (left.time === right.time && left.priceText < right.priceText);
}

/** No exponent, no trailing zeros. */
function decimalText(units: bigint, scale: number): string {
  const digits = units.toString().padStart(scale + 1, "0");
  const fraction = digits.slice(-scale).replace(/0+$/, "");
  const whole = digits.slice(0, -scale);
  return fraction === "" ? whole : `${whole}.${fraction}`;
}

function divideHalfEven(dividend: bigint, divisor: bigint): bigint {
  const quotient = dividend / divisor;
  const twice = (dividend % divisor) * 2n;
  const up = twice > divisor || (twice === divisor && quotient % 2n === 1n);
  return up ? quotient + 1n : quotient;
}

function toRow(candle: Candle): string {
  return JSON.stringify({
    window_start: new Date(candle.windowStart).toISOString(),
    window_end: new Date(candle.windowStart + WINDOW_MS).toISOString(),
    symbol: candle.symbol,
    trade_count: candle.count,
    volume: decimalText(candle.volume, 8),
    quote_volume: decimalText(candle.quoteVolume, 16),
    open: decimalText(candle.first.price, 8),
    high: decimalText(candle.high, 8),
    low: decimalText(candle.low, 8),
    close: decimalText(candle.last.price, 8),
    avg_price: decimalText(divideHalfEven(candle.priceSum, BigInt(candle.count)), 8),
    vwap: decimalText(divideHalfEven(candle.quoteVolume, candle.volume), 8),
  });
}

/** `repeats`: whether a trade that comes twice counts twice; ids mean nothing then. */
export function aggregateTrades(
  input: string,
  rowsFile: string,
  deadFile: string,
  repeats: "dropped" | "counted" = "dropped",
): HandLoopSummary {
  const summary: HandLoopSummary = { read: 0, ok: 0, dead: 0, duplicate: 0, rows: 0 };
  const latest = Date.now() + DAY_MS;
  const comesFirst = repeats === "dropped" ? isBefore : isBeforeByPrice;
  const candlesBySymbol = new Map<string, Map<number, Candle>>();
  const dead: string[] = [];

  const take = (line: string): void => {
    summary.read += 1;
    const trade = toTrade(line, latest);
    if (typeof trade === "string") {
      summary.dead += 1;
      dead.push(JSON.stringify({ line: summary.read, error: trade, record: line }));
      return;
    }
    summary.ok += 1;
    const windowStart = trade.time - (trade.time % WINDOW_MS);
    let candles = candlesBySymbol.get(trade.symbol);
    if (candles === undefined) candlesBySymbol.set(trade.symbol, (candles = new Map<number, Candle>()));
    const candle = candles.get(windowStart);
    if (candle === undefined) {
      const { symbol, price, quantity } = trade;
      candles.set(windowStart, {
        windowStart,
        symbol,
        ids: new Set([trade.id]),
        count: 1,
        priceSum: price,
        volume: quantity,
        quoteVolume: price * quantity,
        high: price,
        low: price,
        first: trade,
        last: trade,
      });
      return;
    }
    if (repeats === "dropped" && candle.ids.has(trade.id)) {
      summary.duplicate += 1;
      return;
    }
    candle.ids.add(trade.id);
    candle.count += 1;
    candle.priceSum += trade.price;
    candle.volume += trade.quantity;
    candle.quoteVolume += trade.price * trade.quantity;
    if (trade.price > candle.high) candle.high = trade.price;
    if (trade.price < candle.low) candle.low = trade.price;
    if (comesFirst(trade, candle.first)) candle.first = trade;
    if (comesFirst(candle.last, trade)) candle.last = trade;
  };

  forEachLine(input, take);

  const candles = [...candlesBySymbol.values()].flatMap((bySymbol) => [...bySymbol.values()]);
  candles.sort((left, right) => left.windowStart - right.windowStart || (left.symbol < right.symbol ? -1 : 1));
  summary.rows = candles.length;
  fs.writeFileSync(rowsFile, candles.map((candle) => `${toRow(candle)}\n`).join(""));
  fs.writeFileSync(deadFile, dead.map((letter) => `${letter}\n`).join(""));
  return summary;
}

/** Cuts the bytes, not the text, at line ends: a character is never cut in two. */
function forEachLine(file: string, take: (line: string) => void): void {
  const handle = fs.openSync(file, "r");
  try {
    let buffer = Buffer.allocUnsafe(CHUNK_BYTES);
    let kept = 0;
    for (;;) {
      if (kept === buffer.length) buffer = Buffer.concat([buffer], buffer.length * 2);
      const count = fs.readSync(handle, buffer, kept, buffer.length - kept, null);
      const end = kept + count;
      const lastLineEnd = count === 0 ? end : buffer.lastIndexOf(10, end - 1);
      if (lastLineEnd >= 0) {
        const text = buffer.toString("utf8", 0, lastLineEnd);
        let start = 0;
        while (start < text.length) {
          const stop = text.indexOf("\n", start);
          const next = stop < 0 ? text.length : stop;
          if (next > start) take(text.slice(start, next));
          start = next + 1;
        }
      }
      if (count === 0) return;
      kept = end - (lastLineEnd + 1);
      buffer.copy(buffer, 0, lastLineEnd + 1, end);
    }
  } finally {
    fs.closeSync(handle);
  }
}

if (require.main === module) {
  const [input, rowsFile, deadFile] = process.argv.slice(2);
  if (input === undefined || rowsFile === undefined || deadFile === undefined) {
    throw new Error("usage: hand-loop <trades.ndjson> <rows.ndjson> <dead-letters.ndjson>");
  }
  console.log(JSON.stringify(aggregateTrades(input, rowsFile, deadFile)));
}
