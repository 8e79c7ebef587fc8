// What a job that goes on has durably, in one SQLite file: the plan that is under way, how far each source was read, the
// watermark, and the accumulators of windows. A batch's part of it is committed in one transaction or not at all.
import { randomBytes } from "node:crypto";
import { existsSync, statSync } from "node:fs";
import path from "node:path";
import { type LetterId } from "../../io/connector";
import { makeDirectory } from "../../io/local-path";
import { openDatabase, SqliteFailure, type Database, type Statement } from "../../io/sqlite/database";
import { explain } from "../../io/sqlite/failures";
import { RunError, UsageError } from "../../schema/errors";
import { type Range, type SourceRecord } from "../../schema/record";
import { type FrozenGroup } from "../../transforms/accumulate";
import { type NamedAggregate } from "../../transforms/aggregates-of";
import { type FrozenIds } from "../../transforms/id-set";
import { isInboxFile } from "./inbox";
import { packRecord, unpackRecord } from "./packed-record";
import { isLocked, takeLock } from "./process-lock";

/** Goes up when the file's tables change their meaning. */
const FORMAT = 1;

/** Set when a job of this name was found to be a new one, or was told to begin anew. */
export const BEGUN = "begun";

/** The last record that was read of a part: at the next start it must still be the same. */
export interface LastRecord {
  readonly position: number;
  readonly timestamp: number | null;
  readonly checksum: string;
}

/** How far one part of a source (a partition, a file) was read. */
export interface Position {
  readonly input: string;
  readonly source: string;
  /** The position of the next record. */
  readonly next: number;
  /** Up to where its event time is complete; null while nothing is known. */
  readonly watermark: number | null;
  readonly last: LastRecord | null;
}

/** One part of a source in a plan. */
export interface PlannedPart {
  readonly input: string;
  readonly source: string;
  readonly from: number;
  readonly to: number;
  /** Null when nothing of it is read in this batch. */
  readonly range: Range | null;
  /** At its end for so long that it holds no window back. */
  readonly idle: boolean;
}

/** A stretch of time of which records are missing: a window that reaches into it is not whole. */
export interface Cut {
  /** Null: from the beginning of time. */
  readonly from: number | null;
  readonly until: number;
  /**
   * Whose records are missing, as long as none came behind them: it may tell that the stretch is shorter, since records
   * come in order, but for the disorder.
   */
  readonly source: string | null;
}

/** What one batch is to do. Written down before anything is read, so that a crash does the same again. */
export interface StoredPlan {
  readonly batch: number;
  /** The one clock of the batch. */
  readonly batchTime: number;
  readonly parts: readonly PlannedPart[];
  /** "flush" closes all windows; "replay" reads dead letters; "migrate" closes all windows by the definition before. */
  readonly kind: "read" | "flush" | "replay" | "migrate";
  /** Of all batches so far and of this one. */
  readonly cuts: readonly Cut[];
  /** Records that were gone before they could be read, and that the job was told to do without. */
  readonly lost: number;
}

/** The accumulators of one window and key of one aggregate, and the ids that one batch added to them. */
export interface StoredGroup {
  readonly start: number;
  readonly end: number;
  readonly key: string;
  readonly frozen: FrozenGroup;
  readonly freshIds: FrozenIds | null;
}

export interface StoredAggregate {
  readonly aggregate: string;
  readonly groups: readonly StoredGroup[];
  /** Sessions that were joined to another one. */
  readonly gone: readonly { readonly start: number; readonly end: number; readonly key: string }[];
  /** Windows that end up to this are closed now. */
  readonly closedUpTo: number | null;
  /** Closed windows that end before this are forgotten. */
  readonly forgetBefore: number | null;
}

/** Sums over all batches, by name. */
export type Totals = Readonly<Record<string, number>>;

export interface BatchCommit {
  readonly plan: StoredPlan;
  readonly positions: readonly Position[];
  readonly watermark: number | null;
  readonly aggregates: readonly StoredAggregate[];
  readonly cuts: readonly Cut[];
  /** What this batch adds to the totals. */
  readonly counts: Totals;
  readonly seconds: number;
  /** What else is so from this batch on. */
  readonly meta?: Readonly<Record<string, string>>;
}

