// Rows that are written where the pipeline's code runs, and by no one else: which places can take that, what the graph ends in,
// and what is done there before the job begins.
import { type PCollection, type PTransform } from "../../beam";
import { type Address, type Batch, type Output } from "../../io/connector";
import { sinkOf } from "../../io/registry";
import { type Row } from "../../schema/table";
import { UsageError } from "../../schema/errors";
import { writeGathered } from "../worker/write-gathered";
import { commitOrAbort, writeKeyed, type Origin } from "../worker/write-keyed";

/** Each output with its place. */
export type Places = ReadonlyMap<string, { readonly output: Output; readonly address: Address }>;

export function placesOf(outputs: readonly Output[], addresses: Readonly<Record<string, Address>>): Places {
  return new Map(outputs.map((output) => [output.name, { output, address: addresses[output.name] as Address }]));
}

/** Refuses places where a row that is written again would not take the place of its own, or that one writer has for itself. */
export function checkPlaces(places: Places, flag: "--detach" | "--streaming"): void {
  const seen = new Set<string>();
  for (const { output, address } of places.values()) {
    const sink = sinkOf(address);
    const isDetach = flag === "--detach";
    if (sink.isShared !== true)
      throw new UsageError(
        `${flag}: the rows of ${output.name} go to ${address.scheme}:, which many workers cannot write at the same time: ` +
          `${isDetach ? "leave --detach out" : "use --runner=direct"}, or give another place with --to`,
      );
    // Also says what is wrong with the address.
    const isGathered = sink.gathers?.(address) !== undefined;
    if (isGathered && isDetach)
      throw new UsageError(
        `${flag}: the rows of ${output.name} go to ${address.scheme}:, where workers write those of a stretch of time together, and a ` +
          "run with an end has all of its rows at once: leave --detach out",
      );
    if (output.table.recomputedBy !== undefined)
      throw new UsageError(
        `${flag}: the rows of ${output.name} take the place of all that were there for the same time, which takes a commit: ` +
          `${isDetach ? "leave it out" : "run it without --streaming"}`,
      );
    const table = JSON.stringify([address.scheme, sink.place(address), output.table.name]);
    if (seen.has(table))
      throw new UsageError(
        `${flag}: two outputs go to ${output.table.name} in the same place: give each a place of its own`,
      );
    seen.add(table);
  }
}

/** Whether a row of a window goes there again whenever it has changed, and not only when it is final. */
export const takesUpdates = (address: Address): boolean => sinkOf(address).gathers === undefined;

/** What an output's rows go to. `delay`: how far the watermark of a job that goes on stays behind. */
export function endThere(
  places: Places,
  origin: Origin,
  delay = 0,
): (name: string) => PTransform<PCollection<Row>, void> {
  return (name) => {
    const place = places.get(name);
    if (place === undefined) throw new Error(`The output ${name} has no place`);
    const { output, address } = place;
    const gathering = sinkOf(address).gathers?.(address);
    return gathering === undefined
      ? writeKeyed(output, address, origin)
      : writeGathered(output, address, origin, gathering, delay);
  };
}

/** By an empty batch: makes what is missing there, and takes out the dead letters of what is read again. */
export async function prepare(places: Places, batch: Batch): Promise<void> {
  for (const { output, address } of places.values()) {
    const sink = sinkOf(address);
    const target = await sink.open(address, [output], batch);
    // An empty batch of files would be one.
    if (sink.deliveryClass === "named file") await target.abort();
    else await commitOrAbort(target);
  }
}
