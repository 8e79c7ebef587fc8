// The bytes of a request that writes messages. kafkajs makes two buffers of half a kilobyte for every message and its
// checksum a byte at a time, which takes four fifths of a sink's time; this one writes each byte once, to where it goes.
import { crc32c } from "./crc32c";

export type Bytes = string | Buffer;

export interface ProducedMessage {
  readonly key?: Bytes | null;
  readonly value: Bytes | null;
  readonly headers?: Readonly<Record<string, Bytes | readonly Bytes[] | undefined>>;
  /** Milliseconds; the present when there is none. */
  readonly timestamp?: string;
}

/** What kafkajs asks to be written. */
export interface ProduceInput {
  readonly acks: number;
  readonly timeout: number;
  readonly transactionalId?: string | null;
  /** Absent when nothing keeps a message from being written twice. */
  readonly producerId?: string | number;
  readonly producerEpoch?: number;
  readonly compression?: number;
  readonly topicData: readonly {
    readonly topic: string;
    readonly partitions: readonly {
      readonly partition: number;
      readonly firstSequence?: number;
      readonly messages: readonly ProducedMessage[];
    }[];
  }[];
}

/** Above what a message needs beside its texts: lengths, times and marks. */
const OVERHEAD = 64;

/** The body of a produce request in its versions 3 to 7, with messages as they are, not compressed. */
export function produceBody(input: ProduceInput, now = Date.now()): Buffer {
  const out = new Out(roughSize(input));
  out.text(input.transactionalId ?? null);
  out.int16(input.acks);
  out.int32(input.timeout);
  out.int32(input.topicData.length);
  for (const { topic, partitions } of input.topicData) {
    out.text(topic);
    out.int32(partitions.length);
    for (const { partition, firstSequence = 0, messages } of partitions) {
      out.int32(partition);
      const size = out.later();
      writeBatch(out, messages, { ...input, firstSequence }, now);
      out.sizeSince(size);
    }
  }
  return out.bytes();
}

function roughSize({ topicData }: ProduceInput): number {
  let size = 1_024;
  for (const { partitions } of topicData)
    for (const { messages } of partitions)
      for (const { key, value } of messages) size += (key?.length ?? 0) + (value?.length ?? 0) + OVERHEAD;
  return size;
}

interface Sender extends Pick<ProduceInput, "transactionalId" | "producerId" | "producerEpoch"> {
  readonly firstSequence: number;
}

/** A record batch of format 2. */
function writeBatch(out: Out, messages: readonly ProducedMessage[], sender: Sender, now: number): void {
  const times = messages.map(({ timestamp }) => (timestamp === undefined ? now : Number(timestamp)));
  const first = times.reduce((least, time) => Math.min(least, time), times[0] ?? now);
  const last = times.reduce((most, time) => Math.max(most, time), first);
  out.int64(0);
  const length = out.later();
  out.int32(0);
  out.int8(2);
  const checksum = out.later();
  out.int16(sender.transactionalId ? 16 : 0);
  out.int32(messages.length - 1);
  out.int64(first);
  out.int64(last);
  out.int64(sender.producerId ?? -1);
  out.int16(sender.producerEpoch ?? 0);
  out.int32(sender.firstSequence);
  out.int32(messages.length);
  for (const [at, message] of messages.entries()) writeRecord(out, message, at, (times[at] ?? first) - first);
  out.checksumSince(checksum);
  out.sizeSince(length);
}

