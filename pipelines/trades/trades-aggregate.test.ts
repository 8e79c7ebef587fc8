import { readFileSync } from "node:fs";
import { named, perElement, register, type DoFn, type Emitters, type PCollection, type RunContext } from "../../beam";
import { records, TestPipeline } from "../../beam/testing";
import { type Raw, type SourceRecord } from "../../schema/record";
import { type Row } from "../../schema/table";
import { type DeadLetter } from "../../transforms";
import { Candle } from "./schemas";
import { tradesAggregate } from "./trades-aggregate";

const T0 = Date.UTC(2026, 0, 1, 12);
const MINUTE = 60_000;

/** Passes on what an output of the pipeline is given. */
export class Pass implements DoFn<Row, { rows: Row }> {
  readonly outputs = ["rows"] as const;
  process(row: Row, emit: Emitters<{ rows: Row }>): void {
    emit.rows(row);
  }
}
register("beamline/pipelines/trades/trades-aggregate.test", { Pass });

/** Builds the pipeline's graph, and gives what goes to its outputs. */
function built(sources: readonly (readonly SourceRecord[])[], params: object = {}, context: Partial<RunContext> = {}) {
  const pipeline = new TestPipeline({ job: "test", ...context });
  const outputs: Record<string, PCollection<Row>> = {};
  const output = (name: string) =>
    named(
      name,
      (rows: PCollection<Row>) => void (outputs[name] = rows.apply(perElement(`to ${name}`, new Pass())).rows),
    );
  const trades = pipeline.create(sources.flat());
  tradesAggregate.build(
    { trades },
    { candles: output("candles"), dead_letters: output("dead_letters") },
    tradesAggregate.params.parse(params),
  );
  return {
    pipeline,
    candles: pipeline.expect(outputs["candles"] as PCollection<Row>, "candles"),
    letters: pipeline.expect(outputs["dead_letters"] as unknown as PCollection<DeadLetter>, "dead letters"),
  };
}

const trade = (t: number, T: number, p: string, q: string, s = "BTCUSDT") =>
  JSON.stringify({ e: "trade", E: T + 3, s, t, p, q, T, m: t % 2 === 0 });

const first = [
  trade(3, T0 + 20, "101.00", "2"),
  trade(1, T0, "100.00", "1"),
  trade(2, T0 + 20, "99.50", "0.5"),
  trade(4, T0 + MINUTE, "103.00", "1"),
  trade(1, T0, "5.00", "0.00000001", "ETHBTC"),
];
const again = [trade(1, T0, "100.00", "1"), trade(5, T0 + MINUTE - 1, "100.50", "0.00000001")];

const candle = {
  ...{ window_start: T0, window_end: T0 + MINUTE, symbol: "BTCUSDT", trade_count: 4 },
  ...{ volume: "3.50000001", quote_volume: "351.750001005", open: "100.00", high: "101", low: "99.5", close: "100.50" },
  ...{ avg_price: "100.25", vwap: "100.5" },
};

