// Rows that are written where the pipeline's code runs, and by no one else: which places can take that, what the graph ends in,
// and what is done there before the job begins.
import { type PCollection, type PTransform } from "../../beam";
import { type Address, type Batch, type Output } from "../../io/connector";
import { sinkOf } from "../../io/registry";
import { type Row } from "../../schema/table";
import { UsageError } from "../../schema/errors";
import { commitOrAbort, writeKeyed, type Origin } from "../worker/write-keyed";

/** Each output with its place. */
export type Places = ReadonlyMap<string, { readonly output: Output; readonly address: Address }>;

export function placesOf(outputs: readonly Output[], addresses: Readonly<Record<string, Address>>): Places {
  return new Map(outputs.map((output) => [output.name, { output, address: addresses[output.name] as Address }]));
}

/** Refuses places where a row that is written again would not take the place of its own, or that one writer has for itself. */
export function checkPlaces(places: Places, flag: "--detach" | "--streaming"): void {
  for (const { output, address } of places.values()) {
    const { deliveryClass, isShared = false } = sinkOf(address);
    if (deliveryClass !== "keyed" || !isShared)
      throw new UsageError(
        `${flag}: the rows of ${output.name} go to ${address.scheme}:, which many workers cannot write at the same time: ` +
          `${flag === "--detach" ? "leave --detach out" : "use --runner=direct"}, or give a PostgreSQL database with --to`,
      );
    if (output.table.recomputedBy !== undefined)
      throw new UsageError(
        `${flag}: the rows of ${output.name} take the place of all that were there for the same time, which takes a commit: ` +
          `${flag === "--detach" ? "leave it out" : "run it without --streaming"}`,
      );
  }
}

/** What an output's rows go to. */
export function endThere(places: Places, origin: Origin): (name: string) => PTransform<PCollection<Row>, void> {
  return (name) => {
    const place = places.get(name);
    if (place === undefined) throw new Error(`The output ${name} has no place`);
    return writeKeyed(place.output, place.address, origin);
  };
}

/** By an empty batch: makes what is missing there, and takes out the dead letters of what is read again. */
export async function prepare(places: Places, batch: Batch): Promise<void> {
  for (const { output, address } of places.values())
    await commitOrAbort(await sinkOf(address).open(address, [output], batch));
}
