// `wss://host/path?streams=for-the-server#protocol=binance`: what may stand behind the `#`, and what it means.
import { UsageError } from "../../schema/errors";
import { GivenOptions, type AddressOption } from "../address-options";
import { type Address } from "../connector";
import { elementsAt, isJson, pathOf, type JsonPath } from "../json-text";
import { shownUrl, urlOf } from "../web-url";

const PROTOCOLS = ["plain", "binance"] as const;

export const websocketOptions = [
  {
    name: "protocol",
    usual: "plain",
    description:
      "binance: combined streams are unwrapped, answers and farewells are understood, and trades that are missing by their ids are asked for; plain: each message is a record",
  },
  {
    name: "send",
    usual: null,
    description: "a message to send after each connecting, such as a subscription; of a JSON array each element is one",
  },
  {
    name: "unwrap",
    usual: null,
    description: "where in a JSON message the record lies: data, or names with dots between; else the message is it",
  },
  { name: "for", usual: null, description: "ends after this time; else a job goes on, and a run with an end needs it" },
  { name: "heartbeat", usual: "60s", description: "a connection over which nothing came for so long is made anew" },
  {
    name: "renew",
    usual: "23h",
    description: "a connection is replaced by a new one after this time, before the server ends it",
  },
  { name: "grace", usual: "2s", description: "how long a record that is missing by its id may still come by itself" },
  {
    name: "history",
    usual: null,
    description: "the server that missing records are asked for, or none; else by the address",
  },
  {
    name: "fill",
    usual: "100000",
    description: "so many records of one gap are asked for at most; older ones are lost",
  },
  { name: "timeout", usual: "10s", description: "how long connecting, or one request to the history, may take" },
  { name: "max-bytes", usual: "16777216", description: "a longer message ends the connection" },
  {
    name: "give-up",
    usual: null,
    description:
      "how long a server may fail before the source does: in a job that goes on its --give-up-after, else 30s",
  },
  {
    name: "variable",
    usual: null,
    description: "the environment variable that the address comes from, for messages that ask for another one",
  },
] as const satisfies readonly AddressOption[];

/** A URL that is listened to. Times in milliseconds. */
export interface Streamed {
  readonly url: URL;
  readonly shown: string;
  readonly protocol: (typeof PROTOCOLS)[number];
  readonly send: readonly string[];
  readonly unwrap: JsonPath | null;
  readonly for: number | null;
  readonly heartbeat: number;
  readonly renew: number;
  readonly grace: number;
  /** Null: missing records are not asked for. */
  readonly history: URL | null;
  readonly fill: number;
  readonly timeout: number;
  readonly maxBytes: number;
  readonly giveUp: number | null;
  readonly variable: string | null;
}

export function streamedOf(address: Address): Streamed {
  const url = urlOf(address);
  const shown = shownUrl(url);
  const options = new GivenOptions(shown, address.options, websocketOptions);
  const protocol = options.choice("protocol", PROTOCOLS) ?? "plain";
  const unwrap = options.text("unwrap");
  if (unwrap !== null && unwrap.split(".").includes(""))
    throw options.refused("unwrap", unwrap, "write names with dots between");
  if (protocol === "plain") {
    const needless = (["grace", "history", "fill"] as const).find((name) => options.has(name));
    if (needless !== undefined)
      throw new UsageError(
        `${shown} has the option ${needless}, which needs protocol=…: by ids only can one see what is missing`,
      );
  } else if (unwrap !== null) {
    throw new UsageError(`${shown} has the option unwrap=${unwrap}, which protocol=${protocol} does by itself`);
  }
  return {
    url,
    shown,
    protocol,
    send: messagesOf(options.text("send")),
    unwrap: unwrap === null ? null : pathOf(unwrap),
    for: options.duration("for"),
    heartbeat: options.duration("heartbeat") ?? 0,
    renew: options.duration("renew") ?? 0,
    grace: options.duration("grace") ?? 0,
    history: protocol === "plain" ? null : historyOf(options, url),
    fill: options.whole("fill", 1) ?? 0,
    timeout: options.duration("timeout") ?? 0,
    maxBytes: options.whole("max-bytes", 1) ?? 0,
    giveUp: options.duration("give-up"),
    variable: options.text("variable"),
  };
}

/** Of an array its elements as they were written; one that is a text is meant without its quotes. */
function messagesOf(send: string | null): string[] {
  if (send === null) return [];
  const elements = isJson(send) ? elementsAt(send, []) : null;
  return elements?.map((json) => (json.startsWith('"') ? (JSON.parse(json) as string) : json)) ?? [send];
}

type Options = GivenOptions<(typeof websocketOptions)[number]["name"]>;

function historyOf(options: Options, url: URL): URL | null {
  const text = options.text("history");
  if (text === "none") return null;
  if (text === null) return new URL(usualHistory(url));
  const history = URL.canParse(text) ? new URL(text) : null;
  const isWeb = history?.protocol === "http:" || history?.protocol === "https:";
  if (history === null || !isWeb || history.username !== "" || history.password !== "")
    throw options.refused("history", "…", "write a web address, such as https://api.binance.com, or none");
  return history;
}

/** The exchange has its history at a host of its own, a simulator at the same. */
function usualHistory({ protocol, host, hostname }: URL): string {
  if (/(^|\.)testnet\.binance\.vision$/.test(hostname)) return "https://testnet.binance.vision";
  if (/(^|\.)binance\.vision$/.test(hostname)) return "https://data-api.binance.vision";
  if (/(^|\.)binance\.com$/.test(hostname)) return "https://api.binance.com";
  if (/(^|\.)binance\.us$/.test(hostname)) return "https://api.binance.us";
  return `${protocol === "wss:" ? "https" : "http"}://${host}`;
}
