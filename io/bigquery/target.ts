// One batch into one dataset: its rows wait in staging tables, and become visible in one transaction with the record of the
// batch. Until then nothing that others look at is touched.
import { randomUUID } from "node:crypto";
import { RunError, UsageError } from "../../schema/errors";
import { type Row } from "../../schema/table";
import { isWritten, type RecordedBatch } from "../batch-record";
import { type Batch, type OpenTarget, type Output, type WriteResult } from "../connector";
import { batchesTable, readRecords } from "./batches";
import { commitScript, firstRecordsSql, partStatement, type Given } from "./commit-script";
import { explain } from "./failures";
import { Jobs, nameOfNoOther, nameOfWork, querying } from "./jobs";
import { Rest } from "./rest";
import { shownPlace, type SinkSettings } from "./settings";
import {
  addColumns,
  checkLayout,
  checkTable,
  compareTable,
  createDataset,
  createTable,
  findLocation,
  findTable,
  noDataset,
  type Shape,
} from "./shape";
import { StagedFile } from "./staged-file";
import { StagedForm } from "./staged-row";
import { StagedStream } from "./staged-stream";
import { type Ground, type Staging } from "./staging";

/** What becomes of one output. */
interface Due {
  readonly output: Output;
  shape: Shape;
  form: StagedForm | null;
  staging: Staging | null;
  rows: number;
}

/** How the dataset looked when the target was opened. */
interface Found {
  /** Null when the dataset is not there. */
  readonly location: string | null;
  readonly shapes: readonly Shape[];
  readonly records: Shape;
  /** Outputs whose rows of this batch are there already. */
  readonly written: ReadonlySet<string>;
}

export class BigQueryTarget implements OpenTarget {
  private isOpen = true;
  private failure: Error | null = null;
  private prepared: Promise<Ground> | null = null;
  private readonly dues = new Map<string, Due>();

  private constructor(
    private readonly rest: Rest,
    private readonly settings: SinkSettings,
    private readonly batch: Batch,
    private readonly found: Found,
    outputs: readonly Output[],
  ) {
    for (const [at, output] of outputs.entries()) {
      const shape = found.shapes[at];
      if (shape !== undefined) this.dues.set(output.name, { output, shape, form: null, staging: null, rows: 0 });
    }
  }

  /** Looks at what is there and changes nothing. */
  static async open(settings: SinkSettings, outputs: readonly Output[], batch: Batch): Promise<BigQueryTarget> {
    checkOutputs(outputs, settings);
    const rest = new Rest(settings);
    try {
      const location = await findLocation(rest, settings);
      if (location === null && !settings.create) throw noDataset(settings);
      const tables = [batchesTable, ...outputs.map(({ table }) => table)];
      const [records, ...shapes] = await Promise.all(tables.map((table) => compareTable(rest, settings, table)));
      if (records === undefined) throw new Error("there is no record of batches");
      const isOnRecord = batch.turn !== null && location !== null && records.found !== null;
      const recorded = isOnRecord ? await readRecords(new Jobs(rest, location), settings, batch.job) : NO_RECORDS;
      const written = writtenOf(batch, outputs, recorded);
      return new BigQueryTarget(rest, settings, batch, { location, shapes, records, written }, outputs);
    } catch (error) {
      throw explain(error, settings);
    }
  }

  async write(name: string, rows: readonly Row[]): Promise<WriteResult> {
    const due = this.dues.get(name);
    if (due === undefined) throw new Error(`output ${name} was not opened`);
    return this.unlessBroken(async () => {
      if (this.found.written.has(name)) return { written: rows.length };
      const rejected = rows.length === 0 ? [] : await (await this.stagingOf(due)).add(rows);
      const written = rows.length - rejected.length;
      due.rows += written;
      return rejected.length === 0 ? { written } : { written, rejected };
    });
  }

  async commit(): Promise<void> {
    await this.unlessBroken(async () => {
      const dues = [...this.dues.values()].filter(({ output }) => !this.found.written.has(output.name));
      if (dues.length > 0) await this.merge(dues);
      this.isOpen = false;
      await this.dropStagings();
    });
  }

  async abort(): Promise<void> {
    if (!this.isOpen) return;
    this.isOpen = false;
    await this.dropStagings();
  }

