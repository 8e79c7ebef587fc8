// Rows of which each takes the place only of one that has no more in a column that grows. Cassandra decides it itself, by a
// condition (a lightweight transaction): whatever else is under way, what has more stays.
import { UnavailableError } from "../../schema/errors";
import { type Table } from "../../schema/table";
import { type Session, type Value } from "./session";
import { quoteName, quoteTable } from "./shape";

/** Writers that get in each other's way again and again without one of them having more do not exist. */
const ATTEMPTS = 20;

export class GrownRows {
  private readonly insert: string;
  private readonly update: string;
  private readonly keys: readonly number[];
  private readonly others: readonly number[];
  private readonly by: number;

  constructor(
    private readonly session: Session,
    { name, columns, key }: Table,
    private readonly growsBy: string,
  ) {
    const table = quoteTable(session.settings.keyspace, name);
    const at = (column: string) => columns.findIndex((one) => one.name === column);
    const nameAt = (place: number) => quoteName(columns[place]?.name ?? "");
    this.by = at(growsBy);
    this.keys = key.map(at);
    this.others = columns.flatMap((column, place) => (key.includes(column.name) ? [] : [place]));
    this.insert =
      `INSERT INTO ${table} (${columns.map((column) => quoteName(column.name)).join(", ")}) ` +
      `VALUES (${columns.map(() => "?").join(", ")}) IF NOT EXISTS`;
    this.update =
      `UPDATE ${table} SET ${this.others.map((place) => `${nameAt(place)} = ?`).join(", ")} ` +
      `WHERE ${this.keys.map((place) => `${nameAt(place)} = ?`).join(" AND ")} IF ${quoteName(growsBy)}`;
  }

  /** One attempt. Whatever is wrong is thrown as the driver has it; what was done in spite of that can be done again. */
  async write(values: readonly Value[]): Promise<void> {
    const of = (places: readonly number[]) => places.map((place) => values[place] ?? null);
    const all = [...of(this.others), ...of(this.keys)];
    for (let attempt = 1; attempt <= ATTEMPTS; attempt += 1) {
      const less = await this.session.unlessApplied(`${this.update} <= ?`, [...all, values[this.by] ?? null]);
      // Nothing comes back where there is no row, and no number where the table has got the column since.
      if (less === null || less[this.growsBy] != null) return;
      const there = await this.session.unlessApplied(this.insert, values);
      if (there === null) return;
      if (there[this.growsBy] != null) continue;
      if ((await this.session.unlessApplied(`${this.update} = NULL`, all)) === null) return;
    }
    throw new UnavailableError(`${this.session.shown}: a row is changed by others all the time; try again`);
  }
}
