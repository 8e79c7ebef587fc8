import {
  fixed,
  groupByKey,
  named,
  perElement,
  register,
  sessions,
  sliding,
  windowInto,
  type DoFn,
  type Emitters,
  type KV,
  type Place,
} from ".";
import { TestPipeline, TestStream } from "./testing";

export class Where implements DoFn<string, { places: string }> {
  readonly outputs = ["places"] as const;
  process(text: string, emit: Emitters<{ places: string }>, place: () => Place): void {
    const { start, end } = place();
    emit.places(`${text} ${start}-${end}`);
  }
}
export class Same implements DoFn<string, { pairs: KV<string, string> }> {
  readonly outputs = ["pairs"] as const;
  process(value: string, emit: Emitters<{ pairs: KV<string, string> }>): void {
    emit.pairs({ key: "k", value });
  }
}
register("beamline/beam/window-into.test", { Where, Same });

const events = () => new TestStream<string>().addAt(3, "a").addAt(-3, "b");

test.each([
  ["fixed", fixed(5), ["a 0-5", "b -5-0"]],
  ["sliding", sliding(10, 5), ["a 0-10", "a -5-5", "b -5-5", "b -10-0"]],
  ["sessions", sessions(4), ["a 3-7", "b -3-1"]],
])("%s: each element lies in the windows of its time, also before 1970", async (_kind, windowing, expected) => {
  const pipeline = new TestPipeline();
  const windowed = pipeline.stream(events()).apply(windowInto(windowing));
  pipeline.expect(windowed.apply(perElement("where", new Where())).places).containsInAnyOrder(expected);
  await pipeline.run();
});

test("windowed again, an element lies in the windows of the last instant of the first ones", async () => {
  const pipeline = new TestPipeline();
  const windowed = pipeline
    .stream(events())
    .apply(windowInto(fixed(5)))
    .apply(named("hours", windowInto(fixed(10))));
  pipeline.expect(windowed.apply(perElement("where", new Where())).places).containsInAnyOrder(["a 0-10", "b -10-0"]);
  await pipeline.run();
});

test("lateness is the grouping's", async () => {
  const pipeline = new TestPipeline();
  const stream = () => new TestStream<string>().advanceWatermarkTo(7).addAt(3, "a").advanceWatermarkToEnd();
  const grouped = pipeline
    .stream(stream())
    .apply(windowInto(fixed(5), 3))
    .apply(perElement("pair", new Same()))
    .pairs.apply(groupByKey());
  pipeline
    .expect(grouped)
    .late()
    .containsInAnyOrder([{ key: "k", value: ["a"] }]);
  await pipeline.run();
});