  private async merge(dues: readonly Due[]): Promise<void> {
    const { batch, settings } = this;
    const ground = await this.prepare();
    const { jobs } = ground;
    const given: Given[] = [];
    const contents: unknown[] = [];
    for (const { output, shape, form, staging, rows } of dues) {
      const table = (await staging?.finish()) ?? null;
      const staged = table === null || form === null ? null : { name: table, decimals: form.decimals };
      given.push({ output, shape, staging: staged, days: form?.days ?? null, rows });
      contents.push([output.name, staging?.content ?? "", await this.madeAt(shape)]);
    }
    if (batch.isPart === true) {
      for (const one of given) await this.mergePart(jobs, one);
      return;
    }
    const names = dues.map(({ output }) => output.name);
    const recorded = await readRecords(jobs, settings, batch.job);
    const first = names.filter((name) => !recorded.has(name));
    if (first.length > 0) {
      const sql = firstRecordsSql(settings, batch.job, first);
      await jobs.once(nameOfNoOther("record"), jobs.begin({ query: querying(sql) }));
    }
    // Named by what it does: a process that was killed while it ran finds it again, and takes what it did.
    const { turn } = batch;
    const parts = [settings.project, settings.dataset, batch.job, batch.plan, turn === null, contents];
    const script = jobs.begin({ query: querying(commitScript(settings, batch, given)) });
    const { wasThere } = await jobs.once(nameOfWork("commit", parts), script);
    if (turn === null || (await this.notWritten()) === undefined) return;
    // A process that was too old for it may have begun what was there, and so it did nothing. Now it is our turn.
    if (wasThere) await jobs.once(nameOfWork("commit", [...parts, turn.epoch]), script);
    const missing = await this.notWritten();
    if (missing !== undefined)
      throw new RunError(
        `${shownPlace(settings)} has another batch of ${missing} on record than the one that was just written: ` +
          `another process writes for the job ${batch.job}`,
      );
  }

  private async mergePart(jobs: Jobs, given: Given): Promise<void> {
    const sql = partStatement(this.settings, given);
    if (sql !== null) await jobs.once(nameOfNoOther("merge"), jobs.begin({ query: querying(sql) }));
  }

  /** An output that is not on record with this batch; throws where a younger process was faster. */
  private async notWritten(): Promise<string | undefined> {
    const { jobs } = await this.prepare();
    const outputs = [...this.dues.values()].map(({ output }) => output);
    const written = writtenOf(this.batch, outputs, await readRecords(jobs, this.settings, this.batch.job));
    return outputs.find(({ name }) => !written.has(name))?.name;
  }

  /** When the table was made: one that was dropped and made again has none of the rows that an earlier job merged. */
  private async madeAt({ table }: Shape): Promise<string> {
    return (await findTable(this.rest, this.settings, table.name))?.creationTime ?? "";
  }

  private async stagingOf(due: Due): Promise<Staging> {
    if (due.staging === null) {
      const ground = await this.prepare();
      const { name } = due.output;
      const { job, plan, turn, isPart = false } = this.batch;
      const goesOn = turn !== null || isPart;
      const via = this.settings.via ?? (goesOn && this.settings.staging === null ? "write" : "load");
      due.form = new StagedForm(due.shape, name, via === "write" ? "text" : "exact");
      due.staging =
        via === "write"
          ? new StagedStream(ground, name, due.form)
          : // Two workers may be at the same part, when one of them was taken for dead.
            new StagedFile(ground, this.settings, name, due.form, [job, plan, ...(isPart ? [randomUUID()] : [])]);
    }
    return due.staging;
  }

  /** Makes what is missing, once. */
  private prepare(): Promise<Ground> {
    this.prepared ??= this.makeMissing();
    return this.prepared;
  }

  private async makeMissing(): Promise<Ground> {
    const { rest, settings, found } = this;
    if (found.location === null) await createDataset(rest, settings);
    const location = found.location ?? (await findLocation(rest, settings)) ?? "US";
    const ground: Ground = { rest, jobs: new Jobs(rest, location), location };
    const prepared = async (shape: Shape): Promise<Shape> => {
      const there = shape.found === null ? await createTable(rest, settings, shape) : shape;
      await addColumns(ground.jobs, settings, there);
      return there;
    };
    if (this.batch.isPart !== true) await prepared(found.records);
    for (const due of this.dues.values()) due.shape = await prepared(due.shape);
    return ground;
  }

  private async dropStagings(): Promise<void> {
    for (const { staging } of this.dues.values()) await staging?.drop();
  }

  /** Does it and explains what goes wrong; a batch of which a part is missing must not be committed. */
  private async unlessBroken<T>(action: () => Promise<T>): Promise<T> {
    if (this.failure !== null) throw this.failure;
    if (!this.isOpen) throw new RunError(`${shownPlace(this.settings)}: the batch is over`);
    try {
      return await action();
    } catch (error) {
      this.failure ??= explain(error, this.settings);
      throw this.failure;
    }
  }
}

const NO_RECORDS: ReadonlyMap<string, RecordedBatch> = new Map();

function writtenOf(
  batch: Batch,
  outputs: readonly Output[],
  records: ReadonlyMap<string, RecordedBatch>,
): ReadonlySet<string> {
  return new Set(outputs.map(({ name }) => name).filter((name) => isWritten(batch, records.get(name))));
}

export function checkOutputs(outputs: readonly Output[], settings: SinkSettings): void {
  const seen = new Set<string>();
  for (const { table } of outputs) {
    checkTable(table);
    if (seen.has(table.name))
      throw new UsageError(
        `Two outputs go to the table ${table.name} of the same dataset: give one another name or place`,
      );
    seen.add(table.name);
  }
  checkLayout(
    outputs.map(({ table }) => table),
    settings,
  );
}
