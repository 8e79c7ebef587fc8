import { type Emitters, type Place } from "../beam";
import { AddUp } from "./add-up";
import { type PartOutputs, type Plan } from "./aggregate-plan";
import { Arrivals, from } from "./arrivals";
import { Gather } from "./gather";
import { count, sum } from "./measures";
import { ToRow } from "./to-row";

const unbounded = { disorder: 5_000, delay: 20_000, updatesEvery: 1_000 };
const T = Date.UTC(2026, 0, 5, 9, 30);
const at = (timestamp: number) => (): Place => ({ timestamp, start: 0, end: 0, pane: "only" });
const plan: Plan = {
  by: ["symbol"],
  at: "time",
  window: { kind: "fixed", size: 10_000 },
  lateness: 0,
  unique: null,
  measures: { n: count(), volume: sum("quantity") },
};
const row = (time: number) => ({ symbol: "BTC", time, quantity: "1", id: time });

/** A row by its time and that of its record, and where it comes from. */
type Came = [time: number, recordTime: number, source?: string];

/** What is sent on of rows, in one bundle after another. */
function partsOf(doFn: AddUp | Gather, ...bundles: Came[][]) {
  const parts: { value: PartOutputs["parts"]["value"]; start: number }[] = [];
  const counts: Record<string, number> = {};
  const emit = {
    parts: ({ value }: PartOutputs["parts"], to?: { start: number }) => parts.push({ value, start: to?.start ?? NaN }),
    late: () => undefined,
  } as unknown as Emitters<PartOutputs>;
  for (const bundle of bundles) {
    doFn.startBundle((name, by) => (counts[name] = (counts[name] ?? 0) + by));
    for (const [time, recordTime, source = "trades/0"] of bundle)
      from(source, () => doFn.process(row(time), emit, at(recordTime)));
    doFn.finishBundle(emit);
  }
  return { parts, counts };
}

test("a row whose record is of another time ends the job by a sentence with the remedy", () => {
  const arrivals = new Arrivals("time", unbounded);
  arrivals.see(T, T - 5_000);
  arrivals.see(T - 5_000, T);
  expect(() => arrivals.see(T - 5_001, T)).toThrow(
    /^time is 2026-01-05T09:29:54\.999Z, and Kafka has 2026-01-05T09:30:00Z .* 5s1ms apart, more than --disorder \(5s\)\. .* or raise --disorder$/,
  );
  expect(() => arrivals.see(T + 5_001, T)).toThrow("more than --disorder");
});

const adding: [string, () => AddUp | Gather][] = [
  ["added up", () => new AddUp(plan, 1_000, undefined, unbounded)],
  ["gathered", () => new Gather({ ...plan, unique: "id" }, 1_000, ["quantity"], undefined, unbounded)],
];

test.each(adding)(
  "rows that are %s make one part of a window, but each one of its own where the window may be over",
  (_, make) => {
    // The newest is of 09:30, so what ends by 09:29:40 may be over, also for a later bundle.
    const early: Came[] = [1, 2, 3].map((n) => [T - 25_000 - n, T - 25_000]);
    const { parts, counts } = partsOf(
      make(),
      [
        [T, T],
        [T + 1, T],
      ],
      early,
      [
        [T - 15_000, T - 15_000],
        [T - 15_001, T - 15_000],
      ],
    );
    expect(parts.map(({ start }) => (start - T) / 10_000)).toEqual([0, -3, -3, -3, -2]);
    expect(counts["to aggregate"]).toBe(7);
    // What of it is late only the runner knows.
    expect(counts["aggregated"]).toBeUndefined();
  },
);

test("a partition that has been at its end is as far as the clock, or as the others where they went on", () => {
  const seconds = (n: number) => T + n * 1_000;
  const arrivals = new Arrivals("time", { ...unbounded, disorder: 0, delay: 10_000 });
  const isOver = (source: string, time: number, now: number, end: number): boolean => {
    from(source, () => arrivals.see(time, time, now));
    return arrivals.mayBeOver(end);
  };
  // A backlog, long behind the clock.
  expect(isOver("end/0", seconds(0), seconds(5_000), seconds(-9))).toBe(false);
  expect(isOver("end/1", seconds(100), seconds(5_000.1), seconds(89))).toBe(true);
  expect(isOver("end/0", seconds(1), seconds(5_000.2), seconds(-8))).toBe(false);
  // Nothing for a while: it was at its end, and so was the other.
  expect(isOver("end/0", seconds(2), seconds(5_010), seconds(4_999))).toBe(true);
  expect(isOver("end/0", seconds(2), seconds(5_010), seconds(5_001))).toBe(false);
  // The other went on, as far as it came.
  for (const now of [5_010.2, 5_010.4]) isOver("end/2", seconds(now), seconds(now), 0);
  expect(isOver("end/1", seconds(101), seconds(5_010.6), seconds(5_000))).toBe(true);
  expect(isOver("end/1", seconds(101), seconds(5_010.6), seconds(5_002))).toBe(false);
});

test.each(adding)("beside a partition that is ahead, rows of another that are %s make one part", (_, make) => {
  const behind: Came[] = [1, 2, 3].map((n) => [T + n, T, "calm/1"]);
  const { parts } = partsOf(make(), [[T + 600_000, T + 600_000, "calm/0"], ...behind], behind);
  expect(parts.map(({ start }) => start - T)).toEqual([600_000, 0, 0]);
});

test("parts say of how many rows they are, and the last word on a window counts them once", () => {
  const counts: Record<string, number> = {};
  const toRow = new ToRow(plan, null, true);
  const rows: unknown[] = [];
  const { parts } = partsOf(
    new AddUp(plan, 1_000, undefined, unbounded),
    [
      [T, T],
      [T + 1, T],
    ],
    [[T + 2, T]],
  );
  const values = parts.map(({ value }) => value);
  toRow.startBundle((name, by) => (counts[name] = (counts[name] ?? 0) + by));
  const emit = { rows: (one: unknown) => rows.push(one) } as never;
  for (const pane of ["early", "early", "on time"] as const)
    toRow.process({ key: "BTC", value: values }, emit, () => ({ start: T, end: T + 10_000, timestamp: T, pane }));
  expect(counts).toEqual({ aggregated: 3, duplicate: 0 });
  expect(rows).toEqual(Array.from({ length: 3 }, () => expect.objectContaining({ n: 3, volume: "3" }) as unknown));
});
