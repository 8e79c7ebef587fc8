import {
  fixed,
  groupByKey,
  keyedInto,
  perElement,
  sessions,
  sliding,
  type PCollection,
  type RunContext,
} from "../beam";
import { TestPipeline, TestStream } from "../beam/testing";
import { AddUp } from "./add-up";
import { aggregate } from "./aggregate";
import { MAX_HELD, type Plan } from "./aggregate-plan";
import { Gather } from "./gather";
import { type Fields } from "./measure-states";
import { ToRow } from "./to-row";
import { count, first, last, sum } from "./measures";

const T0 = Date.UTC(2026, 0, 1);
const MINUTE = 60_000;

interface Row {
  readonly key: string;
  readonly time: number;
  readonly id: number | string;
  readonly amount: string;
}

const row = (key: string, time: number, id: number | string, amount = "1"): Row => ({ key, time, id, amount });

const byKey = { by: ["key"], at: "time", measures: { n: count(), total: sum("amount") } } as const;

const result = (key: string, start: number, n: number, total: string, size = MINUTE) => ({
  window_start: start,
  window_end: start + size,
  key,
  n,
  total,
});

const BOTH: readonly RunContext["duplicates"][] = ["in order", "grouped"];

describe("windows", () => {
  it("fixed ones give a row per key and window", async () => {
    const pipeline = new TestPipeline();
    const rows = pipeline
      .create([row("a", T0, 1, "1.5"), row("a", T0 + MINUTE - 1, 2), row("a", T0 + MINUTE, 3), row("b", T0, 4)])
      .apply(aggregate({ ...byKey, window: fixed(MINUTE) }));
    const expectation = pipeline.expect(rows);
    expectation.containsInAnyOrder([
      result("a", T0, 2, "2.5"),
      result("a", T0 + MINUTE, 1, "1"),
      result("b", T0, 1, "1"),
    ]);
    expectation.inWindow(T0, T0 + MINUTE).hasSize(2);
    expect(await pipeline.run()).toMatchObject({ "to aggregate": 4, aggregated: 4, duplicate: 0, late: 0 });
  });

  it("sliding ones count a row in each that it lies in", async () => {
    const pipeline = new TestPipeline();
    const rows = pipeline
      .create([row("a", T0, 1), row("a", T0 + 30_000, 2)])
      .apply(aggregate({ ...byKey, window: sliding(MINUTE, 30_000) }));
    pipeline
      .expect(rows)
      .containsInAnyOrder([
        result("a", T0 - 30_000, 1, "1"),
        result("a", T0, 2, "2"),
        result("a", T0 + 30_000, 1, "1"),
      ]);
    expect(await pipeline.run()).toMatchObject({ "to aggregate": 4, aggregated: 4 });
  });

  it("sessions join what lies less than the gap apart, in whatever order it comes", async () => {
    const times = [0, 4, 9, 14, 30, 33, 40];
    for (const order of [times, [...times].reverse(), [9, 33, 0, 40, 14, 4, 30]]) {
      const pipeline = new TestPipeline();
      const rows = pipeline
        .create(order.map((time) => row("a", T0 + time, time)))
        .apply(aggregate({ ...byKey, window: sessions(5) }));
      // Exactly the gap apart is apart.
      pipeline
        .expect(rows)
        .containsInAnyOrder([
          result("a", T0, 2, "2", 9),
          result("a", T0 + 9, 1, "1", 5),
          result("a", T0 + 14, 1, "1", 5),
          result("a", T0 + 30, 2, "2", 8),
          result("a", T0 + 40, 1, "1", 5),
        ]);
      await pipeline.run();
    }
  });

  it("a row joins the sessions that it lies between", async () => {
    const pipeline = new TestPipeline();
    const rows = pipeline
      .create([0, 8, 20, 4].map((time) => row("a", T0 + time, time)))
      .apply(aggregate({ ...byKey, window: sessions(5) }));
    pipeline.expect(rows).containsInAnyOrder([result("a", T0, 3, "3", 13), result("a", T0 + 20, 1, "1", 5)]);
    await pipeline.run();
  });

  it("lie before the epoch, too", async () => {
    const pipeline = new TestPipeline();
    const early = pipeline.create([row("a", -1, 1), row("a", -MINUTE, 2), row("a", -MINUTE - 1, 3), row("a", 0, 4)]);
    pipeline
      .expect(early.apply(aggregate({ ...byKey, name: "fixed", window: fixed(MINUTE) })), "fixed")
      .containsInAnyOrder([result("a", -MINUTE, 2, "2"), result("a", -2 * MINUTE, 1, "1"), result("a", 0, 1, "1")]);
    pipeline
      .expect(early.apply(aggregate({ ...byKey, name: "sessions", window: sessions(5) })), "sessions")
      .containsInAnyOrder([result("a", -1, 2, "2", 6), result("a", -MINUTE - 1, 2, "2", 6)]);
    await pipeline.run();
  });

  it.each([Number.NaN, Number.POSITIVE_INFINITY, undefined, "2026-01-01", null])(
    "refuse %p as an event time",
    async (time) => {
      for (const unique of [undefined, "id"] as const) {
        const pipeline = new TestPipeline({ duplicates: "grouped" });
        pipeline
          .create([{ ...row("a", 0, 1), time: time as number }])
          .apply(aggregate({ ...byKey, unique, window: sliding(10, 5) }));
        await expect(pipeline.run()).rejects.toThrow(
          `time is ${String(time)}, but an event time is a number of milliseconds`,
        );
      }
    },
  );
});

