// From an answer of the exchange to an event, and from events to days.
import { register, type DoFn, type Emitters, type RunContext } from "../../beam";
import { decimalOfNumber } from "../../schema/decimal";
import { dead, ok, type StepContext, type StepResult } from "../../transforms";
import { type DailySummary, type Event, type PricedEvent, type PublishedTicker, type RawTicker } from "./schemas";

/** The exchange opened in 2017; anything before 2010 is a broken clock or a wrong unit. */
const EARLIEST = Date.UTC(2010, 0, 1);
/** Clocks differ, but not by more than this. */
const AHEAD = 24 * 3_600_000;
/** Prices are added up in units of 10^-8. */
const PRICE = /^\d+(\.\d{1,8})?$/;

/** A ticker as it came, with the host that gave it. */
export function withSource(ticker: RawTicker, { record }: StepContext): StepResult<PublishedTicker> {
  return ok({ ...ticker, source: ticker.source ?? hostOf(record.source) });
}

/** The price of a moment. The same moment asked for twice is one event. */
export function toEvent(ticker: RawTicker, { batchTime, record }: StepContext): StepResult<Event> {
  const { symbol, lastPrice, closeTime } = ticker;
  const when = absurd(closeTime, batchTime);
  if (when !== null) return dead("absurd time", `closeTime is ${closeTime}, ${when}`);
  return ok({
    event_id: `${symbol}:${closeTime}`,
    symbol,
    price: Number(lastPrice),
    event_time: new Date(closeTime).toISOString(),
    source: ticker.source ?? hostOf(record.source),
    ingested_at: new Date(batchTime).toISOString(),
  });
}

/** An event as it can be added up: its time as a number, its price as exact text. */
export function toPriced(
  { event_id, symbol, price, event_time }: Event,
  { batchTime }: StepContext,
): StepResult<PricedEvent> {
  const time = Date.parse(event_time);
  if (Number.isNaN(time)) return dead("absurd time", `event_time is ${event_time}`);
  const when = absurd(time, batchTime);
  if (when !== null) return dead("absurd time", `event_time is ${event_time}, ${when}`);
  const exact = decimalOfNumber(price);
  if (exact === null || !PRICE.test(exact)) return dead("no price", `price is ${price}`);
  return ok({ event_id, symbol, price: exact, time });
}

function absurd(time: number, batchTime: number): string | null {
  if (time < EARLIEST) return "before 2010: seconds instead of milliseconds?";
  return time > batchTime + AHEAD ? "more than a day after this run began" : null;
}

/** The host of a URL; of any other place, its name. */
function hostOf(source: string): string {
  return URL.canParse(source) ? new URL(source).host || source : source;
}

export interface Day {
  readonly window_start: number;
  readonly symbol: string;
  readonly avg_price: string | null;
  readonly min_price: string | null;
  readonly max_price: string | null;
  readonly n_records: number;
}

/** The row of a day. What the contract calls REAL becomes a float here, and nowhere before. */
export class ToSummary implements DoFn<Day, { rows: DailySummary }> {
  readonly outputs = ["rows"] as const;
  constructor(readonly run: RunContext) {}

  process(day: Day, emit: Emitters<{ rows: DailySummary }>): void {
    emit.rows({
      day: new Date(day.window_start).toISOString().slice(0, 10),
      symbol: day.symbol,
      avg_price: Number(day.avg_price),
      min_price: Number(day.min_price),
      max_price: Number(day.max_price),
      n_records: day.n_records,
      computed_at: new Date(this.run.batchTime).toISOString(),
    });
  }
}

register("beamline/pipelines/ticker/steps", { withSource, toEvent, toPriced, ToSummary });
