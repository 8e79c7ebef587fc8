import fc from "fast-check";
import {
  canonicalJson,
  create,
  defaultContext,
  fixed,
  groupByKey,
  named,
  newGraph,
  perElement,
  quietSdkLogs,
  register,
  runDirect,
  sessions,
  sliding,
  windowInto,
  type DoFn,
  type Emitters,
  type KV,
  type PCollection,
  type Place,
  type Windowing,
} from ".";
import { Clock, withClock } from "./clock";
import { keyId } from "./group-by-key";
import type * as rawSdk from "./sdk";
import { internal, operators, runnerApi, type sdk } from "./sdk";
import { TestPipeline, TestStream } from "./testing";
import { assign, boundsOf, windowOf } from "./windows";

beforeAll(quietSdkLogs);

type Pair = KV<unknown, number>;
type Grouped = KV<unknown, readonly number[]> & { readonly start: number; readonly end: number };
const found: (Grouped & Pick<Place, "pane">)[] = [];
beforeEach(() => void found.splice(0));

/** Puts an event where its time says. */
export class AtTime implements DoFn<{ key: unknown; time: number; value: number }, { pairs: Pair }> {
  readonly outputs = ["pairs"] as const;
  process({ key, time, value }: { key: unknown; time: number; value: number }, emit: Emitters<{ pairs: Pair }>): void {
    emit.pairs({ key, value }, { timestamp: time });
  }
}
export class Note implements DoFn<KV<unknown, readonly number[]>, Record<never, never>> {
  readonly outputs = [] as const;
  process({ key, value }: KV<unknown, readonly number[]>, _emit: object, place: () => Place): void {
    const { start, end, pane } = place();
    found.push({ key, value, start, end, pane });
  }
}
register("beamline/beam/group-by-key.test", { AtTime, Note });

type Event = { readonly key: unknown; readonly time: number; readonly value: number };

async function group(events: readonly Event[], windowing: Windowing): Promise<Grouped[]> {
  found.splice(0);
  const graph = newGraph(defaultContext);
  const { pairs } = graph.root.apply(create(events)).apply(perElement("at", new AtTime()));
  pairs.apply(windowInto(windowing)).apply(groupByKey()).apply(perElement("note", new Note()));
  await runDirect(graph);
  return found.map(({ key, value, start, end }) => ({ key, value, start, end }));
}

async function keysOf(keys: readonly unknown[]): Promise<[unknown, readonly number[]][]> {
  const graph = newGraph(defaultContext);
  const pairs: PCollection<Pair> = graph.root.apply(create(keys.map((key, value) => ({ key, value }))));
  pairs.apply(groupByKey()).apply(perElement("note", new Note()));
  found.splice(0);
  await runDirect(graph);
  return found.map(({ key, value }) => [key, value]);
}

