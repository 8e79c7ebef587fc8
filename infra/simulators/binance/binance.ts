// A stand-in for the exchange on this machine: its WebSocket streams and as much of its REST interface as concerns trades and
// tickers, with made-up trades that a ledger knows.
import { z } from "zod";
import { duration, positiveDuration } from "../../../schema/duration";
import { UsageError } from "../../../schema/errors";
import { BinanceFaults, Faults } from "../faults";
import { Ledger, type TradeEntry } from "../ledger";
import { SimulatorServer, type Service } from "../simulator-server";
import { Feed } from "./feed";
import { Market, type Trade } from "./market";
import { MarketClock } from "./market-clock";
import { answerRest, type Exchange } from "./rest";
import { Sockets } from "./sockets";
import { closeTimeAt, priceText, quantityText, tickerOf, type Ticker } from "./ticker";
import { WEIGHT_LIMIT, Weights } from "./weights";

const DAY = 24 * 3_600_000;
/** Timers take no more. */
const LONGEST = 24 * DAY;

export const BinanceOptions = z.object({
  port: z.int().min(0).max(65_535).default(0).describe("where it listens, on 127.0.0.1 only; 0 is any that is free"),
  seed: z.int().nonnegative().default(1).describe("the same seed makes the same trades and the same faults"),
  symbols: z
    .string()
    .regex(/^[A-Z0-9]{2,20}(,[A-Z0-9]{2,20})*$/, { message: "write symbols as BTCUSDT,ETHUSDT" })
    .default("BTCUSDT,ETHUSDT")
    .describe("what is traded"),
  rate: z.number().positive().max(100_000).default(5).describe("trades per second and symbol, in the market's time"),
  start: z.iso
    .datetime()
    .optional()
    .describe("when the market's time begins, such as 2026-01-05T23:58:00Z; else now")
    .meta({ value: "time" }),
  speed: z
    .number()
    .positive()
    .max(100_000)
    .default(1)
    .describe("how many seconds of the market's time pass in a second"),
  tradingFor: duration()
    .optional()
    .describe("trading and the market's time stop after so much of it; what was traded is still served"),
  tickerEvery: positiveDuration()
    .default(1000)
    .describe("how often the ticker and its closeTime change, in the market's time"),
  pingInterval: positiveDuration().default(20_000).describe("how often a connection is pinged"),
  pongTimeout: positiveDuration()
    .default(60_000)
    .describe("how long a ping waits for its pong; then the connection ends"),
  connectionLifetime: positiveDuration().default(DAY).describe("when a connection is ended, whatever it does"),
  weightLimit: z
    .int()
    .positive()
    .default(WEIGHT_LIMIT)
    .describe("how much weight of requests an address has each minute; beyond it comes 429"),
  history: z.int().positive().default(200_000).describe("how many trades of a symbol REST still knows"),
  ledger: z
    .string()
    .min(1)
    .optional()
    .describe("writes everything that happened there; goes on with one that is there")
    .meta({ value: "FILE" }),
  ledgerEntries: z.int().positive().default(200_000).describe("how many entries of the ledger are kept in memory"),
});
export type BinanceOptions = z.infer<typeof BinanceOptions>;

export interface BinanceSimulator {
  readonly url: string;
  readonly wsUrl: string;
  readonly ledger: Ledger;
  readonly faults: Faults<typeof BinanceFaults>;
  /** Stops and goes on with trading and the market's time. When it has stopped, all that is to be sent was sent. */
  trade(on: boolean): void;
  /** Breaks all WebSocket connections now, without a goodbye; says how many. */
  disconnect(): number;
  /** Breaks all connections, and nobody listens for so many milliseconds. */
  outage(milliseconds: number): Promise<void>;
  /** Fulfilled when it was closed; rejected when it cannot go on. */
  readonly ended: Promise<void>;
  /** Says goodbye to whoever is connected and comes back when nothing is open any more. */
  close(): Promise<void>;
}

/** Trades are made at most so many at once, so that requests and pings are not held up. */
const MOST_AT_ONCE = 2000;
/** How long it sleeps at most, in the machine's milliseconds. */
const LONGEST_NAP = 1000;

