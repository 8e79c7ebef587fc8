// One batch into a lake: files of rows below a root, one folder a table. They wait on this machine's disk, and are put in
// their place when the batch is complete, each whole and only where nothing of its name is; its manifest comes last.
import { RunError, UsageError } from "../../schema/errors";
import { type Row, type Table } from "../../schema/table";
import { type Batch, type OpenTarget, type Output, type Stretch, type WriteResult } from "../connector";
import { goneLine, LettersDone } from "../letters";
import { ndjsonOf } from "../row-text";
import {
  everyManifest,
  hasOtherBatches,
  manifestName,
  manifestOf,
  manifestText,
  recordsOf,
  writingName,
  writingText,
  type BatchRecords,
  type Manifest,
} from "./manifest";
import { checkTableName, endingOf, rowFilesOf, type LakeOptions } from "./options";
import { Partitioning } from "./partition";
import { type RowFile } from "./row-file";
import { Spool, writeError } from "./spool";
import { MOST_OPEN, StagedOutput, type StagedFile } from "./staged-output";
import { eachOf, type Content, type Store } from "./store";
import { TextFile } from "./text-file";

const DAY = 24 * 3_600_000;
/** Files that are on their way at once. */
const UPLOADS = 4;

/** Batches of a table that this process has open: of two, each would take the other's files for its own of an earlier try. */
const openTables = new Set<string>();

export interface Lake {
  readonly store: Store;
  /** Nothing, or a path with a slash at its end. */
  readonly root: string;
  /** The place for messages: `gs://bucket/prefix/`. */
  readonly shown: string;
}

export class LakeTarget implements OpenTarget {
  private constructor(
    private readonly lake: Lake,
    private readonly spool: Spool,
    private readonly tables: ReadonlyMap<string, LakeTable>,
  ) {}

  static async open(
    lake: Lake,
    outputs: readonly Output[],
    batch: Batch,
    options: LakeOptions,
    checked: () => Promise<void> = async () => undefined,
  ): Promise<LakeTarget> {
    if (batch.turn !== null) checkGoesOn(lake.shown, options);
    const plans = outputs.map((output) => planOf(lake, output, batch, options));
    for (const { root, key } of plans) {
      if (openTables.has(key))
        throw new UsageError(`${root.shown} is asked for by two outputs: give each a place of its own`);
    }
    // Before anything is read: whether the place is there.
    const before = new Map<string, BatchRecords>();
    for (const { output, root, id } of plans) before.set(output.name, await recordsOf(lake.store, root.path, id));
    await checked();
    const spool = await Spool.make(lake.store.staging).catch((error: unknown) => {
      throw writeError(error, lake.store.staging);
    });
    const tables = new Map<string, LakeTable>();
    for (const plan of plans) {
      openTables.add(plan.key);
      const records = before.get(plan.output.name) ?? { manifest: null, writing: null };
      tables.set(plan.output.name, new LakeTable(lake.store, plan, batch, options, spool, records));
    }
    return new LakeTarget(lake, spool, tables);
  }

  async write(name: string, rows: readonly Row[]): Promise<WriteResult> {
    const table = this.tables.get(name);
    if (table === undefined) throw new Error(`Output ${name} was not opened`);
    return table.write(rows);
  }

  async commit(): Promise<void> {
    const tables = [...this.tables.values()];
    for (const table of tables) await table.stage();
    for (const table of tables) await table.announce();
    await eachOf(
      tables.flatMap((table) => table.uploads()),
      UPLOADS,
      (upload) => upload(),
    );
    for (const table of tables) await table.complete();
    for (const table of tables) await table.takeOut();
    await this.close();
  }

  beside(): readonly string[] {
    return [...this.tables].flatMap(([output, { isBeside }]) => (isBeside ? [output] : []));
  }

  async abort(): Promise<void> {
    for (const table of this.tables.values()) await table.abort();
    await this.close();
  }

  private async close(): Promise<void> {
    for (const { plan } of this.tables.values()) openTables.delete(plan.key);
    await this.spool.remove();
  }
}

