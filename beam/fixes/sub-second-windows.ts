// The SDK tells a runner the whole seconds of a window's size, period and gap and leaves the rest out: windows of 500 ms
// are windows of no length there. The fix adds the nanoseconds. On the worker nothing was wrong.
import "../node-compat";
import "apache-beam";
import { createRequire } from "node:module";
import { type FunctionSpec } from "apache-beam/proto/beam_runner_api";
import {
  FixedWindowsPayload,
  SessionWindowsPayload,
  SlidingWindowsPayload,
} from "apache-beam/proto/standard_window_fns";
import type Long from "long";
import { once } from "./once";

type Millis = Record<"sizeMillis" | "offsetMillis" | "periodMillis" | "gapMillis", Long>;

/** The SDK's compiler lets a function say what it has captured, so that it can be sent to a worker. */
interface ToProto {
  (): FunctionSpec;
  __closure?(): unknown;
}

type MakeWindows = (...args: unknown[]) => { toProto: ToProto };
type Kind = "fixedWindows" | "slidingWindows" | "sessions";

const duration = (millis: Long) => ({
  seconds: BigInt(millis.div(1000).toString()),
  nanos: millis.mod(1000).toNumber() * 1_000_000,
});

const payloads: Record<Kind, (millis: Millis) => Uint8Array> = {
  fixedWindows: ({ sizeMillis, offsetMillis }) =>
    FixedWindowsPayload.toBinary({ size: duration(sizeMillis), offset: duration(offsetMillis) }),
  slidingWindows: ({ sizeMillis, periodMillis, offsetMillis }) =>
    SlidingWindowsPayload.toBinary({
      size: duration(sizeMillis),
      period: duration(periodMillis),
      offset: duration(offsetMillis),
    }),
  sessions: ({ gapMillis }) => SessionWindowsPayload.toBinary({ gapSize: duration(gapMillis) }),
};

export function keepSubSecondWindows(): void {
  // The module itself: an import would be a copy of it.
  const windowings = createRequire(__filename)("apache-beam/transforms/windowings") as Record<Kind, MakeWindows>;
  once(windowings, "sub-second-windows", () => {
    for (const [kind, payloadOf] of Object.entries(payloads) as [Kind, (millis: Millis) => Uint8Array][]) {
      const make = windowings[kind];
      windowings[kind] = (...args) => {
        const windows = make(...args);
        const spec = { urn: windows.toProto().urn, payload: payloadOf(windows.toProto.__closure?.() as Millis) };
        const toProto: ToProto = () => spec;
        toProto.__closure = () => ({ spec });
        return { ...windows, toProto };
      };
    }
  });
}
