import { keepSubSecondWindows } from "./sub-second-windows";
import * as beam from "apache-beam";
import { deserializeFn, serializeFn } from "apache-beam/internal/serialize";
import {
  FixedWindowsPayload,
  SessionWindowsPayload,
  SlidingWindowsPayload,
} from "apache-beam/proto/standard_window_fns";
import Long from "long";

const fixed = (...args: Parameters<typeof beam.fixedWindows>) =>
  FixedWindowsPayload.fromBinary(beam.fixedWindows(...args).toProto().payload);
const sliding = (...args: Parameters<typeof beam.slidingWindows>) =>
  SlidingWindowsPayload.fromBinary(beam.slidingWindows(...args).toProto().payload);
const gap = (seconds: number) => SessionWindowsPayload.fromBinary(beam.sessions(seconds).toProto().payload).gapSize;

const none = { seconds: 0n, nanos: 0 };
const half = { seconds: 0n, nanos: 500_000_000 };

test("without the fix half a second is none", () => {
  expect([fixed(0.5).size, sliding(0.5, 0.25).period, gap(0.5)]).toEqual([none, none, none]);
  expect(fixed(2.5).size).toEqual({ seconds: 2n, nanos: 0 });
});

describe("with the fix", () => {
  beforeAll(() => {
    keepSubSecondWindows();
    keepSubSecondWindows();
  });

  test("half a second is half a second", () => {
    expect(fixed(0.5)).toEqual({ size: half, offset: none });
    expect(sliding(0.5, 0.25)).toEqual({ size: half, period: { seconds: 0n, nanos: 250_000_000 }, offset: none });
    expect(gap(0.5)).toEqual(half);
  });

  test("whole seconds and offsets stay", () => {
    expect(fixed(60, Long.fromNumber(5))).toEqual({
      size: { seconds: 60n, nanos: 0 },
      offset: { seconds: 5n, nanos: 0 },
    });
    expect(fixed(2.5).size).toEqual({ seconds: 2n, nanos: 500_000_000 });
    expect(beam.fixedWindows(0.5).toProto().urn).toBe("beam:window_fn:fixed_windows:v1");
    expect(beam.fixedWindows(0.5).windowCoder()).toBeDefined();
  });

  test("the windows still travel to a worker", () => {
    const { windowFn } = deserializeFn(serializeFn({ windowFn: beam.fixedWindows(0.5) })) as {
      windowFn: ReturnType<typeof beam.fixedWindows>;
    };
    const [window] = windowFn.assignWindows(Long.fromNumber(1700));
    expect(window).toMatchObject({ start: Long.fromNumber(1500), end: Long.fromNumber(2000) });
  });
});
