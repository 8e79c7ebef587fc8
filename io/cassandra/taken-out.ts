// Takes out what a batch says is there no more: earlier letters of ranges that are read again, and rows of a stretch of time
// that is given whole. What the batch gave stays.
import { type Range } from "../../schema/record";
import { columnOf, type Table } from "../../schema/table";
import { dayFrom } from "../../schema/time-text";
import { type Batch, type Stretch } from "../connector";
import { driver } from "./driver";
import { type Cells, type Session, type Value } from "./session";
import { partitionOf, quoteName, quoteTable } from "./shape";
import { keyText, type TableRows } from "./table-rows";

/** The keys that a batch gave to an output, where it takes out others. */
export class GivenKeys {
  private readonly keys = new Set<string>();

  constructor(
    private readonly table: Table,
    private readonly batch: Batch,
  ) {}

  /** Whether this batch takes anything out of this table at all. */
  static isNeeded({ mode, recomputedBy }: Table, { ranges, covers }: Batch): boolean {
    return (mode === "by-origin" && ranges.length > 0) || (recomputedBy !== undefined && covers !== undefined);
  }

  add(key: string): void {
    this.keys.add(key);
  }

  /** Takes out what lies there and was not given, with one time. */
  async takeOutOthers(session: Session, rows: TableRows, time: number): Promise<void> {
    const { table, batch } = this;
    if (table.mode === "by-origin")
      for (const range of batch.ranges)
        await this.clear(session, rows, time, ofRange(session, table, batch.job, range));
    if (table.recomputedBy !== undefined && batch.covers !== undefined)
      await this.clear(session, rows, time, ofStretch(session, table, table.recomputedBy, batch.covers));
  }

  private async clear(session: Session, rows: TableRows, time: number, { query, values, is }: Found): Promise<void> {
    for await (const page of session.pages(query, values)) {
      const keys = page.filter(is).map((cells) => this.table.key.map((name) => cells[name] as Value));
      await rows.takeOut(
        keys.filter((key) => !this.keys.has(keyText(key))),
        time,
      );
    }
  }
}

/** A statement that finds rows, and which of them are meant. */
interface Found {
  readonly query: string;
  readonly values: readonly Value[];
  readonly is: (cells: Cells) => boolean;
}

const selectOf = ({ settings }: Session, table: Table, more: readonly string[] = []): string =>
  `SELECT ${[...new Set([...table.key, ...more])].map(quoteName).join(", ")} FROM ${quoteTable(settings.keyspace, table.name)} WHERE`;

/** Letters lie in the order of their places when their key is as beamline makes it. */
export const isByPlace = (session: Session, table: Table): boolean =>
  JSON.stringify([partitionOf(table, session.settings), table.key]) ===
  JSON.stringify([["job"], ["job", "source", "position", "step"]]);

function ofRange(session: Session, table: Table, job: string, { source, from, to, times }: Range): Found {
  const isLess = to === null ? "" : ` AND "position" < ?`;
  // With another key, all of the table is looked through.
  const filtering = isByPlace(session, table) ? "" : " ALLOW FILTERING";
  return {
    query: `${selectOf(session, table, times === undefined ? [] : ["timestamp"])} "job" = ? AND "source" = ? AND "position" >= ?${isLess}${filtering}`,
    values: [job, source, BigInt(from), ...(to === null ? [] : [BigInt(to)])],
    is: ({ timestamp }) => times === undefined || isWithin(timestamp, times),
  };
}

function isWithin(time: unknown, { since, until }: Stretch): boolean {
  if (!(time instanceof Date)) return since === null && until === null;
  return (since === null || time.getTime() >= since) && (until === null || time.getTime() < until);
}

/** All of the table is looked through: by a column's values Cassandra finds nothing quicker. */
function ofStretch(session: Session, table: Table, by: string, { since, until }: Stretch): Found {
  const isDate = columnOf(table, by).type.kind === "date";
  const { LocalDate } = driver().types;
  const limits = [
    { sign: ">=", time: since },
    { sign: "<", time: until },
  ].flatMap(({ sign, time }) =>
    time === null ? [] : [{ sign, value: isDate ? LocalDate.fromString(dayFrom(time)) : new Date(time) }],
  );
  const conditions = limits.map(({ sign }) => `${quoteName(by)} ${sign} ?`);
  const query =
    conditions.length === 0
      ? selectOf(session, table).replace(/ WHERE$/, "")
      : `${selectOf(session, table)} ${conditions.join(" AND ")} ALLOW FILTERING`;
  return { query, values: limits.map(({ value }) => value), is: () => true };
}
