// What the exchange says of a symbol's last 24 hours, as it is passed on, as it is kept, and what a day was like.
import { z } from "zod";
import { register } from "../../beam";
import { type Decimal } from "../../schema/decimal";
import { date, positiveDecimal } from "../../schema/table";

/** The answer of the 24 hour ticker: of its many fields, those that say which moment and which price it is about. */
export const RawTicker = z.object({
  symbol: z.string().min(1).max(32),
  lastPrice: positiveDecimal().describe("price of the last trade"),
  openTime: z.int().optional().describe("when the 24 hours began, in milliseconds"),
  closeTime: z.int().describe("when they ended, in milliseconds: the moment of the answer"),
  priceChangePercent: z.string().optional(),
  volume: z.string().optional().describe("traded in these 24 hours"),
  count: z.int().optional().describe("trades in these 24 hours"),
  source: z.string().min(1).optional().describe("the host that gave it; absent as the host sends it"),
});
export type RawTicker = z.infer<typeof RawTicker>;

/** A ticker in the topic. */
export const PublishedTicker = RawTicker.extend({
  lastPrice: z.string().describe("price of the last trade"),
  source: z.string().describe("the host that gave it"),
});
export type PublishedTicker = z.infer<typeof PublishedTicker>;

/** One price of a symbol at a moment. */
export const Event = z.object({
  event_id: z.string().describe("symbol:closeTime"),
  symbol: z.string(),
  price: z.number().describe("lastPrice"),
  event_time: z.string().describe("closeTime"),
  source: z.string().describe("the host that gave it"),
  ingested_at: z.string().describe("when the batch that kept it was planned"),
});
export type Event = z.infer<typeof Event>;

/** An event whose price can be added up. */
export interface PricedEvent {
  readonly event_id: string;
  readonly symbol: string;
  readonly price: Decimal;
  readonly time: number;
}

/** A symbol's day, in UTC. */
export const DailySummary = z.object({
  day: date(),
  symbol: z.string(),
  avg_price: z.number(),
  min_price: z.number(),
  max_price: z.number(),
  n_records: z.int(),
  computed_at: z.string().describe("when the run that found it so began"),
});
export type DailySummary = z.infer<typeof DailySummary>;

register("beamline/pipelines/ticker/schemas", { RawTicker, Event });
