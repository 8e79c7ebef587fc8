// The statistics of the last 24 hours. They stand still between two moments that lie `every` apart, so that a closeTime has
// one ticker only, whoever asks and whenever.
import { decimalText, quotient } from "./decimal-text";
import { type History } from "./history";
import { PRICE_DECIMALS, QUANTITY_DECIMALS, type Trade } from "./market";

/** As it is on the wire, all of it: clients may rely on any field and on their order. */
export interface Ticker {
  readonly symbol: string;
  readonly priceChange: string;
  readonly priceChangePercent: string;
  readonly weightedAvgPrice: string;
  readonly prevClosePrice: string;
  readonly lastPrice: string;
  readonly lastQty: string;
  readonly bidPrice: string;
  readonly bidQty: string;
  readonly askPrice: string;
  readonly askQty: string;
  readonly openPrice: string;
  readonly highPrice: string;
  readonly lowPrice: string;
  readonly volume: string;
  readonly quoteVolume: string;
  readonly openTime: number;
  readonly closeTime: number;
  readonly firstId: number;
  readonly lastId: number;
  readonly count: number;
}

const DAY = 24 * 3_600_000;
/** price × 10² · quantity × 10⁵. */
const QUOTE_DECIMALS = PRICE_DECIMALS + QUANTITY_DECIMALS;

/** The last moment at which the statistics changed. */
export function closeTimeAt(time: number, start: number, every: number): number {
  return start + Math.floor((time - start) / every) * every;
}

/** Those of the trades that are still known; a day without any has a last price all the same. */
export function tickerOf(symbol: string, history: History, closeTime: number): Ticker {
  const openTime = closeTime - DAY;
  const { before, trades, volume, quoteVolume } = history.stretch(openTime, closeTime);
  const [first, last] = [trades[0] ?? before, trades.at(-1) ?? before];
  if (first === undefined || last === undefined) throw new Error(`${symbol} has no trade until ${closeTime}`);
  const change = last.price - first.price;
  let [high, low] = [first.price, first.price];
  for (const { price } of trades) {
    if (price > high) high = price;
    if (price < low) low = price;
  }
  return {
    symbol,
    priceChange: priceText(change),
    priceChangePercent: decimalText(quotient(BigInt(change) * 100_000n, BigInt(first.price)), 3, 3),
    weightedAvgPrice: decimalText(volume === 0n ? 0n : quotient(quoteVolume * 1_000_000n, volume), 8),
    prevClosePrice: priceText((before ?? first).price),
    lastPrice: priceText(last.price),
    lastQty: quantityText(last.quantity),
    bidPrice: priceText(last.price - (last.isBuyerMaker ? 0 : 1)),
    bidQty: quantityText(1000 + (last.id % 7) * 321),
    askPrice: priceText(last.price + (last.isBuyerMaker ? 1 : 0)),
    askQty: quantityText(1000 + (last.id % 11) * 123),
    openPrice: priceText(first.price),
    highPrice: priceText(high),
    lowPrice: priceText(low),
    volume: decimalText(volume, QUANTITY_DECIMALS),
    quoteVolume: decimalText(quoteVolume, QUOTE_DECIMALS),
    openTime,
    closeTime,
    firstId: trades.length === 0 ? -1 : first.id,
    lastId: trades.length === 0 ? -1 : last.id,
    count: trades.length,
  };
}

export const priceText = (price: number): string => decimalText(price, PRICE_DECIMALS);
export const quantityText = (quantity: number): string => decimalText(quantity, QUANTITY_DECIMALS);
/** Of one trade. */
export const quoteText = ({ price, quantity }: Trade): string =>
  decimalText(BigInt(price) * BigInt(quantity), QUOTE_DECIMALS);
