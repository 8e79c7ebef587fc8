// Record batches (magic 2) from their bytes: the hottest code of a Kafka source. kafkajs has a decoder too, but makes
// many promises and copies for every record; this one makes the record and its texts and nothing else.
import { isUtf8 } from "node:buffer";
import { RunError } from "../../schema/errors";
import { textOf, TOMBSTONE, type Raw, type SourceRecord } from "../../schema/record";
import { crc32c } from "./crc32c";
import { isOutOfRange } from "./fetch-response";
import { CODECS, type Codec } from "./unpack";

/** Where what in a batch's head lies. */
const LENGTH = 8;
const MAGIC = 16;
const CRC = 17;
const ATTRIBUTES = 21;
const LAST_DELTA = 23;
const BASE_TIMESTAMP = 27;
const MAX_TIMESTAMP = 35;
const PRODUCER_ID = 43;
const COUNT = 57;
const HEAD = 61;

export interface RecordBatch {
  readonly firstOffset: number;
  /** The offset behind the batch, even when its last records were compacted away. */
  readonly nextOffset: number;
  readonly codec: Codec;
  readonly isTransactional: boolean;
  /** It holds no records, but the end of a transaction. */
  readonly isControl: boolean;
  readonly producerId: bigint;
  readonly baseTimestamp: number;
  /** When the broker took it, where the topic wants that instead of the producer's time. */
  readonly appendTime: number | null;
  readonly count: number;
  /** The records, packed as `codec` says. */
  readonly packed: Buffer;
}

/** Damaged data: where it lies, and what is wrong there. */
export function damaged(source: string, offset: number, what: string): RunError {
  return new RunError(`The batch at offset ${offset} of ${source} cannot be read: ${what}`);
}

/** The batches that are whole. Nothing is copied. */
export function batchesOf(records: Buffer, source: string): RecordBatch[] {
  const batches: RecordBatch[] = [];
  for (let at = 0; at + MAGIC < records.length;) {
    const firstOffset = Number(records.readBigInt64BE(at));
    const end = at + LENGTH + 4 + records.readInt32BE(at + LENGTH);
    const magic = records[at + MAGIC];
    if (magic !== 2) {
      throw damaged(
        source,
        firstOffset,
        `it has format ${magic}, from before Kafka 0.11; only format 2 is read: copy the topic with a newer producer`,
      );
    }
    if (end > records.length) break;
    if (end < at + HEAD) throw damaged(source, firstOffset, "it is shorter than its head");
    if (crc32c(records, at + ATTRIBUTES, end) !== records.readUInt32BE(at + CRC))
      throw damaged(source, firstOffset, "its checksum is wrong");
    batches.push(batchAt(records, at, end, source, firstOffset));
    at = end;
  }
  return batches;
}

function batchAt(records: Buffer, at: number, end: number, source: string, firstOffset: number): RecordBatch {
  const attributes = records.readInt16BE(at + ATTRIBUTES);
  const codec = CODECS[attributes & 7];
  if (codec === undefined) throw damaged(source, firstOffset, `it is packed in an unknown way (${attributes & 7})`);
  return {
    firstOffset,
    nextOffset: firstOffset + records.readInt32BE(at + LAST_DELTA) + 1,
    codec,
    isTransactional: (attributes & 16) !== 0,
    isControl: (attributes & 32) !== 0,
    producerId: records.readBigInt64BE(at + PRODUCER_ID),
    baseTimestamp: Number(records.readBigInt64BE(at + BASE_TIMESTAMP)),
    appendTime: (attributes & 8) === 0 ? null : Number(records.readBigInt64BE(at + MAX_TIMESTAMP)),
    count: records.readInt32BE(at + COUNT),
    packed: records.subarray(at + HEAD, end),
  };
}

/** Whether a control batch says that the transaction was taken back. */
export function isAbortMarker(batch: RecordBatch): boolean {
  const cursor = new Cursor(batch.packed);
  cursor.varint(); // length
  cursor.at += 1; // attributes
  cursor.varlong(); // timestamp
  cursor.varint(); // offset
  const keyLength = cursor.varint();
  // The key: a version, then the kind: 0 is abort, 1 commit.
  return keyLength >= 4 && batch.packed.readInt16BE(cursor.at + 2) === 0;
}

/** Which records of a batch are wanted, and what they are called. */
export interface Wanted {
  readonly source: string;
  readonly from: number;
  readonly to: number;
}

/** Adds the records of a batch to `out`; `body` is its records unpacked. */
export function decodeRecords(batch: RecordBatch, body: Buffer, wanted: Wanted, out: SourceRecord[]): void {
  try {
    decode(batch, body, wanted, out);
  } catch (error) {
    if (isOutOfRange(error)) throw damaged(wanted.source, batch.firstOffset, "a record in it is cut off");
    throw error;
  }
}

