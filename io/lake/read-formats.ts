// Files of a lake as sources: Parquet by its row groups, lines of text from blocks of bytes, and what partition folders
// say. A Parquet row is a JSON text, to which the values of its folders are added that the file does not have itself;
// lines of text are given as they stand, since dead letters keep them so.
import { createGunzip } from "node:zlib";
import { pipeline, Readable } from "node:stream";
import { codeOf, messageOf, RunError, UsageError } from "../../schema/errors";
import { type Range, type SourceRecord } from "../../schema/record";
import { suggestion } from "../address";
import { parquetGroups, readParquetGroup } from "./parquet-read";
import { valuesOf } from "./partition";
import { type FileBytes } from "./row-file";

export const READ_FORMATS = ["parquet", "ndjson", "json", "csv"] as const;
export type ReadFormat = "parquet" | "ndjson" | "csv";

/** Row groups are read together up to about so many bytes, or so many rows. */
const RANGE_BYTES = 64 * 1024 * 1024;
const RANGE_ROWS = 1_000_000;

/** What an address asks for; null where it leaves that open. */
export function readFormatOf(said: string | undefined, shown: string): ReadFormat | null {
  if (said === undefined) return null;
  const format = READ_FORMATS.find((known) => known === said);
  if (format === undefined)
    throw new UsageError(`“${said}” is not a format of ${shown}: ${suggestion(said, READ_FORMATS)}`);
  return format === "json" ? "ndjson" : format;
}

/** The file's ranges of whole row groups: rows from `from` up to, not including, `to`; the first is 1. */
export async function parquetRanges(bytes: FileBytes, file: Omit<Range, "from" | "to">): Promise<Range[]> {
  const ranges: Range[] = [];
  let [from, to, size] = [1, 1, 0];
  const end = (): void => {
    if (to > from) ranges.push({ ...file, from, to });
    [from, size] = [to, 0];
  };
  for (const group of await parquetGroups(bytes)) {
    if (size + group.bytes > RANGE_BYTES || to - from + group.rows > RANGE_ROWS) end();
    to += group.rows;
    size += group.bytes;
  }
  end();
  return ranges;
}

/** The rows of a range. `path` is that of the file, with its partition folders. */
export async function* readParquet(
  bytes: FileBytes,
  range: Range,
  path: string,
  signal?: AbortSignal,
): AsyncGenerator<SourceRecord[]> {
  const { source, from } = range;
  const end = range.to ?? Number.POSITIVE_INFINITY;
  const folders = valuesOf(path);
  let position = 1;
  for (const [number, group] of (await parquetGroups(bytes, signal)).entries()) {
    const first = position;
    position += group.rows;
    if (position <= from || first >= end) continue;
    let at = Math.max(first, from);
    let added: string | null = null;
    for await (const texts of readParquetGroup(bytes, number, at - first, signal)) {
      added ??= addedTo(texts[0] ?? "{}", folders);
      const records: SourceRecord[] = [];
      for (const text of texts) {
        if (at >= end) break;
        const value = added === "" ? text : `${text.slice(0, -1)}${text === "{}" ? added.slice(1) : added}}`;
        records.push({ value, source, position: at, key: null, timestamp: null, headers: null, fields: null });
        at += 1;
      }
      if (records.length > 0) yield records;
      if (at >= end) return;
    }
  }
}

/** What the folders have and a row has not: all rows of a file have the same columns. */
function addedTo(row: string, folders: ReadonlyMap<string, string | null>): string {
  if (folders.size === 0) return "";
  const columns = new Set(Object.keys(JSON.parse(row) as object));
  let added = "";
  for (const [name, value] of folders)
    if (!columns.has(name)) added += `,${JSON.stringify(name)}:${JSON.stringify(value)}`;
  return added;
}

/** The bytes, unpacked when they are gzip, which their first two tell and no name. */
export async function* unpackedBlocks(blocks: AsyncIterable<Buffer>, shown: string): AsyncGenerator<Buffer> {
  const iterator = blocks[Symbol.asyncIterator]();
  const first = await iterator.next();
  if (first.done === true) return;
  const all = (async function* () {
    yield first.value;
    for (let next = await iterator.next(); next.done !== true; next = await iterator.next()) yield next.value;
  })();
  if (first.value[0] !== 0x1f || first.value[1] !== 0x8b) {
    yield* all;
    return;
  }
  const gunzip = createGunzip({ chunkSize: 64 * 1024 });
  pipeline(Readable.from(all, { highWaterMark: 1 }), gunzip, () => {
    // An error of either end reaches the loop below through gunzip.
  });
  try {
    for await (const chunk of gunzip) yield chunk as Buffer;
  } catch (error) {
    const code = codeOf(error) ?? "";
    if (code === "Z_BUF_ERROR")
      throw new RunError(`${shown} is cut off: its gzip data ends too early, so copy or upload it again`);
    if (code.startsWith("Z_"))
      throw new RunError(`${shown} is damaged: its gzip data cannot be unpacked (${messageOf(error)})`);
    throw error;
  }
}

/** The format by a file's name. */
export function formatByName(name: string, shown: string): ReadFormat {
  if (/\.parquet$/i.test(name)) return "parquet";
  if (/\.csv(\.gz)?$/i.test(name)) return "csv";
  if (/\.(ndjson|jsonl|json|txt|log)(\.gz)?$/i.test(name)) return "ndjson";
  throw new UsageError(`${shown} does not say by its name what it is: say ?format=parquet, ndjson or csv`);
}
