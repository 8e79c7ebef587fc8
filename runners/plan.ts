// A plan says what a batch reads, before it reads anything: ranges by input, and a name that follows from them.
import { createHash } from "node:crypto";
import { canonicalJson } from "../beam";
import { EVERYTHING } from "../io/connector";
import { sourceOf } from "../io/registry";
import { type Range } from "../schema/record";
import { type InputAddress } from "./addresses";

export interface Plan {
  /** The same for the same work: a batch that is run again has the same name. */
  readonly batch: string;
  /** The one clock of the batch, in milliseconds. */
  readonly batchTime: number;
  readonly ranges: Readonly<Record<string, readonly Range[]>>;
}

/** Looks at the sources and plans to read all that lies there now. */
export async function planAll(
  work: { readonly job: string; readonly pipeline: string; readonly version: string; readonly params: unknown },
  inputs: Readonly<Record<string, InputAddress>>,
  batchTime: number,
): Promise<Plan> {
  const ranges: Record<string, Range[]> = {};
  for (const [name, { address, as }] of Object.entries(inputs)) {
    const planned = await sourceOf(address).plan(address, EVERYTHING);
    ranges[name] = as === null ? planned : planned.map((range) => ({ ...range, source: as }));
  }
  const covered = Object.entries(ranges).map(([name, planned]) => ({
    input: name,
    ranges: planned.map(({ source, from, to }) => ({ source, from, to })),
  }));
  const batch = createHash("sha256")
    .update(canonicalJson({ ...work, covered }))
    .digest("hex")
    .slice(0, 12);
  return { batch, batchTime, ranges };
}