function decode(batch: RecordBatch, body: Buffer, { source, from, to }: Wanted, out: SourceRecord[]): void {
  const { firstOffset, baseTimestamp, appendTime } = batch;
  const cursor = new Cursor(body);
  for (let left = batch.count; left > 0; left -= 1) {
    const length = cursor.varint();
    const end = cursor.at + length;
    if (length < 0 || end > body.length) throw new RangeError("record");
    cursor.at += 1; // attributes: none are in use
    const created = baseTimestamp + cursor.varlong();
    const timestamp = appendTime ?? created;
    const position = firstOffset + cursor.varint();
    if (position >= from && position < to) {
      const key = cursor.raw(cursor.varint(), end);
      const value = cursor.raw(cursor.varint(), end);
      const headerCount = cursor.varint();
      const headers = headerCount === 0 && value !== null ? null : headersOf(cursor, headerCount, end);
      if (value === null && headers !== null) headers[TOMBSTONE] = "true";
      out.push({
        value: value ?? "",
        source,
        position,
        key,
        // -1 is Kafka's sign for none.
        timestamp: timestamp < 0 ? null : timestamp,
        headers,
        fields: null,
      });
      if (cursor.at !== end) throw new RangeError("record");
    }
    cursor.at = end;
  }
}

type Headers = Record<string, string>;

/** Objects whose names come from data: without a prototype, so that a header may be called `__proto__`. */
const HeadersOf = function () {} as unknown as new () => Headers;
HeadersOf.prototype = Object.create(null) as object;

/** A header that stands there twice has its last value, as most readers take it. */
function headersOf(cursor: Cursor, count: number, end: number): Headers {
  const headers = new HeadersOf();
  for (let left = count; left > 0; left -= 1) {
    const name = cursor.raw(cursor.varint(), end);
    const value = cursor.raw(cursor.varint(), end);
    headers[textOf(name)] = textOf(value);
  }
  return headers;
}

/** A place in the bytes of a batch. */
class Cursor {
  at = 0;
  private readonly view: DataView;
  /** All bytes as text, one character each: pieces of it that are ASCII are cut out without a copy. */
  private text: string | null = null;

  constructor(private readonly bytes: Buffer) {
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  /** A number of 32 bits: seven a byte, the lowest first, and the sign as the lowest bit. */
  varint(): number {
    let byte = this.view.getUint8(this.at++);
    if (byte < 128) return (byte >>> 1) ^ -(byte & 1);
    let value = byte & 127;
    for (let shift = 7; shift < 35; shift += 7) {
      byte = this.view.getUint8(this.at++);
      value |= (byte & 127) << shift;
      if (byte < 128) return (value >>> 1) ^ -(value & 1);
    }
    throw new RangeError("varint");
  }

  /** The same with 64 bits. */
  varlong(): number {
    let byte = this.view.getUint8(this.at++);
    if (byte < 128) return (byte >>> 1) ^ -(byte & 1);
    let low = byte & 127;
    let shift = 7;
    for (; shift < 28; shift += 7) {
      byte = this.view.getUint8(this.at++);
      low |= (byte & 127) << shift;
      if (byte < 128) return (low >>> 1) ^ -(low & 1);
    }
    let value = BigInt(low);
    for (; shift < 70; shift += 7) {
      byte = this.view.getUint8(this.at++);
      value |= BigInt(byte & 127) << BigInt(shift);
      if (byte < 128) return Number(BigInt.asIntN(64, (value >> 1n) ^ -(value & 1n)));
    }
    throw new RangeError("varlong");
  }

  /** So many bytes that end before `end`: text when they are UTF-8. Null for a negative length. */
  raw(length: number, end: number): Raw | null {
    if (length < 0) return null;
    const start = this.at;
    const stop = start + length;
    if (stop > end) throw new RangeError("field");
    this.at = stop;
    if (this.isAscii(start, stop)) {
      return (this.text ??= this.bytes.toString("latin1")).slice(start, stop);
    }
    const bytes = this.bytes.subarray(start, stop);
    return isUtf8(bytes) ? bytes.toString("utf8") : new Uint8Array(bytes);
  }

  private isAscii(start: number, stop: number): boolean {
    const { view } = this;
    let at = start;
    for (const last = stop - 4; at <= last; at += 4) {
      if ((view.getInt32(at, true) & 0x80808080) !== 0) return false;
    }
    for (; at < stop; at += 1) if (view.getUint8(at) > 127) return false;
    return true;
  }
}
