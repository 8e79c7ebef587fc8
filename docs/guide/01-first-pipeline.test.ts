/**
 * # 1. From records to rows
 *
 * This chapter is a test: everything in it ran. It builds, piece by piece, what every pipeline here is made of: records
 * come in as they were found, `clean` makes values of them or dead letters, `aggregate` makes one row per key and
 * window. In your own package the imports are from "beamline" and "beamline/testing".
 */
import { z } from "zod";
import {
  aggregate,
  avg,
  clean,
  count,
  dead,
  decode,
  drop,
  fixed,
  max,
  ok,
  positiveDecimal,
  register,
  sum,
  type StepContext,
  type StepResult,
} from "../../index";
import { records, TestPipeline, TestStream } from "../../beam/testing";

/** A parcel that was weighed: how it comes in. A decimal is text, so that no digit is lost on the way. */
export const Weighing = z.object({
  parcel: z.string().min(1),
  depot: z.string(),
  kilos: positiveDecimal(),
  at: z.iso.datetime(),
});
type Weighing = z.infer<typeof Weighing>;

/**
 * A step is an exported function. It answers `ok` with the next value, `dead` when the record cannot be used, or `drop`
 * when it is fine but not wanted. The only clock it may look at is the time that the batch was planned, so that a batch
 * that is run again gives the same.
 */
export function toParcel(weighing: Weighing, { batchTime }: StepContext): StepResult<Parcel> {
  const time = Date.parse(weighing.at);
  if (time > batchTime) return dead("weighed in the future", weighing.at);
  if (weighing.depot === "training") return drop("training depot");
  return ok({ id: weighing.parcel, depot: weighing.depot, kilos: weighing.kilos, time });
}
interface Parcel {
  readonly id: string;
  readonly depot: string;
  readonly kilos: string;
  readonly time: number;
}

/** What travels to a worker goes by name, so it is registered: under its package's name and its module's path. */
register("beamline/docs/guide/01-first-pipeline.test", { Weighing, toParcel });

const weighing = (parcel: string, depot: string, kilos: string, at: string) =>
  JSON.stringify({ parcel, depot, kilos, at });

const perHour = () =>
  aggregate({
    by: ["depot"],
    at: "time",
    window: fixed(3_600_000),
    lateness: 600_000,
    unique: "id",
    measures: { parcels: count(), kilos: sum("kilos"), heaviest: max("kilos"), mean: avg("kilos") },
  });

describe("1. From records to rows", () => {
  /**
   * ## Clean
   *
   * `clean` runs its steps one after the other, fused into one DoFn. Every record is counted once: read is ok plus dead
   * plus dropped. A dead letter has the record as it was found, where it was found, and why it was refused.
   */
  test("clean makes values of records, or dead letters", async () => {
    const pipeline = new TestPipeline({ batchTime: Date.parse("2026-01-06T00:00:00Z") });
    const lines = [
      weighing("p1", "north", "2.5", "2026-01-05T10:00:00Z"),
      weighing("p2", "north", "heavy", "2026-01-05T10:00:00Z"),
      weighing("p3", "north", "1", "2036-01-05T10:00:00Z"),
      weighing("p4", "training", "1", "2026-01-05T10:00:00Z"),
      "p5;north;1",
    ];
    const { good, bad } = pipeline.create(records(lines)).apply(clean(decode(Weighing), toParcel));

    pipeline
      .expect(good, "good")
      .containsInAnyOrder([{ id: "p1", depot: "north", kilos: "2.5", time: Date.parse("2026-01-05T10:00:00Z") }]);
    pipeline.expect(bad, "bad").satisfies((letters) => {
      expect(letters.map(({ position, step, reason }) => ({ position, step, reason }))).toEqual([
        { position: 2, step: "decode", reason: "invalid" },
        { position: 3, step: "toParcel", reason: "weighed in the future" },
        { position: 5, step: "decode", reason: "not JSON" },
      ]);
      expect(letters[2]?.value).toBe("p5;north;1");
    });
    const counters = await pipeline.run();
    expect(counters).toMatchObject({ ok: 1, dead: 3, dropped: 1 });
  });

  /**
   * ## Aggregate
   *
   * One row per key and window. Decimals are added up exactly; a mean is rounded once, half to even. The same parcel
   * weighed twice counts once in its hour, because `unique` says so.
   */
  test("aggregate makes one row per key and window", async () => {
    const pipeline = new TestPipeline();
    const lines = [
      weighing("p1", "north", "0.1", "2026-01-05T10:00:00Z"),
      weighing("p2", "north", "0.2", "2026-01-05T10:59:59.999Z"),
      weighing("p2", "north", "0.2", "2026-01-05T10:59:59.999Z"),
      weighing("p3", "south", "7", "2026-01-05T10:30:00Z"),
      weighing("p4", "north", "3", "2026-01-05T11:00:00Z"),
    ];
    const { good } = pipeline.create(records(lines)).apply(clean(decode(Weighing), toParcel));
    const rows = pipeline.expect(good.apply(perHour()), "rows");

    const ten = { window_start: Date.parse("2026-01-05T10:00:00Z"), window_end: Date.parse("2026-01-05T11:00:00Z") };
    rows.inWindow("2026-01-05T10:00:00Z").containsInAnyOrder([
      { ...ten, depot: "north", parcels: 2, kilos: "0.3", heaviest: "0.2", mean: "0.15" },
      { ...ten, depot: "south", parcels: 1, kilos: "7", heaviest: "7", mean: "7" },
    ]);
    rows.inWindow("2026-01-05T11:00:00Z").hasSize(1);
    const counters = await pipeline.run();
    expect(counters).toMatchObject({ "to aggregate": 5, aggregated: 4, duplicate: 1 });
  });

  /**
   * ## Late data
   *
   * Where time passes, the watermark says how far it is. A window's row is sent when the watermark passes its end, again
   * and whole when late rows change it, and no more when its lateness is over. A TestStream plays that.
   */
  test("late rows change their window's row until its lateness is over", async () => {
    const pipeline = new TestPipeline();
    const parcel = (id: string, kilos: string, at: string): Parcel => ({
      id,
      depot: "north",
      kilos,
      time: Date.parse(at),
    });
    const stream = new TestStream<Parcel>()
      .add(parcel("p1", "1", "2026-01-05T10:10:00Z"))
      .advanceWatermarkTo("2026-01-05T11:00:00Z")
      .add(parcel("p2", "2", "2026-01-05T10:20:00Z"))
      .advanceWatermarkTo("2026-01-05T11:10:00Z")
      .add(parcel("p3", "4", "2026-01-05T10:30:00Z"))
      .advanceWatermarkToEnd();
    const rows = pipeline.expect(pipeline.stream(stream).apply(perHour()), "rows");

    rows.onTime().satisfies(([row]) => expect(row).toMatchObject({ parcels: 1, kilos: "1" }));
    rows.late().satisfies(([row]) => expect(row).toMatchObject({ parcels: 2, kilos: "3" }));
    rows.hasSize(2);
    const counters = await pipeline.run();
    expect(counters).toMatchObject({ "to aggregate": 3, aggregated: 2, late: 1 });
  });

  /**
   * ## When an expectation does not hold
   *
   * The failure says what was expected and what came.
   */
  test("a failure says what was expected and what came", async () => {
    const pipeline = new TestPipeline();
    const { bad } = pipeline.create(records(["{"])).apply(clean(decode(Weighing), toParcel));
    pipeline.expect(bad, "dead letters").isEmpty();
    await expect(pipeline.run()).rejects.toThrow(/^dead letters: expected no elements, 1 came\n {2}came:\n/);
  });
});
