// trades-aggregate: from raw trades to one candle per symbol and minute.
import path from "node:path";
import { z } from "zod";
import { fixed } from "../../beam";
import { duration, positiveDuration } from "../../schema/duration";
import { aggregate, avg, clean, count, decode, first, last, max, min, sum, sumProduct, vwap } from "../../transforms";
import { deadLetters, definePipeline, input, table } from "../definition";
import { Candle, RawTrade } from "./schemas";
import { toTrade } from "./steps";

export const tradesAggregate = definePipeline({
  name: "trades-aggregate",
  summary: "Candles per symbol and minute from raw trades",
  inputs: { trades: input(RawTrade, { sample: path.join(__dirname, "sample/trades.ndjson") }) },
  outputs: {
    candles: table(Candle, { name: "trades_1min_agg", key: ["symbol", "window_start"] }),
    dead_letters: deadLetters,
  },
  params: z.object({
    window: positiveDuration().default(60_000).describe("length of a candle"),
    lateness: duration().default(300_000).describe("how long a candle still takes late trades, where time passes"),
  }),
  build({ trades }, { candles, dead_letters }, { window, lateness }) {
    const { good, bad } = trades.apply(clean(decode(RawTrade), toTrade));
    good
      .apply(
        aggregate({
          by: ["symbol"],
          at: "time",
          window: fixed(window),
          lateness,
          unique: "id",
          measures: {
            trade_count: count(),
            volume: sum("quantity"),
            quote_volume: sumProduct("price", "quantity"),
            open: first("price"),
            high: max("price"),
            low: min("price"),
            close: last("price"),
            avg_price: avg("price"),
            vwap: vwap("price", "quantity"),
          },
        }),
      )
      .apply(candles);
    bad.apply(dead_letters);
  },
});
