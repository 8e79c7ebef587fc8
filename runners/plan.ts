// A plan says what a batch reads, before it reads anything: ranges by input, and a name that follows from them.
import { createHash, randomBytes } from "node:crypto";
import { canonicalJson } from "../beam";
import { EVERYTHING, type Stretch } from "../io/connector";
import { sourceOf } from "../io/registry";
import { wholeFrom } from "../io/whole-from";
import { type Range } from "../schema/record";
import { type InputAddress } from "./addresses";
import { checkTimes, isAll, widened } from "./stretch";

export interface Plan {
  /** Of this plan alone, whatever it covers. */
  readonly id: string;
  /** The same for the same work: a batch that is run again has the same name. */
  readonly batch: string;
  /** The one clock of the batch, in milliseconds. */
  readonly batchTime: number;
  readonly ranges: Readonly<Record<string, readonly Range[]>>;
  /** Of this time or later no record is gone from the sources; null when none is gone at all. */
  readonly wholeFrom: number | null;
}

/** What of the sources a batch is about. */
export interface Choice {
  readonly stretch: Stretch;
  /** Windows are chosen by event time, when records have been read; records by the time that their source says. */
  readonly of: "windows" | "records";
  /** How much older than one before it a record may be, and how far from its event time at the source. */
  readonly disorder: number;
  readonly partialWindows: "skip" | "write";
}

const ALL: Choice = { stretch: EVERYTHING, of: "windows", disorder: 0, partialWindows: "skip" };

/** Looks at the sources and plans to read what lies there now. */
export async function planAll(
  work: { readonly job: string; readonly pipeline: string; readonly version: string; readonly params: unknown },
  inputs: Readonly<Record<string, InputAddress>>,
  batchTime: number,
  { stretch, of, disorder, partialWindows }: Choice = ALL,
): Promise<Plan> {
  const ranges: Record<string, Range[]> = {};
  const isOfRecords = of === "records" && !isAll(stretch);
  for (const [name, { address, as }] of Object.entries(inputs)) {
    const source = sourceOf(address);
    if (isOfRecords) checkTimes(work.pipeline, source, address);
    const planned = await source.plan(address, widened(stretch, disorder));
    ranges[name] = planned.map((range) => ({
      ...range,
      source: as ?? range.source,
      ...(isOfRecords ? { times: stretch } : {}),
    }));
  }
  const covered = Object.entries(ranges).map(([name, planned]) => ({
    input: name,
    ranges: planned.map(({ source, from, to }) => ({ source, from, to })),
  }));
  const batch = createHash("sha256")
    .update(canonicalJson({ ...work, covered, stretch, partialWindows }))
    .digest("hex")
    .slice(0, 12);
  const id = `${batch}-${randomBytes(4).toString("hex")}`;
  return { id, batch, batchTime, ranges, wholeFrom: wholeFrom(Object.values(ranges).flat(), disorder) };
}
