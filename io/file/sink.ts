// Writes files. One file a table: all rows of a batch go into a hidden file beside the target, which takes the target's
// place at commit; nobody ever sees half of it, and a batch that is run again leaves the same file. Or, for Parquet in a
// directory and where folders are asked for, files beside those of other batches, named by their plan.
import { constants as fsConstants } from "node:fs";
import { access, chmod, realpath, rename, rm, stat } from "node:fs/promises";
import path from "node:path";
import { codeOf, UsageError } from "../../schema/errors";
import { type Row } from "../../schema/table";
import {
  type Address,
  type Batch,
  type Gathering,
  type LetterId,
  type OpenTarget,
  type Output,
  type SinkConnector,
} from "../connector";
import { checkGoesOn, LakeTarget } from "../lake/lake-target";
import { asksForFolders, checkTableName, endingOf, lakeOptionsOf, rowFilesOf, type LakeOptions } from "../lake/options";
import { type RowFile } from "../lake/row-file";
import { writeError } from "../lake/spool";
import { TextFile } from "../lake/text-file";
import { goneLine, LettersDone } from "../letters";
import { localPath, makeDirectory, shownPath } from "../local-path";
import { checkFiles } from "./check";
import { DiskStore } from "./disk-store";
import { formatOfName } from "./format";
import { readLetters } from "./letters";
import { syncDirectory } from "../sync-directory";

/** Targets that a batch of this process has open: a second one would replace the first one's rows. */
const openTargets = new Set<string>();

export const fileSink: SinkConnector = {
  deliveryClass: "named file",
  delivery:
    "the file is replaced as a whole when the batch is complete; Parquet in a directory, and files in partition folders, are added, named by their plan; with --streaming each batch has its own files",
  // Where a run on its own replaces a file as a whole, it does not matter what an earlier one left.
  namedByPlan: (address) => isLake(address, null),
  isShared: true,
  gathers,
  wants: "final",
  place: (address) => localPath(address.path),
  open: openFiles,
  check: checkFiles,
  letters: readLetters,
};

/** A cluster's workers share a directory; a file would be written by one of them. */
function gathers(address: Address): Gathering {
  const options = lakeOptionsOf(address, null);
  const shown = shownPath(localPath(address.path));
  checkGoesOn(`${shown}/`, options);
  if (!isLake(address, null) && !/[\\/]$/.test(address.path))
    throw new UsageError(
      `${shown} is one file, which many workers cannot write at the same time: name a directory, such as file:${address.path}/`,
    );
  if (!path.isAbsolute(address.path))
    throw new UsageError(
      `A cluster's workers write ${shown}/, wherever they are: give the whole path of a directory that all machines of it share`,
    );
  return options.gathering;
}

/** Whether rows go to files in folders; `isDirectory`: what is at the path, null when that is not known. */
export function isLake(address: Address, isDirectory: boolean | null): boolean {
  if (asksForFolders(address)) return true;
  return address.options["format"] === "parquet" && (isDirectory ?? !/\.parquet$/i.test(address.path));
}

async function openFiles(address: Address, outputs: readonly Output[], batch: Batch): Promise<OpenTarget> {
  if (address.path === "") throw new UsageError("“file:” needs a path behind it, such as file:out.ndjson");
  const options = lakeOptionsOf(address, null);
  const written = localPath(address.path);
  const there = await statOf(written);
  const isDirectory = /[\\/]$/.test(address.path) || there?.isDirectory() === true;
  // Of a part of a job's rows the files are in folders in any case: one that is replaced as a whole would be all of them.
  const isPart = batch.isPart === true;
  const inFolders = isPart || isLake(address, isDirectory);
  // Dead letters are read back from beside the folders.
  const isSingle = ({ table }: Output) => !isPart && (!inFolders || table.mode === "by-origin");
  const single = outputs.filter(isSingle);
  const lake = outputs.filter((output) => !single.includes(output));
  const files = await openSingle(address, isDirectory || inFolders, single, batch, options);
  if (lake.length === 0) return files;
  const store = new DiskStore(written);
  const open = LakeTarget.open({ store, root: "", shown: `${shownPath(written)}/` }, lake, batch, options);
  const folders = await open.catch(async (error: unknown) => {
    await files.abort();
    throw writeError(error, written);
  });
  return {
    write: (name, rows) => (lake.some((output) => output.name === name) ? folders : files).write(name, rows),
    async commit() {
      await files.finish();
      await folders.commit();
      await files.commit();
    },
    async abort() {
      await folders.abort();
      await files.abort();
    },
    beside: () => folders.beside(),
  };
}

/** Files of which each is replaced as a whole. */
async function openSingle(
  address: Address,
  isDirectory: boolean,
  outputs: readonly Output[],
  batch: Batch,
  options: LakeOptions,
): Promise<OpenTarget & { finish(): Promise<void> }> {
  const files = new Map<string, OutputFile>();
  const lettersDone = new Map<string, LettersDone>();
  let isFinished = false;
  const abort = async (): Promise<void> => {
    for (const file of files.values()) await file.abort();
  };
  const finish = async (): Promise<void> => {
    if (isFinished) return;
    isFinished = true;
    for (const [name, letters] of lettersDone) await files.get(name)?.writeGone(batch.job, letters.gone());
    for (const [name, file] of files) {
      // A job that goes on has many batches, most of them without dead letters.
      if (batch.turn === null || file.hasRows) continue;
      await file.abort();
      files.delete(name);
    }
    for (const file of files.values()) await file.finish();
  };
  try {
    for (const output of outputs) {
      const target = isDirectory
        ? inDirectory(address, output, batch, options)
        : await fileItself(address, batch, localPath(address.path));
      files.set(output.name, await OutputFile.open(target, output, batch, options, address));
      if (output.table.mode === "by-origin") lettersDone.set(output.name, new LettersDone(batch.replays));
    }
  } catch (error) {
    await abort();
    throw error;
  }
  return {
    async write(name, rows) {
      const file = files.get(name);
      if (file === undefined) throw new Error(`Output ${name} was not opened`);
      await file.write(rows);
      lettersDone.get(name)?.wrote(rows);
      return { written: rows.length };
    },
    finish,
    async commit() {
      await finish();
      for (const file of files.values()) await file.publish();
    },
    abort,
  };
}

