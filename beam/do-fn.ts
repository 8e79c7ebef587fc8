// beamline's DoFn: any number of named outputs, no generator and no context object per element, and finishBundle may
// wait. A DoFn is an instance of a registered class with its options as plain public fields; the worker makes a copy.
import Long from "long";
import { currentClock } from "./clock";
import { parDo, type PCollection, type PTransform } from "./collection";
import { countsOf, type Count } from "./counts";
import { operatorByUrn } from "./operator-registry";
import { droppable } from "./failed-bundles";
import { type sdk, values } from "./sdk";
import { packBytes, unpackBytes } from "./travel";
import { boundsOf, unwindowed, windowOf } from "./windows";

export const DO_FN_URN = "beamline:dofn:v1";

/** A window to send a value to; it gets the last instant of the window as its event time. */
export interface Bounds {
  readonly start: number;
  readonly end: number;
}

/** A window, and which of its panes it is. */
export interface BoundsAndPane extends Bounds {
  /** "early": more may come; "on time": the last word on the window; "late": a change behind the last word. */
  readonly pane?: "early" | "on time" | "late";
}

/** Where the element at hand lies. All times in milliseconds. */
export interface Place extends Bounds {
  readonly timestamp: number;
  readonly pane: "only" | "early" | "on time" | "late";
}

/**
 * Sends a value to an output: to where the element at hand lies, to a window, or to an event time. In finishBundle and
 * onWatermark no element is at hand: without a window the value goes to the global one.
 */
export type Emit<T> = (value: T, to?: BoundsAndPane | { readonly timestamp: number }) => void;

export type Emitters<Outputs> = { readonly [Name in keyof Outputs]: Emit<Outputs[Name]> };

export interface DoFn<In, Outputs extends Record<string, unknown>> {
  /** The names of the outputs. */
  readonly outputs: readonly (keyof Outputs & string)[];
  startBundle?(count: Count): void | Promise<void>;
  /** `place` tells where the element lies (its first window); it is asked only when needed. */
  process(element: In, emit: Emitters<Outputs>, place: () => Place): void;
  /** The watermark moved: what was held back for it may be sent. Only in runs that have a clock. */
  onWatermark?(watermark: number, emit: Emitters<Outputs>): void;
  finishBundle?(emit: Emitters<Outputs>): void | Promise<void>;
}

export type Collections<Outputs> = { readonly [Name in keyof Outputs]: PCollection<Outputs[Name]> };

/** How the collection of an output is made, where the usual coder and the input's windowing do not fit. */
export type OutputShape = (pipeline: sdk.Pipeline) => { coder?: sdk.Coder; windowing?: sdk.WindowingStrategy };

/** Applies a DoFn to every element. */
export function perElement<In, Outputs extends Record<string, unknown>>(
  name: string,
  doFn: DoFn<In, Outputs>,
  shapes: { readonly [Name in keyof Outputs]?: OutputShape } = {},
): PTransform<PCollection<In>, Collections<Outputs>> {
  return parDo(name, DO_FN_URN, packBytes(doFn), (collection, pipeline) => {
    // The worker passes over a transform without outputs, so one that has none gets one that nothing is sent to.
    const names = doFn.outputs.length > 0 ? doFn.outputs : ["nothing"];
    const made = names.map((output) => {
      const shape = shapes[output]?.(pipeline);
      return [output, collection(shape?.coder, shape?.windowing)];
    });
    return Object.fromEntries(made) as Collections<Outputs>;
  });
}

const NOWHERE = unwindowed(null);

class DoFnOperator {
  private current = NOWHERE;
  private pending: Promise<void>[] = [];
  private readonly emit: Emitters<Record<string, unknown>>;
  private readonly count: Count;
  private readonly place = (): Place => {
    const { windows, timestamp, pane } = this.current;
    const { start, end } = boundsOf(windows[0] as sdk.Window);
    // Field by field: it is asked for each row of a job that goes on, and a spread takes ten times as long.
    return { start, end, timestamp: timestamp.toNumber(), pane: paneName(pane) };
  };

  constructor(
    readonly transformId: string,
    private readonly doFn: DoFn<unknown, Record<string, unknown>>,
    receivers: ReadonlyMap<string, sdk.Receiver>,
    context: sdk.OperatorContext,
  ) {
    this.count = countsOf(transformId, context);
    this.emit = Object.fromEntries(doFn.outputs.map((name) => [name, this.emitterTo(receivers.get(name))]));
  }

  private emitterTo(receiver: sdk.Receiver | undefined): Emit<unknown> {
    // An output that nobody reads has no receiver.
    if (receiver === undefined) return () => {};
    return (value, to) => {
      const { windows, timestamp, pane } = this.current;
      const done =
        to === undefined
          ? receiver.receive({ value, windows, pane, timestamp })
          : "end" in to
            ? receiver.receive(inWindow(value, to, to.pane === undefined ? pane : PANES[to.pane]))
            : receiver.receive({ value, windows, pane, timestamp: instantOf(to.timestamp) });
      if (done !== null) this.pending.push(droppable(done));
    };
  }

  async startBundle(): Promise<void> {
    this.pending = [];
    const { onWatermark } = this.doFn;
    if (onWatermark !== undefined) {
      currentClock()?.listen(async (watermark) => {
        this.current = NOWHERE;
        onWatermark.call(this.doFn, watermark, this.emit);
        await this.settle();
      });
    }
    await this.doFn.startBundle?.(this.count);
  }

  process(element: sdk.WindowedValue): sdk.Done {
    this.current = element;
    this.doFn.process(element.value, this.emit, this.place);
    return this.pending.length === 0 ? null : droppable(this.settle());
  }

  async finishBundle(): Promise<void> {
    this.current = NOWHERE;
    await this.doFn.finishBundle?.(this.emit);
    await this.settle();
  }

  private async settle(): Promise<void> {
    const waitingFor = this.pending;
    this.pending = [];
    await (waitingFor.length === 1 ? waitingFor[0] : Promise.all(waitingFor));
  }
}

function inWindow(value: unknown, { start, end }: Bounds, pane: sdk.WindowedValue["pane"]): sdk.WindowedValue {
  const window = windowOf(start, end);
  return { value, windows: [window], pane, timestamp: window.maxTimestamp() };
}

const pane = (
  timing: sdk.WindowedValue["pane"]["timing"],
  index: number,
  isLast: boolean,
): sdk.WindowedValue["pane"] => ({
  timing,
  index,
  onTimeIndex: timing === values.Timing.EARLY ? -1 : index,
  isFirst: false,
  isLast,
});

/** Beam counts the panes of a window; here a job that goes on has only to tell the last word from the others. */
const PANES = {
  early: pane(values.Timing.EARLY, 1, false),
  "on time": pane(values.Timing.ON_TIME, 1, true),
  late: pane(values.Timing.LATE, 2, false),
} as const;

function instantOf(time: number): Long {
  if (Number.isFinite(time)) return Long.fromNumber(time);
  throw new Error(`${time} is not an event time`);
}

function paneName(pane: sdk.WindowedValue["pane"]): Place["pane"] {
  if (pane.isFirst && pane.isLast) return "only";
  switch (pane.timing) {
    case values.Timing.EARLY:
      return "early";
    case values.Timing.LATE:
      return "late";
    default:
      return "on time";
  }
}

operatorByUrn(DO_FN_URN, (id, payload, receivers, context) => {
  return new DoFnOperator(id, unpackBytes(payload) as DoFn<unknown, Record<string, unknown>>, receivers, context);
});
