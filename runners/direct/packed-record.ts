// A record as a text that can be kept: what was text comes back as text, and what was bytes as bytes.
import { type Raw, type SourceRecord } from "../../schema/record";

type Packed = { readonly text: string } | { readonly base64: string } | null;
type PackedRecord = Omit<SourceRecord, "value" | "key"> & { readonly value: Packed; readonly key: Packed };

export const packRecord = ({ value, key, ...rest }: SourceRecord): string =>
  JSON.stringify({ ...rest, value: packed(value), key: packed(key) });

export function unpackRecord(text: string): SourceRecord {
  const { value, key, ...rest } = JSON.parse(text) as PackedRecord;
  return { ...rest, value: unpacked(value) ?? "", key: unpacked(key) };
}

function packed(raw: Raw | null): Packed {
  if (raw === null) return null;
  return typeof raw === "string" ? { text: raw } : { base64: Buffer.from(raw).toString("base64") };
}

function unpacked(raw: Packed): Raw | null {
  if (raw === null) return null;
  return "text" in raw ? raw.text : new Uint8Array(Buffer.from(raw.base64, "base64"));
}
