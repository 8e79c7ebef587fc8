// ticker-ingest: what the exchange says of a symbol's last 24 hours, asked for again and again, into a topic.
import path from "node:path";
import { z } from "zod";
import { positiveDuration, formatDuration } from "../../schema/duration";
import { clean, decode } from "../../transforms";
import { deadLetters, definePipeline, input, table } from "../definition";
import { broker, topicOf } from "./parameters";
import { PublishedTicker, RawTicker } from "./schemas";
import { withSource } from "./steps";

export const tickerIngest = definePipeline({
  name: "ticker-ingest",
  summary: "24 hour tickers of an exchange into a topic",
  inputs: {
    ticker: input(RawTicker, {
      sample: path.join(__dirname, "sample/ticker.ndjson"),
      live: ({ api_url, every }: { api_url: string; every: number }) =>
        `${api_url}#every=${formatDuration(every)}&variable=API_URL`,
    }),
  },
  outputs: {
    ticker: table(PublishedTicker, {
      name: "ticker_raw",
      key: ["symbol", "closeTime"],
      messageKey: ["symbol"],
      messageTime: "closeTime",
      live: topicOf,
      announced: "Published ticker to Kafka",
    }),
    dead_letters: deadLetters,
  },
  params: z.object({
    api_url: z
      .string()
      .default("https://api.binance.com/api/v3/ticker/24hr?symbol=BTCUSDT")
      .describe("what --from live: asks")
      .meta({ env: "API_URL" }),
    every: positiveDuration().default(30_000).describe("how often --from live: asks"),
    ...broker,
  }),
  build({ ticker }, { ticker: published, dead_letters }) {
    const { good, bad } = ticker.apply(clean(decode(RawTicker), withSource));
    good.apply(published);
    bad.apply(dead_letters);
  },
});
