// A field of a row as a whole number of small units, exact: 1.25 at scale 8 is 125000000 of 10^-8.
import { decimalOfNumber, parseDecimal, rescale } from "../schema/decimal";
import { smallest, type Units } from "./exact-sum";

/** The whole number of units of 10^-scale in a field; null where it has none. */
export function toUnits(value: unknown, scale: number, field: string): Units | null {
  if (value === null || value === undefined) return null;
  if (typeof value === "string") return textUnits(value, scale, field);
  if (typeof value === "number") {
    const text = decimalOfNumber(value);
    if (text === null) throw new Error(`${field} is ${value}, which has no sum`);
    const digits = text.length - text.indexOf(".") - 1;
    const exactScale = text.includes(".") ? Math.max(digits, scale) : scale;
    return smallest(rescale(parseDecimal(text, exactScale) ?? 0n, exactScale, scale));
  }
  throw new Error(`${field} is a ${typeof value}, and has no sum`);
}

const MAX_FAST_DIGITS = 15;

/** Up to 15 digits are exact as a number: the usual text is parsed without BigInt. */
function textUnits(text: string, scale: number, field: string): Units {
  const { length } = text;
  let units = 0;
  let digits = 0;
  let fraction = -1;
  for (let at = 0; at < length; at += 1) {
    const code = text.charCodeAt(at);
    if (code === 46 && fraction < 0 && at > 0) {
      fraction = 0;
    } else if (code >= 48 && code <= 57) {
      units = units * 10 + (code - 48);
      digits += 1;
      if (fraction >= 0) fraction += 1;
    } else {
      digits = MAX_FAST_DIGITS + 1;
      break;
    }
  }
  const missing = scale - Math.max(fraction, 0);
  const isPlain = digits > 0 && fraction !== 0;
  if (isPlain && digits + missing <= MAX_FAST_DIGITS && missing >= 0) return units * 10 ** missing;
  const exact = parseDecimal(text, scale);
  if (exact === null) {
    throw new Error(
      `${field} is “${text}”, which is no decimal with at most ${scale} digits after the point; give the measure a greater scale`,
    );
  }
  return smallest(exact);
}
