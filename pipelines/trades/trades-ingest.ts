// trades-ingest: live trades of the exchange's WebSocket streams into a topic, where trades-aggregate reads them.
import path from "node:path";
import { z } from "zod";
import { clean, decode } from "../../transforms";
import { deadLetters, definePipeline, input, table } from "../definition";
import { PublishedTrade, RawTrade } from "./schemas";
import { asReceived } from "./steps";

export const tradesIngest = definePipeline({
  name: "trades-ingest",
  summary: "Live trades of an exchange into a topic",
  inputs: {
    trades: input(RawTrade, { sample: path.join(__dirname, "sample/trades.ndjson"), live: streamsUrl }),
  },
  outputs: {
    trades: table(PublishedTrade, {
      name: "raw_trades",
      key: ["s", "t"],
      messageKey: ["s"],
      messageTime: "T",
      // Its columns are called as the exchange calls them, and for a database e and E are one name.
      to: "file:data/",
      live: ({ brokers, topic }: Params) => `kafka://${brokers}/${topic}`,
      announced: "Published trade to Kafka",
    }),
    dead_letters: deadLetters,
  },
  params: z.object({
    symbols: z
      .string()
      .regex(/^[a-zA-Z0-9]+(,[a-zA-Z0-9]+)*$/, { message: "write symbols as BTCUSDT,ETHUSDT" })
      .default("BTCUSDT,ETHUSDT")
      .describe("which symbols --from live: asks for"),
    stream_url: z
      .string()
      .default("wss://stream.binance.com:9443")
      .describe("the exchange's WebSocket server, for --from live:")
      .meta({ env: "BINANCE_STREAM_URL" }),
    brokers: z.string().default("localhost:29092").describe("the brokers of --to live:").meta({ env: "KAFKA_BROKERS" }),
    topic: z.string().default("raw_trades").describe("the topic of --to live:"),
  }),
  build({ trades }, { trades: published, dead_letters }) {
    const { good, bad } = trades.apply(clean(decode(RawTrade), asReceived));
    good.apply(published);
    bad.apply(dead_letters);
  },
});

interface Params {
  readonly symbols: string;
  readonly stream_url: string;
  readonly brokers: string;
  readonly topic: string;
}

/** All symbols come over one connection. */
function streamsUrl({ symbols, stream_url }: Params): string {
  const streams = symbols
    .toLowerCase()
    .split(",")
    .map((symbol) => `${symbol}@trade`);
  return `${stream_url}/stream?streams=${streams.join("/")}#protocol=binance&variable=BINANCE_STREAM_URL`;
}
