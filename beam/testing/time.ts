// Times as tests write them.

/** Milliseconds of a number, or of ISO 8601 text. */
export function millisOf(time: number | string): number {
  const millis = typeof time === "number" ? time : Date.parse(time);
  if (!Number.isFinite(millis)) throw new Error(`“${time}” is not a time: give milliseconds or ISO 8601 text`);
  return millis;
}
