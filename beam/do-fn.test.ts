import {
  create,
  defaultContext,
  fixed,
  flatten,
  groupByKey,
  newGraph,
  perElement,
  quietSdkLogs,
  register,
  runDirect,
  windowInto,
  writeBatches,
  writeDefaults,
  type BatchWriter,
  type Count,
  type DoFn,
  type Emitters,
  type KV,
  type Place,
} from ".";
import { TestPipeline, TestStream } from "./testing";

beforeAll(quietSdkLogs);

const log: string[] = [];
beforeEach(() => void log.splice(0));

const tick = () => new Promise((resolve) => setImmediate(resolve));

type Sorted = { even: number; odd: string };

export class Sort implements DoFn<number, Sorted> {
  readonly outputs = ["even", "odd"] as const;
  process(n: number, emit: Emitters<Sorted>): void {
    if (n % 2 === 0) emit.even(n);
    else emit.odd(`${n}`);
  }
}

/** Says when each of its methods is called, and fails in the one it is told to. */
export class Life implements DoFn<number, { seen: number }> {
  readonly outputs = ["seen"] as const;
  private seen?: number[];
  constructor(readonly failIn: string = "nothing") {}

  private async say(what: string): Promise<void> {
    log.push(`${what} begins`);
    await tick();
    if (what === this.failIn) throw new Error(`failed in ${what}`);
    log.push(`${what} ends`);
  }

  async startBundle(): Promise<void> {
    this.seen = [];
    await this.say("startBundle");
  }

  process(n: number): void {
    if (this.failIn === "process") throw new Error("failed in process");
    log.push(`process ${n}`);
    this.seen?.push(n);
  }

  async finishBundle(emit: Emitters<{ seen: number }>): Promise<void> {
    await this.say("finishBundle");
    for (const n of this.seen ?? []) emit.seen(n);
  }
}

/** Keeps state that it never resets. */
export class Remember implements DoFn<number, { sums: number }> {
  readonly outputs = ["sums"] as const;
  private sum = 0;
  process(n: number, emit: Emitters<{ sums: number }>): void {
    this.sum += n;
    emit.sums(this.sum);
  }
}

export class Last implements DoFn<number, { atEnd: string; inWindow: string; atTime: string }> {
  readonly outputs = ["atEnd", "inWindow", "atTime"] as const;
  process(): void {}
  finishBundle(emit: Emitters<{ atEnd: string; inWindow: string; atTime: string }>): void {
    emit.atEnd("end");
    emit.inWindow("window", { start: 0, end: 10 });
    emit.atTime("time", { timestamp: 7 });
  }
}

/** Where its elements lie. */
export class Where implements DoFn<unknown, { places: Place }> {
  readonly outputs = ["places"] as const;
  process(_element: unknown, emit: Emitters<{ places: Place }>, place: () => Place): void {
    emit.places(place());
  }
}

export class Send implements DoFn<number, { sent: number }> {
  readonly outputs = ["sent"] as const;
  constructor(readonly to: { start: number; end: number } | { timestamp: number }) {}
  process(n: number, emit: Emitters<{ sent: number }>): void {
    emit.sent(n, this.to);
  }
}

export class Several implements DoFn<number, { copies: number }> {
  readonly outputs = ["copies"] as const;
  constructor(readonly times: number) {}
  process(n: number, emit: Emitters<{ copies: number }>): void {
    log.push(`${n} begins`);
    for (let i = 0; i < this.times; i += 1) emit.copies(n);
  }
}

export class ThenFail implements DoFn<number, { sent: number }> {
  readonly outputs = ["sent"] as const;
  process(n: number, emit: Emitters<{ sent: number }>): void {
    emit.sent(n);
    throw new Error("failed after sending");
  }
}

export class Nothing implements DoFn<number, Record<never, never>> {
  readonly outputs = [] as const;
  private count?: Count;
  startBundle(count: Count): void {
    this.count = count;
  }
  process(n: number): void {
    this.count?.("seen", n);
  }
}

export class Slow implements BatchWriter<number> {
  readonly options = { ...writeDefaults, batchRows: 1, retries: 0 };
  readonly counter = "written";
  constructor(readonly fails = false) {}
  async write(rows: readonly number[]): Promise<void> {
    await tick();
    if (this.fails) throw new Error("failed to write");
    log.push(`${rows.join()} written`);
  }
}
export class Pair implements DoFn<number, { pairs: KV<string, number> }> {
  readonly outputs = ["pairs"] as const;
  process(n: number, emit: Emitters<{ pairs: KV<string, number> }>): void {
    emit.pairs({ key: "all", value: n });
  }
}

