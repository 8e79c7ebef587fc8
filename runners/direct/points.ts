/** Where a batch can be interrupted, in their order. Tests end the process at each of them. */
export const POINTS = ["planned", "run", "target committed", "committed"] as const;

/** With --fallback: rows wait from here on, for a place that does not answer; and it has got them, but they are still here. */
export const FALLBACK_POINTS = ["kept", "delivered"] as const;

export type Point = (typeof POINTS)[number] | (typeof FALLBACK_POINTS)[number];
