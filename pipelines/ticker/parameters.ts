// Where the ticker system has its things: parameters that its pipelines share.
import { z } from "zod";

export const broker = {
  brokers: z.string().default("localhost:29092").describe("the brokers of live:").meta({ env: "KAFKA_BROKERS" }),
  topic: z.string().default("ticker_raw").describe("the topic of live:").meta({ env: "KAFKA_TOPIC" }),
};
export const topicOf = ({ brokers, topic }: { readonly brokers: string; readonly topic: string }): string =>
  `kafka://${brokers}/${topic}`;

export const store = {
  store: z
    .string()
    .default("sqlite:data/app.db")
    .describe("the database of live:")
    .meta({ env: "TICKER_STORE", value: "URI" }),
};
export const storeOf = ({ store: uri }: { readonly store: string }): string => uri;