export interface CommittedBatch {
  readonly batch: number;
  readonly batchTime: number;
  readonly records: number;
  readonly seconds: number;
}

const TABLES = `
  CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS plan (
    batch INTEGER PRIMARY KEY, plan TEXT NOT NULL, committed INTEGER NOT NULL, batch_time INTEGER NOT NULL,
    records INTEGER, seconds REAL
  );
  CREATE TABLE IF NOT EXISTS position (
    input TEXT NOT NULL, source TEXT NOT NULL, next INTEGER NOT NULL, watermark INTEGER, last TEXT,
    PRIMARY KEY (input, source)
  ) WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS accumulator (
    aggregate TEXT NOT NULL, window_end INTEGER NOT NULL, window_start INTEGER NOT NULL, key TEXT NOT NULL,
    value TEXT NOT NULL, closed INTEGER NOT NULL, PRIMARY KEY (aggregate, window_end, window_start, key)
  ) WITHOUT ROWID;
  CREATE INDEX IF NOT EXISTS accumulator_open ON accumulator (aggregate, window_end) WHERE closed = 0;
  CREATE TABLE IF NOT EXISTS ids (
    aggregate TEXT NOT NULL, window_end INTEGER NOT NULL, window_start INTEGER NOT NULL, key TEXT NOT NULL,
    batch INTEGER NOT NULL, ids TEXT NOT NULL, PRIMARY KEY (aggregate, window_end, window_start, key, batch)
  ) WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS letter (
    source TEXT NOT NULL, position INTEGER NOT NULL, step TEXT NOT NULL, input TEXT NOT NULL, record TEXT NOT NULL,
    batch INTEGER, PRIMARY KEY (source, position, step)
  ) WITHOUT ROWID;
  CREATE INDEX IF NOT EXISTS letter_batch ON letter (batch);
  CREATE TABLE IF NOT EXISTS request (id INTEGER PRIMARY KEY, request TEXT NOT NULL, answer TEXT);
`;

/** A dead letter that is to be tried again: a copy, since the batch that does so takes it out of where it lay. */
export interface WaitingLetter {
  readonly id: LetterId;
  /** Which input's record it was. */
  readonly input: string;
  readonly record: SourceRecord;
}

export class JobState {
  private readonly statements = new Map<string, Statement>();

  protected constructor(
    protected readonly database: Database,
    private readonly lock: Database,
    readonly file: string,
    /** Whether there was no state before. */
    readonly isNew: boolean,
    /** Goes up with every process that takes the job over; targets refuse an older one. */
    readonly epoch: number,
    /** Another one after a reset: batches of before and after never have one name. */
    readonly incarnation: string,
  ) {}

  /** Opens the state of a job, or begins it. One process at a time: a second one is refused. */
  static async open(directory: string, job: string): Promise<JobState> {
    checkJobName(job);
    await makeDirectory(path.resolve(directory));
    const file = stateFile(directory, job);
    const lock = takeLock(lockFile(directory, job));
    if (lock === null)
      throw new JobIsRunningError(
        `The job ${job} is being run by another process: stop that one, or choose another --job`,
      );
    let database: Database | undefined;
    try {
      database = openDatabase(file);
      database.exec("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA busy_timeout = 5000;");
      // All of them at once: who looks at the file meanwhile sees a state or none.
      database.exec(`BEGIN IMMEDIATE; ${TABLES} COMMIT;`);
      const started = begin(database, file);
      return new this(database, lock, file, started.isNew, started.epoch, started.incarnation);
    } catch (error) {
      database?.close();
      lock.close();
      throw explainState(error, file);
    }
  }

  /** Forgets all of a job, so that it begins anew. */
  static async reset(directory: string, job: string): Promise<void> {
    const state = await JobState.open(directory, job);
    try {
      state.together(() => {
        for (const table of ["plan", "position", "accumulator", "ids", "letter", "request"])
          state.run(`DELETE FROM ${table}`);
        // The epoch stays: what an older process still has in hand must not be taken for newer than what comes.
        state.run("DELETE FROM meta WHERE name NOT IN ('format', 'epoch')");
        // What the other side remembers of the job no longer counts, also when this start comes to nothing.
        state.setMeta(BEGUN, "anew");
      });
    } finally {
      state.close();
    }
  }

