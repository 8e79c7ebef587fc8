// ticker-clean: from tickers in the topic to one event per symbol and moment.
import path from "node:path";
import { z } from "zod";
import { clean, decode } from "../../transforms";
import { deadLetters, definePipeline, input, table } from "../definition";
import { broker, store, storeOf, topicOf } from "./parameters";
import { Event, RawTicker } from "./schemas";
import { toEvent } from "./steps";

export const tickerClean = definePipeline({
  name: "ticker-clean",
  summary: "Events with a price from raw tickers",
  inputs: {
    ticker: input(RawTicker, { sample: path.join(__dirname, "sample/ticker.ndjson"), live: topicOf }),
  },
  outputs: {
    events: table(Event, { name: "events", key: ["event_id"], stamps: ["ingested_at"], live: storeOf }),
    dead_letters: { ...deadLetters, live: storeOf },
  },
  params: z.object({ ...broker, ...store }),
  build({ ticker }, { events, dead_letters }) {
    const { good, bad } = ticker.apply(clean(decode(RawTicker), toEvent));
    good.apply(events);
    bad.apply(dead_letters);
  },
});
