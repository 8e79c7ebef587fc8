/** Rows that are written together, unless a target likes more: what waits is in memory, and is copied by the collector. */
export const ROWS_TOGETHER = 2_000;
