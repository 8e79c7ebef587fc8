// `ws:` and `wss:` addresses: a stream of messages, for a job that goes on, or for some time.
import { UsageError } from "../../schema/errors";
import { parseAddress } from "../address";
import { type Connector, type SourceConnector } from "../connector";
import { fine, findingsOf } from "../findings";
import { accessOf, webSettings } from "../web-access";
import { rangeOf } from "../web-url";
import { Connection } from "./connection";
import { streamedOf, websocketOptions } from "./options";
import { stream } from "./stream";

const websocketSource: SourceConnector = {
  async plan(address) {
    accessOf();
    const streamed = streamedOf(address);
    if (streamed.for === null)
      throw new UsageError(
        `${streamed.shown} has no end: run with --streaming, or say how long it is to be read, such as #for=60s`,
      );
    return [rangeOf(address, streamed.shown)];
  },
  check: (address) =>
    findingsOf(async () => {
      const streamed = streamedOf(address);
      const connection = await Connection.open(streamed, accessOf(), () => undefined, new AbortController().signal);
      await connection.close();
      return [fine(`${streamed.shown} takes a connection`)];
    }),
  async *read({ detail, from }, signal) {
    const streamed = streamedOf(parseAddress(String(detail["uri"])));
    yield* stream(streamed, { access: accessOf(), signal, isBounded: true, from });
    signal?.throwIfAborted();
  },
  async *flow(address, signal, talk) {
    yield* stream(streamedOf(address), { access: accessOf(), signal, talk, isBounded: false, from: talk?.from });
  },
};

export const websocket: Connector = {
  name: "websocket",
  about: {
    summary: "A stream of messages over a WebSocket: each is a record",
    examples: [
      "wss://stream.example.com/prices#for=60s",
      "wss://stream.binance.com:9443/stream?streams=btcusdt@trade/ethusdt@trade#protocol=binance",
    ],
    readOptions: websocketOptions,
    writeOptions: [],
    settings: webSettings,
    killTests: [],
  },
  source: websocketSource,
};
