import { fixed, groupByKey, perElement, register, windowInto, type DoFn, type Emitters, type KV } from "..";
import { TestPipeline, TestStream } from ".";

export class OneKey implements DoFn<number, { pairs: KV<string, number> }> {
  readonly outputs = ["pairs"] as const;
  process(value: number, emit: Emitters<{ pairs: KV<string, number> }>): void {
    emit.pairs({ key: "all", value });
  }
}
export class Sum implements DoFn<KV<string, readonly number[]>, { sums: number }> {
  readonly outputs = ["sums"] as const;
  process({ value }: KV<string, readonly number[]>, emit: Emitters<{ sums: number }>): void {
    emit.sums(value.reduce((a, b) => a + b, 0));
  }
}
register("beamline/beam/testing/test-stream.test", { OneKey, Sum });

/** The sums of ten milliseconds each. */
function sums(stream: TestStream<number>, lateness = 0) {
  const pipeline = new TestPipeline();
  const windowed = pipeline.stream(stream).apply(windowInto(fixed(10), lateness));
  const grouped = windowed.apply(perElement("key", new OneKey())).pairs.apply(groupByKey());
  return { pipeline, expectation: pipeline.expect(grouped.apply(perElement("sum", new Sum())).sums, "sums") };
}

test("an empty stream gives nothing, with a watermark or without", async () => {
  for (const stream of [
    new TestStream<number>(),
    new TestStream<number>().advanceWatermarkTo(5).advanceWatermarkToEnd(),
  ]) {
    const { pipeline, expectation } = sums(stream);
    expectation.isEmpty();
    await pipeline.run();
  }
});

test("elements come in the order in which they were added, with or without a time", async () => {
  const pipeline = new TestPipeline();
  const stream = new TestStream<number>().add(3, 1).addAt(5, 2).addAt("1970-01-01T00:00:01Z", 0);
  pipeline.expect(pipeline.stream(stream)).satisfies((came) => expect(came).toEqual([3, 1, 2, 0]));
  await pipeline.run();
});

test("panes on time and late through windows and groups", async () => {
  const stream = new TestStream<number>()
    .addAt(1, 1)
    .addAt(11, 10)
    .advanceWatermarkTo(10)
    .addAt(2, 2)
    .advanceWatermarkTo(14)
    .advanceWatermarkTo(15)
    .addAt(3, 4)
    .advanceWatermarkToEnd();
  const { pipeline, expectation } = sums(stream, 5);
  expectation.inWindow(0, 10).onTime().containsInAnyOrder([1]);
  expectation.inWindow(0, 10).late().containsInAnyOrder([3]);
  expectation.inWindow(10).containsInAnyOrder([10]);
  expectation.inWindow(10).late().isEmpty();
  expect(await pipeline.run()).toMatchObject({ late: 1 });
});

test("advanceWatermarkToEnd closes every window: all that comes then is late", async () => {
  const { pipeline, expectation } = sums(
    new TestStream<number>().addAt(5, 1).advanceWatermarkToEnd().addAt(8e15, 2),
    1000,
  );
  expectation.onTime().containsInAnyOrder([1]);
  expectation.late().isEmpty();
  expect(await pipeline.run()).toMatchObject({ late: 1 });
});

test("a watermark that moves back fails the run, and says from where to where", async () => {
  const { pipeline } = sums(new TestStream<number>().advanceWatermarkTo("2026-01-02").advanceWatermarkTo("2026-01-01"));
  await expect(pipeline.run()).rejects.toThrow(
    "The watermark cannot move back from 2026-01-02T00:00:00.000Z to 2026-01-01T00:00:00.000Z",
  );
});

test("what is no time is refused where it is written", () => {
  expect(() => new TestStream().advanceWatermarkTo("soon")).toThrow("“soon” is not a time");
  expect(() => new TestStream().addAt(NaN, 1)).toThrow("“NaN” is not a time");
});

test("a stream may be played more than once", async () => {
  const stream = new TestStream<number>().addAt(1, 1).advanceWatermarkTo(10).addAt(11, 2);
  for (const { pipeline, expectation } of [sums(stream), sums(stream)]) {
    expectation.containsInAnyOrder([1, 2]);
    await pipeline.run();
    await pipeline.run();
  }
});
