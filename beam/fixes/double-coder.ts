// The SDK's double coder copies the whole incoming buffer (a megabyte on a cluster) for every double that it reads.
// The fix reads and writes the eight bytes where they are; the encoding (big-endian IEEE 754) stays.
import "../node-compat";
import "apache-beam";
import { DoubleCoder } from "apache-beam/coders/standard_coders";
import { type Reader, type Writer } from "protobufjs";
import { once } from "./once";

interface RawWriter extends Writer {
  _push(write: (value: number, target: Uint8Array, at: number) => void, length: number, value: number): unknown;
}

interface Doubles {
  encode(value: number, writer: Writer): void;
  decode(reader: Reader): number;
}

const LENGTH = 8;
const scratch = new Uint8Array(LENGTH);
const view = new DataView(scratch.buffer);

function writeDouble(value: number, target: Uint8Array, at: number): void {
  view.setFloat64(0, value);
  for (let i = 0; i < LENGTH; i++) target[at + i] = scratch[i]!;
}

function readDouble(reader: Reader): number {
  const { buf, pos } = reader;
  if (pos + LENGTH > reader.len) throw new RangeError("A double needs 8 bytes, and fewer are left");
  for (let i = 0; i < LENGTH; i++) scratch[i] = buf[pos + i]!;
  reader.pos = pos + LENGTH;
  return view.getFloat64(0);
}

export function codeDoublesInPlace(): void {
  const coder = DoubleCoder.prototype as unknown as Doubles;
  once(coder, "double-coder", () => {
    coder.encode = (value, writer) => void (writer as RawWriter)._push(writeDouble, LENGTH, value);
    coder.decode = readDouble;
  });
}
