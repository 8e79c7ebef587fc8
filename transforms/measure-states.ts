// What a measure remembers of its rows: counts, sums, extremes, first and last. Each state merges with others of its kind
// in any order to the same, and travels as plain JSON.
import { canonicalJson } from "../beam";
import { formatDecimal } from "../schema/decimal";
import { ExactSum, smallest, type Units } from "./exact-sum";
import { compareIds, compareTexts } from "./order";
import { toUnits } from "./units";

/** A row that is measured: its fields by name. */
export type Fields = Readonly<Record<string, unknown>>;

export type Frozen = string | number | boolean | null | readonly Frozen[];

export interface State {
  add(row: ParsedRow): void;
  merge(frozen: Frozen): void;
  freeze(): Frozen;
}

/** A row with its quantities parsed, each once. It is used again for the next row. */
export class ParsedRow {
  row: Fields = {};
  time = 0;
  id: string | number | null = null;
  /** By index of the quantity: its units, or null where the row has none. */
  readonly units: (Units | null)[] = [];
}

export interface QuantityField {
  readonly name: string;
  readonly scale: number;
}

export class CountState implements State {
  private n = 0;
  add(): void {
    this.n += 1;
  }
  merge(frozen: Frozen): void {
    this.n += frozen as number;
  }
  freeze(): Frozen {
    return this.n;
  }
}

export class CountOfState implements State {
  private n = 0;
  constructor(private readonly quantity: number) {}
  add({ units }: ParsedRow): void {
    if (units[this.quantity] !== null) this.n += 1;
  }
  merge(frozen: Frozen): void {
    this.n += frozen as number;
  }
  freeze(): Frozen {
    return this.n;
  }
}

/** The sum in units, whether any value was there, and whether the values were numbers rather than decimal text. */
export type FrozenTotal = readonly [units: string, found: boolean, numeric: boolean];
/** The same of products, and the sum of the second field in rows that lack the first. */
export type FrozenProducts = readonly [...FrozenTotal, unpaired: string];

abstract class TotalState implements State {
  protected readonly total = new ExactSum();
  protected found = false;
  protected numeric = false;
  abstract add(row: ParsedRow): void;
  merge(frozen: Frozen): void {
    const [units, found, numeric] = frozen as FrozenTotal;
    this.total.add(smallest(BigInt(units)));
    this.found ||= found;
    this.numeric ||= numeric;
  }
  freeze(): readonly Frozen[] {
    return [String(this.total.value()), this.found, this.numeric];
  }
}

export class SumState extends TotalState {
  constructor(
    private readonly quantity: number,
    private readonly field: string,
  ) {
    super();
  }
  add({ units, row }: ParsedRow): void {
    const value = units[this.quantity];
    if (value === null || value === undefined) return;
    this.total.add(value);
    this.found = true;
    if (typeof row[this.field] === "number") this.numeric = true;
  }
}

export class SumProductState extends TotalState {
  private readonly unpaired = new ExactSum();
  constructor(
    private readonly a: number,
    private readonly b: number,
    private readonly field: string,
  ) {
    super();
  }
  add({ units, row }: ParsedRow): void {
    const a = units[this.a];
    const b = units[this.b];
    if (b === null || b === undefined) return;
    if (a === null || a === undefined) {
      this.unpaired.add(b);
      return;
    }
    this.total.addProduct(a, b);
    this.found = true;
    if (typeof row[this.field] === "number") this.numeric = true;
  }
  override merge(frozen: Frozen): void {
    super.merge(frozen);
    this.unpaired.add(smallest(BigInt((frozen as FrozenProducts)[3])));
  }
  override freeze(): readonly Frozen[] {
    return [...super.freeze(), String(this.unpaired.value())];
  }
}

/** The least or greatest value, in the text or number that it came in. */
export class ExtremeState implements State {
  private best: Units | null = null;
  private value: Frozen = null;
  constructor(
    private readonly quantity: number,
    private readonly field: QuantityField,
    private readonly greatest: boolean,
  ) {}
  add({ units, row }: ParsedRow): void {
    this.consider(units[this.quantity] ?? null, row[this.field.name] as Frozen);
  }
  private consider(units: Units | null, value: Frozen): void {
    if (units === null || (this.best !== null && !this.beats(units, this.best, value))) return;
    this.best = units;
    this.value = value;
  }
  private beats(units: Units, best: Units, value: Frozen): boolean {
    if (units !== best) return this.greatest ? units > best : units < best;
    // Equal units: a text is exact, and wins; of two numbers, whose units may be rounded, the numbers tell.
    if (typeof this.value !== "number") return false;
    return (
      typeof value === "string" || (this.greatest ? (value as number) > this.value : (value as number) < this.value)
    );
  }
  merge(frozen: Frozen): void {
    this.consider(toUnits(frozen, this.field.scale, this.field.name), frozen);
  }
  freeze(): Frozen {
    // Equal quantities can be written differently (1.5 and 1.50, 0 and -0): the result does not depend on which came first.
    if (this.best === null || this.value === null) return null;
    return typeof this.value === "number" ? this.value + 0 : formatDecimal(BigInt(this.best), this.field.scale);
  }
}

/** The value of the first or last row by (time, id, value). */
export class EdgeState implements State {
  private found = false;
  private time = 0;
  private id: string | number | null = null;
  private value: Frozen = null;
  constructor(
    private readonly field: string,
    private readonly last: boolean,
  ) {}
  add({ time, id, row }: ParsedRow): void {
    if (this.found) {
      // The common case is told by time alone.
      if (this.last ? time < this.time : time > this.time) return;
      const value = row[this.field] as Frozen;
      if (time === this.time && !this.precedes(time, id, value)) return;
      this.take(time, id, value);
    } else {
      this.take(time, id, row[this.field] as Frozen);
    }
  }
  private precedes(time: number, id: string | number | null, value: Frozen): boolean {
    const order =
      time - this.time || compareIds(id, this.id) || compareTexts(canonicalJson(value), canonicalJson(this.value));
    return this.last ? order > 0 : order < 0;
  }
  private take(time: number, id: string | number | null, value: Frozen): void {
    this.found = true;
    this.time = time;
    this.id = id;
    this.value = value ?? null;
  }
  merge(frozen: Frozen): void {
    if (frozen === null) return;
    const [time, id, value] = frozen as [number, string | number | null, Frozen];
    if (!this.found || this.precedes(time, id, value)) this.take(time, id, value);
  }
  freeze(): Frozen {
    return this.found ? [this.time, this.id, this.value] : null;
  }
}
