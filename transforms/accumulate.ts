// How measures add up. Measures share bases (vwap and a quote volume are made of one sum of products), each field of a
// row is parsed once, and what travels is plain JSON that merges in any order to the same result.
import { divide, formatDecimal, type Decimal } from "../schema/decimal";
import { type Id } from "./id-set";
import {
  CountOfState,
  CountState,
  EdgeState,
  ExtremeState,
  ParsedRow,
  SumProductState,
  SumState,
  type Fields,
  type Frozen,
  type FrozenProducts,
  type FrozenTotal,
  type QuantityField,
  type State,
} from "./measure-states";
import { type Measure, type Measures } from "./measures";
import { toUnits } from "./units";

/** The accumulators of one window and key, as they travel. */
export type FrozenGroup = readonly Frozen[];

/** What is kept of the rows of one window and key. */
export interface Contents {
  /** Takes in what was kept elsewhere. Answers how many of its rows turn out to be here already; sums cannot tell any. */
  merge(frozen: FrozenGroup): number;
  freeze(): FrozenGroup;
  /** How much it keeps: sums take the place of one row. */
  readonly size: number;
}

/** How rows become contents, and those the measured columns of a row. */
export interface Accumulating<C extends Contents> {
  create(): C;
  /** Answers whether the row counts, or is one that is here already. */
  add(contents: C, row: Fields, time: number, id: Id | null): boolean;
  results(frozen: FrozenGroup): Record<string, unknown>;
}

/** One thing that is accumulated: it knows only its own state. */
interface Base {
  create(): State;
}

type Finish = (frozen: FrozenGroup) => unknown;

/** The bases that some measures need, and how their results are made. */
export class Accumulation implements Accumulating<Group> {
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

  /** Adds a row to a group: each counts. */
  add(group: Group, row: Fields, time: number, id: Id | null): true {
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
    return true;
  }

  /** The measured columns of a group. */
  results(frozen: FrozenGroup): Record<string, unknown> {
    return Object.fromEntries(this.finishers.map(([name, finish]) => [name, finish(frozen)]));
  }
}

/** The accumulators of one window and key. */
export class Group implements Contents {
  readonly size = 1;

  constructor(private readonly states: readonly State[]) {}

  add(row: ParsedRow): void {
    for (const state of this.states) state.add(row);
  }

  merge(frozen: FrozenGroup): number {
    this.states.forEach((state, at) => state.merge(frozen[at] ?? null));
    return 0;
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
