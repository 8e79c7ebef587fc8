// What a source gives once and never again is kept here until a batch that read it is committed: a queue in a SQLite file
// of its own, with a number for each record that never comes again. It holds so much and no more: then who gives waits.
import { existsSync } from "node:fs";
import path from "node:path";
import { type Part } from "../../io/connector";
import { openDatabase, SqliteFailure, type Database, type SqlValue, type Statement } from "../../io/sqlite/database";
import { explain } from "../../io/sqlite/failures";
import { UsageError } from "../../schema/errors";
import { type SourceRecord } from "../../schema/record";
import { packRecord, unpackRecord } from "./packed-record";

/** Where records are missing that the source will not give. */
export interface Missed {
  /** In front of the record of this number it is told, and so no batch goes over it. */
  readonly number: number;
  /** In front of the record of this one the first of them lay. */
  readonly since: number;
}

/** How much there is, or may be. */
export interface Amount {
  readonly records: number;
  /** As they are kept. */
  readonly bytes: number;
}

/** Goes up when the file's tables change their meaning. */
const FORMAT = 1;

/** Full again is news when it was not full for so long, in milliseconds: a source that is faster than the job fills it always. */
const NEWS_AFTER = 60_000;

/** What is read in one go holds no more, so that a range of any length takes little memory. */
const RECORDS_OF_A_PAGE = 512;
const BYTES_OF_A_PAGE = 4 * 1024 * 1024;

const TABLES = `
  CREATE TABLE IF NOT EXISTS part (id INTEGER PRIMARY KEY, source TEXT NOT NULL UNIQUE, next INTEGER NOT NULL);
  CREATE TABLE IF NOT EXISTS record (
    part INTEGER NOT NULL, number INTEGER NOT NULL, bytes INTEGER NOT NULL, record TEXT NOT NULL,
    PRIMARY KEY (part, number)
  ) WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS missed (
    part INTEGER NOT NULL, number INTEGER NOT NULL, since INTEGER NOT NULL, PRIMARY KEY (part, number)
  ) WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS note (one INTEGER PRIMARY KEY CHECK (one = 1), text TEXT NOT NULL);
`;

/** The records of one source: their numbers follow each other, also over a restart, and when none is here any more. */
interface InboxPart {
  readonly id: number;
  first: number;
  next: number;
  /** In the order of their numbers. */
  missed: readonly Missed[];
}

export class Inbox {
  private readonly parts = new Map<string, InboxPart>();
  private readonly statements = new Map<string, Statement>();
  private held: Amount = { records: 0, bytes: 0 };
  private onRoom: (() => void) | null = null;
  private lastFull = Number.NEGATIVE_INFINITY;
  /** Told before the first record said what its source is. */
  private readonly missedAtFirst: number[] = [];

  private constructor(
    private readonly database: Database,
    private readonly file: string,
    private readonly bounds: Amount,
    private readonly onFull: (held: Amount) => void,
  ) {
    // A record that was on its way when the process died will have another's number.
    this.run("DELETE FROM missed WHERE number > (SELECT next FROM part WHERE id = missed.part)", []);
    for (const { id, source, next } of this.all("SELECT id, source, next FROM part")) {
      const [there] = this.all(
        "SELECT min(number) AS first, count(*) AS records, total(bytes) AS bytes FROM record WHERE part = ?",
        [Number(id)],
      );
      const first = Number(there?.["first"] ?? next);
      const missed = this.missedIn(Number(id));
      this.parts.set(String(source), { id: Number(id), first, next: Number(next), missed });
      this.holds(Number(there?.["records"]), Number(there?.["bytes"]));
    }
  }

  /** Opens the file, or makes it. It belongs to a job, whose lock keeps other processes out. */
  static open(file: string, bounds: Amount, onFull: (held: Amount) => void): Inbox {
    let database: Database | undefined;
    try {
      database = openDatabase(file);
      database.exec("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA busy_timeout = 5000;");
      checkFormat(database, file);
      database.exec(`BEGIN IMMEDIATE; ${TABLES} COMMIT;`);
      return new Inbox(database, file, bounds, onFull);
    } catch (error) {
      database?.close();
      throw explainInbox(error, file);
    }
  }

  /** Whether somebody waits for room. */
  get isFull(): boolean {
    return this.onRoom !== null;
  }

  /** What lies here, by source. */
  look(): Part[] {
    return [...this.parts].map(([source, { first, next }]) => ({ source, first, end: next }));
  }

  /** What was noted last together with records; null before the first note. */
  noted(): string | null {
    const [row] = this.all("SELECT text FROM note");
    return row === undefined ? null : String(row["text"]);
  }

