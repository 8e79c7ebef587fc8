// Bounded runs over a stretch of time: their rows are those of a run over everything that lie in it, and what else was
// read is counted.
import fc from "fast-check";
import { z } from "zod";
import { fixed, quietSdkLogs, sessions, type Windowing } from "../../beam";
import { readParameters } from "../../cli/parameters";
import { parseAddress } from "../../io/address";
import { definePipeline, deadLetters, input, table, type Pipeline } from "../../pipelines/definition";
import { RawTrade } from "../../pipelines/trades/schemas";
import { toTrade } from "../../pipelines/trades/steps";
import { tradesAggregate } from "../../pipelines/trades/trades-aggregate";
import { UsageError } from "../../schema/errors";
import { decimal, timestamp } from "../../schema/table";
import { lines, scene, trade } from "../../test/command-scene";
import { aggregate, clean, count, decode, sum } from "../../transforms";
import { RunOptions } from "../run-options";
import { runBatch, type RunRequest } from "./run-batch";

const { beamline, write, query, files } = scene();

const MINUTE = 60_000;
const T0 = Date.UTC(2026, 0, 5, 9, 30);
const minute = (n: number) => new Date(T0 + n * MINUTE).toISOString();

/** A trade so many seconds after the beginning. */
const tradeAt = (id: number, seconds: number, more: object = {}) =>
  trade(id, { T: T0 + seconds * 1000, E: T0 + seconds * 1000, ...more });

interface Candle {
  readonly window_start: string;
  readonly window_end: string;
  readonly trade_count: number;
}
const candles = (file = "data/app.db") =>
  query("SELECT * FROM trades_1min_agg ORDER BY symbol, window_start", file) as unknown as Candle[];

function request(
  flags: Record<string, string>,
  file = "data/app.db",
  pipeline: Pipeline = tradesAggregate,
): RunRequest {
  const said = new Map(Object.entries(flags).map(([flag, text]) => [flag, [text]]));
  return {
    pipeline,
    params: readParameters(pipeline.params, new Map(), {}),
    options: readParameters(RunOptions, said, {}),
    inputs: { trades: { address: parseAddress("file:in.ndjson"), as: null } },
    outputs: Object.fromEntries(Object.keys(pipeline.outputs).map((name) => [name, parseAddress(`sqlite:${file}`)])),
  };
}

const run = (flags: Record<string, string>, file?: string, pipeline?: Pipeline) =>
  runBatch(request(flags, file, pipeline));

jest.setTimeout(60_000);
beforeAll(quietSdkLogs);

describe("the law: a stretch gives the rows of its windows", () => {
  const someTrades = fc.array(
    fc.record({
      id: fc.integer({ min: 1, max: 40 }),
      second: fc.integer({ min: 0, max: 599 }),
      symbol: fc.constantFrom("BTCUSDT", "ETHUSDT"),
      price: fc.integer({ min: 1, max: 999 }),
      isBad: fc.integer({ min: 0, max: 9 }).map((n) => n === 0),
    }),
    { minLength: 1, maxLength: 100 },
  );
  const end = fc.option(fc.integer({ min: -1, max: 11 }), { freq: 5 });

  test("those of a run over everything, in whatever order the records come, and all else is counted", async () => {
    let runs = 0;
    await fc.assert(
      fc.asyncProperty(someTrades, end, end, async (made, since, until) => {
        fc.pre(since === null || until === null || since < until);
        // An id has one content: which of two would count depends on what else is read.
        const known = new Map<string, string>();
        const texts = made.map(({ id, second, symbol, price, isBad }) => {
          if (isBad) return "{bad";
          const text = known.get(`${symbol} ${id}`) ?? tradeAt(id, second, { s: symbol, p: String(price) });
          known.set(`${symbol} ${id}`, text);
          return text;
        });
        write("in.ndjson", lines(...texts));
        const [all, part] = [`data/${(runs += 1)} all.db`, `data/${runs} part.db`];
        const flags = { "dead-letter-share": "1" };
        const whole = await run(flags, all);
        const report = await run(
          {
            ...flags,
            ...(since === null ? {} : { since: minute(since) }),
            ...(until === null ? {} : { until: minute(until) }),
          },
          part,
        );
        const expected = candles(all).filter(
          ({ window_start, window_end }) =>
            (since === null || window_start >= minute(since)) && (until === null || window_end <= minute(until)),
        );
        expect(candles(part)).toEqual(expected);
        // A file has no times to choose by: all of it is read, and gives its dead letters.
        expect(report).toMatchObject({ read: whole.read, ok: whole.ok, dead: whole.dead, late: 0 });
        const counted = expected.reduce((sum, row) => sum + row.trade_count, 0);
        expect(counted + report.duplicate + (report.outside ?? 0)).toBe(report.ok);
        expect(report.outside === undefined).toBe(since === null && until === null);
      }),
      { numRuns: 20 },
    );
  });

  test("so stretches that lie side by side give together what one run gives", async () => {
    write("in.ndjson", lines(...Array.from({ length: 300 }, (_, id) => tradeAt(id, (id * 7) % 300))));
    await run({}, "data/one.db");
    for (const [since, until] of [
      [undefined, 1],
      [1, 2],
      [2, 4],
      [4, undefined],
    ]) {
      await run({
        ...(since === undefined ? {} : { since: minute(since) }),
        ...(until === undefined ? {} : { until: minute(until) }),
      });
    }
    expect(candles()).toEqual(candles("data/one.db"));
    expect(candles()).toHaveLength(5);
  });
});