  close(): void {
    this.database.close();
    this.lock.close();
  }

  /** The plan that was written down and not committed, if a crash left one. */
  pending(): StoredPlan | null {
    const [row] = this.all("SELECT plan FROM plan WHERE committed = 0");
    return row === undefined ? null : (JSON.parse(row["plan"] as string) as StoredPlan);
  }

  /** The number of the last committed batch; 0 before the first. */
  lastBatch(): number {
    return Number(this.all("SELECT max(batch) AS batch FROM plan WHERE committed = 1")[0]?.["batch"] ?? 0);
  }

  /** Writes a plan down. There is one at a time: the one before must have been committed. */
  begin(plan: StoredPlan): void {
    this.run("INSERT INTO plan (batch, plan, committed, batch_time) VALUES (?, ?, 0, ?)", [
      plan.batch,
      JSON.stringify(plan),
      plan.batchTime,
    ]);
  }

  /** Puts a letter aside for a batch to come. */
  putLetter({ id, input, record }: WaitingLetter): void {
    const { source, position, step } = id;
    this.run("INSERT OR REPLACE INTO letter VALUES (?, ?, ?, ?, ?, NULL)", [
      source,
      position,
      step,
      input,
      packRecord(record),
    ]);
  }

  dropLetter({ source, position, step }: LetterId): void {
    this.run("DELETE FROM letter WHERE source = ? AND position = ? AND step = ?", [source, position, step]);
  }

  /** Forgets letters that wait and are in no plan. */
  dropLetters(): void {
    this.run("DELETE FROM letter WHERE batch IS NULL");
  }

  lettersWaiting(): number {
    return Number(this.all("SELECT count(*) AS n FROM letter WHERE batch IS NULL")[0]?.["n"] ?? 0);
  }

  /** Writes down a plan that tries some of the letters again that wait. */
  beginReplay(plan: StoredPlan, most: number): void {
    this.together(() => {
      this.begin(plan);
      this.run(
        "UPDATE letter SET batch = ? WHERE (source, position, step) IN " +
          "(SELECT source, position, step FROM letter WHERE batch IS NULL ORDER BY source, position, step LIMIT ?)",
        [plan.batch, most],
      );
    });
  }

  /** The letters that a batch tries again, in order. */
  lettersOf(batch: number): WaitingLetter[] {
    return this.all("SELECT * FROM letter WHERE batch = ? ORDER BY source, position, step", [batch]).map(
      ({ source, position, step, input, record }) => ({
        id: { source: String(source), position: Number(position), step: String(step) },
        input: String(input),
        record: unpackRecord(String(record)),
      }),
    );
  }

  /** What others ask of the job, that has no answer yet. */
  requests(): { readonly id: number; readonly request: string }[] {
    return this.all("SELECT id, request FROM request WHERE answer IS NULL ORDER BY id").map(({ id, request }) => ({
      id: Number(id),
      request: String(request),
    }));
  }

  answer(id: number, answer: string): void {
    this.run("UPDATE request SET answer = ? WHERE id = ?", [answer, id]);
  }

  /** Windows of an aggregate that ended before this are forgotten; null when none is. */
  forgottenBefore(aggregate: string): number | null {
    const text = this.meta(forgottenName(aggregate));
    return text === null ? null : Number(text);
  }

  /** Takes back the plan that is under way, of which nothing became visible. */
  withdraw(plan: StoredPlan): void {
    this.run("DELETE FROM plan WHERE batch = ? AND committed = 0", [plan.batch]);
  }

  /** The aggregates whose windows are stored, as they were defined. */
  definitions(): readonly NamedAggregate[] {
    return JSON.parse(this.meta("aggregates") ?? "[]") as NamedAggregate[];
  }

