// Windows as plain data, in milliseconds: how an event time is assigned, and what Beam's runners are told about it.
import Long from "long";
import { runnerApi, standardCoders, values, windowPayloads, windowing as sdkWindowing, type sdk } from "./sdk";
import { formatDuration } from "../schema/duration";
import { type PCollection } from "./collection";

export type Windowing =
  | { readonly kind: "fixed"; readonly size: number }
  | { readonly kind: "sliding"; readonly size: number; readonly every: number }
  | { readonly kind: "sessions"; readonly gap: number };

/** One window after the other, each `size` long, aligned to the epoch. */
export const fixed = (size: number): Windowing => ({ kind: "fixed", size: positive("size", size) });

/** Windows `size` long that begin every `every`: an event lies in size / every of them. */
export const sliding = (size: number, every: number): Windowing => {
  const windowing: Windowing = { kind: "sliding", size: positive("size", size), every: positive("period", every) };
  if (every > size) {
    throw new Error(`Sliding windows of ${formatDuration(size)} every ${formatDuration(every)} leave gaps`);
  }
  return windowing;
};

/** Bursts of events of a key with less than `gap` between two of them. */
export const sessions = (gap: number): Windowing => ({ kind: "sessions", gap: positive("gap", gap) });

function positive(what: string, value: number): number {
  if (!Number.isSafeInteger(value) || value <= 0) {
    throw new Error(`A window's ${what} must be a whole number of milliseconds above 0, not ${value}`);
  }
  return value;
}

/** The start of the aligned stretch of `size` that `time` lies in, also before the epoch. */
export function alignDown(time: number, size: number): number {
  const rest = time % size;
  if (rest >= 0) return time - rest;
  if (rest < 0) return time - rest - size;
  throw new Error(`${time} is not an event time`);
}

/** Starts and ends of the windows of an event time. A session is the event's own gap, to be merged with others. */
export function assign(windowing: Windowing, time: number): { start: number; end: number }[] {
  switch (windowing.kind) {
    case "fixed": {
      const start = alignDown(time, windowing.size);
      return [{ start, end: start + windowing.size }];
    }
    case "sliding": {
      const assigned = [];
      for (let start = alignDown(time, windowing.every); start + windowing.size > time; start -= windowing.every) {
        assigned.push({ start, end: start + windowing.size });
      }
      return assigned;
    }
    case "sessions": {
      const start = alignDown(time, 1);
      return [{ start, end: start + windowing.gap }];
    }
  }
}

/** A window as the SDK has it: the reverse of boundsOf. */
export function windowOf(start: number, end: number): sdk.Window {
  if (!(start < end)) throw new Error(`A window cannot begin at ${start} and end at ${end}`);
  if (end === Number.POSITIVE_INFINITY) return new values.GlobalWindow();
  return new values.IntervalWindow(Long.fromNumber(start), Long.fromNumber(end));
}

/** A value that lies nowhere in particular: in the global window, at the beginning of time. */
export function unwindowed(value: unknown): sdk.WindowedValue {
  const pane = standardCoders.PaneInfoCoder.ONE_AND_ONLY_FIRING;
  return { value, windows: [new values.GlobalWindow()], pane, timestamp: Long.fromString("-9223372036854775") };
}

/** Start and end of an SDK window; the global window is endless both ways. */
export function boundsOf(window: sdk.Window): { start: number; end: number } {
  if (window instanceof values.IntervalWindow) return { start: window.start.toNumber(), end: window.end.toNumber() };
  return { start: Number.NEGATIVE_INFINITY, end: Number.POSITIVE_INFINITY };
}

/** Whether the elements of a collection lie in windows of their time, and not all in the global one. */
export function isWindowed(collection: PCollection<unknown>): boolean {
  const { pipeline, getId } = collection as unknown as { pipeline: sdk.Pipeline; getId(): string };
  const { components } = pipeline.context;
  const { windowingStrategyId = "" } = components.pcollections[getId.call(collection)] ?? {};
  return components.windowingStrategies[windowingStrategyId]?.windowFn?.urn !== GLOBAL_WINDOWS_URN;
}

const GLOBAL_WINDOWS_URN = "beam:window_fn:global_windows:v1";

const millis = (value: number) => ({ seconds: BigInt(Math.floor(value / 1000)), nanos: (value % 1000) * 1_000_000 });

function windowFnProto(windowing: Windowing): { urn: string; payload: Uint8Array } {
  const offset = millis(0);
  switch (windowing.kind) {
    case "fixed": {
      const payload = windowPayloads.FixedWindowsPayload.toBinary({ size: millis(windowing.size), offset });
      return { urn: "beam:window_fn:fixed_windows:v1", payload };
    }
    case "sliding": {
      const { size, every } = windowing;
      const payload = windowPayloads.SlidingWindowsPayload.toBinary({
        size: millis(size),
        period: millis(every),
        offset,
      });
      return { urn: "beam:window_fn:sliding_windows:v1", payload };
    }
    case "sessions": {
      const payload = windowPayloads.SessionWindowsPayload.toBinary({ gapSize: millis(windowing.gap) });
      return { urn: "beam:window_fn:session_windows:v1", payload };
    }
  }
}

/**
 * The strategy of a collection that is windowed so; panes accumulate: each one stands for the whole window. `updatesEvery`:
 * before its end a window that has changed gives a pane so many milliseconds later.
 */
export function windowingStrategy(
  pipeline: sdk.Pipeline,
  windowing: Windowing,
  lateness: number,
  updatesEvery: number | null = null,
): sdk.WindowingStrategy {
  if (!Number.isSafeInteger(lateness) || lateness < 0) {
    throw new Error(`A lateness must be a whole number of milliseconds, not ${lateness}`);
  }
  const strategy = sdkWindowing.createWindowingStrategyProto(pipeline, {
    assignWindows: () => [],
    windowCoder: () => new standardCoders.IntervalWindowCoder(),
    isMerging: () => windowing.kind === "sessions",
    assignsToOneWindow: () => windowing.kind !== "sliding",
    toProto: () => windowFnProto(windowing),
  } as never);
  return {
    ...strategy,
    allowedLateness: BigInt(lateness),
    accumulationMode: runnerApi.AccumulationMode_Enum.ACCUMULATING,
    ...(updatesEvery === null ? {} : { trigger: updating(updatesEvery) }),
  };
}

/** Panes by the clock, and one at the window's end whether anything has changed since or not: it is the last word. */
function updating(every: number): sdk.WindowingStrategy["trigger"] {
  const delay = { oneofKind: "delay", delay: { delayMillis: BigInt(every) } } as const;
  const early = runnerApi.Trigger.create({
    trigger: {
      oneofKind: "afterProcessingTime",
      afterProcessingTime: { timestampTransforms: [{ timestampTransform: delay }] },
    },
  });
  return runnerApi.Trigger.create({
    trigger: { oneofKind: "afterEndOfWindow", afterEndOfWindow: { earlyFirings: early } },
  });
}
