// One batch into one keyspace. There is no transaction: rows are visible as they are written, and a batch that is run again
// writes the same rows again.
import { setMaxListeners } from "node:events";
import { RunError } from "../../schema/errors";
import { type Row } from "../../schema/table";
import { type Batch, type OpenTarget, type Output, type WriteResult } from "../connector";
import { BatchRecord, hasBatches, prepareBatches } from "./batches";
import { type CassandraSettings } from "./options";
import { Session } from "./session";
import { checkOutputs, compareTable, createKeyspace, hasKeyspace, prepareTable, type Found } from "./shape";
import { TableRows } from "./table-rows";
import { GivenKeys } from "./taken-out";

/** An output while its batch is open. */
interface OpenOutput {
  readonly output: Output;
  readonly found: Found;
  readonly record: BatchRecord;
  /** Its rows of this batch are there already. */
  readonly isWritten: boolean;
  readonly rows: TableRows;
  /** Null: nothing is taken out. */
  readonly given: GivenKeys | null;
  begun: Promise<void> | null;
  count: number;
}

export class CassandraTarget implements OpenTarget {
  private isOpen = true;
  /** What failed: a batch of which a part is missing must not be committed. */
  private failure: Error | null = null;
  private readonly underWay = new Set<Promise<unknown>>();
  private prepared: Promise<void> | null = null;

  private constructor(
    private readonly session: Session,
    private readonly stop: AbortController,
    private readonly outputs: ReadonlyMap<string, OpenOutput>,
    private readonly batch: Batch,
    private readonly isComplete: boolean,
  ) {}

  /** Looks at what is there and changes nothing. */
  static async open(settings: CassandraSettings, outputs: readonly Output[], batch: Batch): Promise<CassandraTarget> {
    checkOutputs(settings, outputs);
    const stop = new AbortController();
    // Every row that waits for another attempt listens.
    setMaxListeners(0, stop.signal);
    const session = await Session.open(settings, stop.signal);
    try {
      const isRecorded = await hasBatches(session);
      const opened = new Map<string, OpenOutput>();
      for (const output of outputs) {
        const { name, table } = output;
        const record = new BatchRecord(session, batch, name);
        opened.set(name, {
          output,
          record,
          found: await compareTable(session, table),
          isWritten: isRecorded && (await record.isWritten()),
          rows: new TableRows(session, output),
          given: GivenKeys.isNeeded(table, batch) ? new GivenKeys(table, batch) : null,
          begun: null,
          count: 0,
        });
      }
      const fits = ({ found }: OpenOutput) => found.isThere && found.missing.length === 0;
      return new CassandraTarget(session, stop, opened, batch, isRecorded && [...opened.values()].every(fits));
    } catch (error) {
      session.release("run");
      throw error;
    }
  }

  async write(name: string, rows: readonly Row[]): Promise<WriteResult> {
    const open = this.outputs.get(name);
    if (open === undefined) throw new Error(`output ${name} was not opened`);
    return this.watched(async () => {
      if (open.isWritten) return { written: rows.length };
      const encoded = open.rows.encode(rows);
      for (const key of encoded.byKey.keys()) open.given?.add(key);
      await this.begin(open);
      const rejected = await open.rows.write(encoded, open.record.nextTime());
      const written = rows.length - rejected.length;
      open.count += written;
      return rejected.length === 0 ? { written } : { written, rejected };
    });
  }

  async commit(): Promise<void> {
    await this.watched(async () => {
      for (const open of this.outputs.values()) {
        if (open.isWritten) continue;
        await this.begin(open);
        await open.given?.takeOutOthers(this.session, open.rows, open.record.nextTime());
        await open.record.finish(open.count);
      }
    });
    this.close();
  }

  async abort(): Promise<void> {
    if (!this.isOpen) return;
    this.isOpen = false;
    this.stop.abort();
    // The driver is asked for nothing any more when it is given back.
    await Promise.allSettled(this.underWay);
    this.close();
  }

  private close(): void {
    this.isOpen = false;
    this.session.release(this.batch.turn === null ? "run" : "job");
  }

  private begin(open: OpenOutput): Promise<void> {
    return (open.begun ??= (async () => {
      // One after the other: changes of the schema do not like company.
      await (this.prepared ??= this.prepare());
      await open.record.claim();
    })());
  }

  private async prepare(): Promise<void> {
    const { session } = this;
    if (this.isComplete) return;
    if (!(await hasKeyspace(session))) await createKeyspace(session);
    await prepareBatches(session);
    for (const { output, found } of this.outputs.values()) await prepareTable(session, output.table, found);
  }

  private async watched<T>(action: () => Promise<T>): Promise<T> {
    if (this.failure !== null) throw this.failure;
    if (!this.isOpen) throw new RunError(`${this.session.shown}: the batch is over`);
    const work = action();
    this.underWay.add(work);
    try {
      return await work;
    } catch (error) {
      this.failure ??= error as Error;
      throw error;
    } finally {
      this.underWay.delete(work);
    }
  }
}