  /** The end of the last window of all that are stored: no record that was counted is later. */
  lastWindowEnd(): number | null {
    const end = this.all("SELECT max(window_end) AS last FROM accumulator")[0]?.["last"];
    return end == null ? null : Number(end);
  }

  /** Changes the plan that is under way, before it is run. */
  amend(plan: StoredPlan): void {
    this.run("UPDATE plan SET plan = ? WHERE batch = ? AND committed = 0", [JSON.stringify(plan), plan.batch]);
  }

  watermark(): number | null {
    const text = this.meta("watermark");
    return text === null ? null : Number(text);
  }

  positions(): Position[] {
    return positionsIn(this.database);
  }

  cuts(): Cut[] {
    return JSON.parse(this.meta("cuts") ?? "[]") as Cut[];
  }

  totals(): Totals {
    return JSON.parse(this.meta("totals") ?? "{}") as Totals;
  }

  meta(name: string): string | null {
    return metaOf(this.database, name);
  }

  setMeta(name: string, value: string): void {
    setMetaOf(this.database, name, value);
  }

  dropMeta(name: string): void {
    this.run("DELETE FROM meta WHERE name = ?", [name]);
  }

  /** Whether anything is stored of a window. */
  knowsWindow(aggregate: string, start: number, end: number): boolean {
    return (
      this.all("SELECT 1 FROM accumulator WHERE aggregate = ? AND window_end = ? AND window_start = ? LIMIT 1", [
        aggregate,
        end,
        start,
      ]).length > 0
    );
  }

  /** The stored accumulators of a window and key. */
  group(aggregate: string, start: number, end: number, key: string): FrozenGroup | null {
    const [row] = this.all(
      "SELECT value FROM accumulator WHERE aggregate = ? AND window_end = ? AND window_start = ? AND key = ?",
      [aggregate, end, start, key],
    );
    return row === undefined ? null : (JSON.parse(row["value"] as string) as FrozenGroup);
  }

  /** The ids that were counted in a window and key, batch by batch. */
  ids(aggregate: string, start: number, end: number, key: string): FrozenIds[] {
    return this.all(
      "SELECT ids FROM ids WHERE aggregate = ? AND window_end = ? AND window_start = ? AND key = ? ORDER BY batch",
      [aggregate, end, start, key],
    ).map(({ ids }) => JSON.parse(ids as string) as FrozenIds);
  }

  /** Open windows that end up to then, in the order of their ends. */
  openUpTo(aggregate: string, upTo: number): { start: number; end: number; key: string; frozen: FrozenGroup }[] {
    return this.all(
      "SELECT window_start, window_end, key, value FROM accumulator WHERE aggregate = ? AND closed = 0 AND window_end <= ? " +
        "ORDER BY window_end, window_start, key",
      [aggregate, upTo],
    ).map(storedGroup);
  }

  /** Open windows of a key. */
  openOf(aggregate: string, key: string): { start: number; end: number; key: string; frozen: FrozenGroup }[] {
    return this.all(
      "SELECT window_start, window_end, key, value FROM accumulator WHERE aggregate = ? AND closed = 0 AND key = ? " +
        "ORDER BY window_start",
      [aggregate, key],
    ).map(storedGroup);
  }

  /** The end of the open window that ends first; null when none is open. */
  firstOpenEnd(aggregate: string): number | null {
    const [row] = this.all("SELECT min(window_end) AS first FROM accumulator WHERE aggregate = ? AND closed = 0", [
      aggregate,
    ]);
    return row?.["first"] == null ? null : Number(row["first"]);
  }

  /** Windows that reach into a stretch of time; where it has no beginning, those that are open. */
  windowsIn({ from, until }: Cut): { aggregate: string; start: number; end: number; key: string }[] {
    const which = from === null ? "closed = 0" : "window_end > ?";
    const found = this.definitions().flatMap(({ name }) =>
      this.all(
        "SELECT aggregate, window_start, window_end, key FROM accumulator " +
          `WHERE aggregate = ? AND ${which} AND window_start < ? ORDER BY window_end, window_start, key`,
        from === null ? [name, until] : [name, from, until],
      ),
    );
    return found.map(({ aggregate, window_start, window_end, key }) => ({
      aggregate: String(aggregate),
      start: Number(window_start),
      end: Number(window_end),
      key: String(key),
    }));
  }