describe("trades-aggregate", () => {
  it.each(["in order", "grouped"] as const)(
    "makes a candle per symbol and minute (duplicates: %s)",
    async (duplicates) => {
      const files = [records(first, { source: "a" }), records(again, { source: "b" })];
      const { pipeline, candles, letters } = built(files, {}, { duplicates });
      candles.inWindow(T0, T0 + MINUTE).containsInAnyOrder([
        candle,
        {
          ...{ window_start: T0, window_end: T0 + MINUTE, symbol: "ETHBTC", trade_count: 1, volume: "0.00000001" },
          ...{
            quote_volume: "0.00000005",
            open: "5.00",
            high: "5",
            low: "5",
            close: "5.00",
            avg_price: "5",
            vwap: "5",
          },
        },
      ]);
      candles.inWindow(T0 + MINUTE).containsInAnyOrder([
        {
          ...{ window_start: T0 + MINUTE, window_end: T0 + 2 * MINUTE, symbol: "BTCUSDT", trade_count: 1, volume: "1" },
          ...{ quote_volume: "103", open: "103.00", high: "103", low: "103", close: "103.00" },
          ...{ avg_price: "103", vwap: "103" },
        },
      ]);
      candles.hasSize(3);
      candles.satisfies((rows) => rows.forEach((row) => Candle.parse(row)));
      letters.isEmpty();
      expect(await pipeline.run()).toMatchObject({ ok: 7, dead: 0, dropped: 0, aggregated: 6, duplicate: 1, late: 0 });
    },
  );

  it("takes the length of a candle as a parameter", async () => {
    const { pipeline, candles } = built([records([...first, ...again])], { window: "5m" });
    candles.satisfies((rows) =>
      expect(rows.map(({ symbol, trade_count, window_end }) => [symbol, trade_count, window_end]).sort()).toEqual([
        ["BTCUSDT", 5, T0 + 5 * MINUTE],
        ["ETHBTC", 1, T0 + 5 * MINUTE],
      ]),
    );
    await pipeline.run();
    expect(tradesAggregate.params.safeParse({ window: "0s" }).success).toBe(false);
    expect(tradesAggregate.params.safeParse({ lateness: "soon" }).success).toBe(false);
  });

  const good = JSON.parse(trade(9, T0, "1", "1")) as Record<string, unknown>;
  const changed = (more: object) => JSON.stringify({ ...good, ...more });

  it.each<[string, Raw, string, string, RegExp]>([
    ["half a line", trade(9, T0, "1", "1").slice(0, 40), "decode", "not JSON", /JSON/],
    ["a heartbeat", "\u0000\u0001 heartbeat", "decode", "not JSON", /JSON/],
    ["binary garbage", new Uint8Array([0xff, 0xd8, 0x00]), "decode", "not text", /UTF-8/],
    ["a line of 2 MB", `"${"x".repeat(2 * 1024 * 1024)}"`, "size", "too large", /2097154 bytes, the limit is 1048576/],
    ["a list", "[1,2]", "decode", "invalid", /object/],
    ["no symbol", changed({ s: undefined }), "decode", "invalid", /^s: /],
    ["a negative price", changed({ p: "-1.00" }), "decode", "invalid", /^p: must be a plain decimal text above 0/],
    ["a quantity as a number", changed({ q: 1.5 }), "decode", "invalid", /^q: /],
    ["a time as text", changed({ T: String(T0) }), "decode", "invalid", /^T: /],
    ["several mistakes", changed({ p: "x", q: "", m: 1 }), "decode", "invalid", /^p: .*; q: .*; m: /],
    ["a time in seconds", changed({ T: T0 / 1000 }), "toTrade", "absurd time", /before 2010/],
    ["a time far ahead", changed({ T: Date.UTC(2040, 0, 1) }), "toTrade", "absurd time", /more than a day after/],
  ])("sends %s to the dead letters, and goes on", async (_name, value, step, reason, error) => {
    const { pipeline, candles, letters } = built([records([...first, value, ...again], { source: "a.ndjson" })]);
    candles.satisfies((rows) => expect(rows).toContainEqual(candle));
    letters.satisfies((all) => {
      expect(all).toHaveLength(1);
      expect(all[0]).toMatchObject({ source: "a.ndjson", position: 6, step, reason, pipeline: "test", job: "test" });
      expect(all[0]?.error).toMatch(error);
      expect(Buffer.from(all[0]?.value as string).equals(Buffer.from(value as string))).toBe(true);
    });
    expect(await pipeline.run()).toMatchObject({ ok: 7, dead: 1, dropped: 0 });
  });

  it("reads its sample: mostly good, with a bad record of each kind", async () => {
    const { sample } = tradesAggregate.inputs["trades"] as { sample: string };
    const lines = readFileSync(sample, "utf8").trimEnd().split("\n");
    const { pipeline, candles, letters } = built([records(lines, { source: sample })]);
    candles.satisfies((rows) => expect(rows.length).toBeGreaterThan(10));
    letters.satisfies((all) =>
      expect(new Set(all.map(({ reason }) => reason))).toEqual(new Set(["not JSON", "invalid", "absurd time"])),
    );
    const { ok = 0, dead = 0, aggregated = 0, duplicate = 0 } = await pipeline.run();
    expect(ok + dead).toBe(lines.length);
    expect(aggregated + duplicate).toBe(ok);
    expect(duplicate).toBeGreaterThan(0);
  });
});