/** A directory gets one file for each table. */
function inDirectory(address: Address, output: Output, batch: Batch, options: LakeOptions): string {
  const { name, mode } = output.table;
  checkTableName(name, `name one, such as file:${address.path}rows.ndjson`);
  // The batches of a job that goes on have a file each, and one that is run again has the same name.
  const ofBatch = batch.turn === null ? "" : `.${batch.id.replaceAll(/[^\w.-]/g, "_")}`;
  // Dead letters are lines, in which they are read back, beside whatever the rows are in.
  const ending = mode === "by-origin" && options.format === "parquet" ? ".ndjson" : endingOf(options);
  return path.join(localPath(address.path), `${name}${ofBatch}${ending}`);
}

async function fileItself(address: Address, batch: Batch, written: string): Promise<string> {
  if (batch.turn !== null)
    throw new UsageError(
      `With --streaming every batch has a file of its own: name a directory, such as file:${address.path}/`,
    );
  const there = await statOf(written);
  if (there === null) return written;
  // A device or a pipe cannot be replaced; and where it could, as root, it must not be.
  if (!there.isFile())
    throw new UsageError(`${shownPath(written)} is not a file: rows are written to files and directories`);
  // The file behind a link is replaced, not the link.
  return realpath(written);
}

async function statOf(file: string): Promise<Awaited<ReturnType<typeof stat>> | null> {
  try {
    return await stat(file);
  } catch (error) {
    if (codeOf(error) === "ENOENT") return null;
    throw writeError(error, file);
  }
}

/** One file that is being written. */
class OutputFile {
  private isOpen = true;
  hasRows = false;

  private constructor(
    private readonly target: string,
    private readonly temporary: string,
    private readonly file: RowFile,
    /** Permissions of the file that is replaced. */
    private readonly mode: number | null,
  ) {}

  static async open(
    target: string,
    output: Output,
    batch: Batch,
    options: LakeOptions,
    address: Address,
  ): Promise<OutputFile> {
    const shown = shownPath(target);
    const format = address.options["format"] === undefined ? formatOfName(shown) : formatOf(target, options);
    if (openTargets.has(target)) {
      throw new UsageError(
        `${shown} is asked for by two outputs: give each its own, such as --to ${output.name}=file:…, or all a directory: file:out/`,
      );
    }
    openTargets.add(target);
    try {
      await makeDirectory(path.dirname(target));
      const existing = await statOf(target);
      if (existing !== null) await access(target, fsConstants.W_OK);
      const safeBatch = batch.id.replaceAll(/[^\w.-]/g, "_");
      const temporary = path.join(path.dirname(target), `.${path.basename(target)}.${safeBatch}.tmp`);
      // Of this batch, left by a process that was killed.
      await rm(temporary, { force: true });
      const compression = /\.gz$/i.test(target) ? "gzip" : options.compression;
      const file = await rowFilesOf({ format, compression })(temporary, output.table);
      return new OutputFile(target, temporary, file, existing === null ? null : Number(existing.mode) & 0o777);
    } catch (error) {
      openTargets.delete(target);
      throw writeError(error, target);
    }
  }

  async write(rows: readonly Row[]): Promise<void> {
    if (rows.length > 0) this.hasRows = true;
    await this.file.write(rows).catch((error: unknown) => {
      throw writeError(error, this.target);
    });
  }

  /** Says of dead letters in the files of earlier batches that they are done with. */
  async writeGone(job: string, ids: readonly LetterId[]): Promise<void> {
    if (ids.length === 0 || !(this.file instanceof TextFile)) return;
    this.hasRows = true;
    for (const id of ids) await this.file.writeLine(goneLine(job, id));
  }

  /** Brings all of it to the disk, still under its hidden name. */
  async finish(): Promise<void> {
    try {
      await this.file.finish();
      if (this.mode !== null) await chmod(this.temporary, this.mode);
    } catch (error) {
      throw writeError(error, this.target);
    }
  }

  /** Gives it its name. */
  async publish(): Promise<void> {
    try {
      await rename(this.temporary, this.target);
      await syncDirectory(path.dirname(this.target));
    } catch (error) {
      throw writeError(error, this.target);
    }
    this.isOpen = false;
    openTargets.delete(this.target);
  }

  async abort(): Promise<void> {
    if (!this.isOpen) return;
    this.isOpen = false;
    await this.file.abort();
    openTargets.delete(this.target);
  }
}

/** What an address asks for; dead letters in a directory are lines all the same, which their name says. */
const formatOf = (target: string, { format }: LakeOptions): LakeOptions["format"] =>
  format === "parquet" && /\.ndjson$/i.test(target) ? "ndjson" : format;
