import * as fc from "fast-check";
import { Reader, Writer } from "protobufjs";
import { codeWholeInt64 } from "./varint-coder";
import { VarIntCoder } from "apache-beam/coders/standard_coders";

const coder = new VarIntCoder() as unknown as {
  encode(value: number | bigint, writer: Writer): void;
  decode(reader: Reader): number | bigint;
};

function encode(value: number | bigint): Uint8Array {
  const writer = new Writer();
  coder.encode(value, writer);
  return writer.finish();
}

const roundTrip = (value: number | bigint) => coder.decode(new Reader(encode(value)));

/** The varint of the two's complement, spelt out bit by bit. */
function varint(value: bigint): number[] {
  const bytes: number[] = [];
  let rest = BigInt.asUintN(64, value);
  for (; rest > 127n; rest >>= 7n) bytes.push(Number(rest & 127n) | 128);
  return [...bytes, Number(rest)];
}

test("without the fix a number beyond 32 bits arrives as another", () => {
  expect(roundTrip(1_700_000_000_000)).toBe(-807_049_216);
  expect(roundTrip(5)).toBe(roundTrip(5 + 2 ** 32));
});

describe("with the fix", () => {
  beforeAll(() => {
    codeWholeInt64();
    codeWholeInt64();
  });

  test.each([
    0,
    1,
    -1,
    127,
    128,
    2 ** 28 - 1,
    2 ** 28,
    2 ** 31,
    -(2 ** 31) - 1,
    2 ** 32,
    2 ** 49,
    2 ** 53 - 1,
    -(2 ** 53) + 1,
  ])("%d arrives as it is", (value) => expect(roundTrip(value)).toBe(value));

  test("every safe integer arrives as it is, in Beam's encoding", () => {
    fc.assert(
      fc.property(fc.maxSafeInteger(), (value) => {
        expect([...encode(value)]).toEqual(varint(BigInt(value)));
        expect(roundTrip(value)).toBe(value === 0 ? 0 : value);
      }),
    );
  });

  test("every bigint of 64 bits arrives with all its digits", () => {
    fc.assert(
      fc.property(fc.bigInt(-(2n ** 63n), 2n ** 63n - 1n), (value) => {
        expect([...encode(value)]).toEqual(varint(value));
        expect(BigInt(roundTrip(value))).toBe(value);
      }),
    );
  });

  test.each([1.5, NaN, Infinity, 2 ** 63, 2n ** 63n])("%p is refused", (value) => {
    expect(() => encode(value)).toThrow(RangeError);
  });

  test("half a varint is refused", () => {
    expect(() => coder.decode(new Reader(new Uint8Array([128, 128])))).toThrow(RangeError);
  });
});
