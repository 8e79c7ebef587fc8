// Sessions in a job that goes on: they grow, meet and become one over batches, restarts and crashes, and are told when
// they are over, as one run over everything tells them.
import fs from "node:fs";
import fc from "fast-check";
import { quietSdkLogs, sessions } from "../../beam";
import { readParameters } from "../../cli/parameters";
import { parseAddress } from "../../io/address";
import { lines, scene } from "../../test/command-scene";
import { inOrder, rowsIn, ticksJob, ticksPipeline, type Shape, type StoredBar, type Tick } from "../../test/ticks";
import { RunOptions } from "../run-options";
import { type Report } from "../report";
import { runBatch } from "./run-batch";
import { POINTS, runContinuous, type Point } from "./run-continuous";

const { at, query } = scene();

jest.setTimeout(120_000);

const T0 = Date.UTC(2026, 0, 5, 9, 30);
const GAP = 10;
const plain: Shape = { window: sessions(GAP * 1000), lateness: 0, unique: false };
const unique: Shape = { ...plain, unique: true };

/** A tick so many seconds after the beginning. */
const tick = (id: number | string, seconds: number, more: Partial<Tick> = {}): Tick => ({
  symbol: "BTC",
  id,
  time: T0 + seconds * 1000,
  price: "1",
  ...more,
});

const append = (...ticks: Tick[]) =>
  fs.appendFileSync(at("in-1.ndjson"), lines(...ticks.map((t) => JSON.stringify(t))));

/** One start of the job, over what is there by now. */
const goOn = (flags: Record<string, string> = {}, shape = plain, onPoint?: (point: Point) => void) =>
  runContinuous(ticksJob(shape, { once: "true", disorder: `${GAP - 1}s`, ...flags }, { onPoint }));

/** The last start, which closes all windows. */
const end = (flags: Record<string, string> = {}, shape = plain) =>
  goOn({ ...flags, once: "false", flush: "true" }, shape);

/** One run over all that is there. */
async function bounded(shape: Shape): Promise<{ report: Report; rows: StoredBar[] }> {
  const report = await runBatch({
    pipeline: ticksPipeline(shape),
    params: {},
    options: readParameters(RunOptions, new Map(), {}),
    inputs: { ticks: { address: parseAddress("file:in-*.ndjson"), as: null } },
    outputs: {
      bars: parseAddress("sqlite:data/bounded.db"),
      finals: parseAddress("file:bounded.ndjson"),
      dead_letters: parseAddress("sqlite:data/bounded.db"),
    },
  });
  return { report, rows: inOrder(query("SELECT * FROM bars", "data/bounded.db") as unknown as StoredBar[]) };
}

const bars = () => inOrder(query("SELECT * FROM bars") as unknown as StoredBar[]);

/** Begin, end and number of rows of each session, in seconds. */
const spans = (rows: readonly StoredBar[] = bars()) =>
  rows.map(({ window_start, window_end, n }) => [
    (Date.parse(window_start) - T0) / 1000,
    (Date.parse(window_end) - T0) / 1000,
    Number(n),
  ]);

beforeAll(quietSdkLogs);
beforeEach(() => fs.writeFileSync(at("in-1.ndjson"), ""));

describe("the law: any cut into batches gives the sessions of one bounded run", () => {
  const ticks = fc
    .array(
      fc.record({
        // Sometimes longer than the gap, so that a session ends; the records behind may still reach into it.
        step: fc.oneof({ weight: 5, arbitrary: fc.nat(8) }, { weight: 2, arbitrary: fc.integer({ min: 9, max: 25 }) }),
        back: fc.nat(GAP - 1),
        id: fc.nat(9),
        symbol: fc.constantFrom("BTC", "ETH"),
        price: fc.integer({ min: 1, max: 9 }),
      }),
      { minLength: 1, maxLength: 80, size: "max" },
    )
    .map((made) => {
      let now = 0;
      return made.map(({ step, back, id, symbol, price }) => {
        now += step;
        return tick(id, now - back, { symbol, price: String(price) });
      });
    });

  const cuts = fc.array(fc.nat(80), { maxLength: 6, size: "max" });
  const dying = fc.option(fc.record({ start: fc.nat(6), point: fc.constantFrom(...POINTS) }), { nil: null });

  test.each([plain, unique])("unique: $unique", async (shape) => {
    await fc.assert(
      fc.asyncProperty(
        ticks,
        cuts,
        fc.integer({ min: 1, max: 40 }),
        fc.constantFrom(0, 25_000),
        dying,
        async (made, cutAt, most, lateness, death) => {
          for (const name of ["data", "out", "in-1.ndjson"]) fs.rmSync(at(name), { recursive: true, force: true });
          const wanted = { ...shape, lateness };
          const flags = { "max-batch": String(most) };
          const ends = [...new Set([...cutAt.map((cut) => Math.min(cut, made.length)), made.length])].sort(
            (a, b) => a - b,
          );
          let from = 0;
          for (const [n, upTo] of ends.entries()) {
            append(...made.slice(from, upTo));
            from = upTo;
            let alive = n !== death?.start;
            const onPoint = (point: Point) => {
              if (alive || point !== death?.point) return;
              alive = true;
              throw new Error("the power is gone");
            };
            await goOn(flags, wanted, onPoint).catch((error: Error) => {
              if (error.message !== "the power is gone") throw error;
            });
          }
          await end(flags, wanted);
          const totals = JSON.parse(
            String(query("SELECT value FROM meta WHERE name = 'totals'", "data/state/ticks.db")[0]?.["value"]),
          ) as Record<string, number>;
          const whole = await bounded(wanted);
          expect(bars()).toEqual(whole.rows);
          expect(inOrder(rowsIn(at("out")))).toEqual(whole.rows);
          expect(totals).toMatchObject({ ok: made.length, late: 0, duplicate: whole.report.duplicate });
        },
      ),
      { numRuns: 25 },
    );
  });
});

