// What a complete batch left of a table: `_manifests/<batch>.json`, written behind its files. Who reads by manifests sees
// whole batches. Beside it lies, while files are being put there, a list of those that may be there already.
import { z } from "zod";
import { messageOf, RunError } from "../../schema/errors";
import { type Table } from "../../schema/table";
import { type Batch } from "../connector";
import { type StagedFile } from "./staged-output";
import { eachOf, wholeOf, type Store, type Stored } from "./store";

/** Tools leave out names that begin with “_”. */
const FOLDER = "_manifests/";
const MANIFESTS_TOGETHER = 8;

const File = z.object({ name: z.string(), rows: z.int(), bytes: z.int(), sha256: z.string() });
const Manifest = z.looseObject({
  batch: z.string(),
  files: z.array(File),
  /** Files of earlier batches in whose place these are: they count no more, even while they are there. */
  replaces: z.array(z.string()),
});
export type Manifest = z.infer<typeof Manifest>;

const Writing = z.object({ files: z.array(z.string()) });

export const manifestName = (root: string, id: string): string => `${root}${FOLDER}${id}.json`;
export const writingName = (root: string, id: string): string => `${root}${FOLDER}${id}.writing`;

/** No clock and no machine in it: the same batch has the same manifest. */
export function manifestOf(
  batch: Batch,
  id: string,
  table: Table,
  partition: string | null,
  files: readonly StagedFile[],
  replaces: readonly string[],
): Manifest {
  return {
    batch: id,
    job: batch.job,
    pipeline: batch.pipeline,
    table: table.name,
    rows: files.reduce((sum, { rows }) => sum + rows, 0),
    partition,
    columns: table.columns.map(({ name, type, nullable }) => ({ name, type, nullable })),
    ranges: batch.ranges.map(({ source, from, to }) => ({ source, from, to })),
    files: files.map(({ name, rows, bytes, sha256 }) => ({ name, rows, bytes, sha256 })),
    replaces: [...replaces].sort(),
  };
}

export const manifestText = (manifest: Manifest): string => `${JSON.stringify(manifest, null, 2)}\n`;
export const writingText = (files: readonly string[]): string => `${JSON.stringify({ files })}\n`;

/** Both that a batch left, where they are. */
export interface BatchRecords {
  readonly manifest: { readonly stored: Stored; readonly content: Manifest } | null;
  readonly writing: { readonly stored: Stored; readonly files: readonly string[] } | null;
}

export async function recordsOf(store: Store, root: string, id: string): Promise<BatchRecords> {
  let manifest: BatchRecords["manifest"] = null;
  let writing: BatchRecords["writing"] = null;
  for await (const stored of store.list(`${root}${FOLDER}${id}.`)) {
    if (stored.name === manifestName(root, id)) manifest = { stored, content: await read(store, stored, Manifest) };
    if (stored.name === writingName(root, id)) writing = { stored, files: (await read(store, stored, Writing)).files };
  }
  return { manifest, writing };
}

/** The manifests of all batches of a table. */
export async function everyManifest(
  store: Store,
  root: string,
): Promise<readonly { readonly name: string; readonly content: Manifest }[]> {
  const found: Stored[] = [];
  for await (const stored of store.list(`${root}${FOLDER}`)) if (stored.name.endsWith(".json")) found.push(stored);
  const read_: { name: string; content: Manifest }[] = [];
  await eachOf(found, MANIFESTS_TOGETHER, async (stored) => {
    read_.push({ name: stored.name, content: await read(store, stored, Manifest) });
  });
  return read_.sort((a, b) => (a.name < b.name ? -1 : 1));
}

/** Whether there are batches beside the one whose manifest has this name. */
export async function hasOtherBatches(store: Store, root: string, own: string): Promise<boolean> {
  for await (const { name } of store.list(`${root}${FOLDER}`)) if (name.endsWith(".json") && name !== own) return true;
  return false;
}

/** The files that count, by name: those of complete batches that no other batch has replaced. */
export function filesThatCount(manifests: readonly { readonly content: Manifest }[]): string[] {
  const replaced = new Set(manifests.flatMap(({ content }) => content.replaces));
  return manifests
    .flatMap(({ content }) => content.files.map(({ name }) => name))
    .filter((name) => !replaced.has(name))
    .sort();
}

async function read<Model extends z.ZodType>(store: Store, stored: Stored, model: Model): Promise<z.infer<Model>> {
  const text = Buffer.from(await wholeOf(store, stored)).toString();
  try {
    return model.parse(JSON.parse(text));
  } catch (error) {
    throw new RunError(
      `${store.shown(stored.name)} is not what beamline writes there: ${messageOf(error).slice(0, 200)}. Restore it, or delete it with the files of its batch`,
    );
  }
}
