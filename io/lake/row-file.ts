// A file of rows while it is being written on this machine's disk: whatever its format is and wherever it goes afterwards.
import { type Row, type Table } from "../../schema/table";

export interface RowFile {
  /** Memory is bounded by the file's row group or buffer, however many rows come. */
  write(rows: readonly Row[]): Promise<void>;
  /** Brings all of it to the disk. The same rows, in any division, give the same bytes. */
  finish(): Promise<WrittenFile>;
  /** Lets go of it and takes it away. Never throws. */
  abort(): Promise<void>;
}

export interface WrittenFile {
  readonly path: string;
  readonly rows: number;
  readonly bytes: number;
  /** Of its bytes, in hexadecimal. */
  readonly sha256: string;
}

/** Opens a file that is not there yet. */
export type OpenRowFile = (path: string, table: Table) => Promise<RowFile>;

/** A file that is read in places: on disk, or in a bucket. */
export interface FileBytes {
  /** For messages. */
  readonly name: string;
  readonly size: number;
  /** The bytes from `from` up to, not including, `to`. */
  read(from: number, to: number, signal?: AbortSignal): Promise<Uint8Array>;
}
