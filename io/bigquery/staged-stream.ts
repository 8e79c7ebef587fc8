// Rows staged by the Storage Write API: no files, and no load jobs, of which a project has only so many in a day.
import { createHash, randomUUID } from "node:crypto";
import { type Row } from "../../schema/table";
import { type Rejected } from "../connector";
import { descriptorOf, encodeRow } from "./proto-rows";
import { createStaging, dropStaging, sift, stagingName, type Ground, type Staging } from "./staging";
import { type StagedForm } from "./staged-row";
import { WriteStream } from "./write-stream";

/** An append may have 10 MB, and one row may have all of them. */
const APPEND_BYTES = 2_000_000;

interface EncodedRow {
  readonly row: Row;
  readonly bytes: Uint8Array;
}

export class StagedStream implements Staging {
  /** Its own for each attempt: of rows that an earlier one left, none may be merged. */
  private readonly table: string;
  private stream: WriteStream | null = null;
  private offset = 0;
  private readonly hash = createHash("sha256");
  private digest = "";

  constructor(
    private readonly ground: Ground,
    output: string,
    private readonly form: StagedForm,
  ) {
    this.table = stagingName(output, randomUUID().replaceAll("-", "").slice(0, 24));
  }

  get content(): string {
    return this.digest;
  }

  async add(rows: readonly Row[]): Promise<readonly Rejected[]> {
    const { taken, rejected } = sift(this.form, rows);
    let waiting: EncodedRow[] = [];
    let weight = 0;
    const send = async () => {
      rejected.push(...(await this.send(waiting)));
      [waiting, weight] = [[], 0];
    };
    for (const { row, staged } of taken) {
      const bytes = encodeRow(this.form.table, staged);
      if (weight > 0 && weight + bytes.byteLength > APPEND_BYTES) await send();
      waiting.push({ row, bytes });
      weight += bytes.byteLength;
    }
    if (waiting.length > 0) await send();
    return rejected;
  }

  async finish(): Promise<string | null> {
    if (this.stream === null || this.offset === 0) return null;
    await this.stream.commit();
    this.digest = this.hash.digest("hex");
    return this.table;
  }

  async drop(): Promise<void> {
    if (this.stream === null) return;
    this.stream.disconnect();
    await dropStaging(this.ground, this.table);
  }

  /** Sends rows until all are taken but those that BigQuery refuses. */
  private async send(rows: readonly EncodedRow[]): Promise<Rejected[]> {
    const stream = await this.open();
    const rejected: Rejected[] = [];
    let left = rows;
    while (left.length > 0) {
      const refused = new Map(
        (
          await stream.append(
            left.map(({ bytes }) => bytes),
            this.offset,
          )
        ).map(({ index, message }) => [index, message]),
      );
      if (refused.size === 0) break;
      for (const [index, message] of refused) {
        const row = left[index]?.row;
        if (row !== undefined) rejected.push({ row, reason: "refused", error: message });
      }
      left = left.filter((_, index) => !refused.has(index));
    }
    this.offset += left.length;
    for (const { bytes } of left) this.hash.update(bytes);
    return rejected;
  }

  private async open(): Promise<WriteStream> {
    if (this.stream === null) {
      await createStaging(this.ground, this.table, this.form);
      this.stream = await WriteStream.open(this.ground.rest.settings, this.table, descriptorOf(this.form.table));
    }
    return this.stream;
  }
}