describe("keys", () => {
  it.each<[string, readonly unknown[]]>([
    ["texts, whatever they begin with", ["a", "", "[", "[1]", '["a"]', "s", "1", "null", "__proto__", 'a"b', "ü😀"]],
    ["numbers, booleans and null beside their texts", [1, "1", 1.5, -1, true, "true", false, null, "null"]],
  ])("of one field: %s", async (_name, keys) => {
    const pipeline = new TestPipeline();
    const given = keys.flatMap((key, id) => [
      { ...row("", T0, id), key: key as string },
      { ...row("", T0, -id - 1), key: key as string },
    ]);
    const rows = pipeline.create(given).apply(aggregate({ ...byKey, window: fixed(MINUTE) }));
    pipeline.expect(rows).containsInAnyOrder(keys.map((key) => result(key as string, T0, 2, "2")));
    await pipeline.run();
  });

  it("of several fields, and of none", async () => {
    const pipeline = new TestPipeline();
    const given = [
      { a: "x", b: 1, time: T0 },
      { a: "x", b: 1, time: T0 },
      { a: "x", b: null, time: T0 },
      { a: 'x","y', b: true, time: T0 },
    ];
    const input = pipeline.create(given);
    const window = fixed(MINUTE);
    const bounds = { window_start: T0, window_end: T0 + MINUTE };
    pipeline
      .expect(input.apply(aggregate({ by: ["a", "b"], at: "time", window, measures: { n: count() } })), "by two")
      .containsInAnyOrder([
        { ...bounds, a: "x", b: 1, n: 2 },
        { ...bounds, a: "x", b: null, n: 1 },
        { ...bounds, a: 'x","y', b: true, n: 1 },
      ]);
    pipeline
      .expect(input.apply(aggregate({ by: [], at: "time", window, measures: { n: count() } })), "by nothing")
      .containsInAnyOrder([{ ...bounds, n: 4 }]);
    await pipeline.run();
  });

  it.each(["key", "window_start", "window_end"])("leave no place for a measure called %s", (name) => {
    expect(() => aggregate({ by: ["key"], at: "time", window: fixed(1), measures: { [name]: count() } })).toThrow(
      `The measure ${name} has the name of another column of the row`,
    );
  });
});

