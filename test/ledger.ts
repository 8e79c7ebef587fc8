// A ledger of numbered trades: what was sent, and so what each candle must say when every number counts exactly once.
import { trade } from "./command-scene";

export const MINUTE = 60_000;
const T0 = Date.UTC(2026, 0, 5, 9, 30);
const SYMBOLS = ["BTCUSDT", "ETHUSDT", "SOLUSDT"];

export interface Expected {
  readonly symbol: string;
  readonly window_start: string;
  readonly trade_count: number;
  readonly volume: string;
}

/** Trades in the order in which they are sent: disordered by up to five seconds, one of twenty sent twice. */
export class Ledger {
  private next = 0;
  private readonly sent: string[] = [];
  /** Numbers with a remainder: the same sequence for the same seed. */
  private state: number;

  constructor(seed: number) {
    this.state = seed;
  }

  private random(below: number): number {
    this.state = (this.state * 1103515245 + 12345) % 2147483648;
    return Math.floor((this.state / 2147483648) * below);
  }

  /** The next trades, with their keys and times. Ten of them make a second. */
  take(count: number): { key: string; value: string; time: number }[] {
    const sent = [];
    for (let n = 0; n < count; n += 1) {
      const id = this.next;
      this.next += 1;
      const symbol = SYMBOLS[this.random(SYMBOLS.length)] as string;
      const time = T0 + id * 100 - this.random(5000);
      const quantity = 1 + this.random(9);
      const record = { key: symbol, value: trade(id, { s: symbol, T: time, E: time, q: String(quantity) }), time };
      sent.push(record);
      if (this.random(20) === 0) sent.push(record);
    }
    this.sent.push(...sent.map(({ value }) => value));
    return sent;
  }

  expected(): Expected[] {
    return candlesOf(this.sent);
  }
}

/** The candles of trades, each number counted once. */
export function candlesOf(values: Iterable<string>, window = MINUTE): Expected[] {
  const numbers = new Set<number>();
  const candles = new Map<string, { trades: number; volume: number }>();
  for (const value of values) {
    const { t, s, T, q } = JSON.parse(value) as { t: number; s: string; T: number; q: string };
    if (numbers.has(t)) continue;
    numbers.add(t);
    const place = `${s} ${new Date(Math.floor(T / window) * window).toISOString()}`;
    const candle = candles.get(place) ?? { trades: 0, volume: 0 };
    candles.set(place, { trades: candle.trades + 1, volume: candle.volume + Number(q) });
  }
  return [...candles]
    .map(([place, { trades, volume }]) => {
      const [symbol = "", window_start = ""] = place.split(" ");
      return { symbol, window_start, trade_count: trades, volume: String(volume) };
    })
    .sort((a, b) => (`${a.symbol} ${a.window_start}` < `${b.symbol} ${b.window_start}` ? -1 : 1));
}

/** So many thousands of trades, each thousand in a file of its own in the folder in/. */
export function tradesInFiles(write: (file: string, content: string) => void, seed: number, thousands: number): Ledger {
  const ledger = new Ledger(seed);
  for (let part = 0; part < thousands; part += 1) {
    const lines = ledger.take(1_000).map(({ value }) => `${value}\n`);
    write(`in/${part}.ndjson`, lines.join(""));
  }
  return ledger;
}
