// The exchange's REST interface, as far as trades and tickers go.
import { type Answer, type Asked } from "../simulator-server";
import { type Market, type Trade } from "./market";
import { priceText, quantityText, quoteText, type Ticker } from "./ticker";

/** What it knows of the exchange behind it. */
export interface Exchange {
  readonly market: Market;
  readonly weightLimit: number;
  ticker(symbol: string): Ticker;
  /** Writes down that somebody got it. */
  recordTicker(ticker: Ticker): void;
}

const MOST_TRADES = 1000;
const USUAL_TRADES = 500;
const MINI = [
  "symbol",
  "openPrice",
  "highPrice",
  "lowPrice",
  "lastPrice",
  "volume",
  "quoteVolume",
  "openTime",
  "closeTime",
  "firstId",
  "lastId",
  "count",
] as const;

/** What a request may do wrong: an error in the exchange's form. */
class Refused extends Error {
  override readonly name = "Refused";
  constructor(
    readonly code: number,
    message: string,
  ) {
    super(message);
  }
}

export function answerRest(exchange: Exchange, asked: Asked): Answer {
  try {
    return answer(exchange, asked);
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    return { status: 400, json: { code: error.code, msg: error.message } };
  }
}

function answer(exchange: Exchange, { path, query }: Asked): Answer {
  const { market } = exchange;
  switch (path) {
    case "/api/v3/ping":
      return { json: {} };
    case "/api/v3/time":
      return { json: { serverTime: market.time } };
    case "/api/v3/exchangeInfo":
      return { json: exchangeInfo(exchange, chosen(market, query).symbols) };
    case "/api/v3/trades":
      return { json: historyOf(market, query).latest(limitOf(query)).map(tradeJson) };
    case "/api/v3/historicalTrades": {
      const [history, limit, id] = [historyOf(market, query), limitOf(query), wholeNumber(query, "fromId")];
      return { json: (id === null ? history.latest(limit) : history.from(id, limit)).map(tradeJson) };
    }
    case "/api/v3/ticker/24hr":
      return tickers(exchange, query);
    default:
      return { status: 404, json: { code: -1000, msg: `There is no ${path} here` } };
  }
}

function tickers(exchange: Exchange, query: URLSearchParams): Answer {
  const { symbols, isOne } = chosen(exchange.market, query);
  const type = query.get("type") ?? "FULL";
  if (type !== "FULL" && type !== "MINI") throw new Refused(-1139, "Invalid ticker type.");
  const full = symbols.map((symbol) => exchange.ticker(symbol));
  const json = type === "FULL" ? full : full.map((ticker) => Object.fromEntries(MINI.map((key) => [key, ticker[key]])));
  return { json: isOne ? json[0] : json, record: () => full.forEach((ticker) => exchange.recordTicker(ticker)) };
}

/** The symbols of a request: one by `symbol`, several by `symbols`, all by neither. */
function chosen(market: Market, query: URLSearchParams): { symbols: string[]; isOne: boolean } {
  const [symbol, list] = [query.get("symbol"), query.get("symbols")];
  if (symbol !== null && list !== null)
    throw new Refused(-1128, "Combination of optional parameters invalid. Send symbol or symbols, not both.");
  if (symbol !== null) return { symbols: [known(market, symbol)], isOne: true };
  if (list === null) return { symbols: market.symbols, isOne: false };
  let symbols: unknown;
  try {
    symbols = JSON.parse(list);
  } catch {
    // Said below.
  }
  if (!Array.isArray(symbols) || symbols.length === 0)
    throw new Refused(
      -1100,
      'Illegal characters found in parameter \'symbols\'; it must be like ["BTCUSDT","ETHUSDT"].',
    );
  if (new Set(symbols).size < symbols.length) throw new Refused(-1151, "Symbol is present multiple times in the list.");
  return { symbols: symbols.map((one) => known(market, String(one))), isOne: false };
}

function known(market: Market, symbol: string): string {
  if (market.history(symbol) === undefined) throw new Refused(-1121, "Invalid symbol.");
  return symbol;
}

function historyOf(market: Market, query: URLSearchParams) {
  const symbol = query.get("symbol") ?? "";
  if (symbol === "") throw missing("symbol");
  const history = market.history(symbol);
  if (history === undefined) throw new Refused(-1121, "Invalid symbol.");
  return history;
}

/** More than the most is the most: the exchange does not refuse it. */
function limitOf(query: URLSearchParams): number {
  const limit = wholeNumber(query, "limit") ?? USUAL_TRADES;
  if (limit === 0) throw new Refused(-1130, "Data sent for parameter 'limit' is not valid.");
  return Math.min(limit, MOST_TRADES);
}

function wholeNumber(query: URLSearchParams, name: string): number | null {
  const text = query.get(name);
  if (text === null) return null;
  if (text === "") throw missing(name);
  if (!/^[0-9]{1,15}$/.test(text))
    throw new Refused(-1100, `Illegal characters found in parameter '${name}'; legal range is '^[0-9]{1,15}$'.`);
  return Number(text);
}

const missing = (name: string): Refused =>
  new Refused(-1102, `Mandatory parameter '${name}' was not sent, was empty/null, or malformed.`);

/** A trade as the history has it. */
function tradeJson(trade: Trade) {
  return {
    id: trade.id,
    price: priceText(trade.price),
    qty: quantityText(trade.quantity),
    quoteQty: quoteText(trade),
    time: trade.time,
    isBuyerMaker: trade.isBuyerMaker,
    isBestMatch: true,
  };
}

const QUOTES = ["USDT", "USDC", "FDUSD", "EUR", "BTC", "ETH", "BNB"];

/** No more of it than a client of public data looks at. */
function exchangeInfo({ market, weightLimit }: Exchange, symbols: readonly string[]) {
  return {
    timezone: "UTC",
    serverTime: market.time,
    rateLimits: [{ rateLimitType: "REQUEST_WEIGHT", interval: "MINUTE", intervalNum: 1, limit: weightLimit }],
    exchangeFilters: [],
    symbols: symbols.map((symbol) => {
      const quote = QUOTES.find((name) => symbol.endsWith(name) && symbol !== name) ?? symbol.slice(-3);
      return {
        symbol,
        status: "TRADING",
        baseAsset: symbol.slice(0, -quote.length),
        baseAssetPrecision: 8,
        quoteAsset: quote,
        quotePrecision: 8,
        quoteAssetPrecision: 8,
        isSpotTradingAllowed: true,
        filters: [
          { filterType: "PRICE_FILTER", minPrice: "0.01000000", maxPrice: "1000000.00000000", tickSize: "0.01000000" },
          { filterType: "LOT_SIZE", minQty: "0.00001000", maxQty: "9000.00000000", stepSize: "0.00001000" },
        ],
        permissions: [],
        permissionSets: [["SPOT"]],
      };
    }),
  };
}
