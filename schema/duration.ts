// Durations as people write them: 250ms, 90s, 5m, 1h, 30d, or several together: 1h30m. In memory: milliseconds.
import { z } from "zod";

const UNITS: Record<string, number> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000, w: 604_800_000 };
const FORM = /^(\d+(\.\d+)?(ms|s|m|h|d|w))+$/;

/** Milliseconds of a duration text, or null when it is not one. */
export function parseDuration(text: string): number | null {
  const trimmed = text.trim();
  if (trimmed === "0") return 0;
  if (!FORM.test(trimmed)) return null;
  let total = 0;
  for (const [, amount, unit] of trimmed.matchAll(/(\d+(?:\.\d+)?)(ms|s|m|h|d|w)/g)) {
    total += Number(amount) * (UNITS[unit ?? ""] ?? Number.NaN);
  }
  return Number.isSafeInteger(total) ? total : null;
}

/** The shortest text that parseDuration reads back to the same number. */
export function formatDuration(milliseconds: number): string {
  if (milliseconds === 0) return "0s";
  let rest = milliseconds;
  let text = "";
  for (const unit of ["d", "h", "m", "s", "ms"] as const) {
    const size = UNITS[unit] ?? 1;
    const amount = Math.floor(rest / size);
    if (amount > 0) text += `${amount}${unit}`;
    rest -= amount * size;
  }
  return text;
}

/** A duration parameter: text on the command line, milliseconds in the pipeline. */
export const duration = () =>
  z
    .union([z.string(), z.number().int().nonnegative()])
    .transform((value, context) => {
      const milliseconds = typeof value === "number" ? value : parseDuration(value);
      if (milliseconds === null) {
        context.addIssue({ code: "custom", message: `not a duration: write 250ms, 90s, 5m, 1h30m or 7d` });
        return z.NEVER;
      }
      return milliseconds;
    })
    .meta({ kind: "duration" });

/** A duration that must be longer than nothing, such as a window's size. */
export const positiveDuration = () =>
  duration()
    .refine((milliseconds) => milliseconds > 0, { message: "must be longer than 0" })
    .meta({ kind: "duration" });
