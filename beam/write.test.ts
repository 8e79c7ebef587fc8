import fc from "fast-check";
import {
  create,
  defaultContext,
  newGraph,
  quietSdkLogs,
  read,
  register,
  runDirect,
  writeBatches,
  writeDefaults,
  type BatchWriter,
  type Counters,
  type Reader,
  type WriteOptions,
} from ".";
import { pauseBefore } from "./write";
import { TestPipeline } from "./testing";

beforeAll(quietSdkLogs);

const tick = () => new Promise((resolve) => setImmediate(resolve));

// What writers did in the test at hand.
let calls: string[] = [];
let batches: number[][] = [];
let writing = 0;
let mostWriting = 0;
let pending = 0;
let mostPending = 0;
let problems: Error[] = [];
beforeEach(() => {
  calls = [];
  batches = [];
  writing = mostWriting = pending = mostPending = 0;
  problems = [];
});

class Transient extends Error {}

/** Writes into `batches`, or fails with the next one of `problems`; rows above 1000 can never be written. */
export class Memory implements BatchWriter<number> {
  readonly counter = "written";
  readonly options: WriteOptions;
  constructor(options: Partial<WriteOptions> = {}) {
    this.options = { ...writeDefaults, firstPause: 1, maxPause: 2, ...options };
  }
  async open(): Promise<void> {
    await tick();
    calls.push("open");
  }
  async write(rows: readonly number[]): Promise<void> {
    calls.push(`write ${rows.join()}`);
    writing += 1;
    mostWriting = Math.max(mostWriting, writing);
    // Earlier batches take longer: what is under way at once ends in another order.
    for (let i = 0; i < 3 - (batches.length % 3); i += 1) await tick();
    writing -= 1;
    pending -= rows.length;
    const problem = problems.shift();
    if (problem !== undefined) throw problem;
    if (rows.some((row) => row > 1000)) throw new Error(`${rows.join()} cannot be written`);
    batches.push([...rows]);
  }
  async close(isWhole: boolean): Promise<void> {
    await tick();
    calls.push(isWhole ? "close" : "leave");
  }
}

export class Weighing extends Memory {
  weigh(row: number): number {
    return row;
  }
}
export class OnlyTransient extends Memory {
  isTransient(error: unknown): boolean {
    return error instanceof Transient;
  }
}

export class FailsToOpen extends Memory {
  override async open(): Promise<void> {
    await tick();
    throw new Error("no such database");
  }
}

export class FailsToClose extends Memory {
  override async close(): Promise<void> {
    calls.push("close");
    throw new Error("the last rows were not flushed");
  }
}

/** Counts what it gave and was not yet written. */
export class Numbers implements Reader<number, number> {
  readonly concurrency = 1;
  readonly counter = "read";
  constructor(readonly chunkSize: number) {}
  async *read(count: number): AsyncIterable<readonly number[]> {
    for (let from = 0; from < count; from += this.chunkSize) {
      const chunk = Array.from({ length: Math.min(this.chunkSize, count - from) }, () => 1);
      pending += chunk.length;
      mostPending = Math.max(mostPending, pending);
      yield chunk;
      await Promise.resolve();
    }
  }
}
register("beamline/beam/write.test", { Memory, OnlyTransient, FailsToOpen, FailsToClose, Numbers, Weighing });

function write(rows: readonly number[], writer: BatchWriter<number>): Promise<Counters> {
  const graph = newGraph(defaultContext);
  graph.root.apply(create(rows)).apply(writeBatches("write", writer));
  return runDirect(graph);
}

describe("pauseBefore", () => {
  const options: WriteOptions = { ...writeDefaults, firstPause: 100, maxPause: 1_000 };

  test("doubles from the first pause to the longest", () => {
    const longest = [1, 2, 3, 4, 5, 6, 60, 2000].map((attempt) => pauseBefore(attempt, options, () => 1));
    expect(longest).toEqual([100, 200, 400, 800, 1_000, 1_000, 1_000, 1_000]);
  });

  test("lies between half of it and all of it", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 50 }), fc.double({ min: 0, max: 1, noNaN: true }), (attempt, random) => {
        const full = pauseBefore(attempt, options, () => 1);
        const pause = pauseBefore(attempt, options, () => random);
        expect(pause).toBeGreaterThanOrEqual(full / 2);
        expect(pause).toBeLessThanOrEqual(full);
      }),
    );
  });
});

