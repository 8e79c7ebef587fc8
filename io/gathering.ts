// How the rows of a job that goes on on a cluster are put together before they are written: what an address says of it.
import { type UsageError } from "../schema/errors";
import { type AddressOption } from "./address-options";
import { type Gathering } from "./connector";

/** More would be more batches at once than any place wants. */
const MOST_SHARDS = 1024;

/** `usual` is how long a stretch of time is where the address does not say it. */
export const gatheringOptions = (usual: string) =>
  [
    {
      name: "every",
      usual,
      description:
        "with --streaming on Flink: rows whose time lies in the same stretch of this length are written together, when it is over",
    },
    {
      name: "shards",
      usual: "1",
      description:
        "with --streaming on Flink: into how many parts such rows are dealt by their keys, which different workers write",
    },
  ] as const satisfies readonly AddressOption[];

/** What an address was given, among others. */
interface Given {
  duration(name: "every"): number | null;
  whole(name: "shards", least: number): number | null;
  refused(name: "shards", text: string, what: string): UsageError;
}

export function gatheringOf(given: Given): Gathering {
  const shards = given.whole("shards", 1) ?? 1;
  if (shards > MOST_SHARDS) throw given.refused("shards", String(shards), `${MOST_SHARDS} are the most`);
  return { every: given.duration("every") ?? 0, shards };
}
