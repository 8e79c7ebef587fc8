import {
  quietSdkLogs,
  create,
  newGraph,
  defaultContext,
  perElement,
  register,
  runDirect,
  watchCounts,
  type Count,
  type DoFn,
} from ".";

export class CountUp implements DoFn<number, Record<never, never>> {
  readonly outputs = [] as const;
  private count?: Count;
  constructor(readonly name: string) {}

  startBundle(count: Count): void {
    this.count = count;
  }

  process(by: number): void {
    this.count?.(this.name, by);
  }
}
register("beamline/beam/counts.test", { CountUp });

beforeAll(quietSdkLogs);

function counting(...names: string[]) {
  const graph = newGraph(defaultContext);
  const numbers = graph.root.apply(create([1, 2, 4]));
  names.forEach((name, at) => numbers.apply(perElement(`count ${at}`, new CountUp(name))));
  return graph;
}

test("transforms with one counter's name add to one counter", async () => {
  expect(await runDirect(counting("seen", "kept", "seen"))).toEqual({ seen: 14, kept: 7 });
});

test("counters pass 32 bits", async () => {
  const graph = newGraph(defaultContext);
  graph.root.apply(create([2 ** 40, 2 ** 40, 1])).apply(perElement("count", new CountUp("bytes")));
  expect(await runDirect(graph)).toEqual({ bytes: 2 ** 41 + 1 });
});

test("a second run begins at 0", async () => {
  const graph = counting("seen");
  expect([await runDirect(graph), await runDirect(graph)]).toEqual([{ seen: 7 }, { seen: 7 }]);
});

test("several can watch, each until it stops", async () => {
  const [first, second] = [jest.fn(), jest.fn()];
  const stopFirst = watchCounts(first);
  const [stopSecond, stopSecondAgain] = [watchCounts(second), watchCounts(second)];
  await runDirect(counting("seen"));
  stopFirst();
  stopFirst();
  stopSecondAgain();
  await runDirect(counting("kept"));
  stopSecond();
  await runDirect(counting("seen"));
  expect(first.mock.calls).toEqual([
    ["seen", 1],
    ["seen", 2],
    ["seen", 4],
  ]);
  expect(second.mock.calls.filter(([name]) => name === "seen")).toHaveLength(6);
  expect(second.mock.calls.filter(([name]) => name === "kept")).toHaveLength(3);
});
