// How far event time was complete when so much of a part had been read: where it shows only later that records in front of
// a position are missing, they are not older than that.
export interface Reached {
  /** The position of the next record. */
  readonly next: number;
  /** Null while nothing was known. */
  readonly watermark: number | null;
}

/** What shows later than so many steps ago is not known to be younger than anything. */
const MOST = 100;

/** With one more. Those that are nearer to each other than `step` milliseconds of event time are not worth keeping both. */
export function withReached(before: readonly Reached[], reached: Reached, step: number): readonly Reached[] {
  const last = before[before.length - 1];
  // Without a record event time moves only because nothing came: what is missing may be older.
  if (last !== undefined && last.next >= reached.next) return before;
  const earlier = before[before.length - 2];
  const isNear = earlier !== undefined && (reached.watermark ?? 0) - (earlier.watermark ?? 0) < step;
  return [...(isNear ? before.slice(0, -1) : before), reached].slice(-MOST);
}

/** The time before which nothing is missing when the first missing record lay in front of a position; null: not known. */
export function completeBefore(known: readonly Reached[], position: number): number | null {
  for (let at = known.length - 1; at >= 0; at -= 1) {
    const { next, watermark } = known[at] as Reached;
    if (next <= position) return watermark;
  }
  return null;
}
