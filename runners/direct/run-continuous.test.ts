// Jobs that go on, in this process: the law that any cut into batches gives the same rows, what happens at a failure, and
// what is refused.
import fs from "node:fs";
import fc from "fast-check";
import { parseAddress } from "../../io/address";
import { tradesAggregate } from "../../pipelines/trades/trades-aggregate";
import { readParameters } from "../../cli/parameters";
import { lines, scene, trade } from "../../test/command-scene";
import { RunOptions } from "../run-options";
import { runContinuous, type JobEvent, type JobRequest, type Point } from "./run-continuous";

const { at, beamline, write, query, dump } = scene();

const MINUTE = 60_000;
const T0 = Date.UTC(2026, 0, 5, 9, 30);
const candles = "SELECT * FROM trades_1min_agg ORDER BY symbol, window_start";

interface Said {
  readonly flags?: Record<string, string[]>;
  readonly to?: string;
  readonly from?: string;
  readonly params?: object;
}

function request({ flags = {}, to = "sqlite:data/app.db", from = "file:in.ndjson", params }: Said = {}): JobRequest {
  const options = readParameters(
    RunOptions,
    new Map(Object.entries({ streaming: ["true"], once: ["true"], ...flags })),
    {},
  );
  return {
    pipeline: tradesAggregate,
    params: { window: MINUTE, lateness: 0, ...params },
    options,
    inputs: { trades: parseAddress(from) },
    outputs: { candles: parseAddress(to), dead_letters: parseAddress("sqlite:data/app.db") },
  };
}

/** A trade so many seconds after the beginning. */
const tradeAt = (id: number, seconds: number, more: object = {}) =>
  trade(id, { T: T0 + seconds * 1000, E: T0 + seconds * 1000, ...more });

const append = (...texts: string[]) => fs.appendFileSync(at("in.ndjson"), lines(...texts));

beforeEach(() => write("in.ndjson", ""));

jest.setTimeout(60_000);

const containing = (text: string) => expect.stringContaining(text) as string;

describe("the law: any cut into batches gives the same rows", () => {
  const someTrades = fc.array(
    fc.record({
      id: fc.integer({ min: 1, max: 60 }),
      late: fc.integer({ min: 0, max: 9 }),
      symbol: fc.constantFrom("BTCUSDT", "ETHUSDT"),
      price: fc.integer({ min: 1, max: 999 }),
    }),
    { minLength: 1, maxLength: 120 },
  );

  test("within the disorder: equal to one bounded run, whatever the cuts and however often it is started", async () => {
    await fc.assert(
      fc.asyncProperty(
        someTrades,
        fc.array(fc.nat(120), { maxLength: 6 }),
        fc.integer({ min: 8, max: 60 }),
        async (made, cuts, most) => {
          fs.rmSync(at("data"), { recursive: true, force: true });
          fs.rmSync(at("in.ndjson"), { force: true });
          // Time goes on by two seconds a record, and each may be up to nine seconds older than that. An id has one content.
          const known = new Map<string, { text: string; time: number }>();
          const texts = made.map(({ id, late, symbol, price }, n) => {
            const first = known.get(`${symbol} ${id}`);
            // The same trade again may come, as long as it is within the disorder; then the id is another trade's.
            if (first !== undefined && first.time >= n * 2 - 9) return first.text;
            const fresh = first === undefined ? id : 1000 + n;
            const text = tradeAt(fresh, n * 2 - late, { s: symbol, p: String(price) });
            known.set(`${symbol} ${id}`, { text, time: n * 2 - late });
            return text;
          });
          const ends = [...new Set([...cuts.map((cut) => Math.min(cut, texts.length)), texts.length])].sort(
            (a, b) => a - b,
          );
          let from = 0;
          for (const end of ends) {
            fs.appendFileSync(at("in.ndjson"), lines(...texts.slice(from, end)));
            from = end;
            await runContinuous(request({ flags: { "max-batch": [String(most)], disorder: ["9s"] } }));
          }
          await beamline("--from", "file:in.ndjson", "--to", "sqlite:data/bounded.db");
          expect(query(candles)).toEqual(query(candles, "data/bounded.db"));
        },
      ),
      { numRuns: 10 },
    );
  });

  test("beyond it: what came too late is counted, and the rows are those of the rest", async () => {
    append(tradeAt(1, 0), tradeAt(2, 200));
    await runContinuous(request());
    append(tradeAt(3, 10), tradeAt(4, 195), tradeAt(5, 260));
    const report = await runContinuous(request());
    expect(report).toMatchObject({ read: 3, ok: 3, late: 1 });
    expect(query("SELECT window_start, trade_count FROM trades_1min_agg ORDER BY 1")).toEqual([
      { window_start: "2026-01-05T09:30:00.000Z", trade_count: 1 },
      { window_start: "2026-01-05T09:33:00.000Z", trade_count: 2 },
      { window_start: "2026-01-05T09:34:00.000Z", trade_count: 1 },
    ]);
  });

  test("duplicates are found across batches and restarts, and ids that are texts too", async () => {
    for (const id of [7, 7, 8, 7]) {
      append(tradeAt(id, id));
      await runContinuous(request());
    }
    expect(query("SELECT trade_count FROM trades_1min_agg")).toEqual([{ trade_count: 2 }]);
  });
});

