// zstd, compiled to WebAssembly: the same bytes on every system and in every version of Node.
import { compress, decompress, init } from "@bokuweb/zstd-wasm";

let ready: Promise<void> | null = null;

/**
 * To be waited for before anything is packed or unpacked. The library must be made ready only once in a process: by a second
 * time it has two memories, puts what comes in into one and takes what goes out from the other.
 */
export function zstdReady(): Promise<void> {
  return (ready ??= init());
}

const MAGIC = Buffer.from([0x28, 0xb5, 0x2f, 0xfd]);

export function packZstd(bytes: Uint8Array, level: number): Uint8Array {
  const packed = compress(bytes, level);
  // Nobody would know until somebody reads it.
  if (MAGIC.some((byte, at) => packed[at] !== byte))
    throw new Error("zstd gives no zstd: something else in this process has called init() of @bokuweb/zstd-wasm again");
  return packed;
}

/** `size`: how much room there is for what comes out, where the frame does not say how large that is. */
export function unpackZstd(packed: Uint8Array, size?: number): Uint8Array {
  return size === undefined ? decompress(packed) : decompress(packed, { defaultHeapSize: size });
}
