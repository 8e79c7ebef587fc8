import { groupByKey, windowInto, fixed, sessions, perElement, type DoFn, type Emitters, register } from "..";
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
register("beamline/beam/testing/test-pipeline.test", { Double, ByParity });

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
});