describe("batches", () => {
  test("a batch is full when its rows weigh enough, too", async () => {
    expect(await write([1, 2, 3, 4, 5, 900, 6], new Weighing({ batchRows: 3, batchWeight: 7 }))).toEqual({
      written: 7,
    });
    expect(batches).toEqual([[1, 2, 3], [4, 5], [900], [6]]);
  });

  test("are as long as asked for, the last one as long as there is left, in order", async () => {
    expect(await write([1, 2, 3, 4, 5], new Memory({ batchRows: 2 }))).toEqual({ written: 5 });
    expect(batches).toEqual([[1, 2], [3, 4], [5]]);
    expect(mostWriting).toBe(1);
  });

  test("of an exact multiple have no empty one at the end, and nothing makes none", async () => {
    await write([1, 2, 3, 4], new Memory({ batchRows: 2 }));
    await write([], new Memory({ batchRows: 2 }));
    expect(batches).toEqual([
      [1, 2],
      [3, 4],
    ]);
  });

  test("each row once, whatever the options, never more at once than allowed", async () => {
    const small = fc.integer({ min: 1, max: 7 });
    const property = fc.asyncProperty(
      fc.integer({ min: 0, max: 40 }),
      small,
      small,
      async (count, batchRows, concurrency) => {
        batches = [];
        mostWriting = 0;
        const rows = Array.from({ length: count }, (_, at) => at);
        expect(await write(rows, new Memory({ batchRows, concurrency }))).toEqual(
          count === 0 ? {} : { written: count },
        );
        expect(batches.flat().sort((a, b) => a - b)).toEqual(rows);
        expect(mostWriting).toBe(Math.min(concurrency, Math.ceil(count / batchRows)));
        if (concurrency === 1) expect(batches.flat()).toEqual(rows);
      },
    );
    await fc.assert(property, { numRuns: 30 });
  });

  test("are told by their sizes", async () => {
    const pipeline = new TestPipeline();
    const { written, failed } = pipeline.create([1, 2, 3]).apply(writeBatches("write", new Memory({ batchRows: 2 })));
    pipeline.expect(written).containsInAnyOrder([2, 1]);
    pipeline.expect(failed).isEmpty();
    await pipeline.run();
  });
});

describe("open and close", () => {
  test("come once, around everything, also when there is nothing", async () => {
    await write([1, 2], new Memory({ batchRows: 1 }));
    expect(calls).toEqual(["open", "write 1", "write 2", "close"]);
    calls = [];
    await write([], new Memory());
    expect(calls).toEqual(["open", "close"]);
  });

  test("an error in open fails the run; what is not open is not closed", async () => {
    await expect(write([1], new FailsToOpen())).rejects.toThrow("no such database");
    expect(calls).toEqual([]);
  });

  test("an error in close fails the run, unless there was one before", async () => {
    await expect(write([1], new FailsToClose())).rejects.toThrow("the last rows were not flushed");
    await expect(write([2000], new FailsToClose({ retries: 0 }))).rejects.toThrow("2000 cannot be written");
    expect(calls).toEqual(["open", "write 1", "close", "open", "write 2000", "close"]);
  });

  test("a failed run closes too, after what is under way, and says that not all is there", async () => {
    await expect(write([1, 2000, 3, 4, 5], new Memory({ batchRows: 1, concurrency: 2, retries: 0 }))).rejects.toThrow(
      "2000 cannot be written",
    );
    expect(calls.at(-1)).toBe("leave");
    expect(calls).not.toContain("close");
    expect(writing).toBe(0);
  });

  test("so does a run that fails elsewhere", async () => {
    const graph = newGraph(defaultContext);
    const rows = graph.root.apply(create([1, 2, 3]));
    rows.apply(writeBatches("good", new Memory({ batchRows: 1 })));
    rows.apply(writeBatches("bad", new FailsToOpen()));
    await expect(runDirect(graph)).rejects.toThrow("no such database");
    expect(calls.filter((call) => call === "open")).toHaveLength(calls.filter((call) => call === "leave").length);
  });
});

