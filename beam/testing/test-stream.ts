// A stream for tests in which the test decides when event time moves: elements, then a watermark, then late elements.
import { read, type Reader } from "../read";
import { create } from "../create";
import { currentClock } from "../clock";
import { perElement, type DoFn, type Emitters } from "../do-fn";
import { named, type PCollection, type PTransform, type Root } from "../collection";
import { register } from "../travel";
import { millisOf } from "./time";

type Event<T> = { readonly elements: readonly T[]; readonly timestamp: number | null } | { readonly watermark: number };

/** Later than every event time there can be. */
const END_OF_TIME = 8_640_000_000_000_000;

/** Describes a stream, event by event. Give it to TestPipeline.stream(). */
export class TestStream<T> {
  readonly events: Event<T>[] = [];

  /** Elements without an event time of Beam's own: transforms that name a field for it take that. */
  add(...elements: T[]): this {
    this.events.push({ elements, timestamp: null });
    return this;
  }

  /** Elements that lie at this event time. */
  addAt(timestamp: number | string, ...elements: T[]): this {
    this.events.push({ elements, timestamp: millisOf(timestamp) });
    return this;
  }

  /** From here on, elements before this time are late. */
  advanceWatermarkTo(time: number | string): this {
    this.events.push({ watermark: millisOf(time) });
    return this;
  }

  /** Closes every window that is still open. */
  advanceWatermarkToEnd(): this {
    this.events.push({ watermark: END_OF_TIME });
    return this;
  }
}

interface Stamped<T> {
  readonly value: T;
  readonly timestamp: number | null;
}

export class PlayEvents<T> implements Reader<readonly Event<T>[], Stamped<T>> {
  readonly concurrency = 1;
  readonly counter = "test stream";

  async *read(events: readonly Event<T>[]): AsyncIterable<Stamped<T>[]> {
    for (const event of events) {
      if ("watermark" in event) await currentClock()?.advanceTo(event.watermark);
      else yield event.elements.map((value) => ({ value, timestamp: event.timestamp }));
    }
  }
}

export class Stamp<T> implements DoFn<Stamped<T>, { elements: T }> {
  readonly outputs = ["elements"] as const;

  process({ value, timestamp }: Stamped<T>, emit: Emitters<{ elements: T }>): void {
    if (timestamp === null) emit.elements(value);
    else emit.elements(value, { timestamp });
  }
}

/** The collection that the stream gives; only for runs with a clock. */
export function play<T>(stream: TestStream<T>, name: string): PTransform<Root, PCollection<T>> {
  return named(
    name,
    (root: Root) =>
      root
        .apply(create([stream.events as readonly Event<T>[]], "events"))
        .apply(read("play", new PlayEvents<T>()))
        .apply(perElement("stamp", new Stamp<T>())).elements,
  );
}

register("beamline/beam/testing/test-stream", { PlayEvents, Stamp });
