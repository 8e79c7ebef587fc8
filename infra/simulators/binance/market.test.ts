import { Market, type MarketSettings, type Trade } from "./market";

const START = Date.UTC(2026, 0, 5, 9, 30);
const settings: MarketSettings = {
  seed: 7,
  symbols: ["BTCUSDT", "ETHUSDT"],
  rate: 5,
  start: START,
  remember: 100_000,
};
const WHILE = 600_000;

function traded(more: Partial<MarketSettings> = {}, length = WHILE): Trade[] {
  const { start } = { ...settings, ...more };
  return new Market({ ...settings, ...more }).make(start + length, Number.POSITIVE_INFINITY);
}
const of = (symbol: string, trades: readonly Trade[]): Trade[] => trades.filter((trade) => trade.symbol === symbol);

test("the same seed makes the same trades, another seed others", () => {
  expect(traded()).toEqual(traded());
  expect(traded({ seed: 8 }, 60_000)).not.toEqual(traded({}, 60_000));
});

test("the start only moves the times", () => {
  const later = traded({ start: START + 12_345 }).map((trade) => ({
    ...trade,
    time: trade.time - 12_345,
    eventTime: trade.eventTime - 12_345,
  }));
  expect(later).toEqual(traded());
});

test("one more symbol changes nothing for the others", () => {
  expect(of("BTCUSDT", traded({ symbols: ["SOLUSDT", "BTCUSDT"] }))).toEqual(of("BTCUSDT", traded()));
});

test("it does not matter in how many steps they are made", () => {
  const market = new Market(settings);
  const trades: Trade[] = [];
  const wrongTimes: number[] = [];
  for (let until = START; until <= START + WHILE; until += 777) {
    for (;;) {
      const made = market.make(until, 3);
      trades.push(...made);
      const isAll = made.length < 3;
      if (market.time !== (isAll ? until : made.at(-1)?.eventTime)) wrongTimes.push(market.time);
      if (isAll) break;
    }
  }
  expect(wrongTimes).toEqual([]);
  expect(trades).toEqual(traded().slice(0, trades.length));
  expect(trades.length).toBeGreaterThan(5000);
});

test.each(settings.symbols)(
  "%s: ids in a row, times that never go back, some of them shared, at the rate",
  (symbol) => {
    const trades = of(symbol, traded());
    trades.forEach((trade, at) => {
      const before = trades[at - 1];
      expect(trade.eventTime - trade.time).toBeGreaterThanOrEqual(0);
      if (before === undefined) return;
      expect(trade.id).toBe(before.id + 1);
      expect(trade.time).toBeGreaterThanOrEqual(before.time);
      expect(trade.eventTime).toBeGreaterThanOrEqual(before.eventTime);
      expect(Math.abs(trade.price / before.price - 1)).toBeLessThan(0.001);
    });
    const shared = trades.filter((trade, at) => trade.time === trades[at - 1]?.time).length;
    expect(shared / trades.length).toBeGreaterThan(0.1);
    expect(trades.length / 600 / settings.rate).toBeCloseTo(1, 1);
    expect(trades[0]?.time).toBe(START);
    expect(new Set(trades.map(({ price }) => price)).size).toBeGreaterThan(1000);
  },
);

test("of any symbol and rate", () => {
  for (const rate of [0.01, 3000]) {
    const trades = traded({ symbols: ["X1"], rate }, (100 / rate) * 1000);
    expect(trades.length).toBeGreaterThan(50);
    expect(trades.length).toBeLessThan(200);
    expect(Number.isSafeInteger(trades[0]?.id)).toBe(true);
  }
});

test("trades that were made before are made again, up to one", () => {
  const all = of("ETHUSDT", traded());
  const market = new Market(settings);
  const last = all[500] as Trade;
  expect(market.makeAgain("ETHUSDT", last.id)).toEqual(last);
  expect(market.history("ETHUSDT")?.latest(1000)).toEqual(all.slice(0, 501));
  expect(of("ETHUSDT", market.make(START + WHILE, Number.POSITIVE_INFINITY))).toEqual(all.slice(501));
  expect(market.makeAgain("ETHUSDT", last.id)).toBeNull();
  expect(market.makeAgain("SOLUSDT", 1)).toBeNull();
});
