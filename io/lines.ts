// From chunks of bytes to records, one a line. This is the hottest loop of a file run: it decodes as much as it can in
// one go and makes one small object a line.
import { isUtf8 } from "node:buffer";
import { type Raw, type SourceRecord } from "../schema/record";

/** A longer line is cut to this many bytes, so that a file without line ends cannot fill the memory. */
export const MAX_LINE_BYTES = 16 * 1024 * 1024;

/** At most this many records are handed on together. */
const RECORDS_TOGETHER = 4096;

/** Below this size a block that is not valid UTF-8 is taken line by line instead of being halved once more. */
const SMALL_BLOCK_BYTES = 2048;

const LINE_FEED = 10;
const CARRIAGE_RETURN = 13;

export interface LineOptions {
  /** The file's name in the records. */
  readonly source: string;
  /** Keep blank lines and the carriage return before a line feed: a CSV field in quotes may hold them. */
  readonly exact: boolean;
  readonly maxLineBytes?: number;
}

/** Cuts chunks into lines. A chunk may be reused by its owner as soon as the records made from it were taken. */
export class LineSplitter {
  private readonly source: string;
  private readonly exact: boolean;
  private readonly maxLineBytes: number;
  /** Number of the line that comes next. */
  private line = 1;
  /** The start of a line whose end has not come yet, at most maxLineBytes of it. */
  private held: Buffer[] = [];
  private heldBytes = 0;
  /** Length of that line so far, with what was not held. */
  private lengthSoFar = 0;
  private lastByte = 0;
  private batch: SourceRecord[] = [];

  constructor(options: LineOptions) {
    this.source = options.source;
    this.exact = options.exact;
    this.maxLineBytes = options.maxLineBytes ?? MAX_LINE_BYTES;
  }

  /** The records that are complete with this chunk. */
  *push(chunk: Buffer): Generator<SourceRecord[]> {
    let start = 0;
    // The first line of a file may begin with a byte order mark, and a chunk may begin inside a line: both go alone.
    if (this.line === 1 || this.lengthSoFar > 0) {
      const end = chunk.indexOf(LINE_FEED);
      this.hold(end < 0 ? chunk : chunk.subarray(0, end));
      if (end < 0) return;
      this.finishHeldLine();
      start = end + 1;
    }
    // A chunk is cut at its last line end, so a character that goes on in the next chunk does not look invalid.
    const end = chunk.lastIndexOf(LINE_FEED) + 1;
    if (end > start) yield* this.takeBlock(chunk.subarray(start, end));
    this.hold(chunk.subarray(end));
    if (this.batch.length > 0) yield this.takeBatch();
  }

  /** What is left when no more chunks come: a last line without an end. */
  *end(): Generator<SourceRecord[]> {
    if (this.lengthSoFar > 0) this.finishHeldLine();
    if (this.batch.length > 0) yield this.takeBatch();
  }

  private takeBatch(): SourceRecord[] {
    const batch = this.batch;
    this.batch = [];
    return batch;
  }

  private hold(bytes: Buffer): void {
    if (bytes.length === 0) return;
    const room = this.maxLineBytes - this.heldBytes;
    if (room > 0) {
      const kept = Buffer.from(bytes.length > room ? bytes.subarray(0, room) : bytes);
      this.held.push(kept);
      this.heldBytes += kept.length;
    }
    this.lengthSoFar += bytes.length;
    this.lastByte = bytes[bytes.length - 1] ?? 0;
  }

  private finishHeldLine(): void {
    let bytes = this.held.length === 1 ? (this.held[0] ?? Buffer.alloc(0)) : Buffer.concat(this.held, this.heldBytes);
    let length = this.lengthSoFar;
    const cut = length > bytes.length;
    if (!this.exact && this.lastByte === CARRIAGE_RETURN) {
      length -= 1;
      if (!cut) bytes = bytes.subarray(0, -1);
    }
    this.held = [];
    this.heldBytes = 0;
    this.lengthSoFar = 0;
    this.lastByte = 0;
    if (this.line === 1 && bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf) bytes = bytes.subarray(3);
    const headers = cut ? { "truncated-from": String(length) } : null;
    this.add(rawOf(cut ? atCharacterEnd(bytes) : bytes), headers);
  }

  /** Whole lines, the last one with its line feed. */
  private *takeBlock(block: Buffer): Generator<SourceRecord[]> {
    if (isUtf8(block)) {
      yield* this.takeText(block.toString("utf8"));
      return;
    }
    if (block.length > SMALL_BLOCK_BYTES) {
      // One bad line must not make its thousand neighbours slow: halve until the bad part is small.
      const middle = block.indexOf(LINE_FEED, block.length >> 1) + 1;
      if (middle > 0 && middle < block.length) {
        yield* this.takeBlock(block.subarray(0, middle));
        yield* this.takeBlock(block.subarray(middle));
        return;
      }
    }
    for (let start = 0; start < block.length;) {
      const end = block.indexOf(LINE_FEED, start);
      const stripped = !this.exact && end > start && block[end - 1] === CARRIAGE_RETURN ? end - 1 : end;
      this.add(rawOf(block.subarray(start, stripped)), null);
      start = end + 1;
      if (this.batch.length >= RECORDS_TOGETHER) yield this.takeBatch();
    }
  }

  private *takeText(text: string): Generator<SourceRecord[]> {
    const { exact, source } = this;
    for (let start = 0; start < text.length;) {
      const batch = this.batch;
      let line = this.line;
      while (start < text.length && batch.length < RECORDS_TOGETHER) {
        const end = text.indexOf("\n", start);
        const stripped = !exact && end > start && text.charCodeAt(end - 1) === CARRIAGE_RETURN ? end - 1 : end;
        if (exact || stripped > start) {
          const value = text.slice(start, stripped);
          if (exact || text.charCodeAt(start) > 32 || !isBlank(value)) {
            batch.push({ value, source, position: line, key: null, timestamp: null, headers: null, fields: null });
          }
        }
        line += 1;
        start = end + 1;
      }
      this.line = line;
      if (batch.length >= RECORDS_TOGETHER) yield this.takeBatch();
    }
  }

  private add(value: Raw, headers: Record<string, string> | null): void {
    const position = this.line;
    this.line += 1;
    if (!this.exact && typeof value === "string" && isBlank(value)) return;
    this.batch.push({ value, source: this.source, position, key: null, timestamp: null, headers, fields: null });
  }
}

/** Nothing but spaces and tabs: not a record. */
function isBlank(line: string): boolean {
  for (let at = 0; at < line.length; at += 1) {
    const code = line.charCodeAt(at);
    if (code !== 32 && code !== 9 && code !== CARRIAGE_RETURN) return false;
  }
  return true;
}

/** Text when the bytes are valid UTF-8, else a copy of them: the chunk they lie in is used again. */
function rawOf(bytes: Buffer): Raw {
  return isUtf8(bytes) ? bytes.toString("utf8") : new Uint8Array(bytes);
}

/** A line cut at its limit may end inside a character: without that part it is text, if it was text before. */
function atCharacterEnd(bytes: Buffer): Buffer {
  for (let less = 0; less <= 3; less += 1) {
    const whole = bytes.subarray(0, bytes.length - less);
    if (isUtf8(whole)) return whole;
  }
  return bytes;
}
