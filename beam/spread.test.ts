import { runDirect, newGraph } from "./direct-runner";
import { create } from "./create";
import { perElement, type DoFn, type Emitters } from "./do-fn";
import { defaultContext } from "./run-context";
import { spread } from "./spread";
import { register } from "./travel";

const seen: unknown[] = [];

class Look implements DoFn<unknown, { none: never }> {
  readonly outputs = ["none"] as const;
  process(element: unknown, _emit: Emitters<{ none: never }>): void {
    seen.push(element);
  }
}
register("beamline/beam/spread.test", { Look });

test.each([[[]], [[1, 2, 2, { a: [null] }]]])("all elements arrive once: %j", async (elements: unknown[]) => {
  seen.length = 0;
  const graph = newGraph(defaultContext);
  graph.root.apply(create(elements)).apply(spread("spread")).apply(perElement("look", new Look()));
  await runDirect(graph);
  expect(seen).toEqual(elements);
});
