import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import {
  create,
  defaultContext,
  fixed,
  groupByKey,
  newGraph,
  perElement,
  quietSdkLogs,
  read,
  register,
  runDirect,
  windowInto,
  type Count,
  type DoFn,
  type Emitters,
  type Graph,
  type KV,
  type Reader,
} from ".";
import { Clock } from "./clock";
import { directRunner } from "./sdk";
import { play, TestStream } from "./testing/test-stream";

beforeAll(quietSdkLogs);

const tick = () => new Promise((resolve) => setImmediate(resolve));
const made: WeakRef<object>[] = [];

export class Pair implements DoFn<number, { pairs: KV<string, number> }> {
  readonly outputs = ["pairs"] as const;
  startBundle(): void {
    made.push(new WeakRef(this));
  }
  process(value: number, emit: Emitters<{ pairs: KV<string, number> }>): void {
    emit.pairs({ key: "all", value });
  }
}
export class Tally implements DoFn<KV<string, readonly number[]>, Record<never, never>> {
  readonly outputs = [] as const;
  private count?: Count;
  constructor(readonly prefix: string) {}
  startBundle(count: Count): void {
    this.count = count;
  }
  process({ value }: KV<string, readonly number[]>): void {
    this.count?.(`${this.prefix} groups`, 1);
    this.count?.(
      `${this.prefix} sum`,
      value.reduce((a, b) => a + b, 0),
    );
  }
}
export class SlowNumbers implements Reader<number, number> {
  readonly concurrency = 2;
  readonly counter = "read";
  async *read(count: number): AsyncIterable<readonly number[]> {
    for (let n = 1; n <= count; n += 1) {
      await tick();
      if (n === 13) throw new Error("thirteen");
      yield [n];
    }
  }
}
register("beamline/beam/direct-runner.test", { Pair, Tally, SlowNumbers });

function summing(prefix: string, upTo: number): Graph {
  const graph = newGraph(defaultContext);
  const numbers = graph.root.apply(create([upTo])).apply(read("numbers", new SlowNumbers()));
  const { pairs } = numbers.apply(perElement("pair", new Pair()));
  pairs.apply(groupByKey()).apply(perElement("tally", new Tally(prefix)));
  return graph;
}

function streaming(prefix: string, stream: TestStream<number>): Graph {
  const graph = newGraph(defaultContext);
  const numbers = graph.root.apply(play(stream, "stream")).apply(windowInto(fixed(10)));
  const { pairs } = numbers.apply(perElement("pair", new Pair()));
  pairs.apply(groupByKey()).apply(perElement("tally", new Tally(prefix)));
  return graph;
}

test("an empty graph runs, and counts nothing", async () => {
  expect(await runDirect(newGraph(defaultContext))).toEqual({});
});

test("answers with the counters", async () => {
  expect(await runDirect(summing("a", 4))).toEqual({ read: 4, "a groups": 1, "a sum": 10 });
});

test("an error is the very one that was thrown, and the next run is none the worse", async () => {
  await expect(runDirect(summing("a", 20))).rejects.toThrow(new Error("thirteen"));
  expect(await runDirect(summing("a", 2))).toMatchObject({ "a sum": 3 });
});

test("runs at the same time keep their counters and errors apart", async () => {
  const [a, b, c] = await Promise.allSettled(
    [summing("a", 4), summing("b", 20), summing("c", 12)].map((graph) => runDirect(graph)),
  );
  expect(a).toEqual({ status: "fulfilled", value: { read: 4, "a groups": 1, "a sum": 10 } });
  expect(b).toEqual({ status: "rejected", reason: new Error("thirteen") });
  expect(c).toEqual({ status: "fulfilled", value: { read: 12, "c groups": 1, "c sum": 78 } });
});

test("runs at the same time keep their clocks apart; one without a clock is never late", async () => {
  const stream = () => new TestStream<number>().advanceWatermarkTo(100).addAt(1, 1).addAt(101, 2);
  const [timed, again, bounded] = await Promise.all([
    runDirect(streaming("timed", stream()), new Clock()),
    runDirect(streaming("again", stream()), new Clock()),
    runDirect(streaming("bounded", stream())),
  ]);
  expect(timed).toMatchObject({ late: 1, "timed groups": 1, "timed sum": 2 });
  expect(again).toMatchObject({ late: 1, "again groups": 1, "again sum": 2 });
  expect(bounded).toMatchObject({ "bounded groups": 2, "bounded sum": 3 });
  expect(bounded["late"]).toBeUndefined();
});

test("a graph runs as often as one likes", async () => {
  const graph = summing("a", 3);
  expect(await runDirect(graph)).toEqual(await runDirect(graph));
});

test("20 runs leave nothing behind: no listener, no state, no operator", async () => {
  setFlagsFromString("--expose-gc");
  const collectGarbage = runInNewContext("gc") as () => void;
  const listeners = () => process.eventNames().map((name) => [String(name), process.listenerCount(name)]);
  const before = listeners();
  made.splice(0);
  for (let i = 0; i < 20; i += 1) {
    if (i % 2 === 0)
      await runDirect(streaming("a", new TestStream<number>().addAt(1, 1).advanceWatermarkTo(20)), new Clock());
    else await runDirect(summing("a", i)).catch(() => {});
  }
  await tick();
  collectGarbage();
  expect(listeners()).toEqual(before);
  const states = directRunner.directRunner({}).constructor as unknown as { inMemoryStatesRefs: Map<string, unknown> };
  expect(states.inMemoryStatesRefs.size).toBe(0);
  expect(made).toHaveLength(20);
  // What the last run held may still be on the stack.
  expect(made.filter((operator) => operator.deref() !== undefined).length).toBeLessThan(5);
});
