import { records } from "../../beam/testing";
import { type SourceRecord } from "../../schema/record";
import { type RawTrade } from "./schemas";
import { toTrade } from "./steps";

const BATCH = Date.UTC(2026, 0, 2);
const DAY = 86_400_000;

const run = (T: number) => {
  const raw: RawTrade = { e: "trade", E: T + 5, s: "BTCUSDT", t: 7, p: "1.50", q: "0.1", T, m: true };
  return toTrade(raw, { batchTime: BATCH, record: records([""])[0] as SourceRecord });
};

describe("toTrade", () => {
  it.each([
    ["the earliest time that can be", Date.UTC(2010, 0, 1)],
    ["the batch's own time", BATCH],
    ["a clock that is a day ahead", BATCH + DAY],
  ])("takes %s", (_name, time) => {
    expect(run(time)).toEqual({
      kind: "ok",
      value: { symbol: "BTCUSDT", id: 7, time, price: "1.50", quantity: "0.1" },
    });
  });

  it.each([
    ["seconds", 1_767_225_600, "T is 1767225600, before 2010: seconds instead of milliseconds?"],
    ["just before 2010", Date.UTC(2010, 0, 1) - 1, "T is 1262303999999, before 2010"],
    ["nothing", 0, "before 2010"],
    ["a time before the epoch", -1, "before 2010"],
    ["microseconds", BATCH * 1000, "more than a day after this run began"],
    ["more than a day ahead", BATCH + DAY + 1, "more than a day after this run began"],
    ["the greatest time there is", Number.MAX_SAFE_INTEGER, "more than a day after this run began"],
  ])("refuses %s", (_name, time, error) => {
    expect(run(time)).toEqual({
      kind: "dead",
      reason: "absurd time",
      error: expect.stringContaining(error) as string,
    });
  });
});
