// Writes files: all rows of a batch go into a hidden file beside the target, which takes the target's place at commit.
// Nobody ever sees half of it, and a batch that is run again leaves the same file.
import { constants as fsConstants } from "node:fs";
import { access, open, realpath, rename, rm, stat, type FileHandle } from "node:fs/promises";
import path from "node:path";
import { finished, pipeline } from "node:stream/promises";
import { Writable } from "node:stream";
import { createGzip } from "node:zlib";
import { codeOf, messageOf, RunError, UsageError } from "../../schema/errors";
import { type Row } from "../../schema/table";
import {
  type Address,
  type Batch,
  type LetterId,
  type OpenTarget,
  type Output,
  type SinkConnector,
} from "../connector";
import { formatOption, type Format } from "../format";
import { goneLine, LettersDone } from "../letters";
import { localPath, makeDirectory, shownPath } from "../local-path";
import { csvOf, ndjsonOf, type RowText } from "../row-text";
import { formatOfName } from "./format";
import { readLetters } from "./letters";

/** Rows are handed to the file in pieces of about this many characters. */
const PIECE_CHARACTERS = 128 * 1024;

/** Targets that a batch of this process has open: a second one would replace the first one's rows. */
const openTargets = new Set<string>();

export const fileSink: SinkConnector = {
  deliveryClass: "named file",
  delivery: "the file is replaced as a whole when the batch is complete; with --streaming each batch has its own",
  // A run on its own replaces the file as a whole, whatever an earlier one left.
  namedByPlan: () => false,
  wants: "final",
  place: (address) => localPath(address.path),
  open: openFiles,
  letters: readLetters,
};

async function openFiles(address: Address, outputs: readonly Output[], batch: Batch): Promise<OpenTarget> {
  const format = formatOption(address);
  const files = new Map<string, OutputFile>();
  const lettersDone = new Map<string, LettersDone>();
  const abort = async (): Promise<void> => {
    for (const file of files.values()) await file.abort();
  };
  try {
    for (const output of outputs) {
      const target = await targetOf(address, output, format, batch);
      files.set(output.name, await OutputFile.open(target, output, batch, format));
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
    async commit() {
      for (const [name, letters] of lettersDone) await files.get(name)?.writeGone(batch.job, letters.gone());
      for (const [name, file] of files) {
        // A job that goes on has many batches, most of them without dead letters.
        if (batch.turn === null || file.hasRows) continue;
        await file.abort();
        files.delete(name);
      }
      for (const file of files.values()) await file.finish();
      for (const file of files.values()) await file.publish();
    },
    abort,
  };
}

/** The absolute path that an output is written to. A directory gets one file for each table. */
async function targetOf(address: Address, output: Output, format: Format | null, batch: Batch): Promise<string> {
  if (address.path === "") throw new UsageError("“file:” needs a path behind it, such as file:out.ndjson");
  const written = localPath(address.path);
  const there = await statOf(written);
  if (/[\\/]$/.test(address.path) || there?.isDirectory() === true) {
    const name = output.table.name;
    if (!/^[\w][\w. -]*$/.test(name)) {
      throw new UsageError(
        `The table “${name}” cannot be the name of a file: name one, such as file:${address.path}rows.ndjson`,
      );
    }
    // The batches of a job that goes on have a file each, and one that is run again has the same name.
    const ofBatch = batch.turn === null ? "" : `.${batch.id.replaceAll(/[^\w.-]/g, "_")}`;
    return path.join(written, `${name}${ofBatch}.${format ?? "ndjson"}`);
  }
  if (batch.turn !== null)
    throw new UsageError(
      `With --streaming every batch has a file of its own: name a directory, such as file:${address.path}/`,
    );
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
    throw writeError(error, shownPath(file));
  }
}

/** One file that is being written. */
class OutputFile {
  private piece: string;
  private failure: unknown = null;
  private isOpen = true;
  hasRows = false;

