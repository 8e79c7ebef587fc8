// Rows of many partitions on disk, when they come mixed and there are more partitions than files that can be open: one
// file, to which some rows of a partition at a time are added, and from which each partition is read in its order.
import { open, rm, type FileHandle } from "node:fs/promises";
import { deserialize, serialize } from "node:v8";
import { type Row, type Table } from "../../schema/table";

interface Frame {
  readonly at: number;
  readonly bytes: number;
}

export class SpilledRows {
  private handle: FileHandle | null = null;
  private end = 0;

  constructor(
    private readonly path: string,
    private readonly table: Table,
  ) {}

  async add(rows: readonly Row[]): Promise<Frame> {
    this.handle ??= await open(this.path, "wx+");
    // By column: the columns' names are not written for every row.
    const columns = this.table.columns.map(({ name }) => rows.map((row) => row[name]));
    const bytes = serialize(columns);
    await this.handle.write(bytes, 0, bytes.length, this.end);
    const frame = { at: this.end, bytes: bytes.length };
    this.end += bytes.length;
    return frame;
  }

  async read(frame: Frame): Promise<Row[]> {
    const bytes = Buffer.allocUnsafe(frame.bytes);
    await this.handle?.read(bytes, 0, frame.bytes, frame.at);
    const columns = deserialize(bytes) as unknown[][];
    return (columns[0] ?? []).map((_, row) =>
      Object.fromEntries(this.table.columns.map(({ name }, column) => [name, columns[column]?.[row]])),
    );
  }

  async remove(): Promise<void> {
    await this.handle?.close().catch(() => undefined);
    this.handle = null;
    await rm(this.path, { force: true }).catch(() => undefined);
  }
}

export type { Frame };
