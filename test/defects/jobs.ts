// Small jobs for a cluster, each of which meets one defect of the SDK: what they do with it, and what they hear in the end.
import { setTimeout as pause } from "node:timers/promises";
import {
  canonicalJson,
  create,
  defaultContext,
  groupByKey,
  newGraph,
  perElement,
  quietSdkLogs,
  read,
  register,
  spread,
  submit,
  type Counters,
  type DoFn,
  type Emitters,
  type KV,
  type PCollection,
  type Place,
  type PTransform,
  type Reader,
  type Root,
} from "../../beam";
import { fixedWindows } from "apache-beam/transforms/windowings";
import { beam, jsCoders, requiredCoders, runnerApi, standardCoders, workers, type sdk } from "../../beam/sdk";
import { UsageError } from "../../schema/errors";

interface DefectJob {
  build(root: Root): PCollection<unknown>;
  /** What there is to say of what the last collection was, and of what was counted. */
  heard(values: readonly unknown[], counters: Counters): unknown;
  readonly options?: Readonly<Record<string, unknown>>;
  /** Without the repair it does not end: after so many milliseconds it is cancelled. */
  readonly patience?: number;
}

/** What became of a job. */
export interface Ended {
  /** endless: it was cancelled when it had not ended after a while. */
  readonly ending: "done" | "failed" | "endless";
  readonly error: string | null;
  readonly heard: unknown;
}

// --- functions ---------------------------------------------------------------------------------------------------------

/** From one element many, all at once. */
class FanOut implements DoFn<number, { texts: string }> {
  readonly outputs = ["texts"] as const;
  constructor(
    readonly parts: number,
    readonly length: number,
  ) {}

  process(_element: number, emit: Emitters<{ texts: string }>): void {
    for (let part = 0; part < this.parts; part += 1) emit.texts(`${part} `.padEnd(this.length, "x"));
  }
}

/** Reading waits, as it does for a network: longer for a message of the runner's than for the next one to come. */
class Slowly implements Reader<string, string> {
  readonly concurrency = 1;
  readonly counter = "read slowly";

  async *read(text: string): AsyncIterable<readonly string[]> {
    await pause(2);
    yield [text.slice(0, text.indexOf(" "))];
  }
}

class ByNumber implements DoFn<number, { pairs: KV<number, string> }> {
  readonly outputs = ["pairs"] as const;

  process(number: number, emit: Emitters<{ pairs: KV<number, string> }>): void {
    emit.pairs({ key: number, value: "one" });
  }
}

class Sizes implements DoFn<KV<number, readonly string[]>, { sizes: readonly [number, number] }> {
  readonly outputs = ["sizes"] as const;

  process({ key, value }: KV<number, readonly string[]>, emit: Emitters<{ sizes: readonly [number, number] }>): void {
    emit.sizes([key, value.length]);
  }
}

class Refuse implements DoFn<number, { nothing: never }> {
  readonly outputs = ["nothing"] as const;

  process(element: number, _emit: Emitters<{ nothing: never }>): void {
    throw new UsageError(`${element} is refused`);
  }
}

/** Says something when all is over, in no window that anything came in. */
class LastWord implements DoFn<number, { words: string }> {
  readonly outputs = ["words"] as const;

  process(): void {}

  finishBundle(emit: Emitters<{ words: string }>): void {
    emit.words("the end");
  }
}

class At implements DoFn<number, { numbers: number }> {
  readonly outputs = ["numbers"] as const;

  process(time: number, emit: Emitters<{ numbers: number }>): void {
    emit.numbers(time, { timestamp: time });
  }
}

class WindowOf implements DoFn<unknown, { windows: readonly [number, number] }> {
  readonly outputs = ["windows"] as const;

  process(_value: unknown, emit: Emitters<{ windows: readonly [number, number] }>, place: () => Place): void {
    const { start, end } = place();
    emit.windows([start, end]);
  }
}

class PaneOf implements DoFn<string, { panes: string }> {
  readonly outputs = ["panes"] as const;

  process(_word: string, emit: Emitters<{ panes: string }>, place: () => Place): void {
    emit.panes(place().pane);
  }
}

/** What the job that runs in this process has heard. */
const found: unknown[] = [];

class Listen implements DoFn<unknown, Record<never, never>> {
  readonly outputs = [] as const;

  process(value: unknown): void {
    found.push(value);
  }
}

register("beamline/test/defects/jobs", {
  FanOut,
  Slowly,
  ByNumber,
  Sizes,
  Refuse,
  LastWord,
  At,
  WindowOf,
  PaneOf,
  Listen,
});

// --- graphs ------------------------------------------------------------------------------------------------------------

const textsOf = (root: Root, parts: number, length: number): PCollection<string> =>
  root.apply(create([0])).apply(perElement("fan out", new FanOut(parts, length))).texts;

