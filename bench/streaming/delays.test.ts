import { Delays, Waiting, WindowEnds } from "./delays";

test("percentiles", () => {
  const delays = new Delays();
  expect(delays.percentile(50)).toBeNaN();
  for (let delay = 1; delay <= 1000; delay += 1) delays.add(delay);
  expect([50, 95, 99, 100].map((percent) => delays.percentile(percent))).toEqual([500, 950, 990, 1000]);
  delays.add(1e9);
  expect(delays.percentile(100)).toBe(300_000);
});

describe("Waiting", () => {
  test("the n-th trade is seen when a row counts n", () => {
    const waiting = new Waiting(0);
    for (const time of [100, 110, 120]) waiting.made("A", 0, time);
    waiting.made("B", 0, 130);
    waiting.seen("A", 0, 2, 200);
    expect(waiting.waiting).toBe(2);
    expect(waiting.trades.count).toBe(2);
    expect([waiting.trades.percentile(50), waiting.trades.percentile(100)]).toEqual([90, 100]);
    // Of each look, the newest only.
    expect([waiting.rows.count, waiting.rows.percentile(100)]).toEqual([1, 90]);
    waiting.seen("A", 0, 2, 300);
    waiting.seen("A", 0, 3, 300);
    waiting.seen("B", 0, 1, 300);
    expect([waiting.waiting, waiting.trades.count, waiting.trades.percentile(100)]).toEqual([0, 4, 180]);
    expect([...waiting.problems]).toEqual([]);
  });

  test("what was made before the start is waited for, but not measured", () => {
    const waiting = new Waiting(1000);
    waiting.made("A", 0, 999);
    waiting.made("A", 0, 1000);
    waiting.seen("A", 0, 2, 1500);
    expect([waiting.waiting, waiting.trades.count, waiting.trades.percentile(100)]).toEqual([0, 1, 500]);
  });

  test("the oldest window that waits", () => {
    const waiting = new Waiting(0);
    expect(waiting.oldest()).toBeNull();
    waiting.made("A", 120_000, 1);
    waiting.made("B", 60_000, 1);
    expect(waiting.oldest()).toBe(60_000);
    waiting.seen("B", 60_000, 1, 2);
    expect(waiting.oldest()).toBe(120_000);
  });

  test("a row that counts too much, goes back, or should not be is a problem", () => {
    const waiting = new Waiting(0);
    waiting.made("A", 0, 1);
    waiting.seen("A", 0, 2, 5);
    waiting.seen("B", 0, 1, 5);
    waiting.seen("A", 0, 1, 5);
    waiting.seen("A", 0, 0, 5);
    expect([...waiting.problems]).toEqual([
      "A 0: a row counts 2 trades; 1 were made, 0 seen before",
      "B 0: a row counts 1 trades; 0 were made, 0 seen before",
      "A 0: a row counts 0 trades; 1 were made, 1 seen before",
    ]);
  });
});

test("a window's row is whole when it has all trades, and that counts from the window's end", () => {
  const ends = new WindowEnds(1000, 100);
  ends.made("A", 950);
  for (const time of [1000, 1099, 1100]) ends.made("A", time);
  ends.made("B", 1099);
  expect(ends.oldest()).toBe(1000);
  ends.seen("A", 900, 1, 1200);
  // Before its end, and without all of them.
  ends.seen("A", 1000, 2, 1099);
  ends.seen("B", 1000, 0, 1101);
  expect([ends.delays.count, ends.waiting(1101), ends.oldest()]).toEqual([0, 2, 1000]);
  ends.seen("A", 1000, 2, 1150);
  ends.seen("B", 1000, 1, 1300);
  expect([ends.delays.count, ends.delays.percentile(50), ends.delays.percentile(100)]).toEqual([2, 50, 200]);
  ends.seen("A", 1100, 2, 1101);
  expect([...ends.problems]).toEqual(["A 1100: 2 trades counted, 1 made"]);
});