describe.each(BOTH)("unique, found %s", (duplicates) => {
  const spec = { ...byKey, window: fixed(MINUTE), unique: "id" } as const;

  it("counts an id once per key and window", async () => {
    const pipeline = new TestPipeline({ duplicates });
    const given = [
      ...[row("a", T0, 1), row("a", T0, 2), row("a", T0, 1), row("b", T0, 1)],
      ...[row("a", T0 + MINUTE, 1), row("a", T0, "1"), row("a", T0, "1"), row("a", T0, 2)],
    ];
    const rows = pipeline.create(given).apply(aggregate(spec));
    pipeline
      .expect(rows)
      .containsInAnyOrder([result("a", T0, 3, "3"), result("b", T0, 1, "1"), result("a", T0 + MINUTE, 1, "1")]);
    expect(await pipeline.run()).toMatchObject({ "to aggregate": 8, aggregated: 5, duplicate: 3 });
  });

  it("takes rows without an id for different ones", async () => {
    const pipeline = new TestPipeline({ duplicates });
    const given = [undefined, null, undefined, null, 0, 0, ""].map((id) => ({ ...row("a", T0, 0), id: id as number }));
    pipeline.expect(pipeline.create(given).apply(aggregate(spec))).containsInAnyOrder([result("a", T0, 6, "6")]);
    expect(await pipeline.run()).toMatchObject({ aggregated: 6, duplicate: 1 });
  });

  it("counts in each of several sliding windows", async () => {
    const pipeline = new TestPipeline({ duplicates });
    const rows = pipeline
      .create([row("a", T0, 1), row("a", T0 + 30_000, 1)])
      .apply(aggregate({ ...spec, window: sliding(MINUTE, 30_000) }));
    pipeline
      .expect(rows)
      .containsInAnyOrder([
        result("a", T0 - 30_000, 1, "1"),
        result("a", T0, 1, "1"),
        result("a", T0 + 30_000, 1, "1"),
      ]);
    expect(await pipeline.run()).toMatchObject({ "to aggregate": 4, aggregated: 3, duplicate: 1 });
  });

  it("counts in a session as a whole, which a duplicate may join", async () => {
    const pipeline = new TestPipeline({ duplicates });
    const given = [row("a", T0, 1), row("a", T0 + 8, 2), row("a", T0 + 4, 1), row("a", T0 + 50, 1)];
    const rows = pipeline.create(given).apply(aggregate({ ...spec, window: sessions(5) }));
    pipeline.expect(rows).containsInAnyOrder([result("a", T0, 2, "2", 13), result("a", T0 + 50, 1, "1", 5)]);
    expect(await pipeline.run()).toMatchObject({ "to aggregate": 4, aggregated: 3, duplicate: 1 });
  });

  it("breaks ties of first and last by the id", async () => {
    const pipeline = new TestPipeline({ duplicates });
    const given = [row("a", T0, 10, "2"), row("a", T0, 9, "3"), row("a", T0, 11, "1")];
    const measures = { open: first("amount"), close: last("amount") };
    const rows = pipeline.create(given).apply(aggregate({ ...spec, measures }));
    pipeline
      .expect(rows)
      .containsInAnyOrder([{ window_start: T0, window_end: T0 + MINUTE, key: "a", open: "3", close: "1" }]);
    await pipeline.run();
  });
});

describe("the same id with different content", () => {
  const given = [row("a", T0 + 1, 1, "5"), row("a", T0, 1, "9"), row("a", T0, 1, "7")];
  const spec = { ...byKey, window: fixed(MINUTE), unique: "id" } as const;

  it.each<[RunContext["duplicates"], string]>([
    ["in order", "5"],
    ["grouped", "7"],
  ])("%s: one of them counts, and which one is certain", async (duplicates, total) => {
    const pipeline = new TestPipeline({ duplicates });
    pipeline.expect(pipeline.create(given).apply(aggregate(spec))).containsInAnyOrder([result("a", T0, 1, total)]);
    await pipeline.run();
  });
});

