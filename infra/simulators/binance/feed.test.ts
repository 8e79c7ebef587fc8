import { RawTrade } from "../../../pipelines/trades/schemas";
import { BinanceFaults } from "../faults";
import { eventOf, Feed, type Frame } from "./feed";
import { Market, type Trade } from "./market";

const START = Date.UTC(2026, 0, 5, 9, 30);
const trades = new Market({ seed: 1, symbols: ["BTCUSDT", "ETHUSDT"], rate: 5, start: START, remember: 10_000 }).make(
  START + 200_000,
  Number.POSITIVE_INFINITY,
);

function feedWith(faults: Partial<BinanceFaults>, seed = 1): Feed {
  return new Feed(seed, { now: BinanceFaults.parse(faults) });
}

/** All frames of all trades, as if each was sent when it is due. */
function framesOf(feed: Feed): Frame[] {
  const frames: Frame[] = [];
  for (const trade of trades) {
    frames.push(...feed.take(trade.eventTime - 1));
    if (!feed.leavesOut(trade)) feed.add(trade);
  }
  return [...frames, ...feed.take(Number.POSITIVE_INFINITY)];
}

const idOf = (frame: Frame): string => frame.about;
const nameOf = ({ symbol, id }: Trade): string => `${symbol} ${id}`;
const names = trades.map(nameOf);

test("without faults: every trade once, in order, raw and wrapped", () => {
  const frames = framesOf(feedWith({}));
  expect(frames.map(idOf)).toEqual(names);
  const [first] = frames as [Frame];
  const event = eventOf(trades[0] as Trade);
  expect(RawTrade.safeParse(event).success).toBe(true);
  expect(Object.keys(event)).toEqual(["e", "E", "s", "t", "p", "q", "T", "m", "M"]);
  expect(first.stream).toBe("btcusdt@trade");
  expect(first.raw).toBe(JSON.stringify(event));
  expect(first.wrapped).toBe(JSON.stringify({ stream: "btcusdt@trade", data: event }));
});

test("duplicates: the very same frame again, in the share that was said", () => {
  const frames = framesOf(feedWith({ duplicates: 0.2 }));
  const duplicates = frames.filter(({ fault }) => fault === "duplicate");
  expect(duplicates.length / trades.length).toBeCloseTo(0.2, 1);
  expect(frames.filter(({ fault }) => fault === null).map(idOf)).toEqual(names);
  const originals = new Map(frames.filter(({ fault }) => fault === null).map((frame) => [idOf(frame), frame.raw]));
  expect(duplicates.filter((duplicate) => duplicate.raw !== originals.get(idOf(duplicate)))).toEqual([]);
});

test("disorder: no trade is overtaken by one that is later by more than the bound", () => {
  const bound = 2000;
  const frames = framesOf(feedWith({ disorder: bound, duplicates: 0.3 }));
  expect(new Set(frames.map(idOf))).toEqual(new Set(names));
  let newest = 0;
  let most = 0;
  for (const frame of frames) {
    const { E } = JSON.parse(String(frame.raw)) as { E: number };
    most = Math.max(most, newest - E);
    newest = Math.max(newest, E);
  }
  expect(most).toBeLessThanOrEqual(bound);
  expect(most).toBeGreaterThan(bound / 2);
});

test("gaps: some trades are left out, in rows of the length that was said", () => {
  const frames = framesOf(feedWith({ gaps: 0.1, gapLength: 7 }));
  const sent = new Set(frames.map(idOf));
  const left = trades.filter((trade) => trade.symbol === "BTCUSDT" && !sent.has(nameOf(trade)));
  expect(left.length / trades.length).toBeGreaterThan(0.02);
  const pieces = new Set(left.map(({ id }) => Math.floor(id / 7)));
  const wrong = trades.filter(
    (trade) => trade.symbol === "BTCUSDT" && sent.has(nameOf(trade)) === pieces.has(Math.floor(trade.id / 7)),
  );
  expect(wrong).toEqual([]);
});

test("garbage: of every kind, beside the trade, and nobody can take it for one", () => {
  const frames = framesOf(feedWith({ garbage: 0.3 }));
  expect(frames.filter(({ fault }) => fault === null).map(idOf)).toEqual(names);
  const garbage = frames.filter(({ fault }) => fault === "garbage");
  expect(garbage.length / trades.length).toBeCloseTo(0.3, 1);
  expect(new Set(garbage.map(({ about }) => about.split(": ")[1]))).toEqual(
    new Set(["not JSON", "wrong types", "binary", "truncated"]),
  );
  const parsed = (bytes: string | Buffer): unknown => {
    try {
      return JSON.parse(bytes.toString()) as unknown;
    } catch {
      return undefined;
    }
  };
  const taken = garbage.filter(
    ({ raw, wrapped }) =>
      RawTrade.safeParse(parsed(raw)).success ||
      RawTrade.safeParse((parsed(wrapped) as { data?: unknown } | null | undefined)?.data).success,
  );
  expect(taken).toEqual([]);
});

test("faults are the same for the same seed, and no fault changes another", () => {
  const all = { garbage: 0.1, duplicates: 0.1, gaps: 0.1, disorder: 500 };
  expect(framesOf(feedWith(all))).toEqual(framesOf(feedWith(all)));
  expect(framesOf(feedWith(all, 2)).map(idOf)).not.toEqual(framesOf(feedWith(all)).map(idOf));
  const duplicated = (faults: Partial<BinanceFaults>) =>
    new Set(framesOf(feedWith(faults)).flatMap((frame) => (frame.fault === "duplicate" ? [idOf(frame)] : [])));
  expect(duplicated({ ...all, gaps: 0 })).toEqual(duplicated({ duplicates: 0.1 }));
});
