import { register, watchCounts } from "../beam";
import { records, TestPipeline } from "../beam/testing";
import { type Raw, type SourceRecord } from "../schema/record";
import { clean, Clean, type Cleaned } from "./clean";
import { type DeadLetter } from "./dead-letter";
import { dead, drop, ok, type StepContext, type StepObject, type StepResult } from "./step";
import { defaultContext, type RunContext } from "../beam";

export function toText(value: Raw): StepResult<string> {
  return typeof value === "string" ? ok(value) : dead("not text");
}

export function sort(value: string): StepResult<string> {
  if (value.startsWith("dead")) return dead("marked dead", `it says ${value}`);
  if (value.startsWith("drop")) return drop("marked to drop");
  if (value.startsWith("throw")) throw new Error(`cannot ${value}`);
  if (value.startsWith("nothing")) return undefined as never;
  if (value.startsWith("later")) return Promise.resolve(ok(value)) as never;
  return ok(value.toUpperCase());
}

export function whenAndWhere(_value: string, { batchTime, record }: StepContext): StepResult<string> {
  return ok(`${record.source}:${record.position} at ${batchTime}`);
}

export class Prefix implements StepObject<string, string> {
  readonly name = "prefix";
  constructor(readonly prefix: string) {}
  run(value: string): StepResult<string> {
    return ok(this.prefix + value);
  }
}

register("beamline/transforms/clean.test", { toText, sort, whenAndWhere, Prefix });

const letter = (more: Partial<DeadLetter>): DeadLetter => ({
  job: "test",
  source: "test",
  position: 1,
  step: "sort",
  reason: "",
  error: "",
  value: "",
  key: null,
  timestamp: null,
  headers: null,
  fields: null,
  pipeline: "test",
  version: "0",
  batch: "test",
  attempt: 1,
  ...more,
});

describe("clean", () => {
  it("sends every record one way, and counts it", async () => {
    const pipeline = new TestPipeline();
    const { good, bad } = pipeline
      .create(records(["a", "dead 1", "drop", "throw", "b", "dead 2"]))
      .apply(clean(toText, sort, new Prefix("> ")));
    pipeline.expect(good).containsInAnyOrder(["> A", "> B"]);
    pipeline
      .expect(bad)
      .containsInAnyOrder([
        letter({ position: 2, reason: "marked dead", error: "it says dead 1", value: "dead 1" }),
        letter({ position: 4, reason: "error in step", error: "cannot throw", value: "throw" }),
        letter({ position: 6, reason: "marked dead", error: "it says dead 2", value: "dead 2" }),
      ]);
    const counters = await pipeline.run();
    expect(counters).toMatchObject({ ok: 2, dead: 3, dropped: 1 });
  });

  it("counts many records as they pass, and all of them in the end", async () => {
    const values = Array.from({ length: 20_000 }, (_, n) => (n % 10 === 0 ? "dead" : n % 10 === 1 ? "drop" : "fine"));
    const pipeline = new TestPipeline();
    pipeline.create(records(values)).apply(clean(toText, sort));
    const reports: number[] = [];
    const stop = watchCounts((name, by) => {
      if (name === "ok") reports.push(by);
    });
    const counters = await pipeline.run();
    stop();
    expect(counters).toMatchObject({ ok: 16_000, dead: 2000, dropped: 2000 });
    expect(reports).toEqual([8192, 7808]);
  });

  it("tells steps the batch time and the record", async () => {
    const pipeline = new TestPipeline({ batchTime: 12_345 });
    const { good } = pipeline.create(records(["a", "b"])).apply(clean(toText, whenAndWhere));
    pipeline.expect(good).containsInAnyOrder(["test:1 at 12345", "test:2 at 12345"]);
    await pipeline.run();
  });

  it("takes an answer that is none for a mistake, and loses nothing", async () => {
    const pipeline = new TestPipeline();
    const { good, bad } = pipeline.create(records(["nothing", "later"])).apply(clean(toText, sort));
    pipeline.expect(good).isEmpty();
    pipeline.expect(bad).satisfies((letters) => {
      expect(letters.map(({ value, reason }) => [value, reason])).toEqual([
        ["nothing", "error in step"],
        ["later", "error in step"],
      ]);
      expect(letters[1]?.error).toContain("is it async?");
    });
    expect(await pipeline.run()).toMatchObject({ ok: 0, dead: 2, dropped: 0 });
  });

  it("names itself after its steps, and refuses one that cannot travel", () => {
    const stranger = (value: Raw): StepResult<Raw> => ok(value);
    expect(() => clean(stranger)).toThrow(
      'The step “stranger” is not registered: export it, and call register("<package>/<module>", { stranger }) in its module',
    );
    expect(() => clean((value: Raw) => ok(value))).toThrow("The step “without a name” is not registered");
    class Unknown implements StepObject<Raw, Raw> {
      readonly name = "unknown";
      run(value: Raw): StepResult<Raw> {
        return ok(value);
      }
    }
    expect(() => new TestPipeline().create(records(["a"])).apply(clean(new Unknown()))).toThrow("“Unknown”");
  });
});

