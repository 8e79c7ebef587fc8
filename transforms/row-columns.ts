// Rows of one key and window on their way to be grouped, as columns: JSON's own code writes and reads them as one text,
// many times faster than a coder that goes through objects field by field, and in half of the bytes.
import { type Id } from "./id-set";
import { type Fields } from "./measure-states";

/** A text of JSON; where a value is none of JSON's, what the text would say. */
export type PackedRows = string | Columns;

/** Numbers are written as what they are above a base, which is 0 where that would not be exact. */
type Columns = readonly [
  times: readonly number[],
  timeBase: number,
  ids: readonly (Id | null)[],
  idBase: number,
  ...values: (readonly unknown[])[],
];

export class RowColumns {
  private readonly times: number[] = [];
  private readonly ids: (Id | null)[] = [];
  private readonly values: unknown[][];
  private isJson = true;
  private areTimesWhole = true;
  private areIdsWhole = true;

  constructor(private readonly fields: readonly string[]) {
    this.values = fields.map(() => []);
  }

  add(row: Fields, time: number, id: Id | null): void {
    this.times.push(time);
    this.ids.push(id);
    if (!isCounting(time)) this.areTimesWhole = false;
    if (!isCounting(id)) this.areIdsWhole = false;
    for (let at = 0; at < this.fields.length; at += 1) {
      const value = row[this.fields[at] as string] ?? null;
      (this.values[at] as unknown[]).push(value);
      if (typeof value !== "string" && !isOfJson(value)) this.isJson = false;
    }
  }

  pack(): PackedRows {
    const timeBase = this.areTimesWhole ? (this.times[0] ?? 0) : 0;
    const idBase = this.areIdsWhole ? ((this.ids[0] ?? 0) as number) : 0;
    const columns: Columns = [
      timeBase === 0 ? this.times : this.times.map((time) => time - timeBase),
      timeBase,
      idBase === 0 ? this.ids : this.ids.map((id) => (id as number) - idBase),
      idBase,
      ...this.values,
    ];
    return this.isJson && this.ids.every((id) => id === null || typeof id === "string" || Number.isFinite(id))
      ? JSON.stringify(columns)
      : columns;
  }
}

/** The difference of two of them is exact. */
const isCounting = (value: unknown): boolean => Number.isSafeInteger(value) && (value as number) >= 0;

const isOfJson = (value: unknown): boolean =>
  value === null || typeof value === "boolean" || (typeof value === "number" && Number.isFinite(value));

/** The rows of a packed part again. */
export class UnpackedRows {
  private readonly columns: Columns;

  constructor(
    private readonly fields: readonly string[],
    packed: PackedRows,
  ) {
    this.columns = typeof packed === "string" ? (JSON.parse(packed) as Columns) : packed;
  }

  get length(): number {
    return this.columns[0].length;
  }

  time(at: number): number {
    return (this.columns[0][at] as number) + this.columns[1];
  }

  id(at: number): Id | null {
    const id = this.columns[2][at] as Id | null;
    return typeof id === "number" ? id + this.columns[3] : id;
  }

  /** Its measured fields. */
  row(at: number): Fields {
    const row: Record<string, unknown> = {};
    for (let field = 0; field < this.fields.length; field += 1)
      row[this.fields[field] as string] = (this.columns[4 + field] as readonly unknown[])[at];
    return row;
  }
}
