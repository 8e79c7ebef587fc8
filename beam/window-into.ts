// Beam's windowInto with windows as plain data, for graphs that group by themselves; `aggregate` windows on its own.
import { perElement, type DoFn, type Emitters, type Place } from "./do-fn";
import { type PCollection, type PTransform, named } from "./collection";
import { register } from "./travel";
import { assign, windowingStrategy, type Windowing } from "./windows";

export class AssignWindows<T> implements DoFn<T, { elements: T }> {
  readonly outputs = ["elements"] as const;
  constructor(readonly windowing: Windowing) {}

  process(element: T, emit: Emitters<{ elements: T }>, place: () => Place): void {
    for (const window of assign(this.windowing, place().timestamp)) emit.elements(element, window);
  }
}

/** Puts every element into the windows of its event time. */
export function windowInto<T>(windowing: Windowing, lateness = 0): PTransform<PCollection<T>, PCollection<T>> {
  const shape = (pipeline: Parameters<typeof windowingStrategy>[0]) => ({
    windowing: windowingStrategy(pipeline, windowing, lateness),
  });
  return named(
    `window into ${windowing.kind}`,
    (input: PCollection<T>) =>
      input.apply(perElement("assign", new AssignWindows<T>(windowing), { elements: shape })).elements,
  );
}

register("beamline/beam/window-into", { AssignWindows });