describe("keys", () => {
  test("count by content: objects in any order of their fields, dates, bytes, -0 and 0", async () => {
    expect(
      await keysOf([
        { a: 1, b: { c: 2, d: 3 } },
        { b: { d: 3, c: 2 }, a: 1 },
        { a: 1, b: { c: 2 } },
      ]),
    ).toEqual([
      [{ a: 1, b: { c: 2, d: 3 } }, [0, 1]],
      [{ a: 1, b: { c: 2 } }, [2]],
    ]);
    expect(await keysOf([0, -0, { a: 0 }, { a: -0 }])).toEqual([
      [0, [0, 1]],
      [{ a: 0 }, [2, 3]],
    ]);
    expect(await keysOf([new Date(1), new Date(2), new Date(1)])).toEqual([
      [new Date(1), [0, 2]],
      [new Date(2), [1]],
    ]);
    expect(await keysOf([new Uint8Array([1]), new Uint8Array([2]), new Uint8Array([1])])).toHaveLength(2);
  });

  test("far apart by a multiple of 2 to the 32 are two", async () => {
    const time = 1_700_000_000_000;
    expect(await keysOf([time, time + 2 ** 32, time])).toEqual([
      [time, [0, 2]],
      [time + 2 ** 32, [1]],
    ]);
  });

  test("of different kinds are different", async () => {
    const keys = [
      1,
      "1",
      1n,
      true,
      "true",
      null,
      "null",
      "",
      "\0",
      "\0null",
      "\0\0",
      NaN,
      "NaN",
      [1],
      "[1]",
      { a: 1 },
      '{"a":1}',
    ];
    const grouped = await keysOf([...keys, ...keys]);
    expect(grouped).toEqual(keys.map((key, at) => [key, [at, at + keys.length]]));
  });

  test("have one id exactly when they are equal", () => {
    const key = fc.oneof(
      fc.string(),
      fc.integer(),
      fc.double(),
      fc.boolean(),
      fc.bigInt(),
      fc.jsonValue(),
      fc.constant(null),
    );
    fc.assert(
      fc.property(key, key, (a, b) => {
        const normal = (value: unknown) =>
          JSON.stringify(value, (_, v: unknown) => (typeof v === "bigint" ? `${v}n` : v));
        const equal = typeof a === typeof b && canonicalJson(a) === canonicalJson(b);
        expect(keyId(a) === keyId(b) || (Number.isNaN(a) && Number.isNaN(b))).toBe(equal);
        if (normal(a) === normal(b) && typeof a === typeof b && typeof a !== "number") expect(equal).toBe(true);
      }),
    );
  });

  test("without content to compare by are refused", async () => {
    await expect(keysOf([new Map([[1, 2]])])).rejects.toThrow("A Map or Set has no content to compare by");
  });
});

describe("canonicalJson", () => {
  test.each<[unknown, string]>([
    [{ b: 1, a: [true, null, "x"] }, '{"a":[true,null,"x"],"b":1}'],
    [{ a: undefined }, "{}"],
    [[undefined, , NaN, -Infinity, -0], "[null,null,NaN,-Infinity,0]"], // eslint-disable-line no-sparse-arrays
    [{ a: 1n, d: new Date(5), b: new Uint8Array([0]) }, '{"a":1n,"b":bytes(AA==),"d":date(5)}'],
    ["bytes(AA==)", '"bytes(AA==)"'],
  ])("%p is %s", (value, text) => {
    expect(canonicalJson(value)).toBe(text);
  });

  test("refuses functions and symbols", () => {
    expect(() => canonicalJson({ a: () => 1 })).toThrow("A function has no content to compare by");
    expect(() => canonicalJson([Symbol("a")])).toThrow("A symbol has no content to compare by");
  });
});

