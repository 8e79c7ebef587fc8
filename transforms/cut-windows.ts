// Windows that are not whole: records of them are gone from the source, or lie before the place where it was begun. A row
// stands for its whole window, so these get none; they are counted and named.
import { type Windowing } from "../beam";
import { timeText } from "../schema/time-text";

/** Whether a window is known from its very beginning, when no record of `wholeFrom` or later is missing. */
export function isWhole(window: Windowing, start: number, wholeFrom: number): boolean {
  // A missing record less than the gap before a session would be the session's own.
  return start >= (window.kind === "sessions" ? wholeFrom - 1 + window.gap : wholeFrom);
}

export function nameOfWindow(aggregate: string, start: number, end: number, key: string): string {
  return `${aggregate} ${timeText(start)} – ${timeText(end)}, ${key}`;
}

type OnCut = (name: string) => void;
const watches = new Map<string, OnCut>();

/** Names each window of a batch of this process that gets no row, until the returned function is called. */
export function watchCuts(batch: string, onCut: OnCut): () => void {
  watches.set(batch, onCut);
  return () => void watches.delete(batch);
}

/** A worker elsewhere only counts them. */
export const tellOfCut = (batch: string, name: string): void => watches.get(batch)?.(name);
