// Writes rows into a Parquet file. Its row groups go to the disk as they fill, so that memory holds one of them at most.
//
// The pages are made here and not by a library: hyparquet-writer, the fastest in JavaScript alone, turns every decimal into
// its bytes by dozens of BigInts, so that a table of prices took it five times as long.
import { createHash, type Hash } from "node:crypto";
import { open, rm, type FileHandle } from "node:fs/promises";
import { gzipSync } from "node:zlib";
import { codeOf, RunError } from "../../schema/errors";
import { type Row, type Table } from "../../schema/table";
import { shownPath } from "../local-path";
import { packZstd, zstdReady } from "../zstd";
import { ColumnChunk, type Compression } from "./parquet-chunk";
import { footerOf, MAGIC, type WrittenGroup } from "./parquet-footer";
import { orderByKey } from "./parquet-order";
import { type OpenRowFile, type RowFile, type WrittenFile } from "./row-file";
import { writeError } from "./spool";

export interface ParquetSettings {
  /**
   * zstd is compiled into beamline, so that the same rows give the same bytes everywhere; gzip is Node's, and may give
   * others in another version of Node.
   */
  readonly compression: "zstd" | "gzip";
  /** Rows of a group have the order of the table's key; else the order in which they come. */
  readonly sorted: boolean;
  /** A row group is full at so many rows, */
  readonly groupRows?: number;
  /** or when it takes so many bytes of memory, about. */
  readonly groupBytes?: number;
}

const GROUP_ROWS = 100_000;
const GROUP_BYTES = 64 * 1024 * 1024;
/** How many rows are taken before the size of their group is looked at. */
const ROWS_TOGETHER = 64;

/** Packs about as well as 3, which is what others take, and better than 1, which takes a little less time. */
const ZSTD_LEVEL = 2;

async function compressionOf(name: ParquetSettings["compression"]): Promise<Compression> {
  if (name === "gzip") return { codec: 2, compress: (bytes) => gzipSync(bytes) };
  await zstdReady();
  return { codec: 6, compress: (bytes) => packZstd(bytes, ZSTD_LEVEL) };
}

export const openParquet =
  (settings: ParquetSettings): OpenRowFile =>
  async (path, table) => {
    const compression = await compressionOf(settings.compression);
    const columns = table.columns.map((column) => new ColumnChunk(table, column, compression));
    const handle = await open(path, "wx").catch((error: unknown) => {
      if (codeOf(error) === "EEXIST")
        throw new RunError(`${shownPath(path)} could not be written: a file of that name is there already`);
      throw writeError(error, path);
    });
    const file = new ParquetFile(path, table, settings, columns, compression.codec, handle);
    return file.begin();
  };

class ParquetFile implements RowFile {
  private readonly hash: Hash = createHash("sha256");
  private readonly groupRows: number;
  private readonly groupBytes: number;
  private readonly compare: ((left: Row, right: Row) => number) | null;
  private readonly groups: WrittenGroup[] = [];
  private bytes = 0;
  private allRows = 0;
  /** Of the group that is being filled. */
  private rows = 0;
  /** Its rows, when they are to be put in order. */
  private waiting: Row[] = [];
  private waitingBytes = 0;
  private isOpen = true;

  constructor(
    private readonly path: string,
    private readonly table: Table,
    settings: ParquetSettings,
    private readonly columns: readonly ColumnChunk[],
    private readonly codec: number,
    private readonly handle: FileHandle,
  ) {
    this.groupRows = settings.groupRows ?? GROUP_ROWS;
    this.groupBytes = settings.groupBytes ?? GROUP_BYTES;
    this.compare = settings.sorted ? orderByKey(table) : null;
  }

  async begin(): Promise<this> {
    try {
      await this.append(MAGIC);
      return this;
    } catch (error) {
      await this.abort();
      throw error;
    }
  }

  async write(rows: readonly Row[]): Promise<void> {
    for (let at = 0; at < rows.length;) {
      // However rows are divided into calls, the size is looked at behind the same rows.
      const together = Math.min(ROWS_TOGETHER - (this.rows % ROWS_TOGETHER), this.groupRows - this.rows);
      const to = Math.min(rows.length, at + together);
      this.take(rows, at, to);
      this.rows += to - at;
      at = to;
      const isLooked = this.rows % ROWS_TOGETHER === 0;
      if (this.rows === this.groupRows || (isLooked && this.size >= this.groupBytes)) await this.finishGroup();
    }
  }

  private take(rows: readonly Row[], from: number, to: number): void {
    if (this.compare === null) {
      for (const column of this.columns) column.add(rows, from, to);
      return;
    }
    for (let at = from; at < to; at += 1) {
      const row = rows[at] as Row;
      this.waiting.push(row);
      this.waitingBytes += sizeOf(this.table, row);
    }
  }

  private get size(): number {
    return this.columns.reduce((sum, column) => sum + column.size, this.waitingBytes);
  }

  private async finishGroup(): Promise<void> {
    if (this.rows === 0) return;
    if (this.compare !== null) {
      this.waiting.sort(this.compare);
      for (const column of this.columns) column.add(this.waiting, 0, this.waiting.length);
      this.waiting = [];
      this.waitingBytes = 0;
    }
    const at = this.bytes;
    const chunks = [];
    for (const column of this.columns) chunks.push(await column.finish(this.bytes, (bytes) => this.append(bytes)));
    this.groups.push({ rows: this.rows, at, chunks });
    this.allRows += this.rows;
    this.rows = 0;
  }

  private async append(bytes: Uint8Array): Promise<void> {
    this.hash.update(bytes);
    this.bytes += bytes.length;
    try {
      // Unlike write(), it goes on until all of it is written.
      await this.handle.writeFile(bytes);
    } catch (error) {
      throw writeError(error, this.path);
    }
  }

  async finish(): Promise<WrittenFile> {
    await this.finishGroup();
    const { table, columns, groups, codec } = this;
    await this.append(footerOf({ table, columns, groups, codec, sorted: this.compare !== null }));
    try {
      await this.handle.sync();
      await this.handle.close();
    } catch (error) {
      throw writeError(error, this.path);
    }
    this.isOpen = false;
    return { path: this.path, rows: this.allRows, bytes: this.bytes, sha256: this.hash.digest("hex") };
  }

  async abort(): Promise<void> {
    if (!this.isOpen) return;
    this.isOpen = false;
    await this.handle.close().catch(() => undefined);
    await rm(this.path, { force: true }).catch(() => undefined);
  }
}

/** How much memory a row takes, about. */
function sizeOf(table: Table, row: Row): number {
  let size = 0;
  for (const { name } of table.columns) {
    const value = row[name];
    if (typeof value === "string") size += value.length + 16;
    else if (value instanceof Uint8Array) size += value.length + 16;
    else if (typeof value === "object" && value !== null) size += JSON.stringify(value).length;
    else size += 16;
  }
  return size;
}