  /**
   * Makes records durable, and waits until there is room for them. When the signal says that the job ends, they come in
   * without: they are given only once. A note about them is there when all of them are.
   */
  async append(records: readonly SourceRecord[], signal?: AbortSignal, note: string | null = null): Promise<void> {
    const packed = records.map((record) => ({ source: record.source, text: packRecord(record) }));
    const entries = packed.map(({ source, text }) => ({ source, text, bytes: Buffer.byteLength(text) }));
    let from = 0;
    while (from < entries.length) {
      const to = signal?.aborted === true ? entries.length : this.fitting(entries, from);
      if (to === from) await this.room(signal);
      else this.put(entries.slice(from, to), to === entries.length ? note : null);
      from = to;
    }
    if (from === 0 && note !== null) this.put([], note);
  }

  /** Records are missing in front of one that is given next, or was given before: told in front of the next one. */
  miss(before: number): void {
    const [part] = this.parts.values();
    if (part === undefined) {
      this.missedAtFirst.push(before);
      return;
    }
    this.together(() => {
      this.putMissed(part, before);
      return () => void (part.missed = this.missedIn(part.id));
    });
  }

  /** Where records of a source are missing, of those that are here and of what comes next. */
  missed(source: string): readonly Missed[] {
    return this.parts.get(source)?.missed ?? [];
  }

  /** The records of a stretch of a source, some at a time. */
  *read(source: string, from: number, to: number): Generator<SourceRecord[]> {
    const part = this.parts.get(source);
    if (part === undefined) return;
    for (let at = from; at < to;) {
      const sizes = this.all(
        "SELECT number, bytes FROM record WHERE part = ? AND number >= ? AND number < ? ORDER BY number LIMIT ?",
        [part.id, at, to, RECORDS_OF_A_PAGE],
      );
      if (sizes.length === 0) return;
      let bytes = 0;
      const over = sizes.findIndex((size) => (bytes += Number(size["bytes"])) > BYTES_OF_A_PAGE);
      const last = Number(sizes[over < 0 ? sizes.length - 1 : Math.max(0, over - 1)]?.["number"]);
      yield this.all("SELECT number, record FROM record WHERE part = ? AND number BETWEEN ? AND ? ORDER BY number", [
        part.id,
        at,
        last,
      ]).map(({ number, record }) => ({ ...unpackRecord(String(record)), position: Number(number) }));
      at = last + 1;
    }
  }

  /** Lets go of the records of a source before `next`: a batch that read them is committed. */
  trim(source: string, next: number): void {
    const part = this.parts.get(source);
    if (part === undefined || next <= part.first) return;
    const before = [part.id, next];
    this.together(() => {
      const [gone] = this.all(
        "SELECT count(*) AS records, total(bytes) AS bytes FROM record WHERE part = ? AND number < ?",
        before,
      );
      this.run("DELETE FROM record WHERE part = ? AND number < ?", before);
      this.run("DELETE FROM missed WHERE part = ? AND number < ?", before);
      return () => {
        part.first = Math.min(next, part.next);
        part.missed = part.missed.filter(({ number }) => number >= next);
        this.holds(-Number(gone?.["records"]), -Number(gone?.["bytes"]));
      };
    });
    this.onRoom?.();
  }

  close(): void {
    this.database.close();
  }

  /** How many of the entries there is room for now. What is larger than the whole inbox comes in when it is empty. */
  private fitting(entries: readonly { readonly bytes: number }[], from: number): number {
    let { records, bytes } = this.held;
    let to = from;
    for (; to < entries.length; to += 1) {
      records += 1;
      bytes += entries[to]?.bytes ?? 0;
      if (records > 1 && (records > this.bounds.records || bytes > this.bounds.bytes)) break;
    }
    return to;
  }

  private async room(signal: AbortSignal | undefined): Promise<void> {
    if (performance.now() - this.lastFull > NEWS_AFTER) this.onFull(this.held);
    await new Promise<void>((resolve) => {
      const goOn = () => {
        signal?.removeEventListener("abort", goOn);
        this.onRoom = null;
        resolve();
      };
      this.onRoom = goOn;
      signal?.addEventListener("abort", goOn);
    });
    this.lastFull = performance.now();
  }

