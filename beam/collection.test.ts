import {
  create,
  defaultContext,
  newGraph,
  flatten,
  groupByKey,
  named,
  perElement,
  register,
  type DoFn,
  type Emitters,
  type KV,
  type PCollection,
  type PTransform,
} from ".";
import { TestPipeline } from "./testing";

export class Lengths implements DoFn<string, { lengths: number }> {
  readonly outputs = ["lengths"] as const;
  process(text: string, emit: Emitters<{ lengths: number }>): void {
    emit.lengths(text.length);
  }
}
export class PlusOne implements DoFn<number, { more: number }> {
  readonly outputs = ["more"] as const;
  process(n: number, emit: Emitters<{ more: number }>): void {
    emit.more(n + 1);
  }
}
register("beamline/beam/collection.test", { Lengths, PlusOne });

const lengths = () => perElement("lengths", new Lengths());
const plusOne = (name = "plus one") => perElement(name, new PlusOne());

describe("types flow through apply", () => {
  const pipeline = new TestPipeline();
  const texts = pipeline.create(["a"]);
  const numbers = pipeline.create([1]);

  test("from what a transform gives to the next one", () => {
    const more: PCollection<number> = texts.apply(lengths()).lengths.apply(plusOne()).more;
    expect(more).toBeDefined();
  });

  test("what does not fit does not compile", () => {
    const neverCalled = () => {
      // @ts-expect-error -- texts do not go into a transform of numbers
      texts.apply(plusOne());
      // @ts-expect-error -- numbers do not go into a transform of texts
      numbers.apply(lengths());
      // @ts-expect-error -- a collection is no beginning
      numbers.apply(create([1]));
      // @ts-expect-error -- the beginning is no collection
      newGraph(defaultContext).root.apply(plusOne());
      // @ts-expect-error -- there is no such output
      void numbers.apply(plusOne()).less;
      // @ts-expect-error -- what comes out is numbers
      const wrong: PCollection<string> = numbers.apply(plusOne()).more;
      // @ts-expect-error -- only pairs can be grouped
      numbers.apply(groupByKey());
      // @ts-expect-error -- a DoFn of texts is no DoFn of numbers
      const wrongDoFn: DoFn<number, { lengths: number }> = new Lengths();
      return [wrong, wrongDoFn];
    };
    expect(neverCalled).toBeDefined();
  });

  test("named and flatten keep them", () => {
    const both = named("both", (input: PCollection<number>) => flatten([input, input.apply(plusOne()).more]));
    const out: PCollection<number> = numbers.apply(both);
    const neverCalled = () => {
      // @ts-expect-error -- what is named takes what it took
      texts.apply(both);
      // @ts-expect-error -- collections of different elements do not flow together
      return flatten<number>([numbers, texts]);
    };
    expect([out, neverCalled]).toHaveLength(2);
  });

  test("grouping pairs gives pairs", () => {
    const pairs = pipeline.create<KV<string, number>>([{ key: "a", value: 1 }]);
    const grouped: PCollection<KV<string, readonly number[]>> = pairs.apply(groupByKey());
    // @ts-expect-error -- of texts, not of dates
    const wrong: PCollection<KV<string, readonly Date[]>> = pairs.apply(groupByKey("again"));
    expect([grouped, wrong]).toHaveLength(2);
  });
});

describe("names", () => {
  test("two transforms of one name in one place are refused, and the message names them", () => {
    const pipeline = new TestPipeline();
    const numbers = pipeline.create([1]);
    const twice = named("in a room", (input: PCollection<number>) => {
      input.apply(plusOne());
      return input.apply(plusOne());
    });
    expect(() => numbers.apply(twice)).toThrow('Duplicate stage name: "in a room/plus one".');
    expect(() => [1, 2].map(() => pipeline.apply(create([1], "numbers")))).toThrow('Duplicate stage name: "numbers"');
  });

  test("named gives any transform another name", async () => {
    const pipeline = new TestPipeline();
    const numbers = pipeline.create([1]);
    const second: PTransform<PCollection<number>, { readonly more: PCollection<number> }> = named("second", plusOne());
    const out = [
      numbers.apply(plusOne()).more,
      numbers.apply(second).more,
      numbers.apply(named("third", plusOne())).more,
    ];
    pipeline.expect(flatten(out)).containsInAnyOrder([2, 2, 2]);
    await pipeline.run();
  });
});

describe("flatten", () => {
  test("takes all elements of all collections, of one given twice too", async () => {
    const pipeline = new TestPipeline();
    const [a, b, none] = [pipeline.create([1, 2]), pipeline.create([2, 3]), pipeline.create<number>([])];
    pipeline.expect(flatten([a, b, none])).containsInAnyOrder([1, 2, 2, 3]);
    pipeline.expect(flatten([a], "one")).containsInAnyOrder([1, 2]);
    pipeline.expect(flatten([a, a], "twice")).containsInAnyOrder([1, 1, 2, 2]);
    await pipeline.run();
  });

  test("of nothing is refused by its name", () => {
    expect(() => flatten([], "all letters")).toThrow("all letters: there is no collection to flatten");
  });
});
