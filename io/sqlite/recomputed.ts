// Rows of a stretch of time that a run gives whole: what lies there of that time and is not given, is taken out.
import { dayFrom } from "../../schema/time-text";
import { columnOf, type Column, type Row, type Table } from "../../schema/table";
import { type Stretch } from "../connector";
import { type Database, type SqlValue, type Statement } from "./database";
import { OWN_PREFIX, quoteName } from "./shape";
import { valuesOf } from "./upsert";

export class Recomputed {
  private readonly given: string;
  private readonly keys: readonly Column[];
  private readonly add: Statement;

  constructor(
    private readonly database: Database,
    private readonly table: Table,
    private readonly by: Column,
    index: number,
  ) {
    this.given = `${OWN_PREFIX}given_${index}`;
    this.keys = table.key.map((name) => columnOf(table, name));
    const names = table.key.map(quoteName).join(", ");
    database.exec(`CREATE TEMP TABLE ${this.given} (${names}, PRIMARY KEY (${names})) WITHOUT ROWID`);
    const places = table.key.map(() => "?").join(", ");
    this.add = database.prepare(`INSERT OR IGNORE INTO temp.${this.given} VALUES (${places})`);
  }

  give(rows: readonly Row[]): void {
    for (const row of rows) this.add.run(valuesOf(this.table, this.keys, row));
  }

  /** Takes out what was not given. */
  finish({ since, until }: Stretch): void {
    const table = `main.${quoteName(this.table.name)}`;
    const at = `${table}.${quoteName(this.by.name)}`;
    const values: SqlValue[] = [];
    const conditions: string[] = [];
    for (const [time, sign] of [
      [since, ">="],
      [until, "<"],
    ] as const) {
      if (time === null) continue;
      values.push(this.by.type.kind === "date" ? dayFrom(time) : new Date(time).toISOString());
      conditions.push(`${at} ${sign} ?`);
    }
    const isGiven = this.table.key.map((name) => `g.${quoteName(name)} = ${table}.${quoteName(name)}`).join(" AND ");
    conditions.push(`NOT EXISTS (SELECT 1 FROM temp.${this.given} AS g WHERE ${isGiven})`);
    this.database.prepare(`DELETE FROM ${table} WHERE ${conditions.join(" AND ")}`).run(values);
  }
}
