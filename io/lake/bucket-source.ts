// Reads what lies in a bucket: a file, all that match a pattern, or a folder. Of a folder that beamline wrote, the files
// count that manifests name, so that only whole batches are read. Every file is a range, a Parquet file one for some row
// groups; a range knows the version of its file, and reading ends with a sentence when that is another one by then.
import { messageOf, UsageError } from "../../schema/errors";
import { type Range, type SourceRecord } from "../../schema/record";
import { GivenOptions, type AddressOption } from "../address-options";
import { type Address, type Finding, type SourceConnector } from "../connector";
import { recordsOf } from "../format";
import { blocksOf, placeOf, type Buckets } from "./bucket-place";
import { fixedPart, isPattern, matcherOf } from "./glob";
import { everyManifest, filesThatCount } from "./manifest";
import {
  formatByName,
  parquetRanges,
  readFormatOf,
  readParquet,
  unpackedBlocks,
  type ReadFormat,
} from "./read-formats";
import { type FileBytes } from "./row-file";
import { eachOf, type Store, type Stored } from "./store";

/** Files whose ends are read at once when a run is planned. */
const PLANNED_TOGETHER = 8;

export const bucketReadOptions = [
  { name: "format", usual: null, description: "parquet, ndjson (or json) or csv; else by each file's name" },
] as const satisfies readonly AddressOption[];

export const bucketSource = ({ scheme, open }: Pick<Buckets, "scheme" | "open">): SourceConnector => ({
  async plan(address) {
    const { bucket } = placeOf(address);
    const asked = formatOf(address);
    const store = open(bucket);
    const files = await filesOf(address, store);
    const planned = new Map<string, Range[]>();
    await eachOf(files, PLANNED_TOGETHER, async (stored) => {
      planned.set(stored.name, await rangesOf(scheme, bucket, store, stored, asked));
    });
    return files.flatMap(({ name }) => planned.get(name) ?? []);
  },
  async check(address): Promise<readonly Finding[]> {
    try {
      formatOf(address);
      const files = await filesOf(address, open(placeOf(address).bucket));
      return [{ state: "fine", text: `${scheme}:${address.path} can be read: ${files.length} files` }];
    } catch (error) {
      return [{ state: "wrong", text: messageOf(error) }];
    }
  },
  async *read(range, signal): AsyncGenerator<SourceRecord[]> {
    const { detail, source } = range;
    const stored = { name: String(detail["name"]), version: String(detail["version"]), bytes: Number(detail["bytes"]) };
    const store = open(String(detail["bucket"]));
    if (detail["format"] === "parquet") {
      yield* readParquet(bytesOf(store, stored), range, stored.name, signal);
      return;
    }
    const blocks = unpackedBlocks(blocksOf(store, stored, signal), source);
    const end = range.to ?? Number.POSITIVE_INFINITY;
    for await (const records of recordsOf(blocks, source, detail["format"] === "csv" ? "csv" : "ndjson")) {
      const wanted = records.filter(({ position }) => position >= range.from && position < end);
      if (wanted.length > 0) yield wanted;
      if ((records[records.length - 1]?.position ?? 0) >= end - 1) return;
    }
  },
});

function formatOf(address: Address): ReadFormat | null {
  const shown = `“${address.scheme}:${address.path}”`;
  new GivenOptions(shown, address.options, bucketReadOptions);
  return readFormatOf(address.options["format"], shown);
}

async function rangesOf(
  connector: string,
  bucket: string,
  store: Store,
  stored: Stored,
  asked: ReadFormat | null,
): Promise<Range[]> {
  const source = store.shown(stored.name);
  const format = asked ?? formatByName(stored.name, source);
  const { name, version, bytes } = stored;
  const file = { connector, source, detail: { bucket, name, version, bytes, format } };
  return format === "parquet" ? parquetRanges(bytesOf(store, stored), file) : [{ ...file, from: 1, to: null }];
}

const bytesOf = (store: Store, stored: Pick<Stored, "name" | "version" | "bytes">): FileBytes => ({
  name: store.shown(stored.name),
  size: stored.bytes,
  read: (from, to, signal) => store.read(stored, from, to, signal),
});

/** What an address means, by name. */
async function filesOf(address: Address, store: Store): Promise<readonly Stored[]> {
  const { path } = placeOf(address);
  const shown = store.shown(path);
  if (isPattern(path)) {
    const isMeant = matcherOf(path);
    const files = await listed(store, fixedPart(path), isMeant);
    if (files.length === 0) throw new UsageError(`No file matches ${shown}`);
    return files;
  }
  if (path !== "" && !path.endsWith("/")) {
    const one = await store.stat(path);
    if (one !== null) return [one];
    // Tells when it is the bucket that is missing.
    const below = await listed(store, `${path}/`, () => true);
    throw new UsageError(
      below.length === 0 ? `${shown} does not exist` : `${shown} is a folder: write ${shown}/ for all that is in it`,
    );
  }
  return inFolder(store, path, shown);
}

async function inFolder(store: Store, folder: string, shown: string): Promise<readonly Stored[]> {
  const isMeant = matcherOf(`${folder.replaceAll(/[*?{}[\]]/g, "[$&]")}**`);
  const files = await listed(store, folder, isMeant);
  const manifests = await everyManifest(store, folder);
  if (manifests.length === 0) {
    if (files.length === 0) throw new UsageError(`${shown} has no files`);
    return files;
  }
  const byName = new Map(files.map((stored) => [stored.name, stored]));
  return filesThatCount(manifests).map((name) => {
    const stored = byName.get(folder + name);
    if (stored !== undefined) return stored;
    throw new UsageError(
      `${store.shown(folder + name)} is not there, but a manifest in ${shown}_manifests/ names it: restore it, or read ${shown}**`,
    );
  });
}

async function listed(store: Store, prefix: string, isMeant: (name: string) => boolean): Promise<Stored[]> {
  const files: Stored[] = [];
  for await (const stored of store.list(prefix)) {
    // Some tools make empty objects for folders.
    if (isMeant(stored.name) && !stored.name.endsWith("/")) files.push(stored);
  }
  return files.sort((a, b) => (a.name < b.name ? -1 : 1));
}