test("dead letters are replaced where records were read again, whatever the stretch", async () => {
  const letters = () => query("SELECT position, reason FROM dead_letters ORDER BY position").map((row) => ({ ...row }));
  write("in.ndjson", lines(tradeAt(1, 0), "{bad", tradeAt(2, 60), tradeAt(3, 120, { p: "-1" })));
  const flags = { "dead-letter-share": "1" };
  await run(flags);
  const before = letters();
  expect(before).toHaveLength(2);
  await run({ ...flags, since: minute(1), until: minute(2) });
  expect(letters()).toEqual(before);
  write("in.ndjson", lines(tradeAt(1, 0), tradeAt(4, 0), tradeAt(2, 60), tradeAt(3, 120, { p: "-1" })));
  await run({ ...flags, since: minute(1), until: minute(2) });
  expect(letters()).toEqual(before.slice(1));
});

describe("a pipeline with windows", () => {
  const row = { symbol: z.string(), window_start: timestamp(), window_end: timestamp(), trades: z.int() };

  /** Trades counted by windows, and these counts by the hour. */
  const counting = (window: Windowing) =>
    definePipeline({
      name: "counting",
      summary: "Trades counted twice",
      inputs: { trades: input(RawTrade, { sample: "in.ndjson" }) },
      outputs: {
        minutes: table(z.object(row), { name: "minutes", key: ["symbol", "window_start"] }),
        hours: table(z.object(row), { name: "hours", key: ["symbol", "window_start"] }),
        dead_letters: deadLetters,
      },
      params: z.object({}),
      build({ trades }, { minutes, hours, dead_letters }) {
        const { good, bad } = trades.apply(clean(decode(RawTrade), toTrade));
        const counts = good.apply(
          aggregate({ name: "minutes", by: ["symbol"], at: "time", window, measures: { trades: count() } }),
        );
        counts.apply(minutes);
        counts
          .apply(
            aggregate({
              name: "hours",
              by: ["symbol"],
              at: "window_start",
              window: fixed(60 * MINUTE),
              measures: { trades: sum("trades") },
            }),
          )
          .apply(hours);
        bad.apply(dead_letters);
      },
    });

  test("whose windows are made of windows counts in each of them", async () => {
    write("in.ndjson", lines(...Array.from({ length: 180 }, (_, id) => tradeAt(id, id * 60))));
    // From 9:30 on, the hour from 10 to 11 is whole.
    const stretch = { since: "2026-01-05T10:00:00Z", until: "2026-01-05T11:00:00Z" };
    const report = await run(stretch, undefined, counting(fixed(MINUTE)));
    expect(report).toMatchObject({ ok: 180, outside: 120, written: { minutes: 60, hours: 1 } });
    expect(query("SELECT window_start, trades FROM hours").map((found) => ({ ...found }))).toEqual([
      { window_start: "2026-01-05T10:00:00.000Z", trades: 60 },
    ]);
  });

  test.each([
    [fixed(MINUTE), /of “hours” \(1h\), .* take 2026-01-05T09:00:00Z or 2026-01-05T10:00:00Z$/],
    [sessions(MINUTE), /those of “minutes” are sessions, which have no fixed bounds/],
  ])("refuses what would cut one (%#)", async (window, sentence) => {
    write("in.ndjson", lines(tradeAt(1, 0)));
    const refused = run({ since: minute(0) }, undefined, counting(window));
    await expect(refused).rejects.toThrow(UsageError);
    await expect(refused).rejects.toThrow(sentence);
  });
});

