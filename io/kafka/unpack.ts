// Unpacks the records of a batch: gzip, snappy, lz4, zstd.
import { gunzipSync } from "node:zlib";
import { unpackZstd, zstdReady } from "../zstd";

/** A batch is at most a few megabytes in practice; more than this, unpacked, is an attack or damage. */
export const MAX_UNPACKED_BYTES = 256 * 1024 * 1024;

export const CODECS = ["none", "gzip", "snappy", "lz4", "zstd"] as const;
export type Codec = (typeof CODECS)[number];

/* eslint-disable @typescript-eslint/no-require-imports -- neither has types */
const snappy = require("snappyjs") as { uncompress(packed: Uint8Array, maxLength: number): Uint8Array };
const lz4 = require("lz4js") as {
  decompressBound(packed: Uint8Array): number;
  decompress(packed: Uint8Array, size: number): Uint8Array;
};
/* eslint-enable @typescript-eslint/no-require-imports */

/** What must be done before a batch of this codec can be unpacked; null when nothing. */
export function preparationOf(codec: Codec): Promise<void> | null {
  return codec === "zstd" ? zstdReady() : null;
}

/** The bytes unpacked. Throws whatever the codec throws when they are damaged. */
export function unpack(codec: Codec, packed: Buffer): Buffer {
  switch (codec) {
    case "none":
      return packed;
    case "gzip":
      return gunzipSync(packed, { maxOutputLength: MAX_UNPACKED_BYTES });
    case "snappy":
      return unpackSnappy(packed);
    case "lz4": {
      const size = lz4.decompressBound(packed);
      if (size > MAX_UNPACKED_BYTES) throw new Error("too large");
      return bufferOf(lz4.decompress(packed, size));
    }
    case "zstd":
      return unpackZstdFrame(packed);
  }
}

const XERIAL = Buffer.from([0x82, 0x53, 0x4e, 0x41, 0x50, 0x50, 0x59, 0x00]);
const XERIAL_HEAD = 16;

/** Java's clients cut snappy into blocks with their lengths before them, behind a head of their own; others do not. */
function unpackSnappy(packed: Buffer): Buffer {
  if (!packed.subarray(0, XERIAL.length).equals(XERIAL)) return bufferOf(snappy.uncompress(packed, MAX_UNPACKED_BYTES));
  const blocks: Buffer[] = [];
  let left = MAX_UNPACKED_BYTES;
  for (let at = XERIAL_HEAD; at < packed.length;) {
    const length = packed.readInt32BE(at);
    if (length < 0 || at + 4 + length > packed.length) throw new Error("a block is cut off");
    const block = bufferOf(snappy.uncompress(packed.subarray(at + 4, at + 4 + length), left));
    left -= block.length;
    blocks.push(block);
    at += 4 + length;
  }
  return blocks.length === 1 && blocks[0] !== undefined ? blocks[0] : Buffer.concat(blocks);
}

const ZSTD_MAGIC = 0xfd2fb528;

/** Few producers write the unpacked size into the frame: without it, room is made until it is enough. */
function unpackZstdFrame(packed: Buffer): Buffer {
  if (packed.length < 6 || packed.readUInt32LE(0) !== ZSTD_MAGIC) throw new Error("not a zstd frame");
  const size = zstdSize(packed);
  // The library takes the size from the frame when there is one, however large.
  if (size !== null && size > MAX_UNPACKED_BYTES) throw new Error("too large");
  if (size !== null) return bufferOf(unpackZstd(packed));
  for (let room = Math.max(1024 * 1024, 8 * packed.length); ; room *= 4) {
    try {
      return bufferOf(unpackZstd(packed, Math.min(room, MAX_UNPACKED_BYTES)));
    } catch (error) {
      if (room >= MAX_UNPACKED_BYTES || !isTooSmall(error)) throw error;
    }
  }
}

/** zstd's code 70, “destination buffer is too small”, comes as a negative number in the message. */
function isTooSmall(error: unknown): boolean {
  return /code -70\b/.test(String(error));
}

/** The unpacked size by the frame's head; null when it does not say. */
function zstdSize(packed: Buffer): number | null {
  const descriptor = packed[4] ?? 0;
  const isSingle = (descriptor & 0x20) !== 0;
  const sizeFlag = descriptor >> 6;
  const at = 5 + (isSingle ? 0 : 1) + ([0, 1, 2, 4][descriptor & 3] ?? 0);
  switch (sizeFlag) {
    case 0:
      return isSingle ? packed.readUInt8(at) : null;
    case 1:
      return packed.readUInt16LE(at) + 256;
    case 2:
      return packed.readUInt32LE(at);
    default:
      return Number(packed.readBigUInt64LE(at));
  }
}

function bufferOf(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
