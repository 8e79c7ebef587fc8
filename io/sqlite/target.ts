// One batch into one database: all outputs that go there, in one transaction.
import { access, constants, rm, stat } from "node:fs/promises";
import path from "node:path";
import { setImmediate, setTimeout } from "node:timers/promises";
import { UsageError } from "../../schema/errors";
import { columnOf, type Row, type Table } from "../../schema/table";
import { isWritten } from "../batch-record";
import { type Address, type Batch, type OpenTarget, type Output, type WriteResult } from "../connector";
import { makeDirectory, shownPath } from "../local-path";
import { prepareBatches, readRecord, writeRecord } from "./batches";
import { openDatabase, SqliteFailure, type Database } from "./database";
import { BUSY, explain, LOCKED } from "./failures";
import { checkTable, compareTable, createNumericView, createTable, OWN_PREFIX, quoteName } from "./shape";
import { Recomputed } from "./recomputed";
import { Upsert } from "./upsert";

/** SQLite's calls block: between so many rows others get their turn. */
const ROWS_WITHOUT_PAUSE = 5_000;

export interface SqliteOptions {
  /** How long to wait for another program's transaction to end. */
  readonly patienceMs?: number;
}

export class SqliteTarget implements OpenTarget {
  private begun: Promise<void> | null = null;
  private isOpen = true;
  private readonly upserts = new Map<string, Upsert>();
  private readonly recomputed = new Map<string, Recomputed>();
  private readonly counts = new Map<string, number>();
  /** Outputs whose rows of this batch are there already. */
  private readonly written = new Set<string>();

  private constructor(
    private readonly file: string,
    private readonly isNew: boolean,
    private readonly database: Database,
    private readonly outputs: readonly Output[],
    private readonly batch: Batch,
    private readonly patienceMs: number,
  ) {}

  static async open(
    file: string,
    outputs: readonly Output[],
    batch: Batch,
    options: SqliteOptions = {},
  ): Promise<SqliteTarget> {
    const shown = shownPath(file);
    checkOutputs(outputs);
    const isNew = await prepareFile(file, shown);
    let target: SqliteTarget | undefined;
    try {
      const database = openDatabase(file);
      target = new SqliteTarget(file, isNew, database, outputs, batch, options.patienceMs ?? 30_000);
      await target.patiently("PRAGMA journal_mode = WAL");
      database.exec("PRAGMA synchronous = FULL");
      for (const output of outputs) compareTable(database, output.table, shown);
      return target;
    } catch (error) {
      await target?.abort();
      throw explain(error, shown);
    }
  }

  async write(name: string, rows: readonly Row[]): Promise<WriteResult> {
    try {
      await (this.begun ??= this.begin());
      const upsert = this.upserts.get(name);
      if (upsert === undefined) throw new Error(`output ${name} was not opened`);
      for (let from = 0; from < rows.length && !this.written.has(name); from += ROWS_WITHOUT_PAUSE) {
        if (from > 0) await setImmediate();
        const some = rows.length <= ROWS_WITHOUT_PAUSE ? rows : rows.slice(from, from + ROWS_WITHOUT_PAUSE);
        upsert.write(some);
        this.recomputed.get(name)?.give(some);
      }
      this.counts.set(name, (this.counts.get(name) ?? 0) + rows.length);
      return { written: rows.length };
    } catch (error) {
      throw explain(error, shownPath(this.file));
    }
  }

  async commit(): Promise<void> {
    try {
      await (this.begun ??= this.begin());
      const { covers } = this.batch;
      if (covers !== undefined) for (const recomputed of this.recomputed.values()) recomputed.finish(covers);
      this.recordBatch();
      this.database.exec("COMMIT");
    } catch (error) {
      throw explain(error, shownPath(this.file));
    }
    this.isOpen = false;
    this.close();
  }

  private recordBatch(): void {
    for (const [name, rows] of this.counts) {
      if (!this.written.has(name)) writeRecord(this.database, this.batch, name, rows);
    }
  }

  async abort(): Promise<void> {
    if (!this.isOpen) return;
    this.isOpen = false;
    // A transaction that is still waiting for its turn must not begin after this.
    await this.begun?.catch(() => undefined);
    quietly(() => this.database.exec("ROLLBACK"));
    let isEmpty = false;
    quietly(() => {
      isEmpty = this.database.prepare("SELECT 1 FROM sqlite_master LIMIT 1").all([]).length === 0;
    });
    this.close();
    if (!this.isNew || !isEmpty) return;
    for (const ending of ["", "-wal", "-shm"]) await rm(this.file + ending, { force: true }).catch(() => undefined);
  }

  private close(): void {
    // So that the file alone is the whole database when somebody copies it.
    quietly(() => this.database.exec("PRAGMA wal_checkpoint(TRUNCATE)"));
    quietly(() => this.database.close());
  }