describe("the last word on a window", () => {
  const finals = () =>
    fs
      .readdirSync(at("out"))
      .sort()
      .flatMap((file) => fs.readFileSync(at("out", file), "utf8").trim().split("\n"))
      .map((line) => JSON.parse(line) as { window_start: string; trade_count: number })
      .map(({ window_start, trade_count }) => [window_start.slice(11, 16), trade_count]);

  test("a sink that appends gets each window once, when the watermark has passed it, and the rest with --flush", async () => {
    const to = { to: "file:out/" };
    append(tradeAt(1, 0), tradeAt(2, 30));
    await runContinuous(request(to));
    expect(fs.readdirSync(at("out"))).toEqual([]);
    append(tradeAt(3, 50), tradeAt(4, 100));
    await runContinuous(request(to));
    expect(finals()).toEqual([["09:30", 3]]);
    append(tradeAt(5, 101));
    const report = await runContinuous(request({ ...to, flags: { once: ["false"], flush: ["true"] } }));
    expect(report).toMatchObject({ batches: 2, openWindows: 0 });
    expect(finals()).toEqual([
      ["09:30", 3],
      ["09:31", 2],
    ]);
    await expect(runContinuous(request(to))).rejects.toThrow("was ended by --flush");
  });

  test("a flush that a crash left is ended by the next start, which reads nothing more", async () => {
    append(tradeAt(1, 0), tradeAt(2, 30));
    const flush = { flags: { once: ["false"], flush: ["true"] } };
    const dying = {
      ...request(flush),
      onEvent: (event: JobEvent) => {
        if (event.kind === "planned" && event.plan.kind === "flush") throw new Error("the power is gone");
      },
    };
    await expect(runContinuous(dying)).rejects.toThrow("the power is gone");
    append(tradeAt(3, 31));
    expect(await runContinuous(request(flush))).toMatchObject({ batches: 1, read: 0, late: 0, openWindows: 0 });
    await expect(runContinuous(request())).rejects.toThrow("was ended by --flush");
  });

  test("a record of the far future does not make what comes after it late", async () => {
    append(tradeAt(1, 0), tradeAt(2, 3_000_000_000));
    await runContinuous(request({ flags: { "batch-time": ["2026-01-05T09:30:30Z"] } }));
    append(tradeAt(3, 20));
    expect(await runContinuous(request())).toMatchObject({ late: 0 });
  });
});

