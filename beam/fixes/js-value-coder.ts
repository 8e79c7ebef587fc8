// The SDK's coder of JavaScript values sends NaN, Infinity and -0 as 0, cuts whole numbers to 32 bits, sends a Date, Set
// or Promise as {} and bytes as {"0": …}, and gives bytes inside an object back as a BSON Binary. The fix sends each as
// itself and refuses by name what would arrive as something else. Inside objects BSON's rules stay: undefined is left
// out, -0 is 0, a bigint is refused. Equal numbers have equal bytes, because runners group by the encoded key.
import "../node-compat";
import "apache-beam";
import { createRequire } from "node:module";
import { types } from "node:util";
import { BsonObjectCoder, GeneralObjectCoder } from "apache-beam/coders/js_coders";
import { type Context } from "apache-beam/coders/coders";
import { type Reader, type Writer } from "protobufjs";
import { once } from "./once";
import { readInt64, writeInt64 } from "./varint";

interface ValueCoder<T = unknown> {
  encode(value: T, writer: Writer, context: Context): void;
  decode(reader: Reader, context: Context): T;
}

interface NumberCoder extends ValueCoder<number> {
  doubleCoder: ValueCoder<number>;
}

interface AnyValueCoder extends ValueCoder {
  codersByType: Record<"string" | "object" | "boolean" | "array", ValueCoder> & { number: NumberCoder };
}

interface Bson {
  deserialize(bytes: Uint8Array, options: { promoteBuffers: boolean }): unknown;
}

// On the wire a marker is a string of one letter: its length, then the letter.
const marker = (letter: string) => letter.charCodeAt(0);
const STRING = marker("S");
const NUMBER = marker("N");
const OBJECT = marker("O");
const BOOLEAN = marker("B");
const ARRAY = marker("A");
const NOTHING = marker("Z");
const DATE = marker("D");
const BYTES = marker("U");
const BIGINT = marker("G");
const WHOLE = marker("i");
const FLOATING = marker("f");

function writeMarker(writer: Writer, letter: number): Writer {
  return writer.uint32(1).uint32(letter);
}

function readMarker(reader: Reader): number {
  reader.pos += 2;
  return reader.buf[reader.pos - 1] ?? NaN;
}

function encodeNumber(this: NumberCoder, value: number, writer: Writer, context: Context): void {
  if (Number.isSafeInteger(value) && !Object.is(value, -0)) {
    writeInt64(writeMarker(writer, WHOLE), value);
  } else {
    // NaN has many bit patterns; the literal has always the same.
    this.doubleCoder.encode(Number.isNaN(value) ? NaN : value, writeMarker(writer, FLOATING), context);
  }
}

function decodeNumber(this: NumberCoder, reader: Reader, context: Context): number {
  return readMarker(reader) === FLOATING ? this.doubleCoder.decode(reader, context) : Number(readInt64(reader));
}

function refuse(value: unknown): never {
  const kind = typeof value === "object" ? (value?.constructor.name ?? "object") : typeof value;
  const hint = types.isPromise(value) ? ": wait for it before you pass it on" : "";
  throw new TypeError(`A ${kind} cannot travel between the steps of a pipeline${hint}`);
}

/** What BSON would turn into a plain object, or into an empty one. */
function isForeignToBson(value: object): boolean {
  return (
    types.isMap(value) ||
    types.isSet(value) ||
    types.isPromise(value) ||
    types.isRegExp(value) ||
    types.isNativeError(value) ||
    types.isAnyArrayBuffer(value) ||
    ArrayBuffer.isView(value)
  );
}

function encodeObject(coders: AnyValueCoder["codersByType"], value: object, writer: Writer, context: Context): void {
  if (Array.isArray(value)) {
    coders.array.encode(value, writeMarker(writer, ARRAY), context);
  } else if (Object.getPrototypeOf(value) === Object.prototype) {
    coders.object.encode(value, writeMarker(writer, OBJECT), context);
  } else if (types.isDate(value)) {
    coders.number.doubleCoder.encode(value.getTime(), writeMarker(writer, DATE), context);
  } else if (types.isUint8Array(value)) {
    writeMarker(writer, BYTES).bytes(value);
  } else if (isForeignToBson(value)) {
    refuse(value);
  } else {
    coders.object.encode(value, writeMarker(writer, OBJECT), context);
  }
}

function encodeValue(this: AnyValueCoder, value: unknown, writer: Writer, context: Context): void {
  const coders = this.codersByType;
  switch (typeof value) {
    case "string":
      return coders.string.encode(value, writeMarker(writer, STRING), context);
    case "number":
      return coders.number.encode(value, writeMarker(writer, NUMBER), context);
    case "boolean":
      return coders.boolean.encode(value, writeMarker(writer, BOOLEAN), context);
    case "bigint":
      return void writeMarker(writer, BIGINT).string(value.toString());
    case "undefined":
      return void writeMarker(writer, NOTHING);
    case "object":
      if (value === null) writeMarker(writer, NOTHING);
      else encodeObject(coders, value, writer, context);
      return;
    case "function":
    case "symbol":
      refuse(value);
  }
}

function decodeValue(this: AnyValueCoder, reader: Reader, context: Context): unknown {
  const coders = this.codersByType;
  const letter = readMarker(reader);
  switch (letter) {
    case STRING:
      return coders.string.decode(reader, context);
    case NUMBER:
      return coders.number.decode(reader, context);
    case BOOLEAN:
      return coders.boolean.decode(reader, context);
    case OBJECT:
      return coders.object.decode(reader, context);
    case ARRAY:
      return coders.array.decode(reader, context);
    case NOTHING:
      return null;
    case DATE:
      return new Date(coders.number.doubleCoder.decode(reader, context));
    case BYTES:
      return Uint8Array.from(reader.bytes());
    case BIGINT:
      return BigInt(reader.string());
    default:
      throw new Error(`Not an encoded JavaScript value: it begins with byte ${letter}`);
  }
}

export function codeJavaScriptValues(): void {
  const values = GeneralObjectCoder.prototype as unknown as AnyValueCoder;
  once(values, "js-value-coder", () => {
    const sample = new GeneralObjectCoder() as unknown as AnyValueCoder;
    const numbers = Object.getPrototypeOf(sample.codersByType.number) as NumberCoder;
    numbers.encode = encodeNumber;
    numbers.decode = decodeNumber;
    values.encode = encodeValue;
    values.decode = decodeValue;
    // The very bson that the SDK writes with: it is the SDK's dependency, not ours.
    const bson = createRequire(require.resolve("apache-beam"))("bson") as Bson;
    const objects = BsonObjectCoder.prototype as unknown as ValueCoder;
    objects.decode = (reader) => bson.deserialize(reader.bytes(), { promoteBuffers: true });
  });
}
