// An exact running sum of whole numbers of any size that stays out of BigInt while the numbers are small, which they
// nearly always are: a sum and a sum of products, both as plain JSON when they travel.

/** A whole number: a number when it is below 2^52, else a bigint. */
export type Units = number | bigint;

const SMALL = 2 ** 52;
const HALF = 2 ** 26;
const BIG_HALF = BigInt(HALF);

/** `units` as a number when it is small. */
export function smallest(units: bigint): Units {
  return units < BigInt(SMALL) && units > -BigInt(SMALL) ? Number(units) : units;
}

export class ExactSum {
  // The sum is high·2^52 + middle·2^26 + low + big; each of the three stays an exact integer.
  private high = 0;
  private middle = 0;
  private low = 0;
  private big = 0n;

  add(value: Units): void {
    if (typeof value === "bigint") {
      this.big += value;
      return;
    }
    const low = this.low + value;
    if (Number.isSafeInteger(low)) {
      this.low = low;
    } else {
      this.big += BigInt(this.low) + BigInt(value);
      this.low = 0;
    }
  }

  addProduct(a: Units, b: Units): void {
    if (typeof a === "bigint" || typeof b === "bigint" || a < 0 || b < 0) {
      this.big += BigInt(a) * BigInt(b);
      return;
    }
    const aHigh = Math.floor(a / HALF);
    const aLow = a - aHigh * HALF;
    const bHigh = Math.floor(b / HALF);
    const bLow = b - bHigh * HALF;
    const high = this.high + aHigh * bHigh;
    const middle = this.middle + (aHigh * bLow + aLow * bHigh);
    const low = this.low + aLow * bLow;
    if (Number.isSafeInteger(high) && Number.isSafeInteger(middle) && Number.isSafeInteger(low)) {
      this.high = high;
      this.middle = middle;
      this.low = low;
    } else {
      // What there is goes to the big part, rather than this and every later product.
      this.big = this.value();
      this.high = aHigh * bHigh;
      this.middle = aHigh * bLow + aLow * bHigh;
      this.low = aLow * bLow;
    }
  }

  value(): bigint {
    return (BigInt(this.high) * BIG_HALF + BigInt(this.middle)) * BIG_HALF + BigInt(this.low) + this.big;
  }
}
