import {
  create,
  defaultContext,
  fixed,
  groupByKey,
  named,
  perElement,
  register,
  runContextOf,
  sessions,
  windowInto,
  type DoFn,
  type Emitters,
  type Root,
  type RunContext,
} from "..";
import { TestPipeline, TestStream } from ".";

export class Double implements DoFn<number, { doubled: number }> {
  readonly outputs = ["doubled"] as const;
  process(n: number, emit: Emitters<{ doubled: number }>): void {
    emit.doubled(2 * n);
  }
}
export class ByParity implements DoFn<number, { pairs: { key: string; value: number } }> {
  readonly outputs = ["pairs"] as const;
  process(n: number, emit: Emitters<{ pairs: { key: string; value: number } }>): void {
    emit.pairs({ key: n % 2 === 0 ? "even" : "odd", value: n });
  }
}
export class Fail implements DoFn<number, { failed: number }> {
  readonly outputs = ["failed"] as const;
  process(_n: number, _emit: Emitters<{ failed: number }>): void {
    throw new Error("this DoFn fails");
  }
}
register("beamline/beam/testing/test-pipeline.test", { Double, ByParity, Fail });

const T0 = Date.UTC(2026, 0, 1);

describe("TestPipeline", () => {
  test("runs transforms on the DirectRunner", async () => {
    const pipeline = new TestPipeline();
    const { doubled } = pipeline.create([1, 2, 3]).apply(perElement("double", new Double()));
    pipeline.expect(doubled).containsInAnyOrder([6, 2, 4]);
    await pipeline.run();
  });

  test("says what was expected and what came", async () => {
    const pipeline = new TestPipeline();
    const { doubled } = pipeline.create([1, 2, 3]).apply(perElement("double", new Double()));
    pipeline.expect(doubled, "doubled").containsInAnyOrder([2, 4, 7]);
    await expect(pipeline.run()).rejects.toThrow(
      "doubled: expected 3 elements in any order, 3 came\n  expected, but did not come:\n    7\n  came, but was not expected:\n    6",
    );
  });

  test.each([
    ["isEmpty", (p: TestPipeline) => p.expect(p.create([1])).isEmpty(), "expected no elements"],
    ["hasSize", (p: TestPipeline) => p.expect(p.create([1])).hasSize(2), "expected 2 elements, 1 came"],
    [
      "satisfies",
      (p: TestPipeline) =>
        p.expect(p.create([1])).satisfies(([n]) => {
          if (n === 1) throw new Error("not 1, please");
        }),
      "not 1, please",
    ],
    ["duplicates", (p: TestPipeline) => p.expect(p.create([1, 1])).containsInAnyOrder([1]), "was not expected"],
  ])("%s fails where it should", async (_name, expectation, message) => {
    const pipeline = new TestPipeline();
    expectation(pipeline);
    await expect(pipeline.run()).rejects.toThrow(message);
  });

  test("groups by key and window", async () => {
    const pipeline = new TestPipeline();
    const stream = new TestStream<number>().addAt(T0, 1, 2, 3).addAt(T0 + 60_000, 4);
    const grouped = pipeline
      .stream(stream)
      .apply(windowInto(fixed(60_000)))
      .apply(perElement("pair", new ByParity()))
      .pairs.apply(groupByKey());
    const expectation = pipeline.expect(grouped);
    expectation.inWindow(T0, T0 + 60_000).containsInAnyOrder([
      { key: "odd", value: [1, 3] },
      { key: "even", value: [2] },
    ]);
    expectation.inWindow(T0 + 60_000).containsInAnyOrder([{ key: "even", value: [4] }]);
    await pipeline.run();
  });

  test("a stream's watermark makes panes on time and late, and drops what is too late", async () => {
    const pipeline = new TestPipeline();
    const stream = new TestStream<number>()
      .addAt(T0, 2)
      .advanceWatermarkTo(T0 + 60_000)
      .addAt(T0 + 1, 4)
      .advanceWatermarkTo(T0 + 70_000)
      .addAt(T0 + 2, 6)
      .advanceWatermarkToEnd();
    const grouped = pipeline
      .stream(stream)
      .apply(windowInto(fixed(60_000), 10_000))
      .apply(perElement("pair", new ByParity()))
      .pairs.apply(groupByKey());
    const expectation = pipeline.expect(grouped);
    expectation.onTime().containsInAnyOrder([{ key: "even", value: [2] }]);
    expectation.late().containsInAnyOrder([{ key: "even", value: [2, 4] }]);
    const counters = await pipeline.run();
    expect(counters["late"]).toBe(1);
  });

  test("merges sessions", async () => {
    const pipeline = new TestPipeline();
    const stream = new TestStream<number>()
      .addAt(T0, 2)
      .addAt(T0 + 9_000, 4)
      .addAt(T0 + 30_000, 6)
      .addAt(T0 + 4_000, 8);
    const grouped = pipeline
      .stream(stream)
      .apply(windowInto(sessions(5_000)))
      .apply(perElement("pair", new ByParity()))
      .pairs.apply(groupByKey());
    const expectation = pipeline.expect(grouped);
    expectation.inWindow(T0, T0 + 9_000).containsInAnyOrder([{ key: "even", value: [2, 8] }]);
    expectation.inWindow(T0 + 9_000, T0 + 14_000).containsInAnyOrder([{ key: "even", value: [4] }]);
    expectation.inWindow(T0 + 30_000).containsInAnyOrder([{ key: "even", value: [6] }]);
    await pipeline.run();
  });

  test("one collection may be expected twice, and all that is wrong is said at once", async () => {
    const pipeline = new TestPipeline();
    const numbers = pipeline.create([1, 2]);
    pipeline.expect(numbers, "first").hasSize(2);
    pipeline.expect(numbers, "second").isEmpty();
    pipeline.expect(numbers).hasSize(3);
    const list = "  came:\n    1\n    2";
    await expect(pipeline.run()).rejects.toThrow(
      `second: expected no elements, 2 came\n${list}\n\nthe collection: expected 3 elements, 2 came\n${list}`,
    );
  });

  test("runs again, with a clock too, and finds again what it expects", async () => {
    const pipeline = new TestPipeline();
    const stream = new TestStream<number>().addAt(T0, 2).advanceWatermarkTo(T0 + 60_000);
    pipeline.expect(pipeline.stream(stream)).containsInAnyOrder([2]);
    pipeline.expect(pipeline.create([1])).hasSize(1);
    await pipeline.run();
    await pipeline.run();
  });

  test("refuses an expectation after the run: it would never fail", async () => {
    const pipeline = new TestPipeline();
    const numbers = pipeline.expect(pipeline.create([1]), "numbers");
    await pipeline.run();
    expect(() => numbers.isEmpty()).toThrow("numbers: the pipeline has run; say before run() what to expect");
  });

  test("passes on the error of a run that fails, whatever was expected", async () => {
    const pipeline = new TestPipeline();
    const { failed } = pipeline.create([1]).apply(perElement("fail", new Fail()));
    pipeline.expect(failed).isEmpty();
    await expect(pipeline.run()).rejects.toThrow(/^this DoFn fails$/);
  });

  test("has one stream at most, since two would both move the watermark", () => {
    const pipeline = new TestPipeline();
    pipeline.stream(new TestStream<number>());
    expect(() => pipeline.stream(new TestStream<number>())).toThrow("A TestPipeline has one TestStream at most");
  });

  test("tells transforms about the run", () => {
    const pipeline = new TestPipeline({ batchTime: 5 });
    let seen: RunContext | null = null;
    pipeline.apply(
      named("look", (root: Root) => {
        seen = runContextOf(root);
        return root.apply(create([1]));
      }),
    );
    expect(seen).toEqual({ ...defaultContext, batchTime: 5 });
  });

  test("pipelines at the same time do not mix what they collect", async () => {
    const pipelines = [1, 2, 3].map((n) => {
      const pipeline = new TestPipeline();
      pipeline
        .expect(pipeline.create([n]).apply(perElement("double", new Double())).doubled)
        .containsInAnyOrder([2 * n]);
      return pipeline;
    });
    await Promise.all(pipelines.map((pipeline) => pipeline.run()));
  });
});