describe("a job that begins with the latest record", () => {
  const latest = (more: Record<string, string[]> = {}) => request({ flags: { "start-at": ["latest"], ...more } });
  const rows = () => query("SELECT window_start, trade_count FROM trades_1min_agg ORDER BY 1");
  const count = (minute: string, trades: number) => ({
    window_start: `2026-01-05T${minute}:00.000Z`,
    trade_count: trades,
  });

  test("begins where its first start found it, and names windows that it has seen only the end of", async () => {
    append(tradeAt(1, 0), tradeAt(2, 10));
    expect(await runContinuous(latest())).toMatchObject({ read: 0, batches: 1 });
    const named: string[] = [];
    const onEvent = (event: JobEvent) => event.kind === "partial" && named.push(...event.windows);
    append(tradeAt(3, 20), tradeAt(4, 70), tradeAt(5, 70), tradeAt(6, 130));
    // With ten seconds of disorder, what was there before is 30 seconds old at most: the next minute is whole.
    expect(await runContinuous({ ...latest(), onEvent })).toMatchObject({ read: 4 });
    expect(rows()).toEqual([count("09:31", 2), count("09:32", 1)]);
    expect(named).toEqual([containing(" 2026-01-05T09:30:00Z – 2026-01-05T09:31:00Z, BTCUSDT")]);
    append(tradeAt(7, 25));
    await runContinuous(latest({ disorder: ["2m"] }));
    expect(rows()).toHaveLength(2);
  });

  test("takes no window for whole before the first record says how late it is", async () => {
    append(tradeAt(1, 0));
    await runContinuous(latest({ disorder: ["50s"] }));
    append(tradeAt(2, 20));
    // Something of second 70 may have been left out: only what begins behind it is whole.
    await runContinuous(latest({ disorder: ["50s"] }));
    append(tradeAt(3, 80), tradeAt(4, 130));
    await runContinuous(latest({ disorder: ["50s"] }));
    expect(rows()).toEqual([count("09:32", 1)]);
  });

  test("writes them all when it is told to", async () => {
    append(tradeAt(1, 0));
    const all = { "partial-windows": ["write"] };
    await runContinuous(latest(all));
    append(tradeAt(2, 20));
    await runContinuous(latest(all));
    expect(rows()).toEqual([count("09:30", 1)]);
  });
});

test("a state that a process is only just making is none yet", async () => {
  write("data/state/new.db", "");
  expect(await beamline("status")).toMatchObject({ code: 0, stderr: containing("No job has left a state") });
  expect(await beamline("status", "new")).toMatchObject({ code: 2, stderr: containing("There is no job new") });
});

test("what is wrong with an output is told before there is anything to write", async () => {
  write("taken/in-the-way", "");
  await expect(runContinuous(request({ to: "sqlite:taken" }))).rejects.toThrow("is a directory");
  await expect(runContinuous(request({ to: "file:one.ndjson" }))).rejects.toThrow("name a directory");
  expect(query("SELECT count(*) AS n FROM plan", "data/state/trades-aggregate.db")).toEqual([{ n: 0 }]);
});

describe("a batch that fails", () => {
  test.each<Point>(["planned", "run", "target committed", "committed"])(
    "at “%s”: the next start runs the same plan, and the rows are the same",
    async (point) => {
      append(tradeAt(1, 0), tradeAt(2, 1), tradeAt(1, 0));
      let died = false;
      const dying = {
        ...request(),
        onPoint: (reached: Point) => {
          if (reached !== point || died) return;
          died = true;
          throw new Error("the power is gone");
        },
      };
      await expect(runContinuous(dying)).rejects.toThrow("the power is gone");
      append(tradeAt(3, 2), tradeAt(2, 1));
      await runContinuous(request());
      await beamline("--from", "file:in.ndjson", "--to", "sqlite:data/bounded.db");
      expect(query(candles)).toEqual(query(candles, "data/bounded.db"));
      const state = query("SELECT value FROM meta WHERE name = 'totals'", "data/state/trades-aggregate.db");
      expect(JSON.parse(String(state[0]?.["value"]))).toMatchObject({ read: 5, ok: 5, duplicate: 2 });
    },
  );

  test("two processes of one job: the second is refused", async () => {
    append(tradeAt(1, 0));
    const first = {
      ...request(),
      onPoint: async () => {
        await expect(runContinuous(request())).rejects.toThrow("is being run by another process");
      },
    };
    await runContinuous(first);
    expect.hasAssertions();
  });

  test("a signal ends the job behind its batch", async () => {
    append(tradeAt(1, 0));
    const stop = new AbortController();
    const onEvent = (event: JobEvent) => event.kind === "committed" && stop.abort(new Error("stop"));
    const endless = request({ flags: { once: ["false"] } });
    expect(await runContinuous({ ...endless, onEvent, signal: stop.signal })).toMatchObject({
      state: "interrupted",
      read: 1,
    });
  });
});

