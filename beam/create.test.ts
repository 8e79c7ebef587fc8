import { create } from "./create";
import { TestPipeline } from "./testing";

test("gives its elements, whatever plain data they are", async () => {
  const elements = [
    1,
    -0,
    NaN,
    "",
    null,
    true,
    2n ** 70n,
    new Date(5),
    [1, [2]],
    { a: { b: undefined } },
    new Uint8Array([1]),
  ];
  const pipeline = new TestPipeline();
  pipeline.expect(pipeline.apply(create(elements))).containsInAnyOrder(elements);
  await pipeline.run();
});

test("keeps their order", async () => {
  const elements = Array.from({ length: 1000 }, (_, at) => at);
  const pipeline = new TestPipeline();
  pipeline.expect(pipeline.create(elements)).satisfies((came) => expect(came).toEqual(elements));
  await pipeline.run();
});

test("of nothing is an empty collection", async () => {
  const pipeline = new TestPipeline();
  pipeline.expect(pipeline.create([])).isEmpty();
  await pipeline.run();
});

test("each run gets elements of its own", async () => {
  const element = { seen: 0 };
  const pipeline = new TestPipeline();
  pipeline.expect(pipeline.create([element])).satisfies(([came]) => {
    expect(came).toEqual({ seen: 0 });
    if (came !== undefined) came.seen += 1;
  });
  await pipeline.run();
  await pipeline.run();
  expect(element.seen).toBe(0);
});

test("refuses what cannot travel while the graph is built, and says which", () => {
  expect(() => new TestPipeline().create([1, { run: () => 1 }])).toThrow("options.values[1].run (function “run”)");
});
