// A file of rows as lines of text, plain or gzip, while it is being written.
import { createHash } from "node:crypto";
import { open, rm, type FileHandle } from "node:fs/promises";
import { finished, pipeline } from "node:stream/promises";
import { Writable } from "node:stream";
import { createGzip } from "node:zlib";
import { type Row } from "../../schema/table";
import { type RowText } from "../row-text";
import { type RowFile, type WrittenFile } from "./row-file";

/** Rows are handed to the file in pieces of about this many characters. */
const PIECE_CHARACTERS = 128 * 1024;

export class TextFile implements RowFile {
  private piece: string;
  private failure: Error | null = null;
  private isOpen = true;
  private rows = 0;

  private constructor(
    private readonly path: string,
    private readonly handle: FileHandle,
    private readonly stream: Writable,
    private readonly done: Promise<void>,
    private readonly count: Count,
    private readonly text: RowText,
  ) {
    this.piece = text.head;
    // Kept for the next write or the end: an unhandled rejection would end the process first.
    done.catch((error: Error) => {
      this.failure = error;
    });
  }

  static async open(path: string, text: RowText, packing: "gzip" | "none"): Promise<TextFile> {
    const handle = await open(path, "wx");
    const count = new Count();
    const file = writableOf(handle, count);
    if (packing === "none") return new TextFile(path, handle, file, finished(file), count, text);
    const gzip = createGzip();
    return new TextFile(path, handle, gzip, pipeline(gzip, file), count, text);
  }

  async write(rows: readonly Row[]): Promise<void> {
    this.rows += rows.length;
    for (const row of rows) {
      this.piece += this.text.lineOf(row);
      if (this.piece.length >= PIECE_CHARACTERS) await this.flush();
    }
  }

  /** A line that is no row; it brings its line end. */
  async writeLine(line: string): Promise<void> {
    this.piece += line;
    if (this.piece.length >= PIECE_CHARACTERS) await this.flush();
  }

  async finish(): Promise<WrittenFile> {
    await this.flush();
    this.stream.end();
    await this.done;
    await this.handle.sync();
    await this.handle.close();
    this.isOpen = false;
    return { path: this.path, rows: this.rows, bytes: this.count.bytes, sha256: this.count.hash.digest("hex") };
  }

  async abort(): Promise<void> {
    if (this.isOpen) {
      this.isOpen = false;
      this.stream.destroy();
      await this.done.catch(() => undefined);
      await this.handle.close().catch(() => undefined);
    }
    await rm(this.path, { force: true }).catch(() => undefined);
  }

  private async flush(): Promise<void> {
    const piece = this.piece;
    this.piece = "";
    if (piece !== "") await new Promise<void>((resolve) => this.stream.write(piece, () => resolve()));
    if (this.failure !== null) throw this.failure;
  }
}

class Count {
  bytes = 0;
  readonly hash = createHash("sha256");
}

/** The handle as a stream that leaves it open: it is synced before it is closed. */
function writableOf(handle: FileHandle, count: Count): Writable {
  return new Writable({
    write(chunk: Buffer, _encoding, done) {
      count.bytes += chunk.length;
      count.hash.update(chunk);
      handle.writeFile(chunk).then(() => done(), done);
    },
  });
}