describe("what is refused at the start", () => {
  test("another definition, with what is different; but other lateness and sizes are fine", async () => {
    append(tradeAt(1, 0));
    await runContinuous(request());
    await runContinuous(request({ params: { lateness: 1 }, flags: { "max-batch": ["7"] } }));
    await expect(runContinuous(request({ params: { window: 2 * MINUTE } }))).rejects.toThrow(
      /the window of “aggregate by symbol” was .*60000.* and is .*120000.*--job.*--reset/,
    );
    await runContinuous(request({ params: { window: 2 * MINUTE }, flags: { reset: ["true"] } }));
  });

  test("a source that was made anew, is shorter, or gone", async () => {
    append(tradeAt(1, 0), tradeAt(2, 1));
    await runContinuous(request());
    write("in.ndjson", lines(tradeAt(1, 0), tradeAt(9, 1)));
    await expect(runContinuous(request())).rejects.toThrow("has another record at");
    write("in.ndjson", lines(tradeAt(1, 0)));
    await expect(runContinuous(request())).rejects.toThrow("as if it were made anew");
  });

  test("by the command: wrong flags in one sentence, exit code 2", async () => {
    expect(await beamline("--once")).toMatchObject({
      code: 2,
      stderr: containing("--once goes with --streaming only"),
    });
    write("rows.csv", "a\n");
    append(tradeAt(1, 0));
    expect(await beamline("--streaming", "--once", "--from", "file:rows.csv")).toMatchObject({ code: 2 });
    expect(await beamline("--streaming", "--once", "--from", "file:in.ndjson", "--job", "../x")).toMatchObject({
      code: 2,
    });
    expect(
      await beamline("--streaming", "--once", "--from", "file:in.ndjson", "--to", "file:one.ndjson"),
    ).toMatchObject({
      code: 2,
      stderr: containing("name a directory"),
    });
  });

  test("a reset asks first, where nobody can answer it says how", async () => {
    append(tradeAt(1, 0));
    const words = ["--streaming", "--once", "--from", "file:in.ndjson"];
    expect(await beamline(...words)).toMatchObject({ code: 0 });
    const before = dump();
    expect(await beamline(...words, "--reset")).toMatchObject({ code: 2, stderr: containing("--yes") });
    expect(await beamline(...words, "--reset", "--yes")).toMatchObject({ code: 0 });
    expect(query(candles)).toHaveLength(1);
    expect(before).toContain("trades_1min_agg");
  });
});

