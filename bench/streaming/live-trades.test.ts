import { liveTrades, type LiveTrade } from "./live-trades";

const NOW = 1_800_000_000_000;

function take(count: number): LiveTrade[] {
  const next = liveTrades(7);
  return Array.from({ length: count }, (_, index) => next(NOW + index));
}

test("good trades are made now, repeats are the very same again", () => {
  const trades = take(20_000);
  const firsts = new Map<string, string>();
  const wrong: string[] = [];
  let repeats = 0;
  for (const [index, { line, symbol, time, isRepeat }] of trades.entries()) {
    if (symbol === null) continue;
    const { s, t, T, E } = JSON.parse(line) as { s: string; t: number; T: number; E: number };
    const key = `${s} ${t}`;
    const first = firsts.get(key);
    const isRight = isRepeat ? line === first : first === undefined && time === NOW + index;
    if (s !== symbol || T !== time || E !== time || !isRight) wrong.push(line);
    firsts.set(key, line);
    if (isRepeat) repeats += 1;
  }
  expect(wrong).toEqual([]);
  expect(repeats / trades.length).toBeGreaterThan(0.008);
  expect(repeats / trades.length).toBeLessThan(0.012);
});

test("bad records stay bad", () => {
  const bad = take(20_000).filter(({ symbol }) => symbol === null);
  expect(bad.length / 20_000).toBeGreaterThan(0.004);
  expect(bad.length / 20_000).toBeLessThan(0.006);
  expect(bad.some(({ line }) => line.includes('"p":"-'))).toBe(true);
  expect(bad.some(({ line }) => /"T":\d{14,}/.test(line))).toBe(true);
});