  openWindows(): number {
    return Number(this.all("SELECT count(*) AS n FROM accumulator WHERE closed = 0")[0]?.["n"] ?? 0);
  }

  /** How much the state takes on disk, with what SQLite has beside the file. */
  bytes(): number {
    return ["", "-wal"].reduce(
      (sum, ending) => sum + (statSync(this.file + ending, { throwIfNoEntry: false })?.size ?? 0),
      0,
    );
  }

  /** Makes a batch's end durable, all of it or nothing. */
  commit(commit: BatchCommit): void {
    this.together(() => {
      this.putPositions(commit);
      this.putAccumulators(commit);
    });
  }

  /** How far the job has come. */
  protected putPositions({ plan, positions, watermark, cuts, counts, seconds, meta = {} }: BatchCommit): void {
    for (const { input, source, next, watermark: own, last } of positions) {
      this.run(
        "INSERT INTO position VALUES (?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET next = excluded.next, " +
          "watermark = excluded.watermark, last = excluded.last",
        [input, source, next, own, last === null ? null : JSON.stringify(last)],
      );
    }
    if (watermark !== null) this.setMeta("watermark", String(watermark));
    const totals: Record<string, number> = { ...this.totals() };
    for (const [name, by] of Object.entries(counts)) totals[name] = (totals[name] ?? 0) + by;
    this.setMeta("totals", JSON.stringify(totals));
    this.setMeta("cuts", JSON.stringify(cuts));
    this.run("DELETE FROM letter WHERE batch = ?", [plan.batch]);
    if (plan.kind === "flush") this.setMeta("ended", new Date(plan.batchTime).toISOString());
    for (const [name, value] of Object.entries(meta)) this.setMeta(name, value);
    this.dropMeta("last error");
    this.run("UPDATE plan SET committed = 1, records = ?, seconds = ? WHERE batch = ?", [
      counts["read"] ?? 0,
      seconds,
      plan.batch,
    ]);
    // The last few tell what was done; all of them would only grow.
    this.run("DELETE FROM plan WHERE batch < ?", [plan.batch - 100]);
  }

  /** What its windows hold. */
  protected putAccumulators({ plan, aggregates }: BatchCommit): void {
    if (plan.kind === "migrate") {
      this.run("DELETE FROM accumulator");
      this.run("DELETE FROM ids");
    }
    for (const { aggregate, groups, gone, closedUpTo, forgetBefore } of aggregates) {
      for (const { start, end, key } of gone) {
        for (const table of ["accumulator", "ids"]) {
          this.run(`DELETE FROM ${table} WHERE aggregate = ? AND window_end = ? AND window_start = ? AND key = ?`, [
            aggregate,
            end,
            start,
            key,
          ]);
        }
      }
      for (const { start, end, key, frozen, freshIds } of groups) {
        this.run("INSERT INTO accumulator VALUES (?, ?, ?, ?, ?, 0) ON CONFLICT DO UPDATE SET value = excluded.value", [
          aggregate,
          end,
          start,
          key,
          JSON.stringify(frozen),
        ]);
        if (freshIds !== null) {
          this.run("INSERT OR REPLACE INTO ids VALUES (?, ?, ?, ?, ?, ?)", [
            aggregate,
            end,
            start,
            key,
            plan.batch,
            JSON.stringify(freshIds),
          ]);
        }
      }
      if (closedUpTo !== null) {
        this.run("UPDATE accumulator SET closed = 1 WHERE aggregate = ? AND closed = 0 AND window_end <= ?", [
          aggregate,
          closedUpTo,
        ]);
      }
      if (forgetBefore !== null) {
        for (const table of ["accumulator", "ids"])
          this.run(`DELETE FROM ${table} WHERE aggregate = ? AND window_end < ?`, [aggregate, forgetBefore]);
        this.setMeta(
          forgottenName(aggregate),
          String(Math.max(forgetBefore, this.forgottenBefore(aggregate) ?? forgetBefore)),
        );
      }
    }
  }

