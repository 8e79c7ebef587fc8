import { create, defaultContext, newGraph, quietSdkLogs, runDirect } from ".";
import { parDo } from "./collection";
import { droppable, type Abandonable } from "./failed-bundles";
import { operatorByUrn } from "./operator-registry";
import { type operators, type sdk } from "./sdk";

beforeAll(quietSdkLogs);

const log: string[] = [];
beforeEach(() => void log.splice(0));

const tick = () => new Promise((resolve) => setImmediate(resolve));

/** An operator that fails where it is told to, and says what is asked of it. */
class Watched implements Abandonable {
  constructor(
    readonly transformId: string,
    private readonly plan: string,
  ) {}
  private do(what: string): void {
    log.push(what);
    if (this.plan.includes(what)) throw new Error(`failed in ${what}`);
  }
  async startBundle(): Promise<void> {
    this.do("start");
  }
  process(): sdk.Done {
    this.do("process");
    return null;
  }
  async finishBundle(): Promise<void> {
    this.do("finish");
  }
  async abandonBundle(error: unknown): Promise<void> {
    await tick();
    log.push(`abandoned: ${(error as Error).message}`);
    if (this.plan.includes("abandon")) throw new Error("failed in abandon");
  }
}
operatorByUrn("beamline:watched:v1", (id, payload) => new Watched(id, Buffer.from(payload).toString()));

function run(...plans: string[]): Promise<unknown> {
  const graph = newGraph(defaultContext);
  const elements = graph.root.apply(create([1]));
  plans.forEach((plan, at) =>
    elements.apply(parDo(`watched ${at}`, "beamline:watched:v1", Buffer.from(plan), (out) => out())),
  );
  return runDirect(graph);
}

test("a bundle that goes well is not abandoned", async () => {
  await run("");
  expect(log).toEqual(["start", "process", "finish"]);
});

test.each(["start", "process", "finish"])(
  "a failure in %s tells every operator, waits for it, and is passed on",
  async (where) => {
    await expect(run("", where)).rejects.toThrow(`failed in ${where}`);
    expect(log.slice(-2)).toEqual([`abandoned: failed in ${where}`, `abandoned: failed in ${where}`]);
  },
);

test("what goes wrong while abandoning hides neither the cause nor stops the others", async () => {
  await expect(run("abandon", "process", "abandon")).rejects.toThrow("failed in process");
  expect(log.filter((line) => line.startsWith("abandoned"))).toHaveLength(3);
});

test("the SDK alone tells nobody", async () => {
  // The same operator, in a registry of its own without the change to bundles.
  let processor!: { process(id: string): Promise<void> };
  jest.isolateModules(() => {
    jest.requireActual("./node-compat");
    jest.requireActual("apache-beam");
    const alone = jest.requireActual<typeof operators>("apache-beam/worker/operators");
    alone.registerOperatorConstructor("watched", (id: string) => new Watched(id, "finish"));
    const { BundleProcessor } = jest.requireActual<{
      BundleProcessor: new (descriptor: unknown, data: null, state: null, roots: string[]) => typeof processor;
    }>("apache-beam/worker/worker");
    const transforms = { a: { spec: { urn: "watched" }, inputs: {}, outputs: {}, subtransforms: [] } };
    processor = new BundleProcessor({ id: "", transforms }, null, null, ["watched"]);
  });
  await expect(processor.process("1")).rejects.toThrow("failed in finish");
  await tick();
  expect(log).toEqual(["start", "finish"]);
});

test("a droppable promise may reject unheard, and still tells who waits", async () => {
  const unhandled = jest.fn();
  process.on("unhandledRejection", unhandled);
  const promise = droppable(Promise.reject(new Error("dropped")));
  await tick();
  process.off("unhandledRejection", unhandled);
  expect(unhandled).not.toHaveBeenCalled();
  await expect(promise).rejects.toThrow("dropped");
});
