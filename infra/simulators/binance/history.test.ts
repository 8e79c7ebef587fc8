import { History } from "./history";
import { type Trade } from "./market";

const trade = (id: number, time: number): Trade => ({
  symbol: "X",
  id,
  price: 100 + id,
  quantity: 7 * id,
  time,
  eventTime: time + 10,
  isBuyerMaker: false,
});
const ids = (trades: readonly Trade[]): number[] => trades.map(({ id }) => id);

test("by id, and the latest", () => {
  const history = new History(1000);
  for (let id = 50; id < 60; id += 1) history.add(trade(id, id));
  expect(ids(history.from(53, 3))).toEqual([53, 54, 55]);
  expect(ids(history.from(58, 10))).toEqual([58, 59]);
  expect(ids(history.from(60, 10))).toEqual([]);
  expect(ids(history.from(0, 2))).toEqual([50, 51]);
  expect(ids(history.latest(2))).toEqual([58, 59]);
  expect(ids(history.latest(100))).toHaveLength(10);
});

test("it forgets the oldest, and what they added up to", () => {
  const history = new History(10);
  for (let id = 0; id < 1000; id += 1) history.add(trade(id, id));
  const kept = history.latest(1000);
  expect(kept.length).toBeGreaterThanOrEqual(10);
  expect(kept.length).toBeLessThan(20);
  expect(ids(history.from(0, 1))).toEqual([kept[0]?.id]);
  expect(history.stretch(-1, 2000).volume).toBe(BigInt(kept.reduce((sum, { quantity }) => sum + quantity, 0)));
});

test("a stretch of time, its sums and the trade before it", () => {
  const history = new History(1000);
  // Two at a time.
  for (let id = 1; id <= 20; id += 1) history.add(trade(id, 100 * Math.ceil(id / 2)));
  const all = history.latest(100);
  for (const after of [0, 99, 100, 101, 450, 999, 1000, 5000]) {
    for (const until of [0, 109, 110, 500, 1009, 1010, 5000]) {
      const trades = all.filter(({ time, eventTime }) => time > after && eventTime <= until);
      const stretch = history.stretch(after, until);
      expect(ids(stretch.trades)).toEqual(ids(trades));
      expect(stretch.volume).toBe(BigInt(trades.reduce((sum, { quantity }) => sum + quantity, 0)));
      expect(stretch.quoteVolume).toBe(BigInt(trades.reduce((sum, { price, quantity }) => sum + price * quantity, 0)));
      const before = all.filter(({ time, eventTime }) => time <= after && eventTime <= until).at(-1);
      expect(stretch.before).toEqual(before);
    }
  }
  expect(new History(10).stretch(0, 10)).toEqual({ before: undefined, trades: [], volume: 0n, quoteVolume: 0n });
});