describe("in a bounded run", () => {
  const event = fc.record({
    key: fc.constantFrom<unknown>("a", "b", 1, { x: 1 }),
    time: fc.integer({ min: -100, max: 100 }),
    value: fc.integer(),
  });
  const order = (groups: readonly Grouped[]) =>
    groups
      .map(({ key, value, start, end }) => canonicalJson([key, start, end, [...value].sort((a, b) => a - b)]))
      .sort();

  const windowings = [fixed(7), sliding(10, 3), fixed(1000)];
  test.each(windowings)("gathers like a plain Map does: %p", async (windowing) => {
    const property = fc.asyncProperty(fc.array(event, { maxLength: 40 }), async (events) => {
      const model = new Map<string, Grouped & { value: number[] }>();
      for (const { key, time, value } of events) {
        for (const window of assign(windowing, time)) {
          const id = canonicalJson([key, window]);
          const group = model.get(id) ?? { key, ...window, value: [] };
          model.set(id, group);
          group.value.push(value);
        }
      }
      expect(order(await group(events, windowing))).toEqual(order([...model.values()]));
    });
    await fc.assert(property, { numRuns: 40 });
  });

  test("sessions are the stretches without a gap, in whatever order their events come", async () => {
    const gap = 10;
    const property = fc.asyncProperty(fc.array(event, { maxLength: 30 }), async (events) => {
      const expected: (Grouped & { value: number[] })[] = [];
      for (const { key, time, value } of [...events].sort((a, b) => a.time - b.time)) {
        const last = expected.findLast((session) => canonicalJson(session.key) === canonicalJson(key));
        if (last !== undefined && time < last.end) Object.assign(last, { end: time + gap }).value.push(value);
        else expected.push({ key, start: time, end: time + gap, value: [value] });
      }
      expect(order(await group(events, sessions(gap)))).toEqual(order(expected));
    });
    await fc.assert(property, { numRuns: 60 });
  });

  test("sessions: a later event bridges two; those that only touch stay two", async () => {
    const at = (time: number) => ({ key: "a", time, value: time });
    expect(await group([at(0), at(18), at(9)], sessions(10))).toEqual([
      { key: "a", value: [0, 9, 18], start: 0, end: 28 },
    ]);
    expect(await group([at(0), at(10)], sessions(10))).toHaveLength(2);
  });

  test("a session of 20,000 events takes no time that grows with its square", async () => {
    const events = Array.from({ length: 20_000 }, (_, at) => ({ key: "a", time: at, value: at }));
    const [session] = await group(events, sessions(10));
    expect(session?.value).toHaveLength(20_000);
  });

  test("every group is the only one of its window", async () => {
    await group([{ key: "a", time: 0, value: 1 }], fixed(5));
    expect(found.map(({ pane }) => pane)).toEqual(["only"]);
  });

  test("nothing in, nothing out", async () => {
    expect(await group([], fixed(5))).toEqual([]);
  });
});

interface Fired {
  readonly value: readonly number[];
  readonly window: readonly [number, number];
  readonly pane: sdk.WindowedValue["pane"];
}

