// The rows that the benchmark of the sinks writes: candles of a minute, by their number.
import { z } from "zod";
import { type Output } from "../../io/connector";
import { decimal, tableOf, timestamp, type Row } from "../../schema/table";

const Candle = z.object({
  symbol: z.string(),
  window_start: timestamp(),
  trade_count: z.int(),
  volume: decimal(),
  open: decimal(),
  high: decimal(),
  low: decimal(),
  close: decimal(),
  vwap: decimal().nullable(),
});

export const candles: Output = {
  name: "candles",
  table: tableOf("candles", Candle, { key: ["symbol", "window_start"] }),
};

const SYMBOLS = 50;
const FIRST = Date.UTC(2026, 0, 1);

export function candleOf(number: number): Row {
  const price = 100 + (number % 977) / 8;
  return {
    symbol: `SYM${number % SYMBOLS}USDT`,
    window_start: FIRST + Math.floor(number / SYMBOLS) * 60_000,
    trade_count: 1 + (number % 500),
    volume: `${number % 10_000}.12345678`,
    open: String(price),
    high: String(price + 1.5),
    low: String(price - 1.25),
    close: String(price + 0.125),
    vwap: number % 10 === 0 ? null : String(price + 0.0625),
  };
}

/** Some at a time. */
export function* candlesUpTo(count: number, together: number): Generator<Row[]> {
  for (let from = 0; from < count; from += together)
    yield Array.from({ length: Math.min(together, count - from) }, (_, at) => candleOf(from + at));
}
