import {
  quietSdkLogs,
  create,
  defaultContext,
  newGraph,
  runDirect,
  perElement,
  register,
  type Count,
  type DoFn,
} from ".";
import { operatorByUrn } from "./operator-registry";
import { parDo, type PCollection } from "./collection";
import { beam, type sdk } from "./sdk";

export class Total implements DoFn<number, Record<never, never>> {
  readonly outputs = [] as const;
  private count?: Count;

  startBundle(count: Count): void {
    this.count = count;
  }

  process(n: number): void {
    this.count?.("total", n);
  }
}
register("beamline/beam/operator-registry.test", { Total });

beforeAll(quietSdkLogs);

/** The collection as the SDK's own users have it. */
const raw = (collection: PCollection<number>) => collection as unknown as sdk.AnyCollection & beam.PCollection<number>;

test("the SDK's own ParDos and ours work in one graph", async () => {
  const graph = newGraph(defaultContext);
  const numbers = raw(graph.root.apply(create([1, 2, 3])));
  const squares = numbers.map((n: number) => n * n) as unknown as PCollection<number>;
  squares.apply(perElement("total", new Total()));
  expect(await runDirect(graph)).toEqual({ total: 14 });
});

test("the SDK's flatMap, windowInto and timestamps too", async () => {
  const graph = newGraph(defaultContext);
  const numbers = raw(graph.root.apply(create([1, 2])));
  const twice: beam.PCollection<number> = numbers.flatMap((n: number) => [n, n]);
  const timed = twice.apply(beam.assignTimestamps(((n: number) => n) as never)) as beam.PCollection<number>;
  const windowed = timed.apply(beam.windowInto(beam.globalWindows())) as PCollection<number>;
  windowed.apply(perElement("total", new Total()));
  expect(await runDirect(graph)).toEqual({ total: 6 });
});

test("an operator is found by its URN, with its payload and its outputs by name", async () => {
  const made: [string, readonly string[]][] = [];
  operatorByUrn("beamline:test:v1", (transformId, payload, receivers) => {
    made.push([Buffer.from(payload).toString(), [...receivers.keys()]]);
    return {
      transformId,
      startBundle: async () => {},
      process: (element) => receivers.get("a")?.receive(element) ?? null,
      finishBundle: async () => {},
    };
  });
  const graph = newGraph(defaultContext);
  const outputs = graph.root
    .apply(create([5]))
    .apply(
      parDo("own", "beamline:test:v1", Buffer.from("hello"), (collection) => ({ a: collection(), b: collection() })),
    );
  (outputs.a as PCollection<number>).apply(perElement("total", new Total()));
  expect(await runDirect(graph)).toEqual({ total: 5 });
  expect(made).toEqual([["hello", ["a", "b"]]]);
});
