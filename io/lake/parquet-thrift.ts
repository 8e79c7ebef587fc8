// Thrift's compact protocol, in which Parquet writes the headers of its pages and the end of its files.
import { type Bytes } from "./parquet-bytes";

const TRUE = 1;
const FALSE = 2;
const I32 = 5;
const I64 = 6;
const BINARY = 8;
const LIST = 9;
const STRUCT = 12;

/** A struct that is being written: its fields in the order of their numbers, `end` last. */
export class ThriftStruct {
  private field = 0;

  constructor(private readonly bytes: Bytes) {}

  private start(field: number, type: number): void {
    // All structs of Parquet have fewer than 15 fields between two that are written.
    this.bytes.byte(((field - this.field) << 4) | type);
    this.field = field;
  }

  boolean(field: number, value: boolean): this {
    this.start(field, value ? TRUE : FALSE);
    return this;
  }

  i32(field: number, value: number): this {
    this.start(field, I32);
    this.bytes.varint(zigzag(value));
    return this;
  }

  i64(field: number, value: number): this {
    this.start(field, I64);
    let rest = BigInt.asUintN(64, (BigInt(value) << 1n) ^ (BigInt(value) >> 63n));
    for (; rest > 0x7fn; rest >>= 7n) this.bytes.byte(Number(rest & 0x7fn) | 0x80);
    this.bytes.byte(Number(rest));
    return this;
  }

  binary(field: number, value: Uint8Array | string): this {
    this.start(field, BINARY);
    binary(this.bytes, value);
    return this;
  }

  struct(field: number, fill: (struct: ThriftStruct) => void): this {
    this.start(field, STRUCT);
    writeStruct(this.bytes, fill);
    return this;
  }

  structs<T>(field: number, items: readonly T[], fill: (struct: ThriftStruct, item: T) => void): this {
    this.list(field, STRUCT, items.length);
    for (const item of items) writeStruct(this.bytes, (struct) => fill(struct, item));
    return this;
  }

  i32s(field: number, items: readonly number[]): this {
    this.list(field, I32, items.length);
    for (const item of items) this.bytes.varint(zigzag(item));
    return this;
  }

  texts(field: number, items: readonly string[]): this {
    this.list(field, BINARY, items.length);
    for (const item of items) binary(this.bytes, item);
    return this;
  }

  private list(field: number, type: number, length: number): void {
    this.start(field, LIST);
    if (length < 15) this.bytes.byte((length << 4) | type);
    else {
      this.bytes.byte(0xf0 | type);
      this.bytes.varint(length);
    }
  }
}

export function writeStruct(bytes: Bytes, fill: (struct: ThriftStruct) => void): void {
  fill(new ThriftStruct(bytes));
  bytes.byte(0);
}

const zigzag = (value: number): number => ((value << 1) ^ (value >> 31)) >>> 0;

function binary(bytes: Bytes, value: Uint8Array | string): void {
  const content = typeof value === "string" ? Buffer.from(value) : value;
  bytes.varint(content.length);
  bytes.append(content);
}
