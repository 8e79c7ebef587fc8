import { fixed, sessions, sliding } from "../beam";
import { TestPipeline } from "../beam/testing";
import { aggregate } from "./aggregate";
import { isWhole, nameOfWindow, watchCuts } from "./cut-windows";
import { count } from "./measures";

const T0 = Date.UTC(2026, 0, 5, 9, 30);
const MINUTE = 60_000;

describe("a window is whole", () => {
  it.each([
    ["fixed", fixed(MINUTE), T0],
    ["sliding", sliding(MINUTE, 20_000), T0],
    // A record of one millisecond before lies in the same session, unless it is the gap away.
    ["sessions", sessions(5000), T0 + 4999],
  ])("when nothing of it can be missing (%s)", (_name, window, first) => {
    expect(isWhole(window, first, T0)).toBe(true);
    expect(isWhole(window, first - 1, T0)).toBe(false);
  });

  it("or it has a name that tells which one", () => {
    expect(nameOfWindow("candles", T0, T0 + MINUTE, "BTC")).toBe(
      "candles 2026-01-05T09:30:00Z – 2026-01-05T09:31:00Z, BTC",
    );
    expect(nameOfWindow("far", -1e20, -9e19, "[1,2]")).toBe(
      "far -100000000000000000000 – -90000000000000000000, [1,2]",
    );
  });
});

describe("a window that is not whole", () => {
  const rows = ["a", "b"].flatMap((key) => [0, 1, 2].map((n) => ({ key, id: n, time: T0 + n * MINUTE + 30_000 })));
  const spec = { name: "candles", by: ["key"], at: "time", unique: "id", measures: { n: count() } } as const;

  it.each(["in order", "grouped"] as const)("gets no row, and is counted and named (%s)", async (duplicates) => {
    const covers = { since: null, until: null, wholeFrom: T0 + MINUTE + 1 };
    const pipeline = new TestPipeline({ duplicates, covers, batch: "cut" });
    const found = pipeline.create(rows).apply(aggregate({ ...spec, window: fixed(MINUTE) }));
    pipeline
      .expect(found)
      .containsInAnyOrder(
        ["a", "b"].map((key) => ({ window_start: T0 + 2 * MINUTE, window_end: T0 + 3 * MINUTE, key, n: 1 })),
      );
    const named: string[] = [];
    const stop = watchCuts("cut", (name) => named.push(name));
    const counters = await pipeline.run();
    stop();
    expect(counters).toMatchObject({ "to aggregate": 6, aggregated: 6, outside: 0, "not whole": 4 });
    expect(named.sort()).toEqual(
      [0, 1]
        .flatMap((n) => ["a", "b"].map((key) => nameOfWindow("candles", T0 + n * MINUTE, T0 + (n + 1) * MINUTE, key)))
        .sort(),
    );
  });

  it("may be a session that a missing record could have begun", async () => {
    const covers = { since: null, until: null, wholeFrom: T0 };
    const pipeline = new TestPipeline({ covers });
    const given = [
      { key: "a", id: 1, time: T0 + 10 },
      { key: "b", id: 2, time: T0 + 4999 },
    ];
    const found = pipeline.create(given).apply(aggregate({ ...spec, window: sessions(5000) }));
    pipeline.expect(found).containsInAnyOrder([{ window_start: T0 + 4999, window_end: T0 + 9999, key: "b", n: 1 }]);
    expect(await pipeline.run()).toMatchObject({ aggregated: 2, "not whole": 1 });
  });
});