/** Sends what it holds back when the watermark moves. */
export class HoldBack implements DoFn<number, { held: KV<string, number> }> {
  readonly outputs = ["held"] as const;
  private held?: number[];
  constructor(readonly size: number) {}
  startBundle(): void {
    this.held = [];
  }
  process(n: number): void {
    this.held?.push(n);
  }
  onWatermark(watermark: number, emit: Emitters<{ held: KV<string, number> }>): void {
    for (const value of this.held?.splice(0) ?? []) {
      emit.held({ key: "all", value }, { start: watermark - this.size, end: watermark });
    }
  }
}
export class SumUp implements DoFn<KV<string, readonly number[]>, { sums: number }> {
  readonly outputs = ["sums"] as const;
  process({ value }: KV<string, readonly number[]>, emit: Emitters<{ sums: number }>): void {
    emit.sums(value.reduce((a, b) => a + b, 0));
  }
}
register("beamline/beam/do-fn.test", {
  Sort,
  Life,
  Remember,
  Last,
  Where,
  Send,
  Several,
  ThenFail,
  Nothing,
  Slow,
  Pair,
  HoldBack,
  SumUp,
});

describe("outputs", () => {
  test("each goes to its own collection", async () => {
    const pipeline = new TestPipeline();
    const { even, odd } = pipeline.create([1, 2, 3, 4]).apply(perElement("sort", new Sort()));
    pipeline.expect(even).containsInAnyOrder([2, 4]);
    pipeline.expect(odd).containsInAnyOrder(["1", "3"]);
    await pipeline.run();
  });

  test("one that nobody reads is no trouble", async () => {
    const pipeline = new TestPipeline();
    const { even } = pipeline.create([1, 2, 3]).apply(perElement("sort", new Sort()));
    pipeline.expect(even).containsInAnyOrder([2]);
    await pipeline.run();
  });

  test("a DoFn without outputs runs", async () => {
    const pipeline = new TestPipeline();
    pipeline.create([1, 2]).apply(perElement("nothing", new Nothing()));
    expect(await pipeline.run()).toEqual({ seen: 3 });
  });

  test("several readers of one output get every element", async () => {
    const pipeline = new TestPipeline();
    const numbers = pipeline.create([1, 2]);
    for (const name of ["a", "b", "c"]) {
      const { even } = numbers.apply(perElement(name, new Sort()));
      pipeline.expect(even, name).containsInAnyOrder([2]);
    }
    await pipeline.run();
  });
});

describe("a bundle", () => {
  test("begins, sees its elements and ends, one after the other, and waits for each", async () => {
    const pipeline = new TestPipeline();
    const { seen } = pipeline.create([1, 2]).apply(perElement("life", new Life()));
    pipeline.expect(seen).containsInAnyOrder([1, 2]);
    await pipeline.run();
    expect(log).toEqual([
      "startBundle begins",
      "startBundle ends",
      "process 1",
      "process 2",
      "finishBundle begins",
      "finishBundle ends",
    ]);
  });

  test.each(["startBundle", "process", "finishBundle"])("an error in %s reaches who runs it", async (failIn) => {
    const graph = newGraph(defaultContext);
    graph.root.apply(create([1])).apply(perElement("life", new Life(failIn)));
    await expect(runDirect(graph)).rejects.toThrow(`failed in ${failIn}`);
    expect(log.filter((line) => line === "finishBundle ends")).toEqual([]);
  });

  test("each run has an instance of its own, whose fields are those it was given", async () => {
    const given = new Remember();
    const pipeline = new TestPipeline();
    pipeline.expect(pipeline.create([1, 2]).apply(perElement("remember", given)).sums).containsInAnyOrder([1, 3]);
    await pipeline.run();
    await pipeline.run();
    expect(given).toEqual(new Remember());
  });
});