/** What is about all that a run writes means nothing where that has no end. */
export function checkGoesOn(shown: string, { replace, success }: Pick<LakeOptions, "replace" | "success">): void {
  if (replace || success)
    throw new UsageError(
      `${shown} has the option ${replace ? "replace" : "success"}: that is for a run on its own, and not for --streaming`,
    );
}

interface TablePlan {
  readonly output: Output;
  readonly root: { readonly path: string; readonly shown: string };
  /** By which files are named. */
  readonly id: string;
  /** What nobody else may have open. */
  readonly key: string;
  readonly partitioning: Partitioning;
  readonly isLetters: boolean;
}

function planOf({ store, root, shown }: Lake, output: Output, batch: Batch, options: LakeOptions): TablePlan {
  const { table } = output;
  checkTableName(table.name, `the rows of ${output.name} need a table that can be one`);
  const isLetters = table.mode === "by-origin";
  const partitioning = Partitioning.of(isLetters ? null : options.partition, table, shown);
  // Refuses what cannot be, before anything is read.
  partitioning.inFiles();
  if (batch.covers !== undefined && !isLetters) checkRecomputed(table, partitioning, batch.covers, shown);
  const path = `${root}${table.name}/`;
  // Letters of what is read again are replaced; rows are kept beside those of other runs.
  const id = (isLetters ? batch.id : batch.plan).replaceAll(/[^\w.-]/g, "_");
  return {
    output,
    root: { path, shown: `${shown}${table.name}/` },
    id,
    // The parts of a job's rows have names of their own.
    key: batch.isPart === true ? store.shown(`${path}${id}`) : store.shown(path),
    partitioning,
    isLetters,
  };
}

/** A run that gives all rows of some time, and not only new ones, takes the place of those that are there. */
function checkRecomputed(table: Table, partitioning: Partitioning, covers: Stretch, shown: string): void {
  const by = table.recomputedBy;
  if (by === undefined || (covers.since === null && covers.until === null)) return;
  if (!partitioning.parts.some(({ column }) => column.name === by))
    throw new UsageError(
      `${table.name} in ${shown} is written anew for whole stretches of ${by}: partition it by that, as in ?partition=${by}, so that what is there of that time can be replaced`,
    );
}

/** One table of the batch. */
class LakeTable {
  private readonly staged: StagedOutput<RowFile>;
  private readonly letters: { readonly done: LettersDone; readonly lines: StagedOutput<TextFile> } | null;
  private files: readonly StagedFile[] = [];
  /** Something of this batch may be there that was not there before. */
  private isBegun = false;
  private isComplete = false;
  /** Files of earlier runs are there too, and go on counting. */
  isBeside = false;
  /** What is there of earlier batches and does not count any more when this one is complete. */
  private swapped: Swapped = { files: [], manifests: [] };
  /** What an earlier try may have put there, and this one does not. */
  private leftovers: readonly string[] = [];
  /** A job's batch that is there already: it was committed here, and the job was killed before it knew. */
  private readonly isThere: boolean;

  constructor(
    private readonly store: Store,
    readonly plan: TablePlan,
    private readonly batch: Batch,
    private readonly options: LakeOptions,
    private readonly spool: Spool,
    private readonly before: BatchRecords,
  ) {
    const { manifest } = before;
    this.isThere = batch.turn !== null && manifest !== null;
    const staging = {
      table: plan.output.table,
      partitioning: plan.partitioning,
      id: plan.id,
      rowsPerFile: plan.isLetters ? Number.MAX_SAFE_INTEGER : options.rowsPerFile,
      spool,
    };
    if (plan.isLetters) {
      // In a form in which they are read back.
      const openFile = (path: string, table: Table) => TextFile.open(path, ndjsonOf(table), "none");
      const lines = new StagedOutput({ ...staging, ending: ".ndjson", openFile });
      this.letters = { done: new LettersDone(batch.replays), lines };
      this.staged = lines;
    } else {
      this.letters = null;
      this.staged = new StagedOutput({
        ...staging,
        ending: endingOf(options),
        openFile: rowFilesOf(options, plan.partitioning.parts.length === 0 ? 1 : MOST_OPEN),
      });
    }
  }

  async write(rows: readonly Row[]): Promise<WriteResult> {
    if (this.isThere) return { written: rows.length };
    const result = await this.staged.write(rows);
    this.letters?.done.wrote(rows);
    return result;
  }