describe("a batch that fails", () => {
  const transient = (count: number) => Array.from({ length: count }, (_, at) => new Transient(`busy ${at + 1}`));

  test("is tried again, and is written once", async () => {
    problems = transient(3);
    expect(await write([1, 2], new Memory({ batchRows: 2, retries: 3 }))).toEqual({ written: 2 });
    expect(calls).toEqual(["open", "write 1,2", "write 1,2", "write 1,2", "write 1,2", "close"]);
    expect(batches).toEqual([[1, 2]]);
  });

  test("keeps its place before the batches behind it", async () => {
    problems = transient(2);
    await write([1, 2, 3], new Memory({ batchRows: 1, retries: 2 }));
    expect(batches).toEqual([[1], [2], [3]]);
  });

  test("is given up after the last attempt, with the last error", async () => {
    problems = transient(3);
    await expect(write([1], new Memory({ retries: 2 }))).rejects.toThrow("busy 3");
    expect(calls).toEqual(["open", "write 1", "write 1", "write 1", "leave"]);
  });

  test("is not tried again when that cannot help", async () => {
    problems = [new Transient("busy"), new Error("no such column")];
    await expect(write([1], new OnlyTransient({ retries: 9 }))).rejects.toThrow("no such column");
    expect(calls).toEqual(["open", "write 1", "write 1", "leave"]);
  });

  test("is the last one: nothing is written after the failure", async () => {
    const rows = [1, 2000, ...Array.from({ length: 50 }, (_, at) => at)];
    await expect(write(rows, new Memory({ batchRows: 1, retries: 0 }))).rejects.toThrow("2000 cannot be written");
    for (let i = 0; i < 10; i += 1) await tick();
    expect(calls).toEqual(["open", "write 1", "write 2000", "leave"]);
  });

  test("ends the pauses of others, which are not tried again", async () => {
    // The first batch waits a day for its next attempt when the second one fails for good.
    problems = [new Transient("busy"), new Error("no such column")];
    const day = 86_400_000;
    const writer = new OnlyTransient({ batchRows: 1, concurrency: 2, retries: 9, firstPause: day, maxPause: day });
    await expect(write([1, 2], writer)).rejects.toThrow("no such column");
    expect(calls).toEqual(["open", "write 1", "write 2", "leave"]);
  });
});

describe("onFailure: emit", () => {
  test("sends each element with its error, and goes on", async () => {
    const pipeline = new TestPipeline();
    const writer = new Memory({ batchRows: 2, retries: 1, onFailure: "emit" });
    const { written, failed } = pipeline.create([1, 2, 3, 2000, 5]).apply(writeBatches("write", writer));
    pipeline.expect(failed).containsInAnyOrder([
      { element: 3, error: "3,2000 cannot be written" },
      { element: 2000, error: "3,2000 cannot be written" },
    ]);
    pipeline.expect(written).containsInAnyOrder([2, 1]);
    expect(await pipeline.run()).toEqual({ written: 3 });
    expect(batches).toEqual([[1, 2], [5]]);
  });

  test("what goes wrong downstream fails the run", async () => {
    const graph = newGraph(defaultContext);
    const writer = new Memory({ retries: 0, onFailure: "emit" });
    const { failed } = graph.root.apply(create([2000])).apply(writeBatches("write", writer));
    const letters = failed as unknown as Parameters<ReturnType<typeof toLetters>>[0];
    letters.apply(toLetters());
    await expect(runDirect(graph)).rejects.toThrow("[object Object] cannot be written");
  });

  const toLetters = () => writeBatches<number>("letters", new FailsAlways({ retries: 0 }));
});

export class FailsAlways extends Memory {
  override async write(rows: readonly number[]): Promise<void> {
    await tick();
    throw new Error(`${rows.join()} cannot be written`);
  }
}
register("beamline/beam/write.test", { FailsAlways });

test("memory is bounded: of 100,000 rows only a few batches wait", async () => {
  const graph = newGraph(defaultContext);
  const rows = graph.root.apply(create([100_000])).apply(read("numbers", new Numbers(500)));
  rows.apply(writeBatches("write", new Memory({ batchRows: 1000, concurrency: 3 })));
  expect(await runDirect(graph)).toEqual({ read: 100_000, written: 100_000 });
  // Three under way, one queued, one that gathers, and a chunk on its way.
  expect(mostPending).toBeLessThanOrEqual(5 * 1000 + 500);
  expect(pending).toBe(0);
});

test.each<[keyof WriteOptions, number, string]>([
  ["concurrency", 0, "trades: concurrency must be a whole number, 1 or more, not 0"],
  ["concurrency", NaN, "not NaN"],
  ["batchRows", 0, "trades: batchRows must be a whole number, 1 or more, not 0"],
  ["batchRows", 1.5, "not 1.5"],
  ["retries", -1, "trades: retries must be a whole number, 0 or more, not -1"],
  ["firstPause", NaN, "trades: firstPause must be a whole number, 0 or more, not NaN"],
])("%s of %p is refused, as it would lose rows or stand still", (option, value, message) => {
  expect(() => writeBatches("trades", new Memory({ [option]: value }))).toThrow(message);
});
