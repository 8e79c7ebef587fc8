// The files of one output of one batch, while they are written on this machine's disk: one sequence a partition folder, a
// next file after so many rows. Names and contents follow only from the rows and their order. However many partitions
// come mixed, few files are open and few rows are in memory: the first folders are written as they come, the rows of
// those that come later wait on the disk.
import { type Row, type Table } from "../../schema/table";
import { type Rejected, type WriteResult } from "../connector";
import { RunError } from "../../schema/errors";
import { NoFolder, type Partitioning } from "./partition";
import { type OpenRowFile, type RowFile, type WrittenFile } from "./row-file";
import { SpilledRows, type Frame } from "./spilled-rows";
import { writeError, type Spool } from "./spool";

/** Files that are written at once: each has a row group in memory. */
export const MOST_OPEN = 8;
/** Rows in memory of the folders beyond those, and about how many characters or bytes in them. */
const MOST_WAITING_ROWS = 32_768;
const MOST_WAITING_WEIGHT = 32 * 1024 * 1024;
/** With more, a table is mostly files; nobody means that. */
export const MOST_FOLDERS = 10_000;

export interface StagedFile extends WrittenFile {
  /** Below the table's folder: `day=2026-01-01/b1-00000.parquet`. */
  readonly name: string;
  /** `day=2026-01-01/`, or nothing. */
  readonly folder: string;
}

export interface Staging {
  readonly table: Table;
  readonly partitioning: Partitioning;
  /** Of the batch: file names begin with it. */
  readonly id: string;
  /** Such as `.parquet`. */
  readonly ending: string;
  readonly rowsPerFile: number;
  readonly openFile: OpenRowFile;
  readonly spool: Spool;
}

export class StagedOutput<File extends RowFile = RowFile> {
  private readonly folders = new Map<string, Folder<File>>();
  private readonly sequences = new Map<string, number>();
  private readonly finished: StagedFile[] = [];
  private readonly spilled: SpilledRows;
  private waitingRows = 0;
  private waitingWeight = 0;

  constructor(
    private readonly staging: Omit<Staging, "openFile"> & { openFile: (path: string, table: Table) => Promise<File> },
    private readonly mostOpen = MOST_OPEN,
  ) {
    this.spilled = new SpilledRows(staging.spool.file(), staging.table);
  }

  async write(rows: readonly Row[]): Promise<WriteResult> {
    const { rejected, byFolder } = this.divided(rows);
    try {
      for (const [name, some] of byFolder) {
        const folder = this.folder(name);
        if (folder.isDirect) await this.append(folder, some);
        else this.wait(folder, some);
      }
      if (this.waitingRows > MOST_WAITING_ROWS || this.waitingWeight > MOST_WAITING_WEIGHT) await this.spill();
    } catch (error) {
      throw writeError(error, this.staging.spool.directory);
    }
    const written = rows.length - rejected.length;
    return rejected.length === 0 ? { written } : { written, rejected };
  }

  /** The file that is being written where there are no folders, opened if it is not: for lines that are no rows. */
  async current(): Promise<File> {
    const folder = this.folder("");
    return (folder.file ??= await this.open(folder)).file;
  }

  /** All files, on the disk; in the order of their names. */
  async finish(): Promise<readonly StagedFile[]> {
    try {
      for (const folder of this.folders.values()) {
        for (const frame of folder.frames) await this.append(folder, await this.spilled.read(frame));
        await this.append(folder, folder.waiting);
        folder.waiting = [];
        await this.close(folder);
      }
      await this.spilled.remove();
    } catch (error) {
      throw writeError(error, this.staging.spool.directory);
    }
    return this.finished.sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  async abort(): Promise<void> {
    for (const { file } of this.folders.values()) await file?.file.abort();
    await this.spilled.remove();
  }

  private divided(rows: readonly Row[]): { byFolder: Map<string, Row[]>; rejected: Rejected[] } {
    const { partitioning } = this.staging;
    const rejected: Rejected[] = [];
    const byFolder = new Map<string, Row[]>();
    for (const row of rows) {
      let name: string;
      try {
        name = partitioning.folderOf(row);
      } catch (error) {
        if (!(error instanceof NoFolder)) throw error;
        rejected.push({ row, reason: "no folder", error: error.message });
        continue;
      }
      const some = byFolder.get(name);
      if (some === undefined) byFolder.set(name, [row]);
      else some.push(row);
    }
    return { byFolder, rejected };
  }

  private folder(name: string): Folder<File> {
    const known = this.folders.get(name);
    if (known !== undefined) return known;
    if (this.folders.size === MOST_FOLDERS)
      throw new RunError(
        `${this.staging.table.name} would have more than ${MOST_FOLDERS} partition folders of this batch, the last one ${name}: partition it by something coarser`,
      );
    const folder = new Folder<File>(name, this.folders.size < this.mostOpen);
    this.folders.set(name, folder);
    return folder;
  }

  private wait(folder: Folder<File>, rows: readonly Row[]): void {
    folder.waiting.push(...rows);
    this.waitingRows += rows.length;
    for (const row of rows) this.waitingWeight += weightOf(row);
  }

  private async spill(): Promise<void> {
    for (const folder of this.folders.values()) {
      if (folder.waiting.length === 0) continue;
      folder.frames.push(await this.spilled.add(folder.waiting));
      folder.waiting = [];
    }
    this.waitingRows = 0;
    this.waitingWeight = 0;
  }

  private async append(folder: Folder<File>, rows: readonly Row[]): Promise<void> {
    const { rowsPerFile } = this.staging;
    for (let from = 0; from < rows.length;) {
      folder.file ??= await this.open(folder);
      const some = rows.slice(from, from + rowsPerFile - folder.file.rows);
      await folder.file.file.write(some);
      folder.file.rows += some.length;
      from += some.length;
      if (folder.file.rows >= rowsPerFile) await this.close(folder);
    }
  }

  private async open(folder: Folder<File>): Promise<OpenFile<File>> {
    const { id, ending, spool, openFile, partitioning } = this.staging;
    // A disk may take `symbol=a` and `symbol=A` for one folder: their files still have names of their own.
    const alike = folder.name.normalize("NFC").toLowerCase();
    const number = this.sequences.get(alike) ?? 0;
    this.sequences.set(alike, number + 1);
    const name = `${folder.name}${id}-${String(number).padStart(5, "0")}${ending}`;
    return { name, rows: 0, file: await openFile(spool.file(), partitioning.inFiles()) };
  }

  private async close(folder: Folder<File>): Promise<void> {
    if (folder.file === null) return;
    const { name, file } = folder.file;
    const written = await file.finish();
    folder.file = null;
    this.finished.push({ ...written, name, folder: folder.name });
  }
}

interface OpenFile<File extends RowFile> {
  readonly name: string;
  readonly file: File;
  rows: number;
}

class Folder<File extends RowFile> {
  file: OpenFile<File> | null = null;
  waiting: Row[] = [];
  readonly frames: Frame[] = [];

  constructor(
    readonly name: string,
    readonly isDirect: boolean,
  ) {}
}

/** The texts and bytes in a row, and something for all else. */
function weightOf(row: Row): number {
  let weight = 0;
  for (const name in row) {
    const value = row[name];
    weight += 16;
    if (typeof value === "string") weight += value.length;
    else if (value instanceof Uint8Array) weight += value.byteLength;
  }
  return weight;
}
