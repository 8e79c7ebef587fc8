// Records of registered messages as JSON text. What cannot be decoded stays as it came, and so becomes a dead letter with
// all its bytes; a registry that does not answer stops the reading instead, since nothing is wrong with the records then.
import { isUtf8 } from "node:buffer";
import { type Raw, type SourceRecord } from "../../schema/record";
import { jsonOfAvro } from "./avro-values";
import { patiently, type Patience } from "./patience";
import { HEAD_BYTES, Registry } from "./schema-registry";

/** The JSON text of a message's bytes behind the head. */
type Decode = (body: Buffer) => string;

const keptAsItCame: Decode | null = null;

export class RegisteredRecords {
  private readonly registry: Registry;
  private readonly decoders = new Map<number, Decode | null>();

  constructor(
    url: string,
    private readonly patience: Patience,
  ) {
    this.registry = new Registry(url);
  }

  async decoded(records: readonly SourceRecord[]): Promise<SourceRecord[]> {
    const decoded: SourceRecord[] = [];
    for (const record of records) {
      const bytes = bytesOf(record.value);
      if (bytes.length < HEAD_BYTES || bytes[0] !== 0) {
        decoded.push(record);
        continue;
      }
      const id = bytes.readInt32BE(1);
      let decode = this.decoders.get(id);
      if (decode === undefined) {
        decode = await patiently(() => this.decoderOf(id), this.patience);
        this.decoders.set(id, decode);
      }
      decoded.push(decode === null ? record : { ...record, value: attempted(decode, bytes, record.value) });
    }
    return decoded;
  }

  private async decoderOf(id: number): Promise<Decode | null> {
    const schema = await this.registry.schema(id);
    if (schema === null || schema.kind === null) return keptAsItCame;
    if (schema.kind === "JSON") return textOf;
    const type = await this.registry.avroType(id);
    if (type === null) return keptAsItCame;
    const jsonOf = jsonOfAvro(schema.text);
    return (body) => jsonOf(type.fromBuffer(body));
  }
}

/** Throws where bytes are no text: replaced by a sign for it, they would be lost. */
function textOf(body: Buffer): string {
  if (!isUtf8(body)) throw new TypeError("not UTF-8");
  return body.toString("utf8");
}

function attempted(decode: Decode, bytes: Buffer, asItCame: Raw): Raw {
  try {
    return decode(bytes.subarray(HEAD_BYTES));
  } catch {
    return asItCame;
  }
}

/** Bytes that happened to be valid UTF-8 were made text before; that loses nothing. */
function bytesOf(value: Raw): Buffer {
  return typeof value === "string"
    ? Buffer.from(value, "utf8")
    : Buffer.from(value.buffer, value.byteOffset, value.byteLength);
}
