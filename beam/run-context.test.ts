import { create } from "./create";
import { named, type PCollection } from "./collection";
import { newGraph } from "./direct-runner";
import { defaultContext, runContextOf, setRunContext } from "./run-context";

test("each graph has its own, and all its collections know it", () => {
  const monday = newGraph({ ...defaultContext, job: "monday" });
  const tuesday = newGraph({ ...defaultContext, job: "tuesday" });
  const [a, b] = [monday.root.apply(create([1])), tuesday.root.apply(create([1]))];
  const seen: string[] = [];
  const look = named("look", (input: PCollection<number>) => {
    seen.push(runContextOf(input).job);
    return input;
  });
  b.apply(look);
  a.apply(look);
  expect(seen).toEqual(["tuesday", "monday"]);
  expect(runContextOf(monday.root).job).toBe("monday");
});

test("can be set anew until transforms ask for it", () => {
  const { root } = newGraph(defaultContext);
  const collection = root.apply(create([1]));
  setRunContext(root, { ...defaultContext, batch: "2" });
  expect(runContextOf(collection).batch).toBe("2");
});

test("a graph for which nothing was said has the default", () => {
  expect(runContextOf({ pipeline: {} } as never)).toBe(defaultContext);
});