  /** All of it or nothing. */
  together(body: () => void): void {
    this.database.exec("BEGIN IMMEDIATE");
    try {
      body();
      this.database.exec("COMMIT");
    } catch (error) {
      this.database.exec("ROLLBACK");
      throw explainState(error, this.file);
    }
  }

  private statement(sql: string): Statement {
    let statement = this.statements.get(sql);
    if (statement === undefined) this.statements.set(sql, (statement = this.database.prepare(sql)));
    return statement;
  }

  protected run(sql: string, values: readonly (string | number | null)[] = []): void {
    this.statement(sql).run(values);
  }

  protected all(sql: string, values: readonly (string | number | null)[] = []): Record<string, unknown>[] {
    return this.statement(sql).all(values);
  }
}

const forgottenName = (aggregate: string): string => `forgotten before, of ${aggregate}`;

const storedGroup = ({ window_start, window_end, key, value }: Record<string, unknown>) => ({
  start: Number(window_start),
  end: Number(window_end),
  key: String(key),
  frozen: JSON.parse(value as string) as FrozenGroup,
});

/** How far each source was read, by a state that need not be one's own. */
export const positionsIn = (database: Database): Position[] =>
  database
    .prepare("SELECT input, source, next, watermark, last FROM position ORDER BY input, source")
    .all([])
    .map(({ input, source, next, watermark, last }) => ({
      input: String(input),
      source: String(source),
      next: Number(next),
      watermark: watermark === null ? null : Number(watermark),
      last: last === null ? null : (JSON.parse(last as string) as LastRecord),
    }));

export const stateFile = (directory: string, job: string): string => path.join(directory, `${job}.db`);

const lockFile = (directory: string, job: string): string => path.join(directory, `${job}.lock`);

/** Whether a process runs the job. */
export const isRunning = (directory: string, job: string): boolean => isLocked(lockFile(directory, job));

/** Whether a job of this name has left a state. */
export const hasState = (directory: string, job: string): boolean => existsSync(stateFile(directory, job));

/** The name becomes that of files. */
export function checkJobName(job: string): void {
  if (!/^\w[\w.-]*$/.test(job))
    throw new UsageError(`“${job}” is no name for a job: letters, digits, “-”, “_” and “.” only`);
  if (isInboxFile(stateFile(".", job)))
    throw new UsageError(
      `“${job}” is no name for a job: “.inbox” at its end is for what lies beside the state of another`,
    );
}

function metaOf(database: Database, name: string): string | null {
  const [row] = database.prepare("SELECT value FROM meta WHERE name = ?").all([name]);
  return row === undefined ? null : String(row["value"]);
}

function setMetaOf(database: Database, name: string, value: string): void {
  database
    .prepare("INSERT INTO meta VALUES (?, ?) ON CONFLICT DO UPDATE SET value = excluded.value")
    .run([name, value]);
}

function begin(database: Database, file: string): { isNew: boolean; epoch: number; incarnation: string } {
  const format = metaOf(database, "format");
  if (format !== null && Number(format) !== FORMAT) {
    throw new UsageError(
      `${file} has the format ${format}, this version of beamline reads format ${FORMAT}: run the job with the version that wrote it, or begin another one with --job`,
    );
  }
  // By the clock, so that an epoch is greater than that of a state that was deleted, too.
  const epoch = Math.max(Number(metaOf(database, "epoch") ?? 0) + 1, Date.now());
  const known = metaOf(database, "incarnation");
  const incarnation = known ?? randomBytes(4).toString("hex");
  setMetaOf(database, "format", String(FORMAT));
  setMetaOf(database, "epoch", String(epoch));
  setMetaOf(database, "incarnation", incarnation);
  return { isNew: known === null, epoch, incarnation };
}

/** Another process has the job. */
export class JobIsRunningError extends RunError {}

function explainState(error: unknown, file: string): Error {
  return error instanceof SqliteFailure ? explain(error, `the state of the job, ${file},`) : (error as Error);
}
