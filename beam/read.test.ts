import {
  create,
  defaultContext,
  flatten,
  newGraph,
  quietSdkLogs,
  read,
  register,
  runDirect,
  writeBatches,
  writeDefaults,
  type BatchWriter,
  type Graph,
  type PCollection,
  type Reader,
} from ".";
import type * as rawSdk from "./sdk";
import { TestPipeline } from "./testing";

beforeAll(quietSdkLogs);

const tick = () => new Promise((resolve) => setImmediate(resolve));

// What readers and writers did in the test at hand.
let log: string[] = [];
let reading = 0;
let mostReading = 0;
let inFlight = 0;
let mostInFlight = 0;
beforeEach(() => {
  log = [];
  reading = mostReading = inFlight = mostInFlight = 0;
});

interface Range {
  readonly name: string;
  readonly chunks: readonly (readonly number[])[];
  readonly failsAtEnd?: boolean;
}

export class ReadChunks implements Reader<Range, number> {
  readonly counter = "read";
  constructor(readonly concurrency: number) {}

  async *read({ name, chunks, failsAtEnd }: Range): AsyncIterable<readonly number[]> {
    reading += 1;
    mostReading = Math.max(mostReading, reading);
    try {
      for (const chunk of chunks) {
        await tick();
        inFlight += chunk.length;
        mostInFlight = Math.max(mostInFlight, inFlight);
        yield chunk;
      }
      if (failsAtEnd === true) throw new Error(`${name} is broken`);
      log.push(`${name} read`);
    } finally {
      await tick();
      reading -= 1;
      log.push(`${name} closed`);
    }
  }
}

export class SlowWriter implements BatchWriter<number> {
  readonly options;
  readonly counter = "written";
  constructor(
    batchRows: number,
    concurrency: number,
    readonly failsAt = Infinity,
  ) {
    this.options = { ...writeDefaults, batchRows, concurrency, retries: 0 };
  }
  async write(rows: readonly number[]): Promise<void> {
    await tick();
    await tick();
    inFlight -= rows.length;
    if (rows.includes(this.failsAt)) throw new Error(`${this.failsAt} cannot be written`);
  }
}

/** Forever, until someone closes it. */
export class Endless implements Reader<string, number> {
  readonly counter = "read";
  readonly concurrency = 1;
  async *read(name: string): AsyncIterable<readonly number[]> {
    try {
      for (let n = 0; ; n += 1) {
        await tick();
        yield [n];
      }
    } finally {
      log.push(`${name} closed`);
    }
  }
}
async function turns(count: number): Promise<void> {
  for (let i = 0; i < count; i += 1) await Promise.resolve();
}

export class FeedAtPace implements Reader<number, number> {
  readonly counter = "fed";
  readonly concurrency = 40;
  async *read(pace: number): AsyncIterable<readonly number[]> {
    for (let i = 0; i < 10; i += 1) {
      await turns(pace);
      yield [(pace + i) % 7];
    }
  }
}

let following = 0;
let mostFollowing = 0;
export class Follow implements Reader<number, number> {
  readonly counter = "followed";
  readonly concurrency = 2;
  async *read(steps: number): AsyncIterable<readonly number[]> {
    following += 1;
    mostFollowing = Math.max(mostFollowing, following);
    await turns(steps);
    following -= 1;
    yield [];
  }
}
register("beamline/beam/read.test", { ReadChunks, SlowWriter, Endless, FeedAtPace, Follow });

const ranges = (count: number, chunks: readonly (readonly number[])[] = [[1], [2]]): Range[] =>
  Array.from({ length: count }, (_, at) => ({ name: `range ${at}`, chunks }));

function reads(of: readonly Range[], concurrency: number): { graph: Graph; numbers: PCollection<number> } {
  const graph = newGraph(defaultContext);
  return { graph, numbers: graph.root.apply(create(of)).apply(read("read", new ReadChunks(concurrency))) };
}

async function unhandledDuring(body: () => Promise<void>): Promise<unknown[]> {
  const unhandled: unknown[] = [];
  const note = (error: unknown) => void unhandled.push(error);
  process.on("unhandledRejection", note);
  await body();
  for (let i = 0; i < 5; i += 1) await tick();
  process.off("unhandledRejection", note);
  return unhandled;
}

describe("what is read", () => {
  test("comes in order, element by element, chunk by chunk", async () => {
    const pipeline = new TestPipeline();
    const of = [
      { name: "a", chunks: [[1, 2], [], [3]] },
      { name: "b", chunks: [[4], [5, 6]] },
    ];
    const numbers = pipeline.create(of).apply(read("read", new ReadChunks(1)));
    pipeline.expect(numbers).satisfies((came) => expect(came).toEqual([1, 2, 3, 4, 5, 6]));
    expect((await pipeline.run())["read"]).toBe(6);
  });

  test("may be nothing", async () => {
    const pipeline = new TestPipeline();
    const [none, empty] = [pipeline.create<Range>([]), pipeline.create<Range>([{ name: "a", chunks: [] }])];
    pipeline.expect(none.apply(read("none", new ReadChunks(1)))).isEmpty();
    pipeline.expect(empty.apply(read("empty", new ReadChunks(1)))).isEmpty();
    await pipeline.run();
    expect(log).toEqual(["a read", "a closed"]);
  });

  test("is read also when nobody takes it", async () => {
    const { graph } = reads(ranges(3), 2);
    expect(await runDirect(graph)).toEqual({ read: 6 });
  });
});

