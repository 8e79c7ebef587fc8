// Follows files that grow: lines that are appended, and files that come to match. A position is the byte at which a line
// begins, so that reading can go on there; a last line without its end is still being written, and waits.
import { isAscii, isUtf8 } from "node:buffer";
import { open, type FileHandle } from "node:fs/promises";
import { RunError, UsageError } from "../../schema/errors";
import { type Range, type SourceRecord } from "../../schema/record";
import { type Address, type Followed, type Part } from "../connector";
import { formatOption } from "../format";
import { shownPath } from "../local-path";
import { readError } from "./chunks";
import { formatOfName } from "./format";
import { filesOf } from "./source";

const LINE_FEED = 10;
const BLOCK_BYTES = 256 * 1024;
/** What a line is taken to have when a batch is sized. */
const BYTES_OF_A_LINE = 128;
/** A longer line is an error: nobody could tell it from a file without line ends. */
const MOST_LINE_BYTES = 16 * 1024 * 1024;

export async function followFiles(address: Address): Promise<Followed> {
  const asked = formatOption(address);
  const paths = new Map<string, string>();
  const look = async (): Promise<Part[]> => {
    const parts: Part[] = [];
    for (const file of await filesOf(address)) {
      const source = shownPath(file);
      if ((asked ?? formatOfName(source)) !== "ndjson" || source.endsWith(".gz"))
        throw new UsageError(`${source} cannot be followed: with --streaming files are plain NDJSON`);
      paths.set(source, file);
      parts.push({ source, first: 0, end: await withFile(file, source, endOfLastLine) });
    }
    return parts;
  };
  return {
    look,
    async start(part, at) {
      if (at === "earliest") return 0;
      if (at === "latest") return part.end;
      throw new UsageError(`${part.source} does not say when its lines were written: --since needs a source that does`);
    },
    async cut(part, from, most): Promise<Range> {
      const path = paths.get(part.source) ?? part.source;
      const target = Math.min(part.end, from + most * BYTES_OF_A_LINE);
      const to =
        target >= part.end
          ? part.end
          : await withFile(path, part.source, (handle) => behindLine(handle, target, part.end));
      return { connector: "file", source: part.source, from, to, detail: { path, follow: true } };
    },
    close: async () => {},
  };
}

/** The lines of a stretch of bytes. */
export async function* readBytes(range: Range): AsyncGenerator<SourceRecord[]> {
  const { source, from } = range;
  const to = range.to ?? from;
  let handle: FileHandle | undefined;
  try {
    handle = await open(String(range.detail["path"]), "r");
    let held = Buffer.alloc(0);
    for (let at = from; at < to;) {
      const block = Buffer.allocUnsafe(held.length + Math.min(BLOCK_BYTES, to - at));
      held.copy(block);
      const { bytesRead } = await handle.read(block, held.length, block.length - held.length, at);
      if (bytesRead === 0)
        throw new RunError(`${source} ends at ${at}, but was ${to} bytes long when the batch was planned`);
      const filled = block.subarray(0, held.length + bytesRead);
      const start = at - held.length;
      at += bytesRead;
      const end = filled.lastIndexOf(LINE_FEED) + 1;
      if (end > 0) yield linesOf(filled.subarray(0, end), start, source);
      held = filled.subarray(end);
      if (held.length > MOST_LINE_BYTES)
        throw new RunError(`${source} has a line of more than ${MOST_LINE_BYTES} bytes at ${start + end}`);
    }
  } catch (error) {
    throw readError(error, source);
  } finally {
    await handle?.close();
  }
}

/** The records of whole lines; the first of them begins at `start`. */
function linesOf(block: Buffer, start: number, source: string): SourceRecord[] {
  const records: SourceRecord[] = [];
  // Where each character is a byte, the place in the text is the place in the file.
  const text = isAscii(block) ? block.toString("latin1") : null;
  for (let at = 0; at < block.length;) {
    const end = block.indexOf(LINE_FEED, at);
    const stripped = end > at && block[end - 1] === 13 ? end - 1 : end;
    const bytes = block.subarray(at, stripped);
    const value = text?.slice(at, stripped) ?? (isUtf8(bytes) ? bytes.toString() : new Uint8Array(bytes));
    if (typeof value !== "string" || value.trim() !== "")
      records.push({ value, source, position: start + at, key: null, timestamp: null, headers: null, fields: null });
    at = end + 1;
  }
  return records;
}

async function withFile<T>(file: string, shown: string, action: (handle: FileHandle) => Promise<T>): Promise<T> {
  let handle: FileHandle | undefined;
  try {
    handle = await open(file, "r");
    return await action(handle);
  } catch (error) {
    throw readError(error, shown);
  } finally {
    await handle?.close();
  }
}

/** The byte behind the last line end. */
async function endOfLastLine(handle: FileHandle): Promise<number> {
  const { size } = await handle.stat();
  const block = Buffer.allocUnsafe(Math.min(BLOCK_BYTES, size));
  for (let end = size; end > 0;) {
    const from = Math.max(0, end - block.length);
    const { bytesRead } = await handle.read(block, 0, end - from, from);
    const at = block.subarray(0, bytesRead).lastIndexOf(LINE_FEED);
    if (at >= 0) return from + at + 1;
    end = from;
  }
  return 0;
}

/** The byte behind the first line end from `from` on. */
async function behindLine(handle: FileHandle, from: number, end: number): Promise<number> {
  const block = Buffer.allocUnsafe(BLOCK_BYTES);
  // The byte before: a stretch that ends right behind a line is whole.
  for (let at = from - 1; at < end;) {
    const { bytesRead } = await handle.read(block, 0, block.length, at);
    if (bytesRead === 0) break;
    const found = block.subarray(0, bytesRead).indexOf(LINE_FEED);
    if (found >= 0) return at + found + 1;
    at += bytesRead;
  }
  return end;
}
