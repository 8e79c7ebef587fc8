// Small numbers as Parquet writes them: runs of one number, and between them groups of eight, bit by bit.
import { type Bytes } from "./parquet-bytes";

const GROUP = 8;

/** How many bits the numbers from 0 to `most` take. */
export const bitsOf = (most: number): number => 32 - Math.clz32(most);

/** The numbers from `from` up to, not including, `to`, each of `width` bits, 24 at most. */
export function writeRuns(bytes: Bytes, numbers: Int32Array, from: number, to: number, width: number): void {
  let groups = 0;
  let at = from;
  while (at < to) {
    const value = numbers[at] ?? 0;
    let end = at + 1;
    while (end < to && numbers[end] === value) end += 1;
    if (end - at < GROUP) {
      groups += 1;
      at += GROUP;
      continue;
    }
    writeGroups(bytes, numbers, at - groups * GROUP, at, width);
    groups = 0;
    bytes.varint((end - at) * 2);
    for (let bit = 0; bit < width; bit += 8) bytes.byte((value >>> bit) & 0xff);
    at = end;
  }
  writeGroups(bytes, numbers, at - groups * GROUP, to, width);
}

/** Whole groups: what is missing of the last one is filled up with zeros. */
function writeGroups(bytes: Bytes, numbers: Int32Array, from: number, to: number, width: number): void {
  if (from >= to) return;
  const groups = Math.ceil((to - from) / GROUP);
  bytes.varint(groups * 2 + 1);
  bytes.room(groups * width);
  const { buffer } = bytes;
  let place = bytes.length;
  let bits = 0;
  let held = 0;
  for (let at = from; at < from + groups * GROUP; at += 1) {
    if (at < to) held |= (numbers[at] ?? 0) << bits;
    for (bits += width; bits >= 8; bits -= 8) {
      buffer[place] = held & 0xff;
      place += 1;
      held >>>= 8;
    }
  }
  bytes.length = place;
}
