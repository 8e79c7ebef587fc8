// Runs transforms on a real DirectRunner in a test, with expectations on what comes out of them.
import { Clock } from "../clock";
import { create } from "../create";
import { type PCollection, type PTransform, type Root } from "../collection";
import { newGraph, runDirect, type Counters, type Graph } from "../direct-runner";
import { perElement, type DoFn, type Emitters, type Place } from "../do-fn";
import { defaultContext, type RunContext } from "../run-context";
import { quietSdkLogs } from "../quiet";
import { register } from "../travel";
import { Expectation, type Found } from "./expectation";
import { play, type TestStream } from "./test-stream";

// Collecting functions are copied on their way to the runner, so what they find is kept here, by number.
const collected = new Map<number, Found<unknown>[]>();
let nextCollection = 1;

export class Collect implements DoFn<unknown, Record<never, never>> {
  readonly outputs = [] as const;
  constructor(readonly into: number) {}

  process(value: unknown, _emit: Emitters<Record<never, never>>, place: () => Place): void {
    collected.get(this.into)?.push({ value, place: place() });
  }
}

/**
 * A pipeline of a test: put elements in, apply transforms, say what to expect, run.
 *
 * const pipeline = new TestPipeline();
 * const { good, bad } = pipeline.create(["1", "x"]).apply(clean(…));
 * pipeline.expect(good).containsInAnyOrder([1]);
 * await pipeline.run();
 */
export class TestPipeline {
  private readonly graph: Graph;
  private hasClock = false;
  private sources = 0;
  private readonly expectations: { readonly number: number; readonly expectation: Expectation<never> }[] = [];

  /** `context` is what transforms are told about the run, such as its batch time. */
  constructor(context: Partial<RunContext> = {}) {
    this.graph = newGraph({ ...defaultContext, ...context });
  }

  /** A collection of these elements. */
  create<T>(elements: readonly T[]): PCollection<T> {
    this.sources += 1;
    return this.apply(create(elements, `create ${this.sources}`));
  }

  /** The collection of a stream, whose watermark drives the run. */
  stream<T>(stream: TestStream<T>): PCollection<T> {
    if (this.hasClock) throw new Error("A TestPipeline has one TestStream at most: it alone moves the watermark");
    this.hasClock = true;
    return this.apply(play(stream, "test stream"));
  }

  /** Applies a transform that begins a pipeline, such as a source. */
  apply<Out>(transform: PTransform<Root, Out>): Out {
    return this.graph.root.apply(transform);
  }

  /** Says what to expect of a collection. `name` is how failures call it. */
  expect<T>(collection: PCollection<T>, name = "the collection"): Expectation<T> {
    const number = nextCollection++;
    const expectation = new Expectation<T>(name);
    this.expectations.push({ number, expectation: expectation as unknown as Expectation<never> });
    collection.apply(perElement(`expect ${number}`, new Collect(number)));
    return expectation;
  }

  /** Runs it; throws when an expectation does not hold. Answers with the counters of the run. */
  async run(): Promise<Counters> {
    quietSdkLogs();
    for (const { number } of this.expectations) collected.set(number, []);
    try {
      const counters = await runDirect(this.graph, this.hasClock ? new Clock() : undefined);
      const complaints = this.expectations.flatMap(({ number, expectation }) =>
        expectation.complaints((collected.get(number) ?? []) as Found<never>[]),
      );
      if (complaints.length > 0) throw new Error(complaints.join("\n\n"));
      return counters;
    } finally {
      for (const { number } of this.expectations) collected.delete(number);
    }
  }
}

register("beamline/beam/testing/test-pipeline", { Collect });
