// From when on all records of a source are there, where it has lost those before.
import { type Range } from "../schema/record";

/** What is gone lay before the first record that is there, and that one may be older than it by the disorder. Null: nothing is gone. */
export function wholeFrom(ranges: readonly Range[], disorder: number): number | null {
  const firsts = ranges.flatMap(({ cutAt }) => (cutAt === undefined ? [] : [cutAt]));
  return firsts.length === 0 ? null : Math.max(...firsts) + disorder + 1;
}
