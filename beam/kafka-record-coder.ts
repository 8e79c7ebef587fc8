// The records of a topic that a runner reads by Beam's KafkaIO, out of the bytes of its Java coder: they come as the records
// of every other source, so that no step of its own has to make them.
import { isUtf8 } from "node:buffer";
import type Long from "long";
import { type Reader } from "protobufjs";
import { textOf, TOMBSTONE, type Raw, type SourceRecord } from "../schema/record";
import { coders, runnerApi, type sdk } from "./sdk";

/** That of all coders that only Java knows. The one of KafkaIO's records is the only one that comes here. */
const JAVA_CODER_URN = "beam:coders:javasdk:0.1";

export class KafkaRecordCoder {
  /** By topic, then by partition: what records of one partition share is made once. */
  private readonly sources = new Map<string, string[]>();

  toProto(): ReturnType<sdk.Coder["toProto"]> {
    // What Java needs to know of it the job server fills in.
    return runnerApi.Coder.create({ spec: { urn: JAVA_CODER_URN, payload: new Uint8Array() } });
  }

  encode(): never {
    throw new Error("Records of a topic are read as they come, and are written by no one in this form");
  }

  decode(reader: Reader): SourceRecord {
    const topic = reader.string();
    const partition = reader.int32();
    const position = int64(reader);
    const timestamp = int64(reader);
    reader.int32(); // whose time it is
    const headerCount = bigEndian(reader);
    const headers: Record<string, string> | null = headerCount === 0 ? null : {};
    for (let left = headerCount; left > 0 && headers !== null; left -= 1) {
      const name = reader.string();
      // Defined and not assigned: a header called __proto__ stays one.
      Object.defineProperty(headers, name, {
        value: textOf(rawOf(reader)),
        writable: true,
        enumerable: true,
        configurable: true,
      });
    }
    const key = rawOf(reader);
    const value = rawOf(reader);
    return {
      value: value ?? "",
      source: this.sourceOf(topic, partition),
      position,
      key,
      timestamp: timestamp < 0 ? null : timestamp,
      headers: value === null ? { ...headers, [TOMBSTONE]: "true" } : headers,
      fields: null,
    };
  }

  private sourceOf(topic: string, partition: number): string {
    let ofTopic = this.sources.get(topic);
    if (ofTopic === undefined) this.sources.set(topic, (ofTopic = []));
    return (ofTopic[partition] ??= `${topic}/${partition}`);
  }
}

const int64 = (reader: Reader): number => (reader.int64() as Long).toNumber();

function bigEndian(reader: Reader): number {
  const { buf, pos } = reader;
  reader.skip(4);
  return new DataView(buf.buffer, buf.byteOffset + pos, 4).getInt32(0);
}

/** Bytes that may be missing: a byte says whether they are there, then comes their length. */
function rawOf(reader: Reader): Raw | null {
  const isThere = reader.buf[reader.pos] === 1;
  reader.skip(1);
  if (!isThere) return null;
  const bytes = reader.bytes();
  // The reader's own bytes are those of a whole message, which a slice would keep in memory.
  return isUtf8(bytes)
    ? Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString()
    : new Uint8Array(bytes);
}

coders.globalRegistry().registerConstructor(JAVA_CODER_URN, () => new KafkaRecordCoder());
