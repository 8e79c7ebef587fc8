import fc from "fast-check";
import { newGraph } from "./direct-runner";
import { defaultContext } from "./run-context";
import { runnerApi, windowPayloads, type sdk } from "./sdk";
import {
  alignDown,
  assign,
  boundsOf,
  fixed,
  sessions,
  sliding,
  windowingStrategy,
  windowOf,
  type Windowing,
} from "./windows";

const time = fc.integer({ min: Date.UTC(-5000, 0), max: Date.UTC(20_000, 0) });
const size = fc.integer({ min: 1, max: 40 * 86_400_000 });

describe("assign", () => {
  test("fixed: one window, aligned to the epoch, that contains the time", () => {
    fc.assert(
      fc.property(time, size, (at, width) => {
        const assigned = assign(fixed(width), at);
        expect(assigned).toHaveLength(1);
        const [{ start, end }] = assigned as [{ start: number; end: number }];
        expect(start <= at && at < end).toBe(true);
        expect(end - start).toBe(width);
        expect(start % width === 0).toBe(true);
        expect(start).toBe(alignDown(at, width));
      }),
    );
  });

  test("sliding: size / every windows, each aligned, each with the time in it", () => {
    fc.assert(
      fc.property(
        time,
        fc.integer({ min: 1, max: 86_400_000 }),
        fc.integer({ min: 1, max: 30 }),
        (at, every, times) => {
          const assigned = assign(sliding(every * times, every), at);
          expect(assigned).toHaveLength(times);
          expect(new Set(assigned.map((window) => window.start)).size).toBe(times);
          for (const { start, end } of assigned) {
            expect(start <= at && at < end).toBe(true);
            expect(end - start).toBe(every * times);
            expect(start % every === 0).toBe(true);
          }
        },
      ),
    );
  });

  test("sliding, not divisible: every aligned window that contains the time, and no other", () => {
    const small = fc.integer({ min: 1, max: 50 });
    fc.assert(
      fc.property(fc.integer({ min: -500, max: 500 }), small, small, (at, a, b) => {
        const [width, every] = [Math.max(a, b), Math.min(a, b)];
        const starts = [];
        for (let start = at - width + 1; start <= at; start += 1) if (start % every === 0) starts.push(start);
        const assigned = assign(sliding(width, every), at).map((window) => window.start);
        expect(assigned.sort((x, y) => x - y)).toEqual(starts.map((start) => start + 0));
      }),
    );
  });

  test("sessions: the gap after the event", () => {
    expect(assign(sessions(5), -3)).toEqual([{ start: -3, end: 2 }]);
    expect(assign(sessions(5), 1.5)).toEqual([{ start: 1, end: 6 }]);
  });

  test.each<[string, Windowing]>([
    ["fixed", fixed(10)],
    ["sliding", sliding(10, 5)],
    ["sessions", sessions(10)],
  ])("%s: refuses what is no time, instead of losing the event", (_kind, windowing) => {
    expect(() => assign(windowing, NaN)).toThrow("NaN is not an event time");
    expect(() => assign(windowing, Infinity)).toThrow("Infinity is not an event time");
  });
});

describe("sizes that are refused", () => {
  const refused = "must be a whole number of milliseconds above 0, not";
  test.each([0, -1, 1.5, NaN, Infinity, 2 ** 53])("%p", (bad) => {
    expect(() => fixed(bad)).toThrow(`A window's size ${refused} ${bad}`);
    expect(() => sliding(bad, 1)).toThrow(`A window's size ${refused} ${bad}`);
    expect(() => sliding(10, bad)).toThrow(`A window's period ${refused} ${bad}`);
    expect(() => sessions(bad)).toThrow(`A window's gap ${refused} ${bad}`);
  });

  test("a period longer than the size would leave gaps", () => {
    expect(() => sliding(60_000, 90_000)).toThrow("Sliding windows of 1m every 1m30s leave gaps");
    expect(sliding(60_000, 60_000)).toEqual({ kind: "sliding", size: 60_000, every: 60_000 });
  });
});

describe("windows of the SDK", () => {
  test("there and back", () => {
    fc.assert(
      fc.property(time, size, (start, width) => {
        expect(boundsOf(windowOf(start, start + width))).toEqual({ start, end: start + width });
      }),
    );
    const endless = { start: -Infinity, end: Infinity };
    expect(boundsOf(windowOf(endless.start, endless.end))).toEqual(endless);
  });

  test.each([
    [NaN, 1],
    [1, NaN],
    [2, 1],
    [1, 1],
  ])("from %p to %p is none", (start, end) => {
    expect(() => windowOf(start, end)).toThrow(`A window cannot begin at ${start} and end at ${end}`);
  });
});

describe("what runners are told", () => {
  const strategyOf = (windowing: Windowing, lateness = 0) => {
    const { pipeline } = newGraph(defaultContext).root as unknown as { pipeline: sdk.Pipeline };
    return windowingStrategy(pipeline, windowing, lateness);
  };

  test("sizes to the millisecond", () => {
    const payload = (windowing: Windowing) => strategyOf(windowing).windowFn!.payload;
    const parts = ({ seconds, nanos }: { seconds: bigint; nanos: number }) => [seconds, nanos];
    const { FixedWindowsPayload, SlidingWindowsPayload, SessionWindowsPayload } = windowPayloads;
    expect(parts(FixedWindowsPayload.fromBinary(payload(fixed(1_250))).size!)).toEqual([1n, 250_000_000]);
    expect(parts(FixedWindowsPayload.fromBinary(payload(fixed(7))).size!)).toEqual([0n, 7_000_000]);
    const slides = SlidingWindowsPayload.fromBinary(payload(sliding(90_000, 500)));
    expect([parts(slides.size!), parts(slides.period!)]).toEqual([
      [90n, 0],
      [0n, 500_000_000],
    ]);
    expect(parts(SessionWindowsPayload.fromBinary(payload(sessions(1_999))).gapSize!)).toEqual([1n, 999_000_000]);
  });

  test("sessions merge, sliding windows hold an event several times, panes accumulate", () => {
    const { NEEDS_MERGE, NON_MERGING } = runnerApi.MergeStatus_Enum;
    expect(strategyOf(sessions(1)).mergeStatus).toBe(NEEDS_MERGE);
    expect(strategyOf(fixed(1)).mergeStatus).toBe(NON_MERGING);
    expect(strategyOf(sliding(2, 1)).assignsToOneWindow).toBe(false);
    expect(strategyOf(fixed(1), 300_000).allowedLateness).toBe(300_000n);
    expect(strategyOf(fixed(1)).accumulationMode).toBe(runnerApi.AccumulationMode_Enum.ACCUMULATING);
  });

  test.each([-1, 0.5, NaN, Infinity])("a lateness of %p is refused", (lateness) => {
    expect(() => strategyOf(fixed(1), lateness)).toThrow(
      `A lateness must be a whole number of milliseconds, not ${lateness}`,
    );
  });
});