describe("where a value goes", () => {
  const GLOBAL = { start: -Infinity, end: Infinity };

  test("at the end of a bundle: to a window, to a time, else to the global window", async () => {
    const pipeline = new TestPipeline();
    const { atEnd, inWindow, atTime } = pipeline.create([1]).apply(perElement("last", new Last()));
    const placesOf = (name: string, of: typeof atEnd) => of.apply(perElement(name, new Where())).places;
    pipeline.expect(placesOf("a", atEnd)).satisfies((places) => expect(places).toMatchObject([GLOBAL]));
    pipeline.expect(placesOf("b", inWindow)).containsInAnyOrder([{ start: 0, end: 10, timestamp: 9, pane: "only" }]);
    pipeline.expect(placesOf("c", atTime)).containsInAnyOrder([{ ...GLOBAL, timestamp: 7, pane: "only" }]);
    await pipeline.run();
  });

  test("also in a bundle without elements, and what goes there is grouped", async () => {
    const pipeline = new TestPipeline();
    const { atEnd } = pipeline.create<number>([]).apply(perElement("last", new Last()));
    const pairs = atEnd.apply(
      perElement("pair", new Pair() as unknown as DoFn<string, { pairs: KV<string, string> }>),
    ).pairs;
    pipeline.expect(pairs.apply(groupByKey())).containsInAnyOrder([{ key: "all", value: ["end"] }]);
    await pipeline.run();
  });

  test("to the place of the element at hand, passed on as it was", async () => {
    const pipeline = new TestPipeline();
    const stream = new TestStream<number>().addAt(12_345, 2);
    const { even } = pipeline
      .stream(stream)
      .apply(windowInto(fixed(1_000)))
      .apply(perElement("sort", new Sort()));
    const { places } = even.apply(perElement("where", new Where()));
    pipeline.expect(places).containsInAnyOrder([{ start: 12_000, end: 13_000, timestamp: 12_999, pane: "only" }]);
    await pipeline.run();
  });

  test("to a window that is the global one", async () => {
    const pipeline = new TestPipeline();
    const { sent } = pipeline
      .create([1])
      .apply(perElement("where", new Where()))
      .places.apply(perElement("send", new Send(GLOBAL) as unknown as DoFn<Place, { sent: number }>));
    pipeline.expect(sent.apply(perElement("again", new Where())).places).satisfies(([place]) => {
      expect(place).toMatchObject(GLOBAL);
    });
    await pipeline.run();
  });

  test.each<[string, { start: number; end: number } | { timestamp: number }]>([
    ["NaN is not an event time", { timestamp: NaN }],
    ["Infinity is not an event time", { timestamp: Infinity }],
    ["A window cannot begin at NaN and end at NaN", { start: NaN, end: NaN }],
    ["A window cannot begin at 10 and end at 0", { start: 10, end: 0 }],
  ])("%s", async (message, to) => {
    const graph = newGraph(defaultContext);
    graph.root.apply(create([1])).apply(perElement("send", new Send(to)));
    await expect(runDirect(graph)).rejects.toThrow(message);
  });
});

describe("what comes after is waited for", () => {
  test("each element until all that it became is taken", async () => {
    const graph = newGraph(defaultContext);
    const numbers = graph.root.apply(create([1])).apply(perElement("several", new Several(3))).copies;
    numbers.apply(writeBatches("write", new Slow()));
    await runDirect(graph);
    expect(log).toEqual(["1 begins", "1 written", "1 written", "1 written"]);
  });

  test("at the end of the bundle as well", async () => {
    const graph = newGraph(defaultContext);
    const { seen } = graph.root.apply(create([1, 2])).apply(perElement("life", new Life()));
    seen.apply(writeBatches("write", new Slow()));
    expect(await runDirect(graph)).toEqual({ written: 2 });
  });

  test("an error there fails the run, and is nobody's unhandled rejection", async () => {
    const unhandled = jest.fn();
    process.on("unhandledRejection", unhandled);
    const graph = newGraph(defaultContext);
    const numbers = graph.root.apply(create([1, 2, 3]));
    const { copies } = numbers.apply(perElement("several", new Several(2)));
    const { sent } = copies.apply(perElement("then fail", new ThenFail()));
    flatten([copies, sent]).apply(writeBatches("write", new Slow(true)));
    await expect(runDirect(graph)).rejects.toThrow("failed after sending");
    await tick();
    await tick();
    process.off("unhandledRejection", unhandled);
    expect(unhandled).not.toHaveBeenCalled();
  });
});

describe("onWatermark", () => {
  test("what it sends for the window that just ended is on time for the grouping below, in a chain too", async () => {
    const pipeline = new TestPipeline();
    const stream = new TestStream<number>().add(1, 2).advanceWatermarkTo(60_000).add(4).advanceWatermarkTo(120_000);
    const minute = () => perElement("hold back", new HoldBack(60_000));
    const windowed = pipeline
      .stream(stream)
      .apply(windowInto(fixed(60_000)))
      .apply(minute()).held;
    const sums = windowed.apply(groupByKey()).apply(perElement("sum", new SumUp())).sums;
    const again = sums.apply(perElement("hold back again", new HoldBack(60_000))).held.apply(groupByKey("again"));
    pipeline.expect(sums, "sums").onTime().containsInAnyOrder([3, 4]);
    pipeline
      .expect(again, "again")
      .onTime()
      .containsInAnyOrder([
        { key: "all", value: [3] },
        { key: "all", value: [4] },
      ]);
    expect((await pipeline.run())["late"]).toBeUndefined();
  });
});