  private async begin(): Promise<void> {
    const { database } = this;
    await this.patiently("BEGIN IMMEDIATE");
    const shown = shownPath(this.file);
    // From here on nobody else writes: what is decided now holds until the end.
    prepareBatches(database);
    for (const [index, { name, table }] of this.outputs.entries()) {
      if (isWritten(this.batch, readRecord(database, this.batch.job, name))) this.written.add(name);
      // Compared again: another program may have made it since this target was opened.
      if (!compareTable(database, table, shown)) createTable(database, table);
      createNumericView(database, table, shown);
      this.upserts.set(name, new Upsert(database, table));
      this.counts.set(name, 0);
      const by = table.recomputedBy;
      if (by !== undefined && this.batch.covers !== undefined && !this.written.has(name))
        this.recomputed.set(name, new Recomputed(database, table, columnOf(table, by), index));
    }
    const byOrigin = this.outputs.filter(({ name, table }) => table.mode === "by-origin" && !this.written.has(name));
    if (byOrigin.length > 0) this.clearRanges(byOrigin.map((output) => output.table));
  }

  /** Takes out what earlier runs of this job left of the ranges that this batch reads again. */
  private clearRanges(tables: readonly Table[]): void {
    const ranges = `temp.${OWN_PREFIX}ranges`;
    this.database.exec(
      `CREATE TEMP TABLE ${OWN_PREFIX}ranges (source TEXT, first INTEGER, next INTEGER, since TEXT, until TEXT)`,
    );
    const add = this.database.prepare(`INSERT INTO ${ranges} VALUES (?, ?, ?, ?, ?)`);
    const text = (time: number | null | undefined) => (time == null ? null : new Date(time).toISOString());
    for (const { source, from, to, times } of this.batch.ranges)
      add.run([source, from, to, text(times?.since), text(times?.until)]);
    this.database.exec(`CREATE INDEX temp.${OWN_PREFIX}ranges_source ON ${OWN_PREFIX}ranges (source)`);
    const byTime = this.batch.ranges.some(({ times }) => times !== undefined);
    for (const table of tables) {
      const name = quoteName(table.name);
      const isOfItsTimes = `AND (r.since IS NULL OR main.${name}."timestamp" >= r.since) AND (r.until IS NULL OR main.${name}."timestamp" < r.until)`;
      this.database
        .prepare(
          `DELETE FROM main.${name} WHERE "job" = ? AND EXISTS (SELECT 1 FROM ${ranges} AS r WHERE r.source = main.${name}."source" ` +
            `AND main.${name}."position" >= r.first AND (r.next IS NULL OR main.${name}."position" < r.next) ` +
            `${byTime ? isOfItsTimes : ""})`,
        )
        .run([this.batch.job]);
    }
  }

  /** Runs what may meet another program's lock, and waits without blocking this one. */
  private async patiently(sql: string): Promise<void> {
    const deadline = performance.now() + this.patienceMs;
    this.database.exec("PRAGMA busy_timeout = 20");
    for (;;) {
      try {
        this.database.exec(sql);
        break;
      } catch (error) {
        const isLocked = error instanceof SqliteFailure && (error.resultCode === BUSY || error.resultCode === LOCKED);
        if (!isLocked || performance.now() > deadline || !this.isOpen) throw error;
      }
      await setTimeout(30);
    }
    this.database.exec("PRAGMA busy_timeout = 5000");
  }
}

/** Refuses what stands behind the path: there are no options. */
export function checkAddress({ path: written, options }: Address): void {
  if (written === "") throw new UsageError("“sqlite:” needs a file behind it, such as sqlite:data/app.db");
  const [option] = Object.keys(options);
  if (option !== undefined)
    throw new UsageError(`“sqlite:${written}” has the option “${option}”, but sqlite: takes none`);
}

export function checkOutputs(outputs: readonly Output[]): void {
  const seen = new Set<string>();
  for (const { table } of outputs) {
    checkTable(table);
    const name = table.name.toLowerCase();
    if (seen.has(name))
      throw new UsageError(
        `Two outputs go to the table ${table.name} of the same database: give one another name or place`,
      );
    seen.add(name);
  }
}

/** Makes the directory; says whether the file is not there yet. */
async function prepareFile(file: string, shown: string): Promise<boolean> {
  const there = await stat(file).catch(() => null);
  if (there?.isDirectory() === true)
    throw new UsageError(`${shown} is a directory: name a file in it, such as sqlite:${shown}/app.db`);
  const directory = path.dirname(file);
  try {
    await makeDirectory(directory);
    await access(there === null ? directory : file, constants.W_OK);
  } catch {
    throw new UsageError(`${shown} cannot be written: its directory cannot be made or may not be written`);
  }
  return there === null;
}

function quietly(action: () => void): void {
  try {
    action();
  } catch {
    // The batch is over either way, and what went wrong was said before.
  }
}
