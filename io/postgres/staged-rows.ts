// The rows of one output within a batch: few of them wait in memory, many in a temporary table; then all are merged.
import { type Table } from "../../schema/table";
import { type Row } from "../../schema/table";
import { type Range } from "../../schema/record";
import { type Batch, type Stretch } from "../connector";
import { textRowOf, type TextRow } from "./cell-text";
import { CopyChunks } from "./copy-chunks";
import { copyLine } from "./copy-text";
import { quoteName, quoteTable } from "./names";
import { type Session, type SqlParameter } from "./session";
import { declaredType } from "./shape";

/** Up to so many rows go with the statement itself: measured, a temporary table costs more than it saves below that. */
const FEW_ROWS = 2_000;
/** So many characters of them at most. */
const FEW_CHARACTERS = 1 << 20;

export class StagedRows {
  private few: TextRow[] = [];
  private readonly chunks = new CopyChunks();
  private weight = 0;
  private isStaged = false;
  private number = 0;
  /** Its name is its own within the session. */
  private readonly stage: string;

  constructor(
    private readonly schema: string,
    private readonly table: Table,
    index: number,
    private readonly growsBy?: string,
  ) {
    this.stage = `beamline_stage_${index}`;
  }

  /** Takes rows. `session` is asked for one only when they become many. */
  async add(rows: readonly Row[], session: () => Promise<Session>): Promise<void> {
    for (const row of rows) {
      const texts = textRowOf(this.table, row);
      if (this.isStaged) {
        const full = this.gather(texts);
        if (full.length > 0) await this.send(full, await session());
      } else {
        this.few.push(texts);
        for (const text of texts) this.weight += text?.length ?? 0;
        if (this.few.length > FEW_ROWS || this.weight > FEW_CHARACTERS) await this.beginStage(session);
      }
    }
  }

  /** Makes the table what the batch says it is; `isNew`: it was made by this transaction, and nobody else can see it. */
  async merge(session: Session, { job, ranges, covers }: Batch, isNew: boolean): Promise<void> {
    if (this.isStaged) await this.send(this.chunks.take(), session);
    const isEmpty = !this.isStaged && this.few.length === 0;
    if (!isEmpty) await session.query(this.mergeSql(isNew), this.values(this.table.columns.map((_, at) => at)));
    if (this.table.mode === "by-origin" && ranges.length > 0) await this.clear(session, job, ranges, isEmpty);
    const { recomputedBy } = this.table;
    if (recomputedBy !== undefined && covers !== undefined) await this.takeOut(session, recomputedBy, covers, isEmpty);
  }

  private async beginStage(session: () => Promise<Session>): Promise<void> {
    const columns = this.table.columns.map(({ type }, at) => `c${at} ${declaredType(type)}`);
    await (
      await session()
    ).execute(`CREATE TEMPORARY TABLE ${this.stage} (n bigint, ${columns.join(", ")}) ON COMMIT DROP`);
    this.isStaged = true;
    const { few } = this;
    this.few = [];
    for (const texts of few) await this.send(this.gather(texts), await session());
  }

  /** Takes a row; what is to be sent now is given back. */
  private gather(texts: TextRow): readonly Uint8Array[] {
    this.number += 1;
    return this.chunks.add(`${this.number}\t${copyLine(texts)}`);
  }

  private async send(pieces: readonly Uint8Array[], session: Session): Promise<void> {
    for (const piece of pieces) await session.copy(`COPY pg_temp.${this.stage} FROM STDIN`, piece);
  }

  /** Where the rows are, as a part of FROM: s, with the columns c0, c1, … of `at` and the number n of each row. */
  private source(at: readonly number[]): string {
    if (this.isStaged) return `pg_temp.${this.stage} AS s`;
    const arrays = at.map((column, index) => `$${index + 1}::${this.arrayType(column)}`);
    const names = at.map((column) => `c${column}`);
    return `unnest(${arrays.join(", ")}) WITH ORDINALITY AS s(${names.join(", ")}, n)`;
  }

  private arrayType(column: number): string {
    return `${declaredType(this.table.columns[column]?.type ?? { kind: "text" })}[]`;
  }

  private values(at: readonly number[]): SqlParameter[] {
    return this.isStaged ? [] : at.map((column) => this.few.map((row) => row[column] ?? null));
  }

