// Bytes and small numbers that are gathered for a part of a Parquet file. Their room is kept when they are emptied: a file
// has many row groups of about the same size.

/** Bytes that grow at their end. Whoever writes asks for room first and moves `length` on afterwards. */
export class Bytes {
  buffer: Buffer;
  view: DataView;
  length = 0;

  constructor(size = 1024) {
    this.buffer = Buffer.allocUnsafeSlow(size);
    this.view = viewOf(this.buffer);
  }

  /** Makes sure that `count` more bytes can be written. */
  room(count: number): void {
    const needed = this.length + count;
    if (needed <= this.buffer.length) return;
    const larger = Buffer.allocUnsafeSlow(Math.max(needed, this.buffer.length * 2));
    this.buffer.copy(larger, 0, 0, this.length);
    this.buffer = larger;
    this.view = viewOf(larger);
  }

  byte(value: number): void {
    this.room(1);
    this.buffer[this.length] = value;
    this.length += 1;
  }

  /** A number of up to 32 bits, the lowest 7 of them first; a bit in front of each says whether there is more. */
  varint(value: number): void {
    let rest = value;
    for (; rest > 0x7f; rest >>>= 7) this.byte((rest & 0x7f) | 0x80);
    this.byte(rest);
  }

  append(bytes: Uint8Array): void {
    this.room(bytes.length);
    this.buffer.set(bytes, this.length);
    this.length += bytes.length;
  }

  /** What there is, until something is written again. */
  written(from = 0, to = this.length): Buffer {
    return this.buffer.subarray(from, to);
  }
}

function viewOf(buffer: Buffer): DataView {
  return new DataView(buffer.buffer, buffer.byteOffset, buffer.byteLength);
}

/** Whole numbers of 32 bits that grow at their end. */
export class Numbers {
  array = new Int32Array(1024);
  length = 0;

  push(value: number): void {
    if (this.length === this.array.length) {
      const larger = new Int32Array(this.length * 2);
      larger.set(this.array);
      this.array = larger;
    }
    this.array[this.length] = value;
    this.length += 1;
  }
}