export async function startBinance(
  options: z.input<typeof BinanceOptions> & { readonly faults?: Partial<z.input<typeof BinanceFaults>> } = {},
): Promise<BinanceSimulator> {
  const { faults: firstFaults, ...given } = options;
  const settings = BinanceOptions.parse(given);
  for (const name of ["pingInterval", "pongTimeout", "connectionLifetime"] as const)
    if (settings[name] > LONGEST) throw new UsageError(`${name} must be at most 24d`);
  const faults = new Faults(BinanceFaults, firstFaults);
  const symbols = [...new Set(settings.symbols.split(","))];
  const ledger = new Ledger({
    file: settings.ledger,
    settings: {
      simulator: "binance",
      seed: settings.seed,
      symbols: symbols.join(","),
      rate: settings.rate,
      start: new Date(settings.start ?? Date.now()).toISOString(),
    },
    said: ["simulator", "seed", "symbols", "rate", ...(settings.start === undefined ? [] : ["start"])],
    remember: settings.ledgerEntries,
  });
  try {
    const start = Date.parse(String(ledger.settings["start"]));
    const simulation = new Simulation({ ...settings, symbols, start }, faults, ledger);
    await simulation.begin();
    return simulation;
  } catch (error) {
    ledger.close();
    throw error;
  }
}

class Simulation implements BinanceSimulator {
  readonly #settings: Omit<BinanceOptions, "symbols" | "start"> & { readonly start: number };
  readonly #market: Market;
  readonly #clock: MarketClock;
  readonly #feed: Feed;
  readonly #sockets: Sockets;
  readonly #server: SimulatorServer;
  /** The ticker that was asked for last, by symbol. */
  readonly #tickers = new Map<string, Ticker>();
  /** The closeTime that the ledger has, by symbol. */
  readonly #recorded = new Map<string, number>();
  #nap: NodeJS.Timeout | undefined;
  #closing: Promise<void> | undefined;

