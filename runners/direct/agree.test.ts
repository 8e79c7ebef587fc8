// A TestStream is how people test what their pipeline does with time; a job that goes on is what then runs in earnest.
// Here the two are given the same records, cut in the same places, and must say the same of every window.
import fs from "node:fs";
import path from "node:path";
import fc from "fast-check";
import { assign, fixed, quietSdkLogs, sessions, sliding } from "../../beam";
import { TestPipeline, TestStream } from "../../beam/testing";
import { lines, scene } from "../../test/command-scene";
import { inOrder, rowsIn, stored, ticksJob, toBars, type Shape, type StoredBar, type Tick } from "../../test/ticks";
import { type StoredPlan } from "./job-state";
import { runContinuous, type JobEvent } from "./run-continuous";

const { at, query } = scene();

jest.setTimeout(120_000);

beforeAll(quietSdkLogs);

const T0 = Date.UTC(2026, 0, 5, 9, 30);
const SECOND = 1000;
/** Times are multiples of it, so that watermarks often meet the ends of windows. */
const STEP = 10 * SECOND;

// --- what comes in ----------------------------------------------------------------------------------------------------

/** One line of a file. */
interface Line {
  readonly file: string;
  readonly text: string;
  /** What is in it; null for a line that becomes a dead letter. */
  readonly tick: Tick | null;
}

/** A start of the job: how many lines there are by then, in batches of what size, and when it is by the clock. */
interface Start {
  readonly upTo: number;
  readonly most: number;
  readonly batchTime: number;
}

interface Story {
  readonly shape: Shape;
  readonly disorder: number;
  readonly written: readonly Line[];
  readonly starts: readonly Start[];
}

const shape = fc.oneof(
  fc.record({
    window: fc.constantFrom(fixed(60 * SECOND), sliding(60 * SECOND, 20 * SECOND), sliding(50 * SECOND, 30 * SECOND)),
    lateness: fc.constantFrom(0, 10 * SECOND, 90 * SECOND),
    unique: fc.boolean(),
  }),
  fc.record({
    window: fc.constant(sessions(20 * SECOND)),
    lateness: fc.constantFrom(0, 10 * SECOND, 90 * SECOND),
    unique: fc.boolean(),
  }),
);

/** Time goes on by a step a record; most are a little older than that, some a lot, some are the same one again. */
const lineOf = fc.record({
  kind: fc.oneof(
    { weight: 12, arbitrary: fc.constant("new" as const) },
    { weight: 4, arbitrary: fc.constant("again" as const) },
    { weight: 1, arbitrary: fc.constant("dead" as const) },
  ),
  back: fc.oneof({ weight: 6, arbitrary: fc.nat(5) }, { weight: 1, arbitrary: fc.nat(30) }),
  // Few ids, so that one is also met with another content; texts are kept in another way than numbers.
  id: fc.oneof(fc.nat(40), fc.constantFrom("7", "x")),
  symbol: fc.constantFrom("BTC", "ETH"),
  price: fc.integer({ min: 1, max: 999 }),
  file: fc.oneof(
    { weight: 4, arbitrary: fc.constant("in-1.ndjson") },
    { weight: 1, arbitrary: fc.constant("in-2.ndjson") },
  ),
});

const story: fc.Arbitrary<Story> = fc
  .record({
    shape,
    disorder: fc.constantFrom(0, STEP, 4 * STEP),
    made: fc.array(lineOf, { minLength: 1, maxLength: 120, size: "max" }),
    secondFile: fc.boolean(),
    starts: fc.array(
      fc.record({
        upTo: fc.nat(120),
        most: fc.integer({ min: 1, max: 20 }),
        // The clock of a batch may be behind its records: those of the future must not make later ones late.
        ahead: fc.integer({ min: -20, max: 5 }),
      }),
      { minLength: 1, maxLength: 6, size: "max" },
    ),
  })
  .map(({ shape: wanted, disorder, made, secondFile, starts }) => {
    const written: Line[] = [];
    for (const [n, { kind, back, id, symbol, price, file }] of made.entries()) {
      const again = kind === "again" ? written[written.length - 1 - (back % 20)] : undefined;
      const tick = { symbol, id, time: T0 + (n - back) * STEP, price: String(price) };
      written.push({
        ...(again ?? (kind === "dead" ? { text: "{", tick: null } : { text: JSON.stringify(tick), tick })),
        file: secondFile ? file : "in-1.ndjson",
      });
    }
    const ends = [...new Set([...starts.map(({ upTo }) => Math.min(upTo, made.length)), made.length])];
    return {
      shape: wanted,
      disorder,
      written,
      starts: ends
        .sort((a, b) => a - b)
        .map((upTo, n) => {
          const { most, ahead } = starts[n % starts.length] as (typeof starts)[number];
          return { upTo, most, batchTime: T0 + (upTo + ahead) * STEP };
        }),
    };
  });