describe("a dead letter", () => {
  it("keeps the bytes as they were found, and says where and by whom", async () => {
    const pipeline = new TestPipeline({
      ...{ job: "nightly", pipeline: "trades", version: "7", batch: "2026-01-01", attempt: 3 },
    });
    const texts = ["dead ü€😀\0", "dead \uFEFF", "dead \uD800 alone", `dead ${"x".repeat(100)}`];
    const bytes = new Uint8Array([0xff, 0x00, 0xfe]);
    const given: SourceRecord[] = [
      ...records(texts, { source: "a.txt", key: "key" }),
      ...records([bytes], { source: "b.bin", key: new Uint8Array([1, 2]) }),
    ];
    const { bad } = pipeline.create(given).apply(clean(toText, sort));
    const more = { job: "nightly", pipeline: "trades", version: "7", batch: "2026-01-01", attempt: 3 };
    pipeline.expect(bad).containsInAnyOrder([
      ...texts.map((value, at) =>
        letter({
          ...more,
          source: "a.txt",
          position: at + 1,
          key: "key",
          value,
          reason: "marked dead",
          error: `it says ${value}`,
        }),
      ),
      letter({
        ...more,
        source: "b.bin",
        key: new Uint8Array([1, 2]),
        value: bytes,
        step: "toText",
        reason: "not text",
      }),
    ]);
    await pipeline.run();
  });

  it("does not hold the block that its record was read in", () => {
    const block = Buffer.alloc(1000, 0xff);
    const letters: DeadLetter[] = [];
    const doFn = new Clean("clean", [toText], defaultContext);
    doFn.startBundle(() => {});
    doFn.process(records([block.subarray(5, 10)], { key: block.subarray(10, 12) })[0] as SourceRecord, {
      good: () => {},
      bad: (bad) => letters.push(bad),
    });
    block.fill(0);
    expect(letters[0]).toMatchObject({ value: new Uint8Array(5).fill(0xff), key: new Uint8Array(2).fill(0xff) });
    expect((letters[0]?.value as Uint8Array).buffer.byteLength).toBe(5);
  });
});

describe("the limit of a record's size", () => {
  it.each<[string, Raw, boolean]>([
    ["as many bytes as allowed", "x".repeat(12), true],
    ["one more", "x".repeat(13), false],
    ["as many bytes in fewer characters", "€".repeat(4), true],
    ["more bytes in fewer characters", `${"€".repeat(4)}x`, false],
    ["pairs of surrogates", "😀".repeat(3), true],
    ["too many pairs of surrogates", "😀".repeat(4), false],
    ["as many raw bytes as allowed", new Uint8Array(12), true],
    ["too many raw bytes", new Uint8Array(13), false],
  ])("is one of bytes: %s", async (_name, value, fits) => {
    const pipeline = new TestPipeline({ maxRecordBytes: 12 });
    const { bad } = pipeline.create(records([value])).apply(clean(toText));
    const size = typeof value === "string" ? Buffer.byteLength(value) : value.byteLength;
    const tooLarge = letter({ step: "size", reason: "too large", error: `${size} bytes, the limit is 12`, value });
    const notText = letter({ step: "toText", reason: "not text", value });
    pipeline.expect(bad).containsInAnyOrder(fits ? (typeof value === "string" ? [] : [notText]) : [tooLarge]);
    await pipeline.run();
  });
});

describe("the limit of dead letters", () => {
  const runWith = (limit: Partial<RunContext["deadLetterLimit"]>, given: readonly SourceRecord[]) => {
    const pipeline = new TestPipeline({ deadLetterLimit: { share: 1, consecutive: 1000, sample: 0, ...limit } });
    const { bad }: Cleaned<string> = pipeline.create(given).apply(clean(toText, sort));
    pipeline.expect(bad).satisfies(() => {});
    return pipeline.run();
  };

  it("stops the run, and says why", async () => {
    const mostlyDead = records(["a", "dead 1", "dead 2", "dead 3"]);
    await expect(runWith({ share: 0.7, sample: 4 }, mostlyDead)).rejects.toThrow(
      "Stopped at “clean: toText, sort”: 3 of 4 records (the limit is 70 %) could not be used, so nothing of this run was kept. " +
        "The last one: test, 4: marked dead (it says dead 3).",
    );
    await expect(runWith({ consecutive: 2 }, mostlyDead)).rejects.toThrow("3 records in a row (the limit is 2)");
  });

  it("lets what is within it pass", async () => {
    const mostlyDead = records(["a", "dead 1", "dead 2", "dead 3"]);
    await expect(runWith({ share: 0.75 }, mostlyDead)).resolves.toMatchObject({ ok: 1, dead: 3 });
    await expect(runWith({ share: 0, sample: 5 }, mostlyDead)).resolves.toMatchObject({ dead: 3 });
    await expect(runWith({ consecutive: 3 }, mostlyDead)).resolves.toMatchObject({ dead: 3 });
  });

  it("takes dropped records, and those of other steps, for what they are", async () => {
    await expect(runWith({ consecutive: 1 }, records(["dead", "drop", "throw", "a", "dead"]))).resolves.toBeDefined();
    await expect(runWith({ consecutive: 1 }, records(["dead", "throw"]))).rejects.toThrow("2 records in a row");
  });

  it("judges each source by itself, also when they come in turns", async () => {
    const broken = records(["dead 1", "dead 2", "dead 3"], { source: "broken" });
    const fine = records(
      Array.from({ length: 97 }, () => "a"),
      { source: "fine" },
    );
    const inTurns = [
      ...fine.slice(0, 1),
      ...broken.slice(0, 1),
      ...fine.slice(1, 2),
      ...broken.slice(1),
      ...fine.slice(2),
    ];
    for (const order of [[...fine, ...broken], [...broken, ...fine], inTurns]) {
      await expect(runWith({ share: 0.5, sample: 3 }, order)).rejects.toThrow("3 of 3 records");
      await expect(runWith({ consecutive: 2 }, order)).rejects.toThrow("3 records in a row");
    }
    await expect(
      runWith({ share: 0.5, sample: 3 }, [...fine, ...records(["dead 1", "dead 2"], { source: "short" })]),
    ).resolves.toBeDefined();
  });
});