  /** Brings all of it to this machine's disk. */
  async stage(): Promise<void> {
    if (this.isThere) return;
    if (this.letters !== null) {
      for (const id of this.letters.done.gone())
        await (await this.letters.lines.current()).writeLine(goneLine(this.batch.job, id));
    }
    this.files = await this.staged.finish();
    this.checkCommitted();
    this.swapped = await this.findSwapped();
    this.isBeside = await this.findBeside();
  }

  /** A complete batch stays as it is: only dead letters of what is read again are replaced, and what a cluster gives again. */
  private checkCommitted(): void {
    const { manifest } = this.before;
    if (manifest === null || this.plan.isLetters || this.batch.isPart === true) return;
    const told = (files: readonly { name: string; sha256: string }[]) =>
      JSON.stringify(files.map(({ name, sha256 }) => [name, sha256]));
    if (told(manifest.content.files) === told(this.files)) return;
    throw new RunError(
      `${this.plan.root.shown} has the batch ${this.plan.id} already, and with other rows: it was committed, so it is left as it is. Run again under a plan of its own, with ?replace=true if its files are to take their place`,
    );
  }

  private get isNothing(): boolean {
    const { manifest, writing } = this.before;
    if (this.files.length > 0) return this.isThere;
    // A job that goes on has many batches, most of them without rows for a table.
    return this.batch.turn !== null || (this.plan.isLetters && manifest === null && writing === null);
  }

  /** Says what is about to come: a try that comes after this one knows then what may be there. */
  async announce(): Promise<void> {
    if (this.isThere) return;
    const { manifest, writing } = this.before;
    const { path } = this.plan.root;
    if (this.options.success && !this.plan.isLetters) await this.store.remove(`${path}_SUCCESS`);
    const ours = new Set(this.files.map(({ name }) => name));
    const earlier = [...(writing?.files ?? []), ...(manifest?.content.files.map(({ name }) => name) ?? [])];
    this.leftovers = [...new Set(earlier)].filter((name) => !ours.has(name));
    if ([...ours].every((name) => writing?.files.includes(name) === true)) return;
    this.isBegun = true;
    await this.put(writingName(path, this.plan.id), await this.spool.text(writingText([...ours, ...this.leftovers])));
  }

  uploads(): (() => Promise<void>)[] {
    if (this.isNothing) return [];
    return this.files.map((file) => () => this.put(this.plan.root.path + file.name, file));
  }

  /** There, and as it is here, when this comes back. */
  private async put(name: string, content: Content): Promise<void> {
    const { store } = this;
    for (let attempt = 1; ; attempt += 1) {
      if ((await store.create(name, content)) === "created") return;
      const there = await store.stat(name);
      // Gone again since: an earlier try of another process is being undone.
      if (there === null && attempt < 3) continue;
      if (there !== null) {
        if (there.bytes === content.bytes && (await store.sha256(there)) === content.sha256) return;
        if ((await store.replace(name, content, there.version)) === "replaced") return;
      }
      if (attempt === 3)
        throw new RunError(
          `${store.shown(name)} is changed by somebody else while this batch is written: look for a second job that writes there`,
        );
    }
  }

  /** From here on the batch counts. */
  async complete(): Promise<void> {
    const { store, plan, before } = this;
    const root = plan.root.path;
    for (const name of this.leftovers) await store.remove(root + name);
    if (!this.isNothing) {
      const replaces = [...new Set([...(before.manifest?.content.replaces ?? []), ...this.swapped.files])];
      const { output, id } = plan;
      const manifest = manifestOf(this.batch, id, output.table, this.options.partition, this.files, replaces);
      await this.put(manifestName(root, id), await this.spool.text(manifestText(manifest)));
      if (this.options.success && !plan.isLetters) await this.put(`${root}_SUCCESS`, await this.spool.text(""));
    }
    this.isComplete = true;
    if (this.isBegun || before.writing !== null) await store.remove(writingName(root, plan.id));
  }

