// Whole numbers as varints of 64 bits, as beam:coder:varint:v1 and Beam's metrics have them. Reader.int64 is not used
// to read: what it returns depends on whether protobufjs found the long package.
import Long from "long";
import { type Reader, type Writer } from "protobufjs";

const TWO_TO_32 = 2 ** 32;
const TWO_TO_63 = 2 ** 63;
const MOST_BYTES = 10;

/** Writes a whole number between -2^63 and 2^63 - 1; anything else is refused, because it would arrive as another. */
export function writeInt64(writer: Writer, value: number | bigint): void {
  if (typeof value === "bigint") {
    if (BigInt.asIntN(64, value) !== value) throw new RangeError(`${value} does not fit into 64 bits`);
    writer.int64(Long.fromString(value.toString()));
  } else if ((value | 0) === value) {
    writer.int32(value);
  } else if (Number.isInteger(value) && value >= -TWO_TO_63 && value < TWO_TO_63) {
    writer.int64(value);
  } else {
    throw new RangeError(`${value} is not a whole number of 64 bits`);
  }
}

/** Reads a whole number: a bigint only where a number would lose digits. */
export function readInt64(reader: Reader): number | bigint {
  let low = 0;
  let middle = 0;
  let top = 0;
  let count = 0;
  let byte: number;
  do {
    if (reader.pos >= reader.len || count === MOST_BYTES) throw new RangeError("Not a varint, or only a part of one");
    byte = reader.buf[reader.pos++]!;
    const bits = byte & 127;
    if (count < 4) low |= bits << (7 * count);
    else if (count < 8) middle |= bits << (7 * (count - 4));
    else top |= bits << (7 * (count - 8));
    count++;
  } while (byte > 127);
  if (count <= 4) return low;
  const low32 = (low | (middle << 28)) >>> 0;
  const high32 = (middle >>> 4) | (top << 24);
  const value = high32 * TWO_TO_32 + low32;
  return Number.isSafeInteger(value) ? value : (BigInt(high32) << 32n) | BigInt(low32);
}
