// A time as people read it, and the day that it is compared by.

/** ISO 8601 in UTC; the number itself where no calendar goes that far. */
export function timeText(milliseconds: number): string {
  const date = new Date(milliseconds);
  return Number.isNaN(date.getTime()) ? String(milliseconds) : date.toISOString().replace(".000Z", "Z");
}

const DAY = 86_400_000;

/** The first day that does not begin before the time, as text: a day is at or behind a time when its beginning is. */
export const dayFrom = (milliseconds: number): string =>
  new Date(Math.ceil(milliseconds / DAY) * DAY).toISOString().slice(0, 10);