  /** The last row of each key, in the order of keys so that two writers never wait for each other in a circle. */
  private mergeSql(isNew: boolean): string {
    const { columns, key, stamps = [] } = this.table;
    const names = columns.map(({ name }) => quoteName(name));
    const keyColumns = key.map((name) => `s.c${columns.findIndex((column) => column.name === name)}`).join(", ");
    const others = columns.filter(({ name }) => !key.includes(name)).map(({ name }) => quoteName(name));
    const compared = others.filter((name) => !stamps.map(quoteName).includes(name));
    const list = (of: string) => compared.map((name) => `${of}.${name}`).join(", ");
    const action =
      compared.length === 0
        ? "NOTHING"
        : `UPDATE SET ${others.map((name) => `${name} = excluded.${name}`).join(", ")} ` +
          // A row that is as it should be is not written again.
          `WHERE ROW(${list("t")}) IS DISTINCT FROM ROW(${list("excluded")})${this.unlessMore()}`;
    // To look for a conflict where there can be none costs as much as all the rest.
    const onConflict = isNew ? "" : `ON CONFLICT (${key.map(quoteName).join(", ")}) DO ${action}`;
    return (
      `INSERT INTO ${quoteTable(this.schema, this.table.name)} AS t (${names.join(", ")}) ` +
      `SELECT DISTINCT ON (${keyColumns}) ${columns.map((_, at) => `s.c${at}`).join(", ")} ` +
      `FROM ${this.source(columns.map((_, at) => at))} ORDER BY ${keyColumns}, s.n DESC ${onConflict}`
    );
  }

  private unlessMore(): string {
    if (this.growsBy === undefined) return "";
    const column = quoteName(this.growsBy);
    return ` AND (t.${column} IS NULL OR t.${column} <= excluded.${column})`;
  }

  /** Takes out what earlier runs of this job left of the ranges that this batch read again, and what it does not give. */
  private async clear(session: Session, job: string, ranges: readonly Range[], isEmpty: boolean): Promise<void> {
    const { columns, key } = this.table;
    const at = isEmpty ? [] : key.map((name) => columns.findIndex((column) => column.name === name));
    const values = this.values(at);
    const next = values.length + 1;
    const isOfItsTimes = ` AND (r.since IS NULL OR t."timestamp" >= r.since) AND (r.until IS NULL OR t."timestamp" < r.until)`;
    await session.query(
      `DELETE FROM ${quoteTable(this.schema, this.table.name)} AS t ` +
        `USING unnest($${next}::text[], $${next + 1}::bigint[], $${next + 2}::bigint[], ` +
        `$${next + 3}::timestamptz[], $${next + 4}::timestamptz[]) AS r(source, first, next, since, until) ` +
        `WHERE t."job" = $${next + 5} AND t."source" = r.source AND t."position" >= r.first ` +
        `AND (r.next IS NULL OR t."position" < r.next)` +
        (ranges.some(({ times }) => times !== undefined) ? isOfItsTimes : "") +
        (isEmpty ? "" : ` AND ${this.isNotGiven(at)}`),
      [
        ...values,
        ranges.map((range) => range.source),
        ranges.map((range) => String(range.from)),
        ranges.map((range) => (range.to === null ? null : String(range.to))),
        ranges.map(({ times }) => timeText(times?.since)),
        ranges.map(({ times }) => timeText(times?.until)),
        job,
      ],
    );
  }

  /** Takes out rows of a stretch of time that this batch gives whole, and did not give. */
  private async takeOut(session: Session, by: string, { since, until }: Stretch, isEmpty: boolean): Promise<void> {
    const { columns, key } = this.table;
    const at = isEmpty ? [] : key.map((name) => columns.findIndex((column) => column.name === name));
    const values = this.values(at);
    const column = quoteName(by);
    // Of a date, the time zone of the transaction is UTC.
    const limit = (sign: string, place: number) =>
      `($${place}::timestamptz IS NULL OR t.${column} ${sign} $${place}::timestamptz)`;
    const conditions = [limit(">=", values.length + 1), limit("<", values.length + 2)];
    if (!isEmpty) conditions.push(this.isNotGiven(at));
    await session.query(
      `DELETE FROM ${quoteTable(this.schema, this.table.name)} AS t WHERE ${conditions.join(" AND ")}`,
      [...values, timeText(since), timeText(until)],
    );
  }

  /** SQL that says of the row t that this batch does not give its key; `at` are the key's columns. */
  private isNotGiven(at: readonly number[]): string {
    const isGiven = at
      .map((column) => `s.c${column} = t.${quoteName(this.table.columns[column]?.name ?? "")}`)
      .join(" AND ");
    return `NOT EXISTS (SELECT 1 FROM ${this.source(at)} WHERE ${isGiven})`;
  }
}

const timeText = (time: number | null | undefined): string | null =>
  time == null ? null : new Date(time).toISOString();
