// `http:` and `https:` addresses: a URL that is asked once, so many times, or without end.
import { parseAddress } from "../address";
import { type Connector, type SourceConnector } from "../connector";
import { fine, findingsOf } from "../findings";
import { accessOf, webSettings } from "../web-access";
import { explainStatus } from "../web-failures";
import { ask } from "../web-request";
import { rangeOf } from "../web-url";
import { httpOptions, polledOf } from "./options";
import { poll } from "./poll";

const httpSource: SourceConnector = {
  /** One range: its requests follow each other at their pace, and each knows of the one before. */
  async plan(address) {
    accessOf();
    return [rangeOf(address, polledOf(address).shown)];
  },
  check: (address) =>
    findingsOf(async () => {
      const { url, shown, timeout, maxBytes, variable } = polledOf(address);
      const { status, headers } = await ask({ url, access: accessOf(), timeout, mostBytes: maxBytes });
      if (status < 200 || status > 299) throw explainStatus(status, url, { variable }, headers.location);
      return [fine(`${shown} answers`)];
    }),
  async *read({ detail, from }, signal) {
    const polled = polledOf(parseAddress(String(detail["uri"])));
    yield* poll(polled, { access: accessOf(), signal, isBounded: true, from });
    signal?.throwIfAborted();
  },
  async *flow(address, signal, talk = {}) {
    yield* poll(polledOf(address), { ...talk, access: accessOf(), signal, isBounded: false });
  },
};

export const http: Connector = {
  name: "http",
  about: {
    summary: "A URL that is asked once, so many times, or without end: each answer is a record, or an array of them",
    examples: [
      "https://api.example.com/prices",
      "https://api.example.com/orders?status=open#every=1m&items=data.orders",
    ],
    readOptions: httpOptions,
    writeOptions: [],
    settings: webSettings,
    killTests: [],
  },
  source: httpSource,
};
