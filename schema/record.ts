// What a source hands to a pipeline: one record as it was found, with where it was found.

/** Text when the bytes are valid UTF-8, the bytes themselves when they are not: either way nothing is lost. */
export type Raw = string | Uint8Array;

/** One record of a source. `source` and `position` together are its origin and never repeat. */
export interface SourceRecord {
  readonly value: Raw;
  /** Where it lies: a file's path, a topic and partition, a URL. */
  readonly source: string;
  /** Which one there: the line in a file, the offset in a partition. */
  readonly position: number;
  readonly key: Raw | null;
  /** When the source says it was written, in milliseconds; null when the source does not say. */
  readonly timestamp: number | null;
  readonly headers: Readonly<Record<string, string>> | null;
  /** The columns by name, when the source's format has them (CSV). */
  readonly fields: Readonly<Record<string, string>> | null;
  /** Which time it is tried, where it was tried before: it is a dead letter that is replayed. */
  readonly attempt?: number;
}

/** A stretch of a source that is read as one piece: from `from` up to, not including, `to` (null: to its end). */
export interface Range {
  readonly connector: string;
  readonly source: string;
  readonly from: number;
  readonly to: number | null;
  /** Where it is said, only records of these times are read; those between them are left as they are. */
  readonly times?: { readonly since: number | null; readonly until: number | null };
  /** The time of the first record that is there, where the source has lost what lay before it. */
  readonly cutAt?: number;
  /** What the connector needs beside that, as plain JSON. Never a secret. */
  readonly detail: Readonly<Record<string, string | number | boolean | null>>;
}

/** A header that says of a record without a value, as a changelog has them, that its key is gone. */
export const TOMBSTONE = "tombstone";

/** Bytes that are no text as base64, marked as such like everywhere else. */
export function textOf(raw: Raw | null): string {
  if (raw === null || typeof raw === "string") return raw ?? "";
  return `base64:${Buffer.from(raw.buffer, raw.byteOffset, raw.byteLength).toString("base64")}`;
}

/** Length in bytes of a record's value as it was read. */
export function sizeOf(value: Raw): number {
  return typeof value === "string" ? Buffer.byteLength(value) : value.byteLength;
}
