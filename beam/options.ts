// Options that would lose data or stand still when they are wrong are refused while the graph is built.

/** Throws unless `value` is a whole number, `least` or more. */
export function wholeAtLeast(least: number, what: string, value: number): void {
  if (Number.isInteger(value) && value >= least) return;
  if (value === Number.POSITIVE_INFINITY) return;
  throw new Error(`${what} must be a whole number, ${least} or more, not ${value}`);
}