  private constructor(
    private readonly target: string,
    private readonly temporary: string,
    private readonly handle: FileHandle,
    private readonly stream: Writable,
    private readonly done: Promise<void>,
    private readonly text: RowText,
  ) {
    this.piece = text.head;
    // Kept for the next write or the commit: an unhandled rejection would end the process first.
    done.catch((error: unknown) => {
      this.failure = error;
    });
  }

  static async open(target: string, output: Output, batch: Batch, asked: Format | null): Promise<OutputFile> {
    const shown = shownPath(target);
    const format = asked ?? formatOfName(shown);
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
      const handle = await open(temporary, "w", existing === null ? 0o666 : Number(existing.mode) & 0o777);
      const file = writableOf(handle);
      const gzip = /\.gz$/i.test(target) ? createGzip() : null;
      const done = gzip === null ? finished(file) : pipeline(gzip, file);
      return new OutputFile(
        target,
        temporary,
        handle,
        gzip ?? file,
        done,
        format === "csv" ? csvOf(output.table) : ndjsonOf(output.table),
      );
    } catch (error) {
      openTargets.delete(target);
      throw writeError(error, shown);
    }
  }

  async write(rows: readonly Row[]): Promise<void> {
    if (rows.length > 0) this.hasRows = true;
    for (const row of rows) {
      this.piece += this.text.lineOf(row);
      if (this.piece.length >= PIECE_CHARACTERS) await this.flush();
    }
  }

  /** Says of dead letters in the files of earlier batches that they are done with. */
  async writeGone(job: string, ids: readonly LetterId[]): Promise<void> {
    if (ids.length > 0) this.hasRows = true;
    for (const id of ids) this.piece += goneLine(job, id);
    await this.flush();
  }

  private async flush(): Promise<void> {
    const piece = this.piece;
    this.piece = "";
    if (piece === "") return;
    await new Promise<void>((resolve) => this.stream.write(piece, () => resolve()));
    this.check();
  }

  private check(): void {
    if (this.failure !== null) throw writeError(this.failure, shownPath(this.target));
  }

  /** Brings all of it to the disk, still under its hidden name. */
  async finish(): Promise<void> {
    await this.flush();
    this.stream.end();
    try {
      await this.done;
      await this.handle.sync();
      await this.handle.close();
    } catch (error) {
      throw writeError(error, shownPath(this.target));
    }
  }

  /** Gives it its name. */
  async publish(): Promise<void> {
    try {
      await rename(this.temporary, this.target);
      await syncDirectory(path.dirname(this.target));
    } catch (error) {
      throw writeError(error, shownPath(this.target));
    }
    this.isOpen = false;
    openTargets.delete(this.target);
  }

  async abort(): Promise<void> {
    if (!this.isOpen) return;
    this.isOpen = false;
    this.stream.destroy();
    await this.done.catch(() => undefined);
    await this.handle.close().catch(() => undefined);
    await rm(this.temporary, { force: true }).catch(() => undefined);
    openTargets.delete(this.target);
  }
}

/** The handle as a stream that leaves it open: it is synced before it is closed. */
function writableOf(handle: FileHandle): Writable {
  return new Writable({
    write(chunk: Buffer, _encoding, done) {
      handle.writeFile(chunk).then(() => done(), done);
    },
  });
}

/** The new name must be on the disk too. Not every system can sync a directory; those that cannot do without. */
async function syncDirectory(directory: string): Promise<void> {
  try {
    const handle = await open(directory, "r");
    await handle.sync().finally(() => handle.close());
  } catch {
    // See above.
  }
}

function writeError(error: unknown, shown: string): Error {
  if (error instanceof RunError || error instanceof UsageError) return error;
  switch (codeOf(error) ?? "") {
    case "EACCES":
    case "EPERM":
    case "EROFS":
      return new RunError(`${shown} may not be written: change the permissions there, or write to another place`);
    case "ENOSPC":
    case "EDQUOT":
      return new RunError(`${shown} could not be written: the disk is full`);
    case "ENOTDIR":
    case "EEXIST":
      return new RunError(`${shown} cannot be written: a part of its path is a file, not a directory`);
    default:
      return new RunError(`${shown} could not be written: ${messageOf(error)}`);
  }
}
