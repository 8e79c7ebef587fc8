// Exact decimals as the exchange writes them: whole numbers of small units, with their zeros.

/** `123456n` with 2 decimals and 8 written is `1234.56000000`. */
export function decimalText(units: bigint | number, decimals: number, written = 8): string {
  const amount = BigInt(units);
  const digits = (amount < 0n ? -amount : amount).toString().padStart(decimals + 1, "0");
  const point = digits.length - decimals;
  const fraction = digits.slice(point).padEnd(written, "0");
  return `${amount < 0n ? "-" : ""}${digits.slice(0, point)}.${fraction}`;
}

/** A quotient, rounded half away from zero. */
export function quotient(dividend: bigint, divisor: bigint): bigint {
  const sign = dividend < 0n !== divisor < 0n ? -1n : 1n;
  const [above, below] = [dividend < 0n ? -dividend : dividend, divisor < 0n ? -divisor : divisor];
  return sign * ((2n * above + below) / (2n * below));
}