describe("concurrency", () => {
  test.each([1, 3, 16])("never more than %p at once, of 100 that come at once", async (concurrency) => {
    const { graph } = reads(ranges(100), concurrency);
    expect(await runDirect(graph)).toEqual({ read: 200 });
    expect(mostReading).toBe(concurrency);
    expect(reading).toBe(0);
  });

  test("not even when one comes just as another ends", async () => {
    // Feeders that move at different paces, so that one comes at every moment at which another can end.
    const graph = newGraph(defaultContext);
    const paces = Array.from({ length: 40 }, (_, pace) => pace);
    const feed = graph.root.apply(create(paces)).apply(read("feed", new FeedAtPace()));
    feed.apply(read("follow", new Follow()));
    await runDirect(graph);
    expect(mostFollowing).toBe(2);
  });

  test.each([0, -1, NaN, 1.5])("of %p is refused, as it would wait for ever", (concurrency) => {
    expect(() => read("trades", new ReadChunks(concurrency))).toThrow(
      `trades: concurrency must be a whole number, 1 or more, not ${concurrency}`,
    );
  });
});

test("backpressure: a fast source never runs ahead of a slow writer", async () => {
  const chunk = Array.from({ length: 10 }, (_, at) => at);
  const { graph, numbers } = reads(ranges(8, Array<number[]>(50).fill(chunk)), 4);
  numbers.apply(writeBatches("write", new SlowWriter(20, 2)));
  expect(await runDirect(graph)).toEqual({ read: 4000, written: 4000 });
  // A chunk of each of 4 readers, 2 batches under way, one queued by each reader, and one that gathers.
  expect(mostInFlight).toBeLessThanOrEqual(4 * 10 + 2 * 20 + 4 * 20 + 20);
});

describe("when something fails", () => {
  test("an error in one of many reads fails the run once, stops the others and closes them", async () => {
    const of = ranges(100, Array<number[]>(100).fill([1]));
    of[3] = { name: "range 3", chunks: [[1], [2]], failsAtEnd: true };
    const { graph } = reads(of, 5);
    const unhandled = await unhandledDuring(async () => {
      await expect(runDirect(graph)).rejects.toThrow("range 3 is broken");
      // Nothing is left to happen when the run has failed.
      expect(log.sort()).toEqual([
        "range 0 closed",
        "range 1 closed",
        "range 2 closed",
        "range 3 closed",
        "range 4 closed",
      ]);
      expect(reading).toBe(0);
    });
    expect(unhandled).toEqual([]);
    expect(log).toHaveLength(5);
  });

  test("all of them failing is still one error", async () => {
    const of = ranges(10).map((range) => ({ ...range, failsAtEnd: true }));
    const unhandled = await unhandledDuring(async () => {
      await expect(runDirect(reads(of, 10).graph)).rejects.toThrow(/^range \d is broken$/);
    });
    expect(unhandled).toEqual([]);
  });

  test("a writer downstream: the generator is closed, and the writer's error is the run's", async () => {
    const { graph, numbers } = reads(ranges(1, Array<number[]>(1000).fill([1, 2, 3])), 1);
    numbers.apply(writeBatches("write", new SlowWriter(2, 1, 3)));
    await expect(runDirect(graph)).rejects.toThrow("3 cannot be written");
    expect(log).toEqual(["range 0 closed"]);
  });

  test("another source: an endless read ends too, whichever of the two began first", async () => {
    const broken: Range = { name: "broken", chunks: [[1]], failsAtEnd: true };
    for (const endlessFirst of [true, false]) {
      log = [];
      const graph = newGraph(defaultContext);
      const endless = () => graph.root.apply(create(["endless"], "endless")).apply(read("for ever", new Endless()));
      const failing = () => graph.root.apply(create([broken], "broken")).apply(read("once", new ReadChunks(1)));
      flatten(endlessFirst ? [endless(), failing()] : [failing(), endless()]);
      await expect(runDirect(graph)).rejects.toThrow("broken is broken");
      expect(log).toEqual(["broken closed", "endless closed"]);
    }
  });
});

describe("the impulse that begins a run", () => {
  /** An impulse operator whose consumer fails after a wait, and what becomes of it. */
  async function impulseInto(consumer: () => Promise<void>, sdkAlone: boolean): Promise<string> {
    let sdk!: typeof rawSdk;
    jest.isolateModules(() => {
      sdk = jest.requireActual("./sdk");
      if (!sdkAlone) jest.requireActual("./direct-runner");
    });
    const { urn } = sdk.internal.impulse;
    const context = {
      descriptor: { transforms: { impulse: { spec: { urn }, outputs: { out: "collection" } } } },
      getReceiver: () => ({ receive: consumer }),
    };
    const impulse = sdk.operators.createOperator("impulse", context as never);
    await impulse.startBundle();
    return impulse.finishBundle().then(
      () => "done",
      (error: Error) => error.message,
    );
  }

  test("of the SDK loses the error of its consumer, ours does not", async () => {
    const failing = () => {
      const failure = tick().then(() => Promise.reject(new Error("the source is broken")));
      // Without this the lost error would end this process.
      failure.catch(() => {});
      return failure;
    };
    expect(await impulseInto(failing, true)).toBe("done");
    expect(await impulseInto(failing, false)).toBe("the source is broken");
  });

  test("of the SDK ends the run before its consumer is done, ours waits", async () => {
    let isDone = false;
    const slow = async () => {
      isDone = false;
      await tick();
      await tick();
      isDone = true;
    };
    await impulseInto(slow, true);
    expect(isDone).toBe(false);
    await impulseInto(slow, false);
    expect(isDone).toBe(true);
  });
});