/** By way of the runner, which sends each element to any worker with all that belongs to it. */
function reshuffled<T>(input: PCollection<T>): PCollection<T> {
  const expand = (_input: sdk.AnyCollection, pipeline: sdk.Pipeline, proto: sdk.TransformProto) => {
    proto.spec = runnerApi.FunctionSpec.create({ urn: "beam:transform:reshuffle:v1" });
    return pipeline.createPCollectionInternal(new jsCoders.GeneralObjectCoder());
  };
  return input.apply(beam.withName("reshuffle", expand) as unknown as PTransform<PCollection<T>, PCollection<T>>);
}

const numberPairs = () => ({
  coder: new requiredCoders.KVCoder(new standardCoders.VarIntCoder(), new jsCoders.GeneralObjectCoder()),
});

/** Whole numbers of more than 32 bits, of which the first two have the same 32 last ones. */
const LARGE = [1_700_000_000_000, 1_700_000_000_000 + 2 ** 32, 7];

// The channels of this process's workers, to see what is left in them.
const channels = new Set<{ readonly consumers: ReadonlyMap<string, unknown> }>();
const { getDataChannel } = workers.Worker.prototype;
workers.Worker.prototype.getDataChannel = function (endpoint) {
  const channel = getDataChannel.call(this, endpoint);
  channels.add(channel);
  return channel;
};

/** By the fix that it needs. */
const jobs: Readonly<Record<string, DefectJob>> = {
  "data-channel": {
    // Two messages of a megabyte, and the little that is left with the bundle's end.
    build: (root) => textsOf(root, 2_100, 1_000).apply(spread("spread")).apply(read("read", new Slowly())),
    heard: (texts) => new Set(texts).size,
  },
  "data-sink": {
    build: (root) => textsOf(root, 15, 100_000).apply(spread("spread")),
    heard: (texts) => texts.length,
  },
  "js-value-coder": {
    build: (root) => root.apply(create([new Date(7)])).apply(spread("spread")),
    heard: (values) => values.map(canonicalJson).sort(),
  },
  "varint-coder": {
    build: (root) =>
      root
        .apply(create(LARGE))
        .apply(perElement("by number", new ByNumber(), { pairs: numberPairs }))
        .pairs.apply(groupByKey())
        .apply(perElement("sizes", new Sizes())).sizes,
    heard: (sizes) => sizes.map(canonicalJson).sort(),
  },
  "message-size": {
    build: (root) => textsOf(root, 1, 5_000_000).apply(spread("spread")),
    heard: (texts) => texts.map((text) => (text as string).length),
    patience: 30_000,
  },
  metrics: {
    build: (root) => textsOf(root, 10, 10).apply(read("read", new Slowly())),
    heard: (_texts, counters) => counters,
  },
  "finished-bundles": {
    build: (root) => textsOf(root, 10, 10).apply(spread("spread")),
    heard: () => [...channels].reduce((left, { consumers }) => left + consumers.size, 0),
  },
  "bundle-errors": {
    build: (root) => root.apply(create([7])).apply(perElement("refuse", new Refuse())).nothing,
    heard: (values) => values,
  },
  "sub-second-windows": {
    build: (root) =>
      root
        .apply(create([LARGE[0] as number]))
        .apply(perElement("at", new At()))
        .numbers.apply(
          beam.windowInto(fixedWindows(0.5)) as unknown as PTransform<PCollection<number>, PCollection<number>>,
        )
        .apply(perElement("by number", new ByNumber(), { pairs: numberPairs }))
        .pairs.apply(groupByKey())
        .apply(perElement("window of", new WindowOf())).windows,
    heard: (windows) => windows,
  },
  "pane-info": {
    build: (root) =>
      reshuffled(root.apply(create([0])).apply(perElement("last word", new LastWord())).words).apply(
        perElement("pane of", new PaneOf()),
      ).panes,
    heard: (panes) => panes,
  },
  "pipeline-options": {
    build: (root) => root.apply(create([1])),
    options: { parallelism: undefined },
    heard: (values) => values,
  },
};

// --- runs --------------------------------------------------------------------------------------------------------------

/** Runs a job on a job service, with its code in this process. One at a time. */
export async function runJob(name: string, endpoint: string, isWithout = false): Promise<Ended> {
  quietSdkLogs();
  const job = jobs[name];
  if (job === undefined) throw new Error(`There is no job ${name}`);
  found.length = 0;
  channels.clear();
  const graph = newGraph(defaultContext);
  job.build(graph.root).apply(perElement("listen", new Listen()));
  let isEndless = false;
  let timer: NodeJS.Timeout | undefined;
  try {
    const submitted = await submit(graph, {
      ...{ endpoint, jobName: name, options: { parallelism: 1, ...job.options }, here: "127.0.0.1:0" },
      ...{ code: { kind: "here" }, isDetached: false },
    });
    const giveUp = (): void => {
      isEndless = true;
      void submitted.cancel();
    };
    if (isWithout && job.patience !== undefined) timer = setTimeout(giveUp, job.patience);
    const counters = await submitted.ended.finally(() => submitted.close());
    return { ending: "done", error: null, heard: job.heard(found, counters) };
  } catch (error) {
    return { ending: isEndless ? "endless" : "failed", error: String(error), heard: job.heard(found, {}) };
  } finally {
    clearTimeout(timer);
  }
}
