// Reads files: NDJSON or CSV, plain or gzip, or Parquet; one file, all that match a pattern, or a directory that beamline
// wrote, of which the files count that manifests name. Every file is one range, a Parquet file one for some row groups.
import { open, stat } from "node:fs/promises";
import path from "node:path";
import { glob, isDynamicPattern } from "tinyglobby";
import { codeOf, messageOf, UsageError } from "../../schema/errors";
import { type Range, type SourceRecord } from "../../schema/record";
import { GivenOptions, type AddressOption } from "../address-options";
import { type Address, type Finding, type SourceConnector } from "../connector";
import { recordsOf } from "../format";
import { everyManifest, filesThatCount } from "../lake/manifest";
import { parquetRanges, readFormatOf, readParquet } from "../lake/read-formats";
import { type FileBytes } from "../lake/row-file";
import { changedSincePlan } from "../lake/store";
import { localPath, shownPath, withForwardSlashes } from "../local-path";
import { chunksOf, readError } from "./chunks";
import { followFiles, readBytes } from "./follow";
import { DiskStore, versionOf } from "./disk-store";
import { formatOfName, type FileFormat } from "./format";

export const fileReadOptions = [
  { name: "format", usual: null, description: "parquet, ndjson (or json) or csv; else by each file's name" },
] as const satisfies readonly AddressOption[];

export const fileSource: SourceConnector = {
  async plan(address) {
    const asked = formatOf(address);
    const ranges: Range[] = [];
    for (const file of await filesOf(address)) {
      const shown = shownPath(file);
      const format = asked ?? formatOfName(shown);
      await checkReadable(file, shown);
      const version = await versionOfFile(file);
      const detail = { path: file, format, ...(version === null ? {} : { version }) };
      if (format !== "parquet") ranges.push({ connector: "file", source: shown, from: 1, to: null, detail });
      else
        ranges.push(...(await parquetRanges(await bytesOf(file, shown), { connector: "file", source: shown, detail })));
    }
    return ranges;
  },
  async check(address): Promise<readonly Finding[]> {
    try {
      const asked = formatOf(address);
      const files = await filesOf(address);
      for (const file of files) {
        if (asked === null) formatOfName(shownPath(file));
        await checkReadable(file, shownPath(file));
      }
      return [{ state: "fine", text: `file:${address.path} can be read: ${files.length} files` }];
    } catch (error) {
      return [{ state: "wrong", text: messageOf(error) }];
    }
  },
  read: (range, signal) => (range.detail["follow"] === true ? readBytes(range) : readRange(range, undefined, signal)),
  follow: followFiles,
};

function formatOf(address: Address): FileFormat | null {
  const shown = `“file:${address.path}”`;
  new GivenOptions(shown, address.options, fileReadOptions);
  return readFormatOf(address.options["format"], shown);
}

/** Null for what is no file and has none, such as a pipe. */
async function versionOfFile(file: string): Promise<string | null> {
  const found = await stat(file, { bigint: true });
  return found.isFile() ? versionOf(found) : null;
}

async function bytesOf(file: string, shown: string, planned?: string): Promise<FileBytes> {
  const store = new DiskStore(path.dirname(file));
  const stored = await store.stat(path.basename(file));
  if (stored === null || (planned !== undefined && stored.version !== planned)) throw changedSincePlan(shown);
  return { name: shown, size: stored.bytes, read: (from, to) => store.read(stored, from, to) };
}

/** The records of one file; those of a stretch of lines when the range has ends. */
export async function* readRange(
  range: Range,
  chunkBytes?: number,
  signal?: AbortSignal,
): AsyncGenerator<SourceRecord[]> {
  const file = String(range.detail["path"]);
  const { version, format } = range.detail;
  if (format === "parquet") {
    const bytes = await bytesOf(file, range.source, String(version));
    yield* readParquet(bytes, range, withForwardSlashes(file), signal);
    return;
  }
  if (version !== undefined && (await versionOfFile(file).catch(() => version)) !== version)
    throw changedSincePlan(range.source);
  const chunks = chunksOf(file, range.source, chunkBytes);
  const records = recordsOf(chunks, range.source, format === "csv" ? "csv" : "ndjson");
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
  if (await exists(literal)) return (await filesOfManifests(literal)) ?? [literal];
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

/** What counts in a directory that beamline wrote; null where it did not. */
async function filesOfManifests(directory: string): Promise<string[] | null> {
  if (!(await stat(directory)).isDirectory()) return null;
  const manifests = await everyManifest(new DiskStore(directory), "");
  if (manifests.length === 0) return null;
  return filesThatCount(manifests).map((name) => path.join(directory, ...name.split("/")));
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
  const there = await stat(file).catch((error: unknown) => {
    throw readError(error, shown);
  });
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
