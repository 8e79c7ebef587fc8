// The order of ids and texts, the same on every machine.

/** Nothing before numbers, numbers by size before texts, texts by code unit. */
export function compareIds(a: string | number | null, b: string | number | null): number {
  if (typeof a === "number" && typeof b === "number") return a - b;
  if (typeof a === "string" && typeof b === "string") return compareTexts(a, b);
  return rankOf(a) - rankOf(b);
}

const rankOf = (id: string | number | null) => (id === null ? 0 : typeof id === "number" ? 1 : 2);
export const compareTexts = (a: string, b: string) => (a < b ? -1 : a > b ? 1 : 0);
