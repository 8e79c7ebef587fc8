// From a trade as it is on the wire to one that can be counted.
import { register } from "../../beam";
import { dead, ok, type StepContext, type StepResult } from "../../transforms";
import { type PublishedTrade, type RawTrade, type Trade } from "./schemas";

/** Binance opened in 2017; anything before 2010 is a broken clock or a wrong unit. */
const EARLIEST = Date.UTC(2010, 0, 1);
/** Clocks differ, but not by more than this. */
const AHEAD = 24 * 60 * 60 * 1000;

/** Takes what counts from a raw trade. A trade at a time that cannot be is dead. */
export function toTrade(raw: RawTrade, { batchTime }: StepContext): StepResult<Trade> {
  if (raw.T < EARLIEST) return dead("absurd time", `T is ${raw.T}, before 2010: seconds instead of milliseconds?`);
  if (raw.T > batchTime + AHEAD) return dead("absurd time", `T is ${raw.T}, more than a day after this run began`);
  return ok({ symbol: raw.s, id: raw.t, time: raw.T, price: raw.p, quantity: raw.q });
}

/** A trade to be passed on: only what a consumer could not take is left out. */
export function asReceived(raw: RawTrade): StepResult<PublishedTrade> {
  return ok(raw);
}

register("beamline/pipelines/trades/steps", { toTrade, asReceived });
