// Exact decimals: text on the wire and in tables, BigInt in arithmetic, never a float in between.

/** A decimal number as text, such as "50123.45". Any plain form may come in; canonical text goes out. */
export type Decimal = string & { readonly __decimal?: never };

const FORM = /^(-?)(\d+)(?:\.(\d+))?$/;

/** Digits after the point that a column carries when nothing else is said. */
export const DEFAULT_SCALE = 8;

const POWERS: bigint[] = Array.from({ length: 64 }, (_, exponent) => 10n ** BigInt(exponent));

/** 10 to the power of `exponent`. */
export function tenTo(exponent: number): bigint {
  return POWERS[exponent] ?? 10n ** BigInt(exponent);
}

/** The whole number of units of 10^-scale in a decimal text; null when it is no plain decimal or has more digits than that. */
export function parseDecimal(text: string, scale: number): bigint | null {
  const match = FORM.exec(text);
  if (match === null) return null;
  const [, sign, whole = "", fraction = ""] = match;
  const digits = fraction.length > scale ? trimZeros(fraction) : fraction;
  if (digits.length > scale) return null;
  const units = BigInt(whole + digits.padEnd(scale, "0"));
  return sign === "-" ? -units : units;
}

/** Canonical text of `units` times 10^-scale: no exponent, no trailing zeros, no "-0". */
export function formatDecimal(units: bigint, scale: number): Decimal {
  const negative = units < 0n;
  const digits = (negative ? -units : units).toString().padStart(scale + 1, "0");
  const whole = scale === 0 ? digits : digits.slice(0, -scale);
  const fraction = scale === 0 ? "" : trimZeros(digits.slice(-scale));
  const text = fraction === "" ? whole : `${whole}.${fraction}`;
  return negative ? `-${text}` : text;
}

/** numerator / denominator, rounded once, half to even; null when the denominator is zero. */
export function divide(numerator: bigint, denominator: bigint): bigint | null {
  if (denominator === 0n) return null;
  const negative = numerator < 0n !== denominator < 0n;
  const n = numerator < 0n ? -numerator : numerator;
  const d = denominator < 0n ? -denominator : denominator;
  let quotient = n / d;
  const twice = 2n * (n - quotient * d);
  if (twice > d || (twice === d && (quotient & 1n) === 1n)) quotient += 1n;
  return negative ? -quotient : quotient;
}

/** `units` of 10^-from as units of 10^-to, rounded half to even where digits are lost. */
export function rescale(units: bigint, from: number, to: number): bigint {
  if (to >= from) return units * tenTo(to - from);
  return divide(units, tenTo(from - to)) ?? 0n;
}

/** The canonical text of a plain decimal text; null when it is none. */
export function canonicalDecimal(text: string): Decimal | null {
  const match = FORM.exec(text);
  if (match === null) return null;
  const scale = trimZeros(match[3] ?? "").length;
  const units = parseDecimal(text, scale);
  return units === null ? null : formatDecimal(units, scale);
}

/** The exact decimal text of a number as JavaScript prints it, written without an exponent. */
export function decimalOfNumber(value: number): Decimal | null {
  if (!Number.isFinite(value)) return null;
  const text = String(value);
  const exponentAt = text.indexOf("e");
  if (exponentAt < 0) return canonicalDecimal(text);
  const exponent = Number(text.slice(exponentAt + 1));
  const [whole = "", fraction = ""] = text.slice(0, exponentAt).replace("-", "").split(".");
  const units = BigInt(whole + fraction);
  const scale = fraction.length - exponent;
  const magnitude = scale >= 0 ? formatDecimal(units, scale) : formatDecimal(units * tenTo(-scale), 0);
  return value < 0 ? `-${magnitude}` : magnitude;
}

function trimZeros(fraction: string): string {
  let end = fraction.length;
  while (end > 0 && fraction.charCodeAt(end - 1) === 48) end -= 1;
  return end === fraction.length ? fraction : fraction.slice(0, end);
}