  /** One transaction: all of them are durable when it returns, or none is. */
  private put(
    entries: readonly { readonly source: string; readonly text: string; readonly bytes: number }[],
    note: string | null,
  ): void {
    const grown = new Map<string, InboxPart>();
    this.together(() => {
      let sum = 0;
      for (const { source, text, bytes } of entries) {
        let part = grown.get(source);
        if (part === undefined) grown.set(source, (part = { ...(this.parts.get(source) ?? this.newPart(source)) }));
        this.run("INSERT INTO record VALUES (?, ?, ?, ?)", [part.id, part.next, bytes, text]);
        part.next += 1;
        sum += bytes;
      }
      for (const { id, next } of grown.values()) this.run("UPDATE part SET next = ? WHERE id = ?", [next, id]);
      if (note !== null) this.run("INSERT OR REPLACE INTO note VALUES (1, ?)", [note]);
      return () => {
        for (const [source, part] of grown) this.parts.set(source, part);
        this.missedAtFirst.length = 0;
        this.holds(entries.length, sum);
      };
    });
  }

  private newPart(source: string): InboxPart {
    this.run("INSERT INTO part (source, next) VALUES (?, 0)", [source]);
    const id = Number(this.all("SELECT id FROM part WHERE source = ?", [source])[0]?.["id"]);
    for (const before of this.missedAtFirst) this.putMissed({ id, next: 0 }, before);
    return { id, first: 0, next: 0, missed: this.missedIn(id) };
  }

  private putMissed({ id, next }: Pick<InboxPart, "id" | "next">, before: number): void {
    this.run("INSERT INTO missed VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET since = min(since, excluded.since)", [
      id,
      Math.max(next, before),
      before,
    ]);
  }

  private missedIn(part: number): Missed[] {
    return this.all("SELECT number, since FROM missed WHERE part = ? ORDER BY number", [part]).map(
      ({ number, since }) => ({ number: Number(number), since: Number(since) }),
    );
  }

  private holds(records: number, bytes: number): void {
    this.held = { records: this.held.records + records, bytes: this.held.bytes + bytes };
  }

  /** All of it or nothing. What the body returns is done once it is durable. */
  private together(body: () => () => void): void {
    let afterwards;
    try {
      this.database.exec("BEGIN IMMEDIATE");
      afterwards = body();
      this.database.exec("COMMIT");
    } catch (error) {
      this.rollBack();
      throw explainInbox(error, this.file);
    }
    afterwards();
  }

  /** SQLite does it by itself where the disk is full, and then says that there is nothing to roll back. */
  private rollBack(): void {
    try {
      this.database.exec("ROLLBACK");
    } catch {
      // What failed first is what is told.
    }
  }

  private run(sql: string, values: readonly SqlValue[]): void {
    this.statement(sql).run(values);
  }

  private all(sql: string, values: readonly SqlValue[] = []): Record<string, unknown>[] {
    return this.statement(sql).all(values);
  }

  private statement(sql: string): Statement {
    let statement = this.statements.get(sql);
    if (statement === undefined) this.statements.set(sql, (statement = this.database.prepare(sql)));
    return statement;
  }
}

const ENDING = ".inbox.db";

export const inboxFile = (directory: string, job: string, input: string): string =>
  path.join(directory, `${job}.${input}${ENDING}`);

export const isInboxFile = (file: string): boolean => file.endsWith(ENDING);

/** What lies in an inbox, for whoever only asks: nothing is changed, and a job that uses it is not disturbed. */
export function lookInto(file: string): Part[] {
  if (!existsSync(file)) return [];
  const database = openDatabase(file);
  try {
    database.exec("PRAGMA busy_timeout = 5000; PRAGMA query_only = 1");
    // A job makes the file a moment before there is anything in it.
    if (database.prepare("SELECT 1 FROM sqlite_master WHERE name = 'record'").all([]).length === 0) return [];
    return database
      .prepare(
        "SELECT source, next, coalesce((SELECT min(number) FROM record WHERE part = id), next) AS first FROM part ORDER BY id",
      )
      .all([])
      .map(({ source, next, first }) => ({ source: String(source), first: Number(first), end: Number(next) }));
  } catch (error) {
    throw explainInbox(error, file);
  } finally {
    database.close();
  }
}

function checkFormat(database: Database, file: string): void {
  const format = Number(database.prepare("PRAGMA user_version").all([])[0]?.["user_version"]);
  if (format !== 0 && format !== FORMAT) {
    throw new UsageError(
      `${file} has the format ${format}, this version of beamline reads format ${FORMAT}: run the job with the version that wrote it, or begin another one with --job`,
    );
  }
  database.exec(`PRAGMA user_version = ${FORMAT}`);
}

const explainInbox = (error: unknown, file: string): Error =>
  error instanceof SqliteFailure ? explain(error, `the inbox ${file}`) : (error as Error);