describe("a stream", () => {
  const spec = { ...byKey, window: fixed(MINUTE), lateness: 30_000 } as const;

  it.each(BOTH)(
    "gives a row on time, a whole one for late rows, none for what is too late (%s)",
    async (duplicates) => {
      const pipeline = new TestPipeline({ duplicates });
      const stream = new TestStream<Row>()
        .add(row("a", T0, 1), row("a", T0, 1), row("b", T0 + MINUTE, 2))
        .advanceWatermarkTo(T0 + MINUTE)
        .add(row("a", T0 + 1, 3), row("a", T0 + 2, 1))
        .advanceWatermarkTo(T0 + MINUTE + 30_000)
        .add(row("a", T0 + 3, 4))
        .advanceWatermarkToEnd();
      const rows = pipeline.stream(stream).apply(aggregate({ ...spec, unique: "id" }));
      const expectation = pipeline.expect(rows);
      expectation.onTime().containsInAnyOrder([result("a", T0, 1, "1"), result("b", T0 + MINUTE, 1, "1")]);
      expectation.late().containsInAnyOrder([result("a", T0, 2, "2")]);
      expect(await pipeline.run()).toMatchObject({ "to aggregate": 6, late: 1 });
    },
  );

  it.each([undefined, "id"] as const)("counts every row once (unique: %s)", async (unique) => {
    const pipeline = new TestPipeline();
    const stream = new TestStream<Row>()
      .add(row("a", T0, 1), row("a", T0, 1))
      .advanceWatermarkTo(T0 + MINUTE)
      .add(row("a", T0 + 1, 1))
      .advanceWatermarkTo(T0 + 2 * MINUTE)
      .add(row("a", T0 + 2, 2), row("b", T0 + 2 * MINUTE, 2));
    pipeline.stream(stream).apply(aggregate({ ...spec, unique }));
    const counters = await pipeline.run();
    const { aggregated = 0, duplicate = 0, late = 0 } = counters;
    expect({ aggregated, duplicate, late }).toEqual(
      unique === undefined ? { aggregated: 4, duplicate: 0, late: 1 } : { aggregated: 2, duplicate: 2, late: 1 },
    );
    expect(counters["to aggregate"]).toBe(5);
  });

  it.each([
    ["a window", fixed(MINUTE), "grouped"],
    ["sessions that become one", sessions(5000), "in order"],
  ] as const)("counts every row once where panes have them again: %s", async (_name, window, duplicates) => {
    const pipeline = new TestPipeline({ duplicates });
    const stream = new TestStream<Row>()
      .add(row("a", T0, 1), row("a", T0 + 8000, 1))
      .advanceWatermarkTo(T0 + MINUTE)
      .add(row("a", T0 + 4000, 2))
      .advanceWatermarkTo(T0 + MINUTE + 1);
    const rows = pipeline.stream(stream).apply(aggregate({ ...byKey, window, lateness: MINUTE, unique: "id" }));
    pipeline.expect(rows).satisfies((panes) => expect(panes.at(-1)).toMatchObject({ n: 2 }));
    expect(await pipeline.run()).toMatchObject({ "to aggregate": 3, aggregated: 2, duplicate: 1 });
  });

  it("loses nothing when the watermark jumps over a window and its lateness", async () => {
    const pipeline = new TestPipeline();
    const stream = new TestStream<Row>()
      .add(row("a", T0, 1))
      .advanceWatermarkTo(T0 + 10 * MINUTE)
      .add(row("b", T0 + 10 * MINUTE, 2))
      .advanceWatermarkToEnd();
    const rows = pipeline.stream(stream).apply(aggregate(spec));
    pipeline.expect(rows).containsInAnyOrder([result("a", T0, 1, "1"), result("b", T0 + 10 * MINUTE, 1, "1")]);
    expect(await pipeline.run()).toMatchObject({ aggregated: 2, late: 0 });
  });

  it("closes sliding windows one by one: a row can be late for some of those that it lies in", async () => {
    const pipeline = new TestPipeline();
    const stream = new TestStream<Row>()
      .advanceWatermarkTo(T0 + 30_000)
      .add(row("a", T0 + 1, 1))
      .advanceWatermarkToEnd();
    const rows = pipeline.stream(stream).apply(aggregate({ ...byKey, window: sliding(MINUTE, 30_000) }));
    pipeline.expect(rows).containsInAnyOrder([result("a", T0, 1, "1")]);
    expect(await pipeline.run()).toMatchObject({ "to aggregate": 2, aggregated: 1, late: 1 });
  });

  it("keeps a session open for what comes within the gap", async () => {
    const pipeline = new TestPipeline();
    const stream = new TestStream<Row>()
      .add(row("a", T0, 1))
      .advanceWatermarkTo(T0 + 3)
      .add(row("a", T0 + 4, 2))
      .advanceWatermarkTo(T0 + 6)
      .add(row("a", T0 + 30, 3))
      .advanceWatermarkToEnd();
    const rows = pipeline.stream(stream).apply(aggregate({ ...byKey, window: sessions(5) }));
    pipeline.expect(rows).containsInAnyOrder([result("a", T0, 2, "2", 9), result("a", T0 + 30, 1, "1", 5)]);
    await pipeline.run();
  });
});