describe("a pipeline without windows", () => {
  const row = z.object({ symbol: z.string(), id: z.int(), time: timestamp(), price: decimal(), quantity: decimal() });
  const copying = definePipeline({
    name: "copying",
    summary: "Trades as they are",
    inputs: { trades: input(RawTrade, { sample: "in.ndjson" }) },
    outputs: { trades: table(row, { name: "trades", key: ["symbol", "id"] }), dead_letters: deadLetters },
    params: z.object({}),
    build({ trades }, outputs) {
      const { good, bad } = trades.apply(clean(decode(RawTrade), toTrade));
      good.apply(outputs.trades);
      bad.apply(outputs.dead_letters);
    },
  });

  test("cannot choose among the lines of a file, which have no times", async () => {
    write("in.ndjson", lines(tradeAt(1, 0)));
    const refused = run({ since: minute(0) }, undefined, copying);
    await expect(refused).rejects.toThrow(UsageError);
    await expect(refused).rejects.toThrow(
      /copying has no windows, .* those of “file:” have none: leave the flags out$/,
    );
    const report = await run({}, undefined, copying);
    expect(report).toMatchObject({ read: 1, written: { trades: 1 } });
    expect(report).not.toHaveProperty("outside");
  });
});

describe("the command", () => {
  test("says what of the records was outside, and --json has it", async () => {
    const ends = ["--since", "2026-01-05T09:32:00Z", "--until", "2026-01-05T09:34:00Z"];
    const { code, stdout, stderr } = await beamline("--json", ...ends);
    expect({ code, stderr }).toMatchObject({ code: 0 });
    const report = JSON.parse(stdout) as Record<string, number>;
    const counted = candles().reduce((sum, row) => sum + row.trade_count, 0);
    expect(counted + (report["duplicate"] ?? 0) + (report["outside"] ?? 0)).toBe(report["ok"]);
    expect(stderr).toContain(
      `  outside    ${report["outside"]?.toLocaleString("en-US")} records, of windows that --since and --until leave out\n`,
    );
    expect(candles().map(({ window_start }) => window_start.slice(11, 16))).toEqual([
      "09:32",
      "09:33",
      "09:32",
      "09:33",
    ]);
  });

  test.each([
    [["--since", "2026-01-05T09:32:00Z", "--until", "2026-01-05T09:32:00Z"], "nothing lies between them"],
    [["--since", "2026-01-05T09:32:01Z"], "take 2026-01-05T09:32:00Z or 2026-01-05T09:33:00Z"],
    [["--since", "2026-01-05T09:32:00Z", "--window", "5m"], "take 2026-01-05T09:30:00Z or 2026-01-05T09:35:00Z"],
    [["--until", "2026-01-05T09:32:00Z", "--streaming", "--once"], "--until says where a run ends, but one with --streaming goes on"], // prettier-ignore
    [["--until", "yesterday"], "--until yesterday: it must be a time in UTC, such as 2026-01-05T09:30:00Z"],
  ])("refuses %j in one sentence, and writes nothing", async (words, sentence) => {
    const { code, stderr } = await beamline("--from", "sample:", ...words);
    expect({ code, stderr }).toEqual({ code: 2, stderr: expect.stringContaining(sentence) as string });
    expect(stderr.trim().split("\n")).toHaveLength(1);
    expect(files()).toEqual([]);
  });
});
