// The SDK codes beam:coder:varint:v1 as int32, so 1700000000000 arrives as -807049216 and keys 2^32 apart become one.
// The fix codes 64 bits, in the standard encoding: exact as a number in the safe range, as a bigint beyond it.
import "../node-compat";
import "apache-beam";
import { VarIntCoder } from "apache-beam/coders/standard_coders";
import { type Reader, type Writer } from "protobufjs";
import { once } from "./once";
import { readInt64, writeInt64 } from "./varint";

interface VarInts {
  encode(value: number | bigint, writer: Writer): void;
  decode(reader: Reader): number | bigint;
}

export function codeWholeInt64(): void {
  const coder = VarIntCoder.prototype as unknown as VarInts;
  once(coder, "varint-coder", () => {
    coder.encode = (value, writer) => writeInt64(writer, value);
    coder.decode = readInt64;
  });
}