describe("sessions over batches", () => {
  test("a record between two sessions makes them one, whoever stored them", async () => {
    append(tick(1, 0));
    await goOn();
    append(tick(2, 2 * GAP - 2));
    await goOn({ disorder: "60s" });
    append(tick(3, GAP - 1));
    await goOn({ disorder: "60s" });
    expect(query("SELECT count(*) AS n FROM accumulator", "data/state/ticks.db")).toEqual([{ n: 1 }]);
    await end();
    expect(spans()).toEqual([[0, 3 * GAP - 2, 3]]);
  });

  test("two records with just the gap between them are of two sessions", async () => {
    append(tick(1, 0), tick(2, GAP), tick(3, 2 * GAP - 0.001));
    await end();
    expect(spans()).toEqual([
      [0, GAP, 1],
      [GAP, 3 * GAP - 0.001, 2],
    ]);
  });

  test("a session is told when it is over, once; until then there is no row of it", async () => {
    append(tick(1, 0));
    await goOn();
    append(tick(2, 5));
    await goOn();
    expect(bars()).toEqual([]);
    append(tick(3, 100));
    await goOn();
    expect(spans()).toEqual([[0, 5 + GAP, 2]]);
    expect(spans(rowsIn(at("out")))).toEqual([[0, 5 + GAP, 2]]);
    await end();
    expect(spans(rowsIn(at("out")))).toEqual([
      [0, 5 + GAP, 2],
      [100, 100 + GAP, 1],
    ]);
  });

  test("with a lateness a session stays open for as long, and grows", async () => {
    const lenient = { ...plain, lateness: 60_000 };
    append(tick(1, 0), tick(2, 40));
    await goOn({}, lenient);
    append(tick(3, 5), tick(4, 100));
    expect(await goOn({}, lenient)).toMatchObject({ late: 0 });
    expect(spans()).toEqual([[0, 5 + GAP, 2]]);
    await end({}, lenient);
    expect(spans()).toEqual([
      [0, 5 + GAP, 2],
      [40, 40 + GAP, 1],
      [100, 100 + GAP, 1],
    ]);
  });

  test("what comes too late is counted, and its session stays as it was told", async () => {
    append(tick(1, 0), tick(2, 100));
    await goOn();
    append(tick(3, 1), tick(4, 101));
    expect(await goOn()).toMatchObject({ ok: 2, late: 1 });
    await end();
    expect(spans()).toEqual([
      [0, GAP, 1],
      [100, 101 + GAP, 2],
    ]);
  });

  // As Beam has it: a session that is over and told is nobody's neighbour any more.
  test("beyond the disorder, but not late: a record near a session that is over begins one of its own", async () => {
    append(tick(1, 0), tick(2, 21));
    await goOn();
    append(tick(3, 8));
    expect(await goOn()).toMatchObject({ late: 0 });
    await end();
    expect(spans()).toEqual([
      [0, GAP, 1],
      [8, 8 + GAP, 1],
      [21, 21 + GAP, 1],
    ]);
  });
});

describe("sessions in which an id counts once", () => {
  const goOnUnique = (flags: Record<string, string> = {}) => goOn({ disorder: "60s", ...flags }, unique);

  test("an id that two sessions have counted counts once when they become one", async () => {
    append(tick(7, 0, { price: "1" }), tick(8, 18, { price: "2" }));
    expect(await goOnUnique()).toMatchObject({ duplicate: 0 });
    append(tick(7, 18, { price: "4" }));
    expect(await goOnUnique()).toMatchObject({ duplicate: 0 });
    append(tick(9, 9, { price: "8" }));
    expect(await goOnUnique()).toMatchObject({ ok: 1, duplicate: 1 });
    await end({}, unique);
    expect(spans()).toEqual([[0, 18 + GAP, 3]]);
    // Of the two rows with the id 7 the first one by time.
    expect(bars()[0]).toMatchObject({ total: "11" });
  });

  test("a duplicate is found over batches and starts, and its session reaches as far as it", async () => {
    append(tick("a", 0));
    await goOnUnique();
    append(tick("a", 0));
    expect(await goOnUnique()).toMatchObject({ duplicate: 1 });
    append(tick("a", 9), tick("b", 18));
    expect(await goOnUnique()).toMatchObject({ duplicate: 1 });
    await end({}, unique);
    expect(spans()).toEqual([[0, 18 + GAP, 2]]);
  });

  test("an id counts again in a session that begins when the one before is over", async () => {
    append(tick(7, 0), tick(7, GAP));
    expect(await end({}, unique)).toMatchObject({ duplicate: 0 });
    expect(spans()).toEqual([
      [0, GAP, 1],
      [GAP, 2 * GAP, 1],
    ]);
  });
});
