// How measures add up. Measures share bases (vwap and a quote volume are made of one sum of products), each field of a
// row is parsed once, and what travels is plain JSON that merges in any order to the same result.
import { canonicalJson } from "../beam";
import { decimalOfNumber, divide, formatDecimal, parseDecimal, rescale, type Decimal } from "../schema/decimal";
import { ExactSum, smallest, type Units } from "./exact-sum";
import { type Measure, type Measures } from "./measures";

/** A row that is measured: its fields by name. */
export type Fields = Readonly<Record<string, unknown>>;

type Frozen = string | number | boolean | null | readonly Frozen[];
/** The accumulators of one window and key, as they travel. */
export type FrozenGroup = readonly Frozen[];

/** One thing that is accumulated: it knows only its own state. */
interface Base {
  create(): State;
}

interface State {
  add(row: ParsedRow): void;
  merge(frozen: Frozen): void;
  freeze(): Frozen;
}

/** A row with its quantities parsed, each once. It is used again for the next row. */
class ParsedRow {
  row: Fields = {};
  time = 0;
  id: string | number | null = null;
  /** By index of the quantity: its units, or null where the row has none. */
  readonly units: (Units | null)[] = [];
}

interface QuantityField {
  readonly name: string;
  readonly scale: number;
}

/** The whole number of units of 10^-scale in a field; null where it has none. */
export function toUnits(value: unknown, scale: number, field: string): Units | null {
  if (value === null || value === undefined) return null;
  if (typeof value === "string") return textUnits(value, scale, field);
  if (typeof value === "number") {
    const text = decimalOfNumber(value);
    if (text === null) throw new Error(`${field} is ${value}, which has no sum`);
    const digits = text.length - text.indexOf(".") - 1;
    const exactScale = text.includes(".") ? Math.max(digits, scale) : scale;
    return smallest(rescale(parseDecimal(text, exactScale) ?? 0n, exactScale, scale));
  }
  throw new Error(`${field} is a ${typeof value}, and has no sum`);
}

const MAX_FAST_DIGITS = 15;

/** Up to 15 digits are exact as a number: the usual text is parsed without BigInt. */
function textUnits(text: string, scale: number, field: string): Units {
  const { length } = text;
  let units = 0;
  let digits = 0;
  let fraction = -1;
  for (let at = 0; at < length; at += 1) {
    const code = text.charCodeAt(at);
    if (code === 46 && fraction < 0 && at > 0) {
      fraction = 0;
    } else if (code >= 48 && code <= 57) {
      units = units * 10 + (code - 48);
      digits += 1;
      if (fraction >= 0) fraction += 1;
    } else {
      digits = MAX_FAST_DIGITS + 1;
      break;
    }
  }
  const missing = scale - Math.max(fraction, 0);
  const isPlain = digits > 0 && fraction !== 0;
  if (isPlain && digits + missing <= MAX_FAST_DIGITS && missing >= 0) return units * 10 ** missing;
  const exact = parseDecimal(text, scale);
  if (exact === null) {
    throw new Error(
      `${field} is “${text}”, which is no decimal with at most ${scale} digits after the point; give the measure a greater scale`,
    );
  }
  return smallest(exact);
}

class CountState implements State {
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

class CountOfState implements State {
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
type FrozenTotal = readonly [units: string, found: boolean, numeric: boolean];
/** The same of products, and the sum of the second field in rows that lack the first. */
type FrozenProducts = readonly [...FrozenTotal, unpaired: string];

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

class SumState extends TotalState {
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

class SumProductState extends TotalState {
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
class ExtremeState implements State {
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
class EdgeState implements State {
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

/** Nothing before numbers, numbers by size before texts, texts by code unit. */
export function compareIds(a: string | number | null, b: string | number | null): number {
  if (typeof a === "number" && typeof b === "number") return a - b;
  if (typeof a === "string" && typeof b === "string") return compareTexts(a, b);
  return rankOf(a) - rankOf(b);
}

const rankOf = (id: string | number | null) => (id === null ? 0 : typeof id === "number" ? 1 : 2);
export const compareTexts = (a: string, b: string) => (a < b ? -1 : a > b ? 1 : 0);

type Finish = (frozen: FrozenGroup) => unknown;

/** The bases that some measures need, and how their results are made. */
export class Accumulation {
  private readonly bases: Base[] = [];
  private readonly baseIds = new Map<string, number>();
  private readonly quantities: QuantityField[] = [];
  private readonly finishers: [string, Finish][] = [];
  private readonly parsed = new ParsedRow();

  constructor(measures: Measures) {
    for (const [name, measure] of Object.entries(measures)) this.finishers.push([name, this.plan(measure)]);
  }

