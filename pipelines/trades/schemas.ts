// A trade as Binance sends it, as the pipeline works with it, and the candle that is made of many.
import { z } from "zod";
import { register } from "../../beam";
import { decimal, positiveDecimal, timestamp } from "../../schema/table";
import { type Decimal } from "../../schema/decimal";

/** A trade event of Binance's WebSocket streams. */
export const RawTrade = z.object({
  e: z.literal("trade"),
  E: z.int().describe("when the event was sent, in milliseconds"),
  s: z.string().min(1).max(32).describe("symbol"),
  t: z.int().nonnegative().describe("trade id, one after the other within a symbol"),
  p: positiveDecimal().describe("price"),
  q: positiveDecimal().describe("quantity"),
  T: z.int().describe("when the trade was made, in milliseconds"),
  m: z.boolean().describe("whether the buyer is the market maker"),
});
export type RawTrade = z.infer<typeof RawTrade>;

/** A trade as it is passed on: what it says, as it says it. */
export const PublishedTrade = RawTrade.extend({
  p: z.string().describe("price"),
  q: z.string().describe("quantity"),
});
export type PublishedTrade = z.infer<typeof PublishedTrade>;

export interface Trade {
  readonly symbol: string;
  readonly id: number;
  readonly time: number;
  readonly price: Decimal;
  readonly quantity: Decimal;
}

/** All trades of a symbol in one window. */
export const Candle = z.object({
  window_start: timestamp(),
  window_end: timestamp(),
  symbol: z.string(),
  trade_count: z.int(),
  volume: decimal(38, 8).describe("sum of the quantities"),
  quote_volume: decimal(38, 16).describe("sum of price times quantity"),
  open: decimal(38, 8).describe("price of the first trade, by time, then id"),
  high: decimal(38, 8),
  low: decimal(38, 8),
  close: decimal(38, 8).describe("price of the last trade, by time, then id"),
  avg_price: decimal(38, 8).nullable().describe("mean of the prices"),
  vwap: decimal(38, 8).nullable().describe("mean of the prices by quantity"),
});

register("beamline/pipelines/trades/schemas", { RawTrade });