describe("another definition, with --migrate", () => {
  const minutes = (n: number) => ({ params: { window: n * MINUTE } });
  const migrate = { migrate: ["true"] };

  test("what was open is closed by the old one; the new one counts from there, and only windows that it knows whole", async () => {
    append(tradeAt(1, 0), tradeAt(2, 70));
    await runContinuous(request({ to: "file:out/" }));
    append(tradeAt(3, 100), tradeAt(4, 250), tradeAt(5, 900));
    await runContinuous(request({ to: "file:out/", ...minutes(2), flags: migrate }));
    append(tradeAt(6, 1500));
    await runContinuous(request({ to: "file:out/", ...minutes(2) }));
    const rows = fs
      .readdirSync(at("out"))
      .sort()
      .flatMap((file) => fs.readFileSync(at("out", file), "utf8").trim().split("\n"))
      .map((line) => JSON.parse(line) as { window_start: string; trade_count: number })
      .map(({ window_start, trade_count }) => [window_start.slice(11, 16), trade_count]);
    expect(rows).toEqual([
      ["09:30", 1],
      ["09:31", 1],
      // 09:30 to 09:32 is not whole for the new one: what of it came before is counted by the old one.
      ["09:34", 1],
      ["09:44", 1],
    ]);
  });

  test.each<Point>(["planned", "target committed", "committed"])("a crash at “%s” does it once", async (point) => {
    append(tradeAt(1, 0), tradeAt(2, 70));
    await runContinuous(request({ to: "file:out/" }));
    const written = () => fs.readdirSync(at("out")).map((file) => fs.readFileSync(at("out", file), "utf8"));
    let died = false;
    const onPoint = (reached: Point) => {
      if (reached !== point || died) return;
      died = true;
      throw new Error("the power is gone");
    };
    const migrating = request({ to: "file:out/", ...minutes(2), flags: migrate });
    await expect(runContinuous({ ...migrating, onPoint })).rejects.toThrow("the power is gone");
    await runContinuous(migrating);
    await runContinuous(request({ to: "file:out/", ...minutes(2) }));
    expect(written().join("").trim().split("\n")).toHaveLength(2);
  });

  test("a batch that the old definition has planned must be ended by that", async () => {
    append(tradeAt(1, 0));
    await runContinuous(request());
    append(tradeAt(2, 1));
    const dying = { ...request(), onPoint: () => Promise.reject(new Error("the power is gone")) };
    await expect(runContinuous(dying)).rejects.toThrow("the power is gone");
    const migrating = request({ ...minutes(2), flags: migrate });
    await expect(runContinuous(migrating)).rejects.toThrow("run that one with --once first");
    await runContinuous(request());
    await runContinuous(migrating);
    await runContinuous(request(minutes(2)));
  });

  test("another source is another job, and no definition", async () => {
    append(tradeAt(1, 0));
    await runContinuous(request());
    write("other.ndjson", lines(tradeAt(1, 0)));
    await expect(runContinuous(request({ from: "file:other.ndjson", flags: migrate }))).rejects.toThrow(
      /the source of trades was .*--job, or begin anew with --reset$/,
    );
  });
});

describe("status --max-age", () => {
  const status = (...more: string[]) => beamline("status", "trades-aggregate", ...more);

  test("fails when the job does not run, and when its newest window is old; a window of the future is none", async () => {
    const now = Date.now() - T0;
    append(tradeAt(1, now / 1000 - 3600), tradeAt(2, now / 1000 + 3600));
    const stop = new AbortController();
    const said: { code: number; stderr: string }[] = [];
    await runContinuous({
      ...request({ flags: { once: ["false"] } }),
      signal: stop.signal,
      onPoint: async (point) => {
        if (point !== "committed") return;
        said.push(await status("--max-age", "2h"), await status("--max-age", "5m"), await status());
        stop.abort(new Error("enough"));
      },
    });
    expect(said.map(({ code }) => code)).toEqual([0, 1, 0]);
    expect(said[1]?.stderr).toMatch(/The newest window of trades-aggregate ended (1h|59m)\d*s? ago/);
    expect(await status("--max-age", "2h")).toMatchObject({ code: 1, stderr: containing("does not run") });
  });
});

test("a line without its end is still being written", async () => {
  fs.appendFileSync(at("in.ndjson"), `${tradeAt(1, 0)}\n${tradeAt(2, 1)}`);
  expect(await runContinuous(request())).toMatchObject({ read: 1 });
  fs.appendFileSync(at("in.ndjson"), "\n");
  expect(await runContinuous(request())).toMatchObject({ read: 1, ok: 1 });
});

test("files that come later are read too", async () => {
  append(tradeAt(1, 0));
  await runContinuous(request({ from: "file:*.ndjson" }));
  write("more.ndjson", lines(tradeAt(2, 1)));
  expect(await runContinuous(request({ from: "file:*.ndjson" }))).toMatchObject({ read: 1, ok: 1 });
});
