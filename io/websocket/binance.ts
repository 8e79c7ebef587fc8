// Binance's streams: https://developers.binance.com/docs/binance-spot-api-docs/web-socket-streams. Trades of a symbol have
// ids without a gap, and REST gives single trades by id to everybody.
import { textAt } from "../json-text";
import { type History, type Message, type Protocol } from "./protocol";

type Fields = Readonly<Record<string, unknown>>;

export const binance: Protocol = {
  takesBytes: false,
  read,
  history: { limit: 1000, url: historyUrl, read: readHistory },
};

function read(text: string): Message {
  const message = parsed(text);
  if (!isObject(message)) return { kind: "garbage", value: text };
  const { stream, data } = message;
  const isWrapped = typeof stream === "string" && isObject(data);
  const event: Fields = isWrapped ? data : message;
  // From the text: what went through JSON.parse may have lost digits.
  const value = isWrapped ? (textAt(text, ["data"]) ?? text) : text;
  const { e, s, t } = event;
  if (e === "serverShutdown") return { kind: "farewell" };
  if (e === "trade") {
    if (typeof s !== "string" || s === "" || !isId(t)) return { kind: "garbage", value };
    return { kind: "record", value, id: { key: s, id: t } };
  }
  if (isWrapped || e !== undefined) return { kind: "record", value, id: null };
  if ("result" in message && "id" in message) return { kind: "answer" };
  // `{"code": 2, "msg": "…"}`, or the same within `error`; the id is left out where it was not understood.
  const { code, msg } = isObject(message["error"]) ? message["error"] : message;
  return typeof code === "number" && typeof msg === "string"
    ? { kind: "refusal", why: msg.slice(0, 200), value }
    : { kind: "record", value, id: null };
}

function historyUrl(server: URL, symbol: string, from: number, limit: number): URL {
  const url = new URL(server);
  url.pathname = `${server.pathname.replace(/\/$/, "")}/api/v3/historicalTrades`;
  url.search = new URLSearchParams({ symbol, fromId: String(from), limit: String(limit) }).toString();
  return url;
}

/** REST names the fields otherwise, and does not know when the stream would have sent the event: when it was made, then. */
function readHistory(text: string, symbol: string): ReturnType<History["read"]> {
  const trades = parsed(text);
  if (!Array.isArray(trades)) return null;
  return trades.flatMap((trade: unknown) => {
    if (!isObject(trade)) return [];
    const { id, price, qty, time, isBuyerMaker } = trade;
    if (!isId(id) || typeof price !== "string" || typeof qty !== "string" || typeof time !== "number") return [];
    const event = { e: "trade", E: time, s: symbol, t: id, p: price, q: qty, T: time, m: isBuyerMaker === true };
    return [{ id, value: JSON.stringify(event) }];
  });
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

const isObject = (value: unknown): value is Fields =>
  typeof value === "object" && value !== null && !Array.isArray(value);

const isId = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0;