function writeRecord(
  out: Out,
  { key = null, value, headers }: ProducedMessage,
  place: number,
  timeBehindFirst: number,
): void {
  const named = headersOf(headers);
  const keyLength = lengthOf(key);
  const valueLength = lengthOf(value);
  let length = 1 + sizeOf(timeBehindFirst) + sizeOf(place) + sizeOfBytes(keyLength) + sizeOfBytes(valueLength);
  length += sizeOf(named.length);
  for (const [name, cell] of named) length += sizeOfBytes(lengthOf(name)) + sizeOfBytes(lengthOf(cell));
  out.reserve(length + 10);
  out.varint(length);
  out.int8(0);
  out.varint(timeBehindFirst);
  out.varint(place);
  out.counted(key, keyLength);
  out.counted(value, valueLength);
  out.varint(named.length);
  for (const [name, cell] of named) {
    out.counted(name, lengthOf(name));
    out.counted(cell, lengthOf(cell));
  }
}

const NO_HEADERS: readonly [string, Bytes | null][] = [];

function headersOf(headers: ProducedMessage["headers"]): readonly (readonly [string, Bytes | null])[] {
  if (headers === undefined) return NO_HEADERS;
  return Object.entries(headers).flatMap(([name, cell]) =>
    (Array.isArray(cell) ? (cell as readonly Bytes[]) : [cell as Bytes]).map((one) => [name, one ?? null] as const),
  );
}

/** −1: there is nothing, which is not the same as nothing in it. */
const lengthOf = (bytes: Bytes | null): number =>
  bytes === null ? -1 : typeof bytes === "string" ? Buffer.byteLength(bytes) : bytes.length;

const sizeOfBytes = (length: number): number => sizeOf(length) + Math.max(length, 0);

/** Small numbers of either sign become small ones without. */
const zigzag = (value: number): number => (value < 0 ? -2 * value - 1 : 2 * value);

function sizeOf(value: number): number {
  let size = 1;
  for (let left = zigzag(value); left >= 128; left = Math.floor(left / 128)) size += 1;
  return size;
}

/** Bytes that are written one behind the other. */
class Out {
  private buffer: Buffer;
  private at = 0;

  constructor(size: number) {
    this.buffer = Buffer.allocUnsafe(size);
  }

  bytes(): Buffer {
    return this.buffer.subarray(0, this.at);
  }

  reserve(length: number): void {
    if (this.at + length <= this.buffer.length) return;
    const larger = Buffer.allocUnsafe(Math.max(2 * this.buffer.length, this.at + length));
    this.buffer.copy(larger, 0, 0, this.at);
    this.buffer = larger;
  }

  int8(value: number): void {
    this.reserve(1);
    this.at = this.buffer.writeInt8(value, this.at);
  }

  int16(value: number): void {
    this.reserve(2);
    this.at = this.buffer.writeInt16BE(value, this.at);
  }

  int32(value: number): void {
    this.reserve(4);
    this.at = this.buffer.writeInt32BE(value, this.at);
  }

  int64(value: number | string): void {
    this.reserve(8);
    this.at = this.buffer.writeBigInt64BE(BigInt(value), this.at);
  }

  /** Room for four bytes that are known when what follows is written. */
  later(): number {
    const place = this.at;
    this.int32(0);
    return place;
  }

  sizeSince(place: number): void {
    this.buffer.writeInt32BE(this.at - place - 4, place);
  }

  checksumSince(place: number): void {
    this.buffer.writeUInt32BE(crc32c(this.buffer, place + 4, this.at), place);
  }

  text(text: string | null): void {
    if (text === null) return this.int16(-1);
    const length = Buffer.byteLength(text);
    this.int16(length);
    this.reserve(length);
    this.at += this.buffer.write(text, this.at);
  }

  /** The caller has reserved what it takes. */
  varint(value: number): void {
    const { buffer } = this;
    let left = zigzag(value);
    for (; left >= 128; left = Math.floor(left / 128)) buffer[this.at++] = (left % 128) | 128;
    buffer[this.at++] = left;
  }

  /** So is this. */
  counted(bytes: Bytes | null, length: number): void {
    this.varint(length);
    if (bytes === null) return;
    if (typeof bytes === "string") this.buffer.write(bytes, this.at);
    else bytes.copy(this.buffer, this.at);
    this.at += length;
  }
}