describe("where time passes", () => {
  const panes = (pipeline: TestPipeline, stream: TestStream<number>, windowing: Windowing, lateness = 0) => {
    const all = named("all", (input: PCollection<number>) => input.apply(perElement("key", new OneKey())).pairs);
    const grouped = pipeline.stream(stream).apply(windowInto(windowing, lateness)).apply(all).apply(groupByKey());
    grouped.apply(perElement("note", new Note()));
    return grouped;
  };

  async function fired(stream: TestStream<number>, windowing: Windowing, lateness = 0) {
    const pipeline = new TestPipeline();
    panes(pipeline, stream, windowing, lateness);
    const counters = await pipeline.run();
    return {
      late: counters["late"] ?? 0,
      panes: found.map(({ value, start, end, pane }) => [pane, start, end, ...value]),
    };
  }

  test("a window comes on time, and again for late elements, one pane a move of the watermark, with all it has", async () => {
    const stream = new TestStream<number>()
      .addAt(1, 1)
      .advanceWatermarkTo(10)
      .addAt(2, 2)
      .addAt(3, 3)
      .advanceWatermarkTo(15)
      .advanceWatermarkTo(16)
      .addAt(4, 4)
      .advanceWatermarkToEnd();
    expect(await fired(stream, fixed(10), 10)).toEqual({
      late: 0,
      panes: [
        ["on time", 0, 10, 1],
        ["late", 0, 10, 1, 2, 3],
        ["late", 0, 10, 1, 2, 3, 4],
      ],
    });
  });

  test("a window that has only late elements has no pane on time", async () => {
    const stream = new TestStream<number>().advanceWatermarkTo(10).addAt(2, 2).advanceWatermarkToEnd();
    expect(await fired(stream, fixed(10), 5)).toEqual({ late: 0, panes: [["late", 0, 10, 2]] });
  });

  test("what comes after the lateness is dropped and counted, exactly from then on", async () => {
    const stream = (watermark: number) => new TestStream<number>().advanceWatermarkTo(watermark).addAt(9, 1);
    expect((await fired(stream(14), fixed(10), 5)).late).toBe(0);
    found.splice(0);
    expect(await fired(stream(15), fixed(10), 5)).toEqual({ late: 1, panes: [] });
  });

  test("of an element in several windows only the closed ones are late", async () => {
    const stream = new TestStream<number>().advanceWatermarkTo(12).addAt(9, 1).advanceWatermarkToEnd();
    expect(await fired(stream, sliding(10, 5))).toEqual({ late: 1, panes: [["on time", 5, 15, 1]] });
  });

  test("what is still open at the end of the run comes on time", async () => {
    const stream = new TestStream<number>().addAt(1, 1).advanceWatermarkTo(5);
    expect((await fired(stream, fixed(10))).panes).toEqual([["on time", 0, 10, 1]]);
  });

  test("a session that grows into a longer one begins anew: on time when the watermark passes its new end", async () => {
    const stream = new TestStream<number>()
      .addAt(0, 1)
      .advanceWatermarkTo(12)
      .addAt(8, 2)
      .advanceWatermarkTo(20)
      .addAt(7, 3)
      .advanceWatermarkToEnd();
    expect((await fired(stream, sessions(10), 100)).panes).toEqual([
      ["on time", 0, 10, 1],
      ["on time", 0, 18, 1, 2],
      ["late", 0, 18, 1, 2, 3],
    ]);
  });

  test("panes are numbered, only the first is the first", async () => {
    const stream = new TestStream<number>()
      .addAt(1, 1)
      .advanceWatermarkTo(10)
      .addAt(1, 2)
      .advanceWatermarkTo(11)
      .addAt(1, 3)
      .advanceWatermarkTo(12);
    const all = await rawPanes(stream.events as never, true);
    expect(all.map(({ pane }) => [pane.timing, pane.index, pane.onTimeIndex, pane.isFirst])).toEqual([
      ["ON_TIME", 0, 0, true],
      ["LATE", 1, 1, false],
      ["LATE", 2, 2, false],
    ]);
    expect(all.map(({ value }) => value)).toEqual([[1], [1, 2], [1, 2, 3]]);
  });

  test("panes that discard have only what is new", async () => {
    const stream = new TestStream<number>().addAt(1, 1).advanceWatermarkTo(10).addAt(1, 2).advanceWatermarkTo(11);
    expect((await rawPanes(stream.events as never, false)).map(({ value }) => value)).toEqual([[1], [2]]);
  });

  test("a pane stays as it was when its window goes on", async () => {
    const stream = new TestStream<number>().addAt(1, 1).advanceWatermarkTo(10).addAt(1, 2).advanceWatermarkTo(11);
    const [first] = await rawPanes(stream.events as never, true);
    expect(first?.value).toEqual([1]);
  });
});

export class OneKey implements DoFn<number, { pairs: Pair }> {
  readonly outputs = ["pairs"] as const;
  process(value: number, emit: Emitters<{ pairs: Pair }>): void {
    emit.pairs({ key: "all", value });
  }
}
register("beamline/beam/group-by-key.test", { OneKey });

/** The operator on its own, for what a DoFn is not told. */
async function rawPanes(
  events: readonly ({ elements: readonly number[]; timestamp: number } | { watermark: number })[],
  accumulating: boolean,
): Promise<Fired[]> {
  const fires: Fired[] = [];
  const { ACCUMULATING, DISCARDING } = runnerApi.AccumulationMode_Enum;
  const context = {
    descriptor: {
      transforms: {
        group: { spec: { urn: internal.groupByKey.urn }, inputs: { in: "pairs" }, outputs: { out: "groups" } },
      },
      pcollections: { pairs: { windowingStrategyId: "windows" } },
      windowingStrategies: {
        windows: { allowedLateness: 100n, accumulationMode: accumulating ? ACCUMULATING : DISCARDING },
      },
    },
    getReceiver: () => ({
      receive: ({ value, windows: [window], pane }: sdk.WindowedValue) => {
        const { start, end } = boundsOf(window as sdk.Window);
        fires.push({ value: (value as KV<unknown, number[]>).value, window: [start, end], pane });
        return null;
      },
    }),
  };
  const operator = operators.createOperator("group", context as never);
  const clock = new Clock();
  await withClock(clock, async () => {
    await operator.startBundle();
    for (const event of events) {
      if ("watermark" in event) await clock.advanceTo(event.watermark);
      else
        for (const value of event.elements)
          await operator.process({ value: { key: "a", value }, windows: [windowOf(0, 10)] } as never);
    }
    await operator.finishBundle();
  });
  return fires;
}

