// What a row's document is called: its key as text, so that a row that is written again takes the document's place.
import { createHash } from "node:crypto";
import { type Column, type Row, type Table } from "../../schema/table";
import { cellOf, type Cell } from "../cell";

/** Elasticsearch and OpenSearch take no longer ones. */
const MOST_BYTES = 512;

/**
 * `AAA|2026-01-05T12:00:00.000Z`: the key's columns in order, each in its one form. A backslash stands before what would be
 * taken for something else, so that two keys never have one id. One that is too long is a hash of it.
 */
export function documentId(table: Table, key: readonly Column[], row: Row): string {
  const parts = key.map((column) => partOf(column, cellOf(table, column, row)));
  // An id is never empty.
  const id = parts.length === 1 && parts[0] === "" ? "\\e" : parts.join("|");
  return id.length * 3 <= MOST_BYTES || Buffer.byteLength(id) <= MOST_BYTES
    ? id
    : `\\h${createHash("sha256").update(id).digest("base64url")}`;
}

function partOf({ type }: Column, cell: Cell): string {
  if (type.kind === "bytes") return bytesOf(cell).toString("base64");
  // Minus zero is zero.
  if (typeof cell !== "string") return String(cell);
  // Half a pair has no form in UTF-8: all of them would be the same sign.
  return /[\\|]|\p{Surrogate}/u.test(cell)
    ? cell.replaceAll(/[\\|]/g, "\\$&").replaceAll(/\p{Surrogate}/gu, (half) => `\\u${half.charCodeAt(0).toString(16)}`)
    : cell;
}

/** Bytes that may have been given as text. */
export const bytesOf = (cell: Cell): Buffer =>
  cell instanceof Uint8Array
    ? Buffer.from(cell.buffer, cell.byteOffset, cell.byteLength)
    : Buffer.from(String(cell), "utf8");
