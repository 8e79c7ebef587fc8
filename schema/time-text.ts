// A time as people read it.

/** ISO 8601 in UTC; the number itself where no calendar goes that far. */
export function timeText(milliseconds: number): string {
  const date = new Date(milliseconds);
  return Number.isNaN(date.getTime()) ? String(milliseconds) : date.toISOString().replace(".000Z", "Z");
}