describe("the SDK's own operator", () => {
  /** What becomes of two keys 2 to the 32 apart, with the SDK as it is: no fixes, no operator of ours. */
  function sdkAlone<T>(
    body: (sdkModules: { operators: typeof operators; urn: string; path: (name: string) => unknown }) => T,
  ): T {
    let answer!: T;
    jest.isolateModules(() => {
      jest.requireActual("./node-compat");
      jest.requireActual("apache-beam");
      const alone = jest.requireActual<typeof operators>("apache-beam/worker/operators");
      jest.requireActual("apache-beam/runners/direct_runner");
      const path = (name: string): unknown => jest.requireActual(`apache-beam/${name}`);
      const { groupByKey: sdkGroupByKey } = path("transforms/internal") as typeof rawSdk.internal;
      answer = body({ operators: alone, urn: sdkGroupByKey.urn, path });
    });
    return answer;
  }

  const descriptorFor = (urn: string, mergeStatus: number) => ({
    transforms: { group: { spec: { urn }, inputs: { in: "pairs" }, outputs: { out: "groups" } } },
    pcollections: { pairs: { coderId: "kv", windowingStrategyId: "windows" } },
    coders: { kv: { componentCoderIds: ["key", "value"] } },
    windowingStrategies: {
      windows: {
        mergeStatus,
        windowCoderId: "window",
        outputTime: runnerApi.OutputTime_Enum.END_OF_WINDOW,
        allowedLateness: 0n,
      },
    },
  });

  test("refuses windows that merge; ours takes them", () => {
    const { NEEDS_MERGE } = runnerApi.MergeStatus_Enum;
    const make = (modules: typeof operators, urn: string) => {
      const context = {
        descriptor: descriptorFor(urn, NEEDS_MERGE),
        getReceiver: () => null,
        pipelineContext: { getCoder: () => null },
      };
      return modules.createOperator("group", context as never);
    };
    expect(() => sdkAlone((modules) => make(modules.operators, modules.urn))).toThrow(
      "Unsupported non-merging WindowFn",
    );
    expect(make(operators, internal.groupByKey.urn).transformId).toBe("group");
  });

  test("merges keys 2 to the 32 apart; ours does not", async () => {
    const time = 1_700_000_000_000;
    const keysIn = async (modules: { operators: typeof operators; urn: string; path: (name: string) => unknown }) => {
      const { GlobalWindowCoder } = modules.path("coders/required_coders") as typeof rawSdk.requiredCoders;
      const { GeneralObjectCoder } = modules.path("coders/js_coders") as typeof rawSdk.jsCoders;
      const { GlobalWindow } = modules.path("values") as typeof rawSdk.values;
      const keys: unknown[] = [];
      const context = {
        descriptor: descriptorFor(modules.urn, runnerApi.MergeStatus_Enum.NON_MERGING),
        getReceiver: () => ({ receive: ({ value }: { value: KV<unknown, unknown> }) => (keys.push(value.key), null) }),
        pipelineContext: {
          getCoder: (id: string) => (id === "window" ? new GlobalWindowCoder() : new GeneralObjectCoder()),
        },
      };
      const operator = modules.operators.createOperator("group", context as never);
      await operator.startBundle();
      for (const key of [time, time + 2 ** 32]) {
        await operator.process({ value: { key, value: 1 }, windows: [new GlobalWindow()] } as never);
      }
      await operator.finishBundle();
      return keys;
    };
    expect(await sdkAlone(keysIn)).toHaveLength(1);
    const path = (name: string): unknown => jest.requireActual(`apache-beam/${name}`);
    expect(await keysIn({ operators, urn: internal.groupByKey.urn, path })).toEqual([time, time + 2 ** 32]);
  });
});