  private plan(measure: Measure): Finish {
    const { kind, fields, scale } = measure;
    const [a = "", b = ""] = fields;
    switch (kind) {
      case "count": {
        const n = this.base("count", () => new CountState());
        return (frozen) => frozen[n];
      }
      case "sum": {
        const total = this.sum(a, scale);
        return (frozen) => exact(frozen[total], scale);
      }
      case "sumProduct": {
        const total = this.sumProduct(a, b, scale);
        return (frozen) => exact(frozen[total], 2 * scale);
      }
      case "min":
      case "max": {
        const quantity = this.quantity(a, scale);
        const field = { name: a, scale };
        const best = this.base(`${kind} ${a} ${scale}`, () => new ExtremeState(quantity, field, kind === "max"));
        return (frozen) => frozen[best];
      }
      case "first":
      case "last": {
        const edge = this.base(`${kind} ${a}`, () => new EdgeState(a, kind === "last"));
        return (frozen) => (frozen[edge] === null ? null : (frozen[edge] as readonly Frozen[])[2]);
      }
      case "avg": {
        const total = this.sum(a, scale);
        const quantity = this.quantity(a, scale);
        const n = this.base(`count of ${a}`, () => new CountOfState(quantity));
        return (frozen) => quotient(unitsOf(frozen[total]), BigInt(frozen[n] as number), scale);
      }
      case "vwap": {
        const products = this.sumProduct(a, b, scale);
        const volume = this.sum(b, scale);
        return (frozen) => {
          // A quantity without a price says nothing about the price.
          const priced = unitsOf(frozen[volume]) - BigInt((frozen[products] as FrozenProducts)[3]);
          return quotient(unitsOf(frozen[products]), priced, scale);
        };
      }
    }
  }

  private base(id: string, create: () => State): number {
    const known = this.baseIds.get(id);
    if (known !== undefined) return known;
    this.baseIds.set(id, this.bases.length);
    return this.bases.push({ create }) - 1;
  }

  private quantity(name: string, scale: number): number {
    const known = this.quantities.findIndex((field) => field.name === name && field.scale === scale);
    return known >= 0 ? known : this.quantities.push({ name, scale }) - 1;
  }

  private sum(field: string, scale: number): number {
    const quantity = this.quantity(field, scale);
    return this.base(`sum ${field} ${scale}`, () => new SumState(quantity, field));
  }

  private sumProduct(a: string, b: string, scale: number): number {
    const [first, second] = [this.quantity(a, scale), this.quantity(b, scale)];
    return this.base(`sum ${a} * ${b} ${scale}`, () => new SumProductState(first, second, a));
  }

  /** Accumulators for one window and key. */
  create(): Group {
    return new Group(this.bases.map((base) => base.create()));
  }

  /** Adds a row to a group. */
  add(group: Group, row: Fields, time: number, id: string | number | null): void {
    const { parsed, quantities } = this;
    // A row that lies in several windows is parsed once.
    if (parsed.row !== row) {
      parsed.row = row;
      parsed.time = time;
      parsed.id = id;
      for (let at = 0; at < quantities.length; at += 1) {
        const { name, scale } = quantities[at] as QuantityField;
        parsed.units[at] = toUnits(row[name], scale, name);
      }
    }
    group.add(parsed);
  }

  /** The measured columns of a group. */
  results(frozen: FrozenGroup): Record<string, unknown> {
    return Object.fromEntries(this.finishers.map(([name, finish]) => [name, finish(frozen)]));
  }
}

/** The accumulators of one window and key. */
export class Group {
  constructor(private readonly states: readonly State[]) {}

  add(row: ParsedRow): void {
    for (const state of this.states) state.add(row);
  }

  merge(frozen: FrozenGroup): void {
    this.states.forEach((state, at) => state.merge(frozen[at] ?? null));
  }

  freeze(): FrozenGroup {
    return this.states.map((state) => state.freeze());
  }
}

/** total / parts at `scale` digits, where the total's units are 10^-scale of the parts'. */
function quotient(total: bigint, parts: bigint, scale: number): Decimal | null {
  const units = divide(total, parts);
  return units === null ? null : formatDecimal(units, scale);
}

const unitsOf = (frozen: Frozen | undefined): bigint => BigInt((frozen as FrozenTotal)[0]);

/** Decimal text, a number where the rows had numbers, null where they had nothing. */
function exact(frozen: Frozen | undefined, scale: number): Decimal | number | null {
  const [units, found, numeric] = frozen as FrozenTotal;
  if (!found) return null;
  const text = formatDecimal(BigInt(units), scale);
  return numeric ? Number(text) : text;
}