describe("a run over a stretch of time", () => {
  const covers = (since: number | null, until: number | null) => ({ since, until, wholeFrom: null });
  const times = [-1, 0, 1, MINUTE - 1, MINUTE, 2 * MINUTE - 1, 2 * MINUTE];
  // Each row twice: what is outside is not even looked at for duplicates.
  const given = [...times, ...times].map((time) => row("a", T0 + time, time));

  it.each(BOTH)("counts and keeps nothing of other windows (%s)", async (duplicates) => {
    for (const [since, until, rows, counts] of [
      [T0, T0 + 2 * MINUTE, [result("a", T0, 3, "3"), result("a", T0 + MINUTE, 2, "2")], [5, 5, 4]],
      [T0 + MINUTE, null, [result("a", T0 + MINUTE, 2, "2"), result("a", T0 + 2 * MINUTE, 1, "1")], [3, 3, 8]],
      [null, T0, [result("a", T0 - MINUTE, 1, "1")], [1, 1, 12]],
      [T0 + 3 * MINUTE, null, [], [0, 0, 14]],
    ] as const) {
      const pipeline = new TestPipeline({ duplicates, covers: covers(since, until) });
      const found = pipeline.create(given).apply(aggregate({ ...byKey, unique: "id", window: fixed(MINUTE) }));
      pipeline.expect(found).containsInAnyOrder([...rows]);
      const [aggregated, duplicate, outside] = counts;
      // Where nothing is grouped, nothing comes to be counted behind it.
      const counters = { aggregated: 0, duplicate: 0, ...(await pipeline.run()) };
      expect(counters).toMatchObject({ "to aggregate": 14, aggregated, duplicate, late: 0, outside });
    }
  });

  it.each(BOTH)("takes of sliding windows those that lie wholly in it (%s)", async (duplicates) => {
    const pipeline = new TestPipeline({ duplicates, covers: covers(T0, T0 + MINUTE + 30_000) });
    const rows = pipeline
      .create([row("a", T0 - 1, 1), row("a", T0, 2), row("a", T0 + MINUTE, 3), row("a", T0 + MINUTE + 30_000, 4)])
      .apply(aggregate({ ...byKey, unique: "id", window: sliding(MINUTE, 30_000) }));
    pipeline.expect(rows).containsInAnyOrder([result("a", T0, 1, "1"), result("a", T0 + 30_000, 1, "1")]);
    expect(await pipeline.run()).toMatchObject({ "to aggregate": 8, aggregated: 2, duplicate: 0, outside: 6 });
  });

  it("sends no part of a window that is outside", async () => {
    const plan: Plan = { ...byKey, window: fixed(MINUTE), lateness: 0, unique: "id" };
    for (const partial of [
      new AddUp(plan, MAX_HELD, covers(T0, T0 + MINUTE)),
      new Gather(plan, MAX_HELD, ["amount"], covers(T0, T0 + MINUTE)),
    ]) {
      const pipeline = new TestPipeline();
      const input: PCollection<Fields> = pipeline.create(given as unknown as readonly Fields[]);
      pipeline
        .expect(input.apply(perElement("partial", partial, { parts: keyedInto(plan.window, 0) })).parts)
        .hasSize(1);
      await pipeline.run();
    }
  });
});

describe("what is held in memory", () => {
  const plan = (more: Partial<Plan>): Plan => ({
    ...byKey,
    window: fixed(MINUTE),
    lateness: 0,
    unique: "id",
    ...more,
  });
  const given = Array.from({ length: 30 }, (_, n) => row(`key ${n % 3}`, T0 + (n % 5) * MINUTE, n % 25));

  it.each([
    ["fixed", plan({}), 15],
    ["sessions", plan({ window: sessions(MINUTE + 1), unique: null }), 3],
  ])("is sent on before the bundle ends, and makes no difference (%s)", async (_name, of, size) => {
    const partials = of.unique === null ? [AddUp] : [AddUp, Gather];
    const results: Fields[][] = [];
    for (const Partial of partials) {
      for (const maxHeld of [0, 2, MAX_HELD]) {
        const pipeline = new TestPipeline();
        const shapes = { parts: keyedInto(of.window, of.lateness) };
        const partial = Partial === AddUp ? new AddUp(of, maxHeld) : new Gather(of, maxHeld, ["amount"]);
        const input: PCollection<Fields> = pipeline.create(given as unknown as readonly Fields[]);
        const { parts } = input.apply(perElement("partial", partial, shapes));
        const sent: unknown[] = [];
        pipeline.expect(parts).satisfies((all) => void sent.push(...all));
        const { rows } = parts.apply(groupByKey()).apply(perElement("to row", new ToRow(of)));
        pipeline.expect(rows).satisfies((all) => void results.push([...all]));
        await pipeline.run();
        if (maxHeld === 2) expect(sent.length).toBeGreaterThan(size);
        if (maxHeld === MAX_HELD) expect(sent).toHaveLength(size);
      }
    }
    const sorted = results.map((rows) => rows.map((each) => JSON.stringify(each)).sort());
    expect(sorted[0]).toHaveLength(size);
    for (const each of sorted) expect(each).toEqual(sorted[0]);
  });
});
