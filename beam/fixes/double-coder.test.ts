import * as fc from "fast-check";
import { Reader, Writer } from "protobufjs";
import { codeDoublesInPlace } from "./double-coder";
import { DoubleCoder } from "apache-beam/coders/standard_coders";

const coder = new DoubleCoder() as unknown as {
  encode(value: number, writer: Writer): void;
  decode(reader: Reader): number;
};

function encode(...values: number[]): Uint8Array {
  const writer = new Writer();
  for (const value of values) coder.encode(value, writer);
  return writer.finish();
}

/** How many bytes are copied into new arrays while something is done. */
function copied(what: () => void): number {
  const real = globalThis.Uint8Array;
  let bytes = 0;
  globalThis.Uint8Array = class extends real {
    constructor(...args: ConstructorParameters<typeof real>) {
      super(...args);
      bytes += this.byteLength;
    }
  };
  try {
    what();
  } finally {
    globalThis.Uint8Array = real;
  }
  return bytes;
}

const stockBytes = [...encode(-1.5)];
const megabyte = new Reader(new Uint8Array(1e6));

test("without the fix reading one double copies the whole buffer", () => {
  expect(copied(() => coder.decode(megabyte))).toBeGreaterThanOrEqual(1e6);
});

describe("with the fix", () => {
  beforeAll(() => {
    codeDoublesInPlace();
    codeDoublesInPlace();
  });

  test("reading one double copies nothing", () => {
    expect(copied(() => coder.decode(megabyte))).toBe(0);
  });

  test("the encoding is the same", () => {
    expect([...encode(-1.5)]).toEqual(stockBytes);
  });

  test("doubles arrive as they are, one after the other", () => {
    fc.assert(
      fc.property(fc.array(fc.double()), (values) => {
        const reader = new Reader(encode(...values));
        expect(values.map(() => coder.decode(reader))).toEqual(values);
        expect(reader.pos).toBe(reader.len);
      }),
    );
  });

  test("half a double is refused", () => {
    expect(() => coder.decode(new Reader(new Uint8Array(7)))).toThrow(RangeError);
  });
});
