// The pipeline trades-aggregate without `unique`: a trade that comes twice counts twice. A project of its own is made of
// this file, so that it comes to a cluster's workers as a user's pipeline does.
import { fixed, aggregate, avg, clean, count, decode, first, last, max, min, sum, sumProduct, vwap } from "../../index";
import { deadLetters, definePipeline, input, table } from "../../index";
import { Candle, RawTrade } from "../../pipelines/trades/schemas";
import { toTrade } from "../../pipelines/trades/steps";
import { z } from "zod";

export const tradesCounted = definePipeline({
  name: "trades-counted",
  summary: "Candles per symbol and minute, with trades that come twice in them twice",
  inputs: { trades: input(RawTrade, { sample: "none" }) },
  outputs: {
    candles: table(Candle, { name: "trades_1min_agg", key: ["symbol", "window_start"] }),
    dead_letters: deadLetters,
  },
  params: z.object({}),
  build({ trades }, { candles, dead_letters }) {
    const { good, bad } = trades.apply(clean(decode(RawTrade), toTrade));
    good
      .apply(
        aggregate({
          by: ["symbol"],
          at: "time",
          window: fixed(60_000),
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