// --- the job ------------------------------------------------------------------------------------------------------------

interface Outcome {
  /** The last row of each key and window. */
  readonly rows: readonly StoredBar[];
  readonly counts: {
    readonly came: number;
    readonly aggregated: number;
    readonly duplicate: number;
    readonly late: number;
  };
}

/** What was in one batch, by part, and what the job's watermark was at its end. */
interface Batch {
  readonly plan: StoredPlan;
  readonly parts: readonly { readonly source: string; readonly ticks: readonly Tick[] }[];
  readonly watermark: number | null;
}

/** Start after start over files that grow; the last one closes all windows. */
async function byJob({
  shape: wanted,
  disorder,
  written,
  starts,
}: Story): Promise<Outcome & { readonly batches: Batch[] }> {
  for (const name of ["data", "out", "in-1.ndjson", "in-2.ndjson"])
    fs.rmSync(at(name), { recursive: true, force: true });
  fs.writeFileSync(at("in-1.ndjson"), "");
  // Where each line begins, by file: plans speak of bytes.
  const places = new Map<string, { start: number; tick: Tick | null }[]>();
  const sizes = new Map<string, number>();
  const batches: Batch[] = [];
  const sums = { ok: 0, duplicate: 0, late: 0 };
  const onEvent = (event: JobEvent) => {
    if (event.kind !== "committed") return;
    const { plan, counts, watermark } = event;
    for (const name of ["ok", "duplicate", "late"] as const) sums[name] += counts[name];
    if (plan.kind !== "read") return;
    const parts = plan.parts.map(({ source, from, to }) => ({
      source,
      ticks: (places.get(path.basename(source)) ?? []).flatMap(({ start, tick }) =>
        start >= from && start < to && tick !== null ? [tick] : [],
      ),
    }));
    batches.push({ plan, parts, watermark });
  };
  let from = 0;
  for (const [n, { upTo, most, batchTime }] of starts.entries()) {
    for (const { file, text, tick } of written.slice(from, upTo)) {
      const start = sizes.get(file) ?? 0;
      places.set(file, [...(places.get(file) ?? []), { start, tick }]);
      sizes.set(file, start + text.length + 1);
      fs.appendFileSync(at(file), lines(text));
    }
    from = upTo;
    const flags = {
      [n === starts.length - 1 ? "flush" : "once"]: "true",
      "max-batch": String(most),
      disorder: `${disorder}ms`,
      "batch-time": new Date(batchTime).toISOString(),
    };
    await runContinuous(ticksJob(wanted, flags, { onEvent }));
  }
  const rows = query("SELECT * FROM bars") as unknown as StoredBar[];
  // Who wants the last word only, gets the same rows, each once.
  expect(inOrder(rowsIn(at("out")))).toEqual(inOrder(rows));
  const aggregated = rows.reduce((sum, { n }) => sum + Number(n), 0);
  const came = batches
    .flatMap(({ parts }) => parts.flatMap(({ ticks }) => ticks))
    .reduce((sum, { time }) => sum + assign(wanted.window, time).length, 0);
  expect(sums.ok).toBe(written.filter(({ tick }) => tick !== null).length);
  return { rows, batches, counts: { came, aggregated, duplicate: sums.duplicate, late: sums.late } };
}

// --- the test stream ----------------------------------------------------------------------------------------------------

/** How far time is after each batch: the rule as it is written, not as the job has it in code. */
class Time {
  private ofJob: number | null = null;
  private readonly ofSource = new Map<string, number | null>();

