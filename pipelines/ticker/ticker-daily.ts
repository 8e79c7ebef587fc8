// ticker-daily: one row per symbol and day from the events, each day recomputed whole.
import path from "node:path";
import { z } from "zod";
import { fixed, named, perElement, runContextOf, type PCollection } from "../../beam";
import { aggregate, avg, clean, count, decode, max, min } from "../../transforms";
import { deadLetters, definePipeline, input, table } from "../definition";
import { store, storeOf } from "./parameters";
import { DailySummary, Event } from "./schemas";
import { toPriced, ToSummary, type Day } from "./steps";

const DAY = 24 * 3_600_000;

export const tickerDaily = definePipeline({
  name: "ticker-daily",
  summary: "Prices per symbol and day from events",
  inputs: {
    events: input(Event, {
      sample: path.join(__dirname, "sample/events.ndjson"),
      live: (params: { store: string }) => eventsIn(storeOf(params)),
    }),
  },
  outputs: {
    summary: table(DailySummary, {
      name: "daily_summary",
      key: ["day", "symbol"],
      stamps: ["computed_at"],
      recomputedBy: "day",
      live: storeOf,
    }),
    dead_letters: { ...deadLetters, live: storeOf },
  },
  params: z.object(store),
  build({ events }, { summary, dead_letters }) {
    const { good, bad } = events.apply(clean(decode(Event), toPriced));
    good
      .apply(
        aggregate({
          by: ["symbol"],
          at: "time",
          window: fixed(DAY),
          unique: "event_id",
          measures: { avg_price: avg("price"), min_price: min("price"), max_price: max("price"), n_records: count() },
        }),
      )
      .apply(summaries())
      .apply(summary);
    bad.apply(dead_letters);
  },
});

/** SQLite's column of times is text, which it can look days up in; PostgreSQL has no time without a type for it. */
function eventsIn(uri: string): string {
  const time = uri.startsWith("sqlite:") ? "&time=event_time" : "";
  return `${uri}${uri.includes("?") ? "&" : "?"}table=events${time}`;
}

const summaries = () =>
  named(
    "summaries",
    (days: PCollection<Day>) => days.apply(perElement("to row", new ToSummary(runContextOf(days)))).rows,
  );