  constructor(
    settings: Omit<BinanceOptions, "symbols" | "start"> & {
      readonly symbols: readonly string[];
      readonly start: number;
    },
    readonly faults: Faults<typeof BinanceFaults>,
    readonly ledger: Ledger,
  ) {
    this.#settings = settings;
    const { seed, start, speed, tradingFor } = settings;
    this.#market = new Market({ ...settings, remember: settings.history });
    this.#feed = new Feed(seed, faults);
    this.#tradeAgain();
    this.#sockets = new Sockets({ ...settings, faults, ledger });
    const weights = new Weights(settings.weightLimit);
    const exchange: Exchange = {
      market: this.#market,
      weightLimit: settings.weightLimit,
      ticker: (symbol) => this.#ticker(symbol),
      recordTicker: (ticker) => this.#recordTicker(ticker),
    };
    const service: Service = {
      answer: (asked) => {
        this.#makeTrades();
        return answerRest(exchange, asked);
      },
      problem,
      weigh: (asked) => weights.weigh(asked, Date.now()),
      upgrade: (request, socket, head) => this.#sockets.upgrade(request, socket, head),
      controls: {
        disconnect: () => ({ disconnected: this.disconnect() }),
        trading: (body) => {
          const { on } = body as { on?: unknown };
          if (typeof on !== "boolean") throw new UsageError('Trading goes on or not: {"on": false}');
          this.trade(on);
          return { on };
        },
      },
    };
    this.#server = new SimulatorServer({ service, faults, ledger, seed, port: settings.port });
    this.#clock = new MarketClock({
      start: this.#market.time,
      speed,
      end: tradingFor === undefined ? Number.POSITIVE_INFINITY : start + tradingFor,
    });
  }

  async begin(): Promise<void> {
    await this.#server.start();
    this.#server.ended.catch(() => this.close());
    this.#goOn();
  }

  get url(): string {
    return `http://127.0.0.1:${this.#server.port}`;
  }

  get wsUrl(): string {
    return `ws://127.0.0.1:${this.#server.port}`;
  }

  get ended(): Promise<void> {
    return this.#server.ended;
  }

  trade(on: boolean): void {
    if (on) this.#clock.goOn();
    else this.#clock.stop();
    while (!on && !this.#makeTrades());
    this.#goOn();
  }

  disconnect(): number {
    return this.#sockets.cut();
  }

  outage(milliseconds: number): Promise<void> {
    return this.#server.outage(milliseconds);
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    clearTimeout(this.#nap);
    await this.#sockets.close(this.#market.time);
    await this.#server.close();
    this.ledger.close();
  }

  /** Makes and sends what is due, and sleeps until more is. */
  #goOn(): void {
    clearTimeout(this.#nap);
    if (this.#closing !== undefined) return;
    try {
      // Asked first: time may come to its end while trades are made, and then there are some more to make.
      const stands = this.#clock.stands;
      const isDone = this.#makeTrades();
      // When time stands still, what is held back for the disorder's sake would wait for ever.
      const due = stands && isDone ? Number.POSITIVE_INFINITY : this.#market.time;
      for (const frame of this.#feed.take(due)) this.#sockets.publish(frame);
      if (!isDone) this.#nap = setTimeout(() => this.#goOn(), 0);
      else if (!stands) {
        const wait = this.#clock.until(Math.min(this.#market.next, this.#feed.next, this.#clock.end));
        this.#nap = setTimeout(() => this.#goOn(), Math.min(Math.max(1, Math.ceil(wait)), LONGEST_NAP));
      }
    } catch (error) {
      this.#server.fail(error);
    }
  }

  /** Makes the trades that are due, and writes them down before anybody hears of them. Whether those were all. */
  #makeTrades(): boolean {
    const now = this.#clock.now;
    const made = this.#market.make(now, MOST_AT_ONCE);
    this.ledger.record(...made.map((trade) => this.#entryOf(trade)));
    for (const trade of made) if (!this.#feed.leavesOut(trade)) this.#feed.add(trade);
    return made.length < MOST_AT_ONCE;
  }

  /** Brings the market to where a ledger that was there already ends. */
  #tradeAgain(): void {
    for (const symbol of this.#market.symbols) {
      const closeTime = this.ledger.last("ticker", symbol)?.closeTime;
      if (closeTime !== undefined) this.#recorded.set(symbol, closeTime);
      const before = this.ledger.last("trade", symbol);
      if (before === undefined) continue;
      const trade = this.#market.makeAgain(symbol, before.id);
      const again = trade === null ? null : { ...this.#entryOf(trade), isGap: before.isGap };
      if (JSON.stringify(again) !== JSON.stringify(before))
        throw new UsageError(
          `The ledger has another trade ${before.id} of ${symbol} than this version makes: give the name of another file`,
        );
    }
  }

  #entryOf(trade: Trade): TradeEntry {
    return {
      kind: "trade",
      symbol: trade.symbol,
      id: trade.id,
      price: priceText(trade.price),
      quantity: quantityText(trade.quantity),
      time: trade.time,
      eventTime: trade.eventTime,
      isBuyerMaker: trade.isBuyerMaker,
      isGap: this.#feed.leavesOut(trade),
    };
  }

  #ticker(symbol: string): Ticker {
    const closeTime = closeTimeAt(this.#market.time, this.#settings.start, this.#settings.tickerEvery);
    const before = this.#tickers.get(symbol);
    if (before?.closeTime === closeTime) return before;
    const history = this.#market.history(symbol);
    if (history === undefined) throw new Error(`${symbol} is not traded`);
    const ticker = tickerOf(symbol, history, closeTime);
    this.#tickers.set(symbol, ticker);
    return ticker;
  }

  #recordTicker(ticker: Ticker): void {
    if (this.#recorded.get(ticker.symbol) === ticker.closeTime) return;
    this.#recorded.set(ticker.symbol, ticker.closeTime);
    this.ledger.record({ kind: "ticker", ...ticker });
  }
}

/** What the exchange says with a status, in words of our own where its are not documented. */
function problem(status: number, waitSeconds: number): unknown {
  switch (status) {
    case 403:
      return { code: -1000, msg: "Forbidden." };
    case 418:
      return {
        code: -1003,
        msg: `Way too much request weight used; IP banned until ${Date.now() + waitSeconds * 1000}.`,
      };
    case 429:
      return { code: -1003, msg: "Too much request weight used; please use WebSocket streams for live updates." };
    case 451:
      return { code: 0, msg: "Service unavailable from a restricted location." };
    case 405:
      return { code: -1020, msg: "This operation is not supported." };
    default:
      return { code: -1001, msg: "Internal error; unable to process your request. Please try again." };
  }
}
