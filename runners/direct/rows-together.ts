// How many rows are written together.
import { type Row } from "../../schema/table";

/** Unless a target likes more: what waits is in memory, and is copied by the collector. */
export const ROWS_TOGETHER = 2_000;

/** The texts and bytes in a row: all else in it is small. */
export function weightOf(row: Row): number {
  let weight = 0;
  for (const name in row) {
    const value = row[name];
    if (typeof value === "string") weight += value.length;
    else if (value instanceof Uint8Array) weight += value.byteLength;
  }
  return weight;
}
