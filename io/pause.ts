// Pauses: how long one is, and waiting for its end or for a signal.
import { setTimeout as timer } from "node:timers/promises";

export interface Backoff {
  readonly first: number;
  readonly longest: number;
}

/** The pause before attempt 1, 2, …: twice as long each time, and between half and all of it, so that not all come back at once. */
export function pauseBefore(attempt: number, { first, longest }: Backoff): number {
  return Math.min(longest, first * 2 ** Math.min(attempt - 1, 32)) * (0.5 + Math.random() / 2);
}

/** True after so many milliseconds, false when the signal came first. Never throws. */
export async function slept(milliseconds: number, signal?: AbortSignal): Promise<boolean> {
  if (signal?.aborted === true) return false;
  return timer(Math.max(0, milliseconds), true, { signal }).catch(() => false);
}
