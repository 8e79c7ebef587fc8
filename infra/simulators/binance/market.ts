// The market: trades of each symbol one after the other, their prices a random walk, the same for the same seed. Times
// are the start's plus what the seed says, so that only the start makes a difference between two runs.
import { Chance, draw } from "../seeded";
import { History } from "./history";

export interface Trade {
  readonly symbol: string;
  /** One after the other within a symbol, none left out. */
  readonly id: number;
  /** In hundredths. */
  readonly price: number;
  /** In hundred thousandths. */
  readonly quantity: number;
  /** When it was made, in milliseconds; several fills of one order share it. */
  readonly time: number;
  /** When the exchange tells of it, never before an earlier one's. */
  readonly eventTime: number;
  readonly isBuyerMaker: boolean;
}

export const PRICE_DECIMALS = 2;
export const QUANTITY_DECIMALS = 5;

export interface MarketSettings {
  readonly seed: number;
  readonly symbols: readonly string[];
  /** Trades per second of the market's time and symbol, on average. */
  readonly rate: number;
  readonly start: number;
  /** How many trades of a symbol its history keeps. */
  readonly remember: number;
}

export class Market {
  /** All trades up to this time are made. */
  time: number;
  readonly #makers: readonly TradeMaker[];
  readonly #histories: ReadonlyMap<string, History>;

  constructor({ seed, symbols, rate, start, remember }: MarketSettings) {
    this.time = start;
    this.#makers = symbols.map((symbol) => new TradeMaker(seed, symbol, rate, start));
    this.#histories = new Map(symbols.map((symbol) => [symbol, new History(remember)]));
  }

  get symbols(): string[] {
    return [...this.#histories.keys()];
  }

  history(symbol: string): History | undefined {
    return this.#histories.get(symbol);
  }

  /** When there will be another trade to tell of. */
  get next(): number {
    return Math.min(...this.#makers.map(({ next }) => next.eventTime));
  }

  /** Makes the trades that are told of until then, oldest first, at most so many; `time` says how far it came. */
  make(until: number, most: number): Trade[] {
    const made: Trade[] = [];
    while (made.length < most) {
      const maker = this.#makers.reduce((a, b) => (b.next.eventTime < a.next.eventTime ? b : a));
      if (maker.next.eventTime > until) {
        this.time = Math.max(this.time, until);
        return made;
      }
      made.push(this.#take(maker));
    }
    return made;
  }

  /** Makes a symbol's trades again up to this one, which a run before made; null when it has no such trade. */
  makeAgain(symbol: string, id: number): Trade | null {
    const maker = this.#makers.find(({ next }) => next.symbol === symbol);
    if (maker === undefined || maker.next.id > id) return null;
    for (;;) {
      const trade = this.#take(maker);
      if (trade.id === id) return trade;
    }
  }

  #take(maker: TradeMaker): Trade {
    const trade = maker.take();
    this.#histories.get(trade.symbol)?.add(trade);
    this.time = Math.max(this.time, trade.eventTime);
    return trade;
  }
}

/** Where the walk of a symbol begins; others get a price from their name. */
const FIRST: Readonly<Record<string, { readonly id: number; readonly price: number }>> = {
  BTCUSDT: { id: 5_600_000_001, price: 93_412.51 },
  ETHUSDT: { id: 2_300_000_001, price: 3_214.77 },
};

/** So much of the trades are further fills of the order before. */
const FILLS = 0.15;
/** The exchange tells of a trade so many milliseconds after it was made at most. */
const SLOWEST = 20;

class TradeMaker {
  next: Trade;
  readonly #chance: Chance;
  readonly #start: number;
  /** Mean milliseconds between two orders. */
  readonly #pause: number;
  /** Milliseconds since the start, with their fraction: rounding each pause would slow a fast market down. */
  #offset = 0;
  #price: number;

  constructor(seed: number, symbol: string, rate: number, start: number) {
    const { id, price } = FIRST[symbol] ?? {
      id: 1 + Math.floor(draw("first id", symbol) * 1_000_000_000),
      price: 1 + draw("first price", symbol) * 999,
    };
    this.#chance = new Chance(seed, "trades", symbol);
    this.#start = start;
    this.#pause = 1000 / rate / (1 - FILLS);
    this.#price = price;
    // One at the start itself, so that there is always a last price.
    this.next = { ...this.#order(), symbol, id, time: start, eventTime: start };
  }

  take(): Trade {
    const trade = this.next;
    const isFill = this.#chance.next() < FILLS;
    if (!isFill) this.#offset += this.#chance.next() * 2 * this.#pause;
    const time = this.#start + Math.floor(this.#offset);
    this.next = {
      ...this.#order(),
      ...(isFill ? { isBuyerMaker: trade.isBuyerMaker } : {}),
      symbol: trade.symbol,
      id: trade.id + 1,
      time,
      eventTime: Math.max(trade.eventTime, time + this.#chance.between(1, SLOWEST)),
    };
    return trade;
  }

  #order(): Pick<Trade, "price" | "quantity" | "isBuyerMaker"> {
    this.#price *= 1 + (this.#chance.next() - 0.5) / 2000;
    const size = this.#chance.next();
    return {
      price: Math.max(1, Math.round(this.#price * 10 ** PRICE_DECIMALS)),
      // Most are small.
      quantity: 50 + Math.floor(size * size * size * size * 200_000),
      isBuyerMaker: this.#chance.next() < 0.5,
    };
  }
}