  /** The files of earlier batches in whose place this batch's come. */
  private async findSwapped(): Promise<Swapped> {
    const { plan, options, batch } = this;
    const { covers, turn } = batch;
    const by = plan.output.table.recomputedBy;
    const recomputed = by !== undefined && covers !== undefined && turn === null ? { by, covers } : null;
    if (plan.isLetters || (!options.replace && recomputed === null)) return { files: [], manifests: [] };
    const written = new Set(this.files.map(({ folder }) => folder));
    const hasFolders = plan.partitioning.parts.length > 0;
    const isSwapped = (folder: string): boolean =>
      (options.replace && (!hasFolders || written.has(folder))) ||
      (recomputed !== null && this.isGivenAnew(folder, recomputed.by, recomputed.covers, written.has(folder)));
    const manifests = (await everyManifest(this.store, plan.root.path)).filter(
      ({ name }) => name !== manifestName(plan.root.path, plan.id),
    );
    const names = manifests.flatMap(({ content }) => content.files.map(({ name }) => name));
    return { files: names.filter((name) => isSwapped(name.slice(0, name.lastIndexOf("/") + 1))), manifests };
  }

  /** Whether a run on its own adds its rows to those of others. */
  private async findBeside(): Promise<boolean> {
    const { batch, plan, store, swapped } = this;
    if (batch.turn !== null || batch.isPart === true || plan.isLetters || this.files.length === 0) return false;
    const { path } = plan.root;
    if (swapped.manifests.length === 0) return hasOtherBatches(store, path, manifestName(path, plan.id));
    const gone = new Set(swapped.files);
    return swapped.manifests.some(({ content }) => content.files.some(({ name }) => !gone.has(name)));
  }

  /** Whether the run gives all rows that there are of a folder's time. */
  private isGivenAnew(folder: string, by: string, covers: Stretch, isWritten: boolean): boolean {
    if (covers.since === null && covers.until === null) return true;
    const times = this.plan.partitioning.timesOf(folder, by);
    if (times === null || !overlap(times, covers)) return false;
    if (isWithin(times, covers)) return true;
    // A day of which a source has only the end: it gets no row, and keeps the one that it has.
    if (!isWritten && times.to - times.from <= DAY) return false;
    throw new RunError(
      `${this.plan.root.shown}${folder} has rows of more time than this run gives anew: let it run over whole folders, or partition by something finer`,
    );
  }

  /** Deletes what was swapped, and what the manifests of earlier batches say of it. */
  async takeOut(): Promise<void> {
    const { files, manifests } = this.swapped;
    const root = this.plan.root.path;
    await eachOf(files, UPLOADS, (name) => this.store.remove(root + name));
    const gone = new Set(files);
    const left = manifests.map(({ name, content }) => ({
      name,
      before: content,
      files: content.files.filter((file) => !gone.has(file.name)),
    }));
    for (const { name, before, files: kept } of left) {
      if (kept.length === before.files.length) continue;
      // What it replaced itself must not count again: it is kept while another manifest names such a file.
      const isNeeded = left.some((other) => other.files.some((file) => before.replaces.includes(file.name)));
      if (kept.length === 0 && !isNeeded) await this.store.remove(name);
      else await this.put(name, await this.spool.text(manifestText({ ...before, files: kept })));
    }
  }

  /** Takes away what this try put there, unless an earlier one may have: that is left for the next. */
  async abort(): Promise<void> {
    await this.staged.abort();
    if (!this.isBegun || this.isComplete || this.before.writing !== null || this.before.manifest !== null) return;
    this.isBegun = false;
    const root = this.plan.root.path;
    try {
      for (const { name } of this.files) await this.store.remove(root + name);
      await this.store.remove(manifestName(root, this.plan.id));
      await this.store.remove(writingName(root, this.plan.id));
    } catch {
      // What is left is named by the list that is left too, and counts for no reader of manifests.
    }
  }
}

interface Swapped {
  readonly files: readonly string[];
  readonly manifests: readonly { readonly name: string; readonly content: Manifest }[];
}

interface Times {
  readonly from: number;
  readonly to: number;
}

const overlap = ({ from, to }: Times, { since, until }: Stretch): boolean =>
  (until === null || from < until) && (since === null || to > since);
const isWithin = ({ from, to }: Times, { since, until }: Stretch): boolean =>
  (since === null || from >= since) && (until === null || to <= until);