  /** The watermark at the end of a batch; null while there is none. */
  after({ plan, parts }: Batch, disorder: number): number | null {
    for (const { source, ticks } of parts) {
      // A source that is new begins where the job stands.
      const before = this.ofSource.has(source) ? (this.ofSource.get(source) ?? null) : this.ofJob;
      const reached = Math.min(plan.batchTime, Math.max(...ticks.map(({ time }) => time))) - disorder;
      const isNews = ticks.length > 0 && (before === null || reached > before);
      this.ofSource.set(source, isNews ? reached : before);
    }
    const all = [...this.ofSource.values()];
    const known = all.filter((watermark) => watermark !== null);
    if (known.length === all.length) this.ofJob = Math.max(this.ofJob ?? Number.NEGATIVE_INFINITY, Math.min(...known));
    return this.ofJob;
  }
}

async function byTestStream({ shape: wanted, disorder }: Story, batches: readonly Batch[]): Promise<Outcome> {
  const stream = new TestStream<Tick>();
  const time = new Time();
  for (const batch of batches) {
    stream.add(...batch.parts.flatMap(({ ticks }) => ticks));
    const watermark = time.after(batch, disorder);
    expect(batch.watermark).toBe(watermark);
    if (watermark !== null) stream.advanceWatermarkTo(watermark);
  }
  stream.advanceWatermarkToEnd();
  const pipeline = new TestPipeline();
  let rows: StoredBar[] = [];
  pipeline.expect(pipeline.stream(stream).apply(toBars(wanted))).satisfies((panes) => {
    rows = lastWords(panes.map((pane) => stored(pane)));
  });
  const { "to aggregate": came = 0, aggregated = 0, duplicate = 0, late = 0 } = await pipeline.run();
  return { rows, counts: { came, aggregated, duplicate, late } };
}

/** Of panes, in the order in which they came, those that no later one of their key and window, or of a session that took theirs in, replaces. */
function lastWords(panes: readonly StoredBar[]): StoredBar[] {
  const isIn = (a: StoredBar, b: StoredBar) =>
    a.symbol === b.symbol && a.window_start >= b.window_start && a.window_end <= b.window_end;
  return panes.filter((pane, n) => !panes.slice(n + 1).some((later) => isIn(pane, later)));
}

// --- the law ------------------------------------------------------------------------------------------------------------

async function agreed(told: Story): Promise<Outcome & { readonly batches: readonly Batch[] }> {
  const job = await byJob(told);
  const stream = await byTestStream(told, job.batches);
  expect(inOrder(stream.rows)).toEqual(inOrder(job.rows));
  expect(stream.counts).toEqual(job.counts);
  const { came, aggregated, duplicate, late } = job.counts;
  expect(aggregated + duplicate + late).toBe(came);
  return job;
}

test("a job over growing files and a TestStream over the same batches give equal rows and counts", async () => {
  const seen = { batches: 0, duplicate: 0, late: 0, lateness: 0 };
  await fc.assert(
    fc.asyncProperty(story, async (told) => {
      const {
        batches,
        counts: { duplicate, late },
      } = await agreed(told);
      seen.batches += batches.length;
      seen.duplicate += duplicate;
      seen.late += late;
      if (told.shape.lateness > 0) seen.lateness += 1;
    }),
    // A story that fails is made shorter for a while, but not for ever.
    { numRuns: 30, interruptAfterTimeLimit: 90_000, markInterruptAsFailure: true },
  );
  // The stories have all that the law speaks of.
  for (const times of Object.values(seen)) expect(times).toBeGreaterThan(0);
});

test.each([
  ["late", 0, 60],
  ["not late", 0, 59.999],
  ["late", 10, 70],
  ["not late", 10, 69.999],
] as const)(
  "a record is %s when its window and a lateness of %d s end as time is at %d s",
  async (word, lateness, reached) => {
    const lineAt = (id: number, seconds: number): Line => {
      const tick = { symbol: "BTC", id, time: T0 + seconds * SECOND, price: "1" };
      return { file: "in-1.ndjson", text: JSON.stringify(tick), tick };
    };
    const { counts } = await agreed({
      shape: { window: fixed(60 * SECOND), lateness: lateness * SECOND, unique: true },
      disorder: 5 * SECOND,
      written: [lineAt(1, reached + 5), lineAt(2, 30)],
      starts: [1, 2].map((upTo) => ({ upTo, most: 10, batchTime: T0 + 1000 * SECOND })),
    });
    expect(counts.late).toBe(word === "late" ? 1 : 0);
  },
);
