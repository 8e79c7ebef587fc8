// Reads files: NDJSON or CSV, plain or gzip, one file or all that match a pattern. Every file is one range.
import { open, stat } from "node:fs/promises";
import path from "node:path";
import { glob, isDynamicPattern } from "tinyglobby";
import { codeOf, messageOf, UsageError } from "../../schema/errors";
import { type Range, type SourceRecord } from "../../schema/record";
import { type Address, type SourceConnector } from "../connector";
import { formatOption, recordsOf } from "../format";
import { localPath, shownPath, withForwardSlashes } from "../local-path";
import { chunksOf, readError } from "./chunks";
import { followFiles, readBytes } from "./follow";
import { formatOfName } from "./format";

export const fileSource: SourceConnector = {
  async plan(address) {
    const asked = formatOption(address);
    const ranges: Range[] = [];
    for (const file of await filesOf(address)) {
      const shown = shownPath(file);
      const format = asked ?? formatOfName(shown);
      await checkReadable(file, shown);
      ranges.push({ connector: "file", source: shown, from: 1, to: null, detail: { path: file, format } });
    }
    return ranges;
  },
  read: (range) => (range.detail["follow"] === true ? readBytes(range) : readRange(range)),
  follow: followFiles,
};

/** The records of one file; those of a stretch of lines when the range has ends. */
export async function* readRange(range: Range, chunkBytes?: number): AsyncGenerator<SourceRecord[]> {
  const chunks = chunksOf(String(range.detail["path"]), range.source, chunkBytes);
  const records = recordsOf(chunks, range.source, range.detail["format"] === "csv" ? "csv" : "ndjson");
  if (range.from <= 1 && range.to === null) {
    yield* records;
    return;
  }
  const end = range.to ?? Number.POSITIVE_INFINITY;
  for await (const batch of records) {
    const wanted = batch.filter((record) => record.position >= range.from && record.position < end);
    if (wanted.length > 0) yield wanted;
    if ((batch[batch.length - 1]?.position ?? 0) >= end - 1) return;
  }
}

/** The absolute paths that an address means, sorted by name. */
export async function filesOf(address: Address): Promise<string[]> {
  if (address.path === "") throw new UsageError("“file:” needs a path behind it, such as file:data/trades.ndjson");
  const literal = localPath(address.path);
  // A name that exists is meant, even when it has characters of a pattern in it.
  if (await exists(literal)) return [literal];
  const pattern = withForwardSlashes(address.path);
  if (!isDynamicPattern(pattern)) throw new UsageError(`${shownPath(literal)} does not exist`);
  const segments = pattern.split("/");
  const fixed = segments.findIndex((segment) => isDynamicPattern(segment));
  const directory = localPath(fixed === 0 ? "." : `${segments.slice(0, fixed).join("/")}/`);
  const found = await glob(segments.slice(fixed).join("/"), {
    cwd: directory,
    absolute: true,
    expandDirectories: false,
  });
  if (found.length === 0) throw new UsageError(`No file matches ${address.path}`);
  return found.map((file) => path.resolve(file)).sort((left, right) => (left < right ? -1 : 1));
}

async function exists(file: string): Promise<boolean> {
  try {
    await stat(file);
    return true;
  } catch (error) {
    const code = codeOf(error);
    if (code === "EACCES") throw new UsageError(`${shownPath(file)} may not be reached: ${messageOf(error)}`);
    return false;
  }
}

async function checkReadable(file: string, shown: string): Promise<void> {
  const there = await stat(file);
  if (there.isDirectory()) {
    throw new UsageError(`${shown} is a directory: name the files in it, such as file:${shown}/*.ndjson`);
  }
  // A pipe gives its bytes once, and opening it would wait for whoever writes to it.
  if (!there.isFile()) return;
  try {
    await (await open(file, "r")).close();
  } catch (error) {
    throw readError(error, shown);
  }
}
