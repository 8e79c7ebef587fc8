import { decimalText, quotient } from "./decimal-text";
import { History } from "./history";
import { type Trade } from "./market";
import { closeTimeAt, quoteText, tickerOf } from "./ticker";

const DAY = 24 * 3_600_000;

test("decimals as the exchange writes them", () => {
  expect(decimalText(9_341_251, 2)).toBe("93412.51000000");
  expect(decimalText(5n, 5)).toBe("0.00005000");
  expect(decimalText(-1, 2)).toBe("-0.01000000");
  expect(decimalText(0, 3, 3)).toBe("0.000");
  expect(decimalText(12_345_678_901_234_567_890n, 7)).toBe("1234567890123.45678900");
  expect([quotient(1n, 2n), quotient(-1n, 2n), quotient(1n, 3n), quotient(-5n, 3n), quotient(0n, 7n)]).toEqual([
    1n,
    -1n,
    0n,
    -2n,
    0n,
  ]);
});

test("the statistics stand still between two moments", () => {
  expect(closeTimeAt(10_000, 10_000, 1000)).toBe(10_000);
  expect(closeTimeAt(10_999, 10_000, 1000)).toBe(10_000);
  expect(closeTimeAt(11_000, 10_000, 1000)).toBe(11_000);
  expect(closeTimeAt(11_400, 10_250, 500)).toBe(11_250);
});

test("of the trades of 24 hours, each field", () => {
  const history = new History(100);
  const add = (id: number, price: number, quantity: number, time: number, isBuyerMaker = false) =>
    history.add({ symbol: "BTCUSDT", id, price, quantity, time, eventTime: time + 5, isBuyerMaker });
  add(1, 9_000_000, 100_000, 1000);
  add(2, 10_000_000, 100_000, 2000);
  add(3, 10_050_000, 300_000, 3000, true);
  add(4, 9_950_025, 1, 4000, true);
  add(5, 99_999_999, 1, 5000);
  // The first trade is a day old, the last is not told of yet.
  expect(tickerOf("BTCUSDT", history, DAY + 1000)).toMatchObject({ firstId: 2, lastId: 5 });
  const closeTime = 4005;
  expect(tickerOf("BTCUSDT", history, closeTime)).toEqual({
    symbol: "BTCUSDT",
    priceChange: "9500.25000000",
    priceChangePercent: "10.556",
    weightedAvgPrice: "98300.00240050",
    prevClosePrice: "90000.00000000",
    lastPrice: "99500.25000000",
    lastQty: "0.00001000",
    bidPrice: "99500.25000000",
    bidQty: "0.02284000",
    askPrice: "99500.26000000",
    askQty: "0.01492000",
    openPrice: "90000.00000000",
    highPrice: "100500.00000000",
    lowPrice: "90000.00000000",
    volume: "5.00001000",
    quoteVolume: "491500.99500250",
    openTime: closeTime - DAY,
    closeTime,
    firstId: 1,
    lastId: 4,
    count: 4,
  });
  expect(tickerOf("BTCUSDT", history, DAY + 4500)).toMatchObject({
    openPrice: "999999.99000000",
    prevClosePrice: "99500.25000000",
    count: 1,
  });
  // A day without a trade still has its last price.
  expect(tickerOf("BTCUSDT", history, DAY + 9000)).toMatchObject({
    lastPrice: "999999.99000000",
    volume: "0.00000000",
    weightedAvgPrice: "0.00000000",
    priceChange: "0.00000000",
    count: 0,
    firstId: -1,
  });
  expect(() => tickerOf("BTCUSDT", new History(1), 0)).toThrow("has no trade");
});

test("what a trade is worth", () => {
  expect(quoteText({ price: 9_341_251, quantity: 400 } as Trade)).toBe("373.65004000");
});
