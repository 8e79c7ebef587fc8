// The rows of one table: written in place of those of their keys, compared with what is there, taken out.
import { type Column, type Row, type Table } from "../../schema/table";
import { type Output, type Rejected } from "../connector";
import { textOf, UnfitValue, valueOf } from "./cells";
import { explain, refusalOf } from "./failures";
import { GrownRows } from "./grown-rows";
import { eachAtOnce } from "./in-flight";
import { type Session, type Value } from "./session";
import { quoteName, quoteTable } from "./shape";

/** A row as the driver takes it, in the order of the table's columns. */
interface Encoded {
  readonly row: Row;
  readonly values: readonly Value[];
}

export interface EncodedRows {
  readonly byKey: ReadonlyMap<string, Encoded>;
  readonly rejected: readonly Rejected[];
}

export class TableRows {
  private readonly keys: readonly number[];
  private readonly compared: readonly number[];
  private readonly insert: string;
  private readonly remove: string;
  private readonly select: string;

  private readonly table: Table;
  private readonly grown: GrownRows | null;

  constructor(
    private readonly session: Session,
    output: Pick<Output, "table" | "growsBy">,
  ) {
    const { table, growsBy } = output;
    const { columns, key, stamps = [] } = table;
    this.table = table;
    this.grown = growsBy === undefined ? null : new GrownRows(session, table, growsBy);
    const at = (name: string) => columns.findIndex((column) => column.name === name);
    const name = quoteTable(session.settings.keyspace, table.name);
    const isOfKey = key.map((part) => `${quoteName(part)} = ?`).join(" AND ");
    this.keys = key.map(at);
    this.compared = columns.flatMap((column, place) =>
      stamps.length === 0 || key.includes(column.name) || stamps.includes(column.name) ? [] : [place],
    );
    this.insert = `INSERT INTO ${name} (${columns.map((column) => quoteName(column.name)).join(", ")}) VALUES (${columns.map(() => "?").join(", ")})`;
    this.remove = `DELETE FROM ${name} WHERE ${isOfKey}`;
    this.select = `SELECT ${[...this.compared.map((place) => columns[place]?.name ?? ""), key[0] ?? ""].map(quoteName).join(", ")} FROM ${name} WHERE ${isOfKey}`;
  }

  /** Rows as the driver takes them, of two with one key the last; and those that it cannot take. */
  encode(rows: readonly Row[]): EncodedRows {
    const rejected: Rejected[] = [];
    const byKey = new Map<string, Encoded>();
    for (const row of rows) {
      try {
        const values = this.table.columns.map((column) => valueOf(this.table, column, row));
        byKey.set(keyText(this.keys.map((place) => values[place])), { row, values });
      } catch (error) {
        if (!(error instanceof UnfitValue)) throw error;
        rejected.push({ row, reason: "unfit-value", error: error.message });
      }
    }
    return { byKey, rejected };
  }

  /**
   * Writes rows, all with one time; no two of one key are under way together. Null is written as such, so that it replaces
   * what was there.
   */
  async write({ byKey, rejected }: EncodedRows, time: number): Promise<Rejected[]> {
    const refused: Rejected[] = [...rejected];
    await eachAtOnce([...byKey.values()], this.session.settings.inFlight, async ({ row, values }) => {
      if (await this.isThere(values)) return;
      const refusal = await this.put(values, time);
      if (refusal !== null) refused.push({ row, reason: refusal.reason, error: refusal.said });
    });
    return refused;
  }

  /** Takes out rows by the values of their keys. */
  async takeOut(keys: readonly (readonly Value[])[], time: number): Promise<void> {
    await eachAtOnce(keys, this.session.settings.inFlight, async (key) => {
      await this.session.patiently(() => this.session.attempt(this.remove, key, time));
    });
  }

  private async put(values: readonly Value[], time: number): Promise<ReturnType<typeof refusalOf>> {
    const patience = this.session.patience();
    for (;;) {
      try {
        if (this.grown === null) await this.session.attempt(this.insert, values, time);
        else await this.grown.write(values);
        return null;
      } catch (error) {
        const refusal = refusalOf(error);
        if (refusal !== null) return refusal;
        await patience(explain(error, this.session.shown));
      }
    }
  }

  /** Where a table has stamps: a row that is equal but for them stays as it is. */
  private async isThere(values: readonly Value[]): Promise<boolean> {
    if ((this.table.stamps ?? []).length === 0) return false;
    const [found] = await this.session.rows(
      this.select,
      this.keys.map((place) => values[place] ?? null),
    );
    if (found === undefined) return false;
    return this.compared.every((place) => {
      const { name } = this.table.columns[place] as Column;
      return textOf(found[name]) === textOf(values[place]);
    });
  }
}

/** One text for each key. */
export const keyText = (values: readonly unknown[]): string => values.map(textOf).join("\n");
