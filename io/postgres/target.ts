// One batch into one database: all outputs that go there, in one transaction. Until it commits, rows wait in temporary
// tables, so that no row or table that others use is locked while a pipeline works.
import { RunError, UsageError } from "../../schema/errors";
import { type Row } from "../../schema/table";
import { isWritten, type RecordedBatch } from "../batch-record";
import { type Batch, type OpenTarget, type Output, type WriteResult } from "../connector";
import { batchesTable, readRecords, writeRecords } from "./batches";
import { Session } from "./session";
import { shownServer, type PostgresSettings } from "./settings";
import { checkTable, compareTables, createMissing, finishNew } from "./shape";
import { StagedRows } from "./staged-rows";

export class PostgresTarget implements OpenTarget {
  private session: Promise<Session> | null = null;
  private isOpen = true;
  private failure: Error | null = null;
  /** Calls for different outputs may overlap, but a connection does one thing at a time. */
  private last: Promise<unknown> = Promise.resolve();
  private readonly rows = new Map<string, StagedRows>();
  private readonly counts = new Map<string, number>();

  private constructor(
    private readonly settings: PostgresSettings,
    private readonly outputs: readonly Output[],
    private readonly batch: Batch,
    private readonly isMissing: boolean,
    /** Outputs whose rows of this batch are there already. */
    private readonly written: ReadonlySet<string>,
  ) {
    for (const [index, { name, table, growsBy }] of outputs.entries()) {
      this.rows.set(name, new StagedRows(settings.schema, table, index, growsBy));
      this.counts.set(name, 0);
    }
  }

  /** Looks at what is there and changes nothing. */
  static async open(settings: PostgresSettings, outputs: readonly Output[], batch: Batch): Promise<PostgresTarget> {
    checkOutputs(outputs);
    const { schema } = settings;
    const tables = [batchesTable, ...outputs.map((output) => output.table)];
    const session = await Session.begin(settings, "READ ONLY");
    try {
      const there = await compareTables(session, schema, tables, shownServer(settings));
      let written: ReadonlySet<string> = new Set();
      if (batch.turn !== null && there.has(batchesTable.name)) {
        const names = outputs.map((output) => output.name);
        written = writtenOf(batch, names, await readRecords(session, schema, batch, names, false));
      }
      await session.commit();
      return new PostgresTarget(settings, outputs, batch, there.size < tables.length, written);
    } catch (error) {
      await session.rollback();
      throw error;
    }
  }

  async write(name: string, rows: readonly Row[]): Promise<WriteResult> {
    const staged = this.rows.get(name);
    if (staged === undefined) throw new Error(`output ${name} was not opened`);
    await this.inTurn(async () => {
      if (!this.written.has(name)) await staged.add(rows, () => this.begin());
    });
    this.counts.set(name, (this.counts.get(name) ?? 0) + rows.length);
    return { written: rows.length };
  }

  async commit(): Promise<void> {
    await this.inTurn(async () => {
      if (this.written.size < this.outputs.length) await this.merge(await this.begin());
      this.isOpen = false;
    });
  }

  async abort(): Promise<void> {
    if (!this.isOpen) return;
    this.isOpen = false;
    try {
      await (await this.session)?.rollback();
    } catch {
      // Never begun, so there is nothing to take back.
    }
  }

  private begin(): Promise<Session> {
    this.session ??= Session.begin(this.settings, "READ WRITE");
    return this.session;
  }

  private async merge(session: Session): Promise<void> {
    const { batch, settings } = this;
    const tables = [batchesTable, ...this.outputs.map((output) => output.table)];
    const made: ReadonlySet<string> = this.isMissing
      ? await createMissing(session, settings.schema, tables, shownServer(settings))
      : new Set();
    const names = this.outputs.map((output) => output.name);
    let written: ReadonlySet<string> = new Set();
    if (batch.turn !== null) {
      // From here on no other process writes for these outputs of the job: what is decided now holds until the end.
      const records = await readRecords(session, settings.schema, batch, names, true);
      written = writtenOf(batch, names, records);
    }
    // Always in one order, as for the rows within a table.
    const inOrder = [...this.outputs].sort((a, b) => (a.table.name < b.table.name ? -1 : 1));
    const due = inOrder.filter(({ name }) => !written.has(name));
    for (const { name, table } of due) await this.rows.get(name)?.merge(session, batch, made.has(table.name));
    for (const table of tables) if (made.has(table.name)) await finishNew(session, settings.schema, table);
    const counts = new Map(due.map(({ name }) => [name, this.counts.get(name) ?? 0]));
    if (counts.size > 0) await writeRecords(session, settings.schema, batch, counts);
    await session.commit();
  }

  private async inTurn<T>(action: () => Promise<T>): Promise<T> {
    const mine = this.last.then(() => {
      if (this.failure !== null) throw this.failure;
      if (!this.isOpen) throw new RunError(`${shownServer(this.settings)}: the batch is over`);
      return action();
    });
    // A batch of which a part is missing must not be committed.
    this.last = mine.catch((error: Error) => {
      this.failure ??= error;
    });
    return mine;
  }
}

function writtenOf(
  batch: Batch,
  outputs: readonly string[],
  records: ReadonlyMap<string, RecordedBatch>,
): ReadonlySet<string> {
  return new Set(outputs.filter((name) => isWritten(batch, records.get(name))));
}

export function checkOutputs(outputs: readonly Output[]): void {
  const seen = new Set<string>();
  for (const { table } of outputs) {
    checkTable(table);
    if (seen.has(table.name))
      throw new UsageError(
        `Two outputs go to the table ${table.name} of the same database: give one another name or place`,
      );
    seen.add(table.name);
  }
}
