/** Where a batch can be interrupted, in their order. Tests end the process at each of them. */
export const POINTS = ["planned", "run", "target committed", "committed"] as const;
export type Point = (typeof POINTS)[number];
