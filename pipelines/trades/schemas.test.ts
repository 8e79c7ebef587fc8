import { tableOf } from "../../schema/table";
import { Candle, RawTrade } from "./schemas";

const trade = { e: "trade", E: 1, s: "BTCUSDT", t: 0, p: "95000.03", q: "0.11355000", T: 3, m: false };

describe("a raw trade", () => {
  it.each([
    ["as it is", {}],
    ["with more fields", { M: true, X: "MARKET" }],
    ["with the finest quantity", { q: "0.00000001" }],
    ["with 30 digits before the point", { p: "123456789012345678901234567890.12345678" }],
    ["with a time before the epoch", { T: -1 }],
    ["with a long symbol", { s: "x".repeat(32) }],
  ])("is taken %s", (_name, more) => {
    expect(RawTrade.safeParse({ ...trade, ...more }).success).toBe(true);
  });

  it.each<[string, Record<string, unknown>]>([
    ...Object.keys(trade).map((field): [string, Record<string, unknown>] => [
      `without ${field}`,
      { [field]: undefined },
    ]),
    ["of another event", { e: "aggTrade" }],
    ["without a symbol's name", { s: "" }],
    ["with an endless symbol", { s: "x".repeat(33) }],
    ["with a negative id", { t: -1 }],
    ["with an id that is not exact", { t: 2 ** 53 }],
    ["with a fraction of an id", { t: 1.5 }],
    ["with an id as text", { t: "1" }],
    ["with a time as text", { T: "3" }],
    ["with a price of 0", { p: "0.00000000" }],
    ["with a negative price", { p: "-1.00" }],
    ["with a price as a number", { p: 1.5 }],
    ["with a price with an exponent", { p: "1e5" }],
    ["with a price that is too fine", { p: "0.000000001" }],
    ["with a price that is too great", { p: "1234567890123456789012345678901" }],
    ["with an empty quantity", { q: "" }],
    ["with a quantity that is no number", { q: "NaN" }],
    ["with a comma", { q: "1,5" }],
    ["with a flag as text", { m: "true" }],
    ["with a flag that is null", { m: null }],
  ])("is refused %s", (_name, more) => {
    expect(RawTrade.safeParse({ ...trade, ...more }).success).toBe(false);
  });
});

describe("a candle", () => {
  it("has its columns in order, with exact decimals and times", () => {
    const columns = tableOf("candles", Candle, { key: ["symbol", "window_start"] }).columns;
    expect(columns.map(({ name, type, nullable }) => [name, type.kind, nullable])).toEqual([
      ["window_start", "timestamp", false],
      ["window_end", "timestamp", false],
      ["symbol", "text", false],
      ["trade_count", "integer", false],
      ["volume", "decimal", false],
      ["quote_volume", "decimal", false],
      ["open", "decimal", false],
      ["high", "decimal", false],
      ["low", "decimal", false],
      ["close", "decimal", false],
      ["avg_price", "decimal", true],
      ["vwap", "decimal", true],
    ]);
    expect(columns.find(({ name }) => name === "quote_volume")?.type).toMatchObject({ precision: 38, scale: 16 });
  });
});
