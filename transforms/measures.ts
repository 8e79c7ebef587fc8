// What `aggregate` can measure. A measure is plain data; how it adds up is in accumulate.ts. To add one: say here how it
// is written and typed, and there which bases it needs and how its result is made of them.
import { DEFAULT_SCALE, type Decimal } from "../schema/decimal";

/** Something that has an exact sum and an order: decimal text, or a number. */
export type Quantity = Decimal | number | null | undefined;

type Comparable = string | number | null | undefined;

interface Spec<Kind extends string, Field extends string> {
  readonly kind: Kind;
  readonly fields: readonly Field[];
  /** Digits after the point that the fields may have. */
  readonly scale: number;
}

/** The columns that a measure can make, by how their type follows from the rows. */
export type CountMeasure = Spec<"count", never>;
export type SumMeasure<Field extends string> = Spec<"sum", Field>;
export type SumProductMeasure<Field extends string> = Spec<"sumProduct", Field>;
export type ExtremeMeasure<Field extends string> = Spec<"min" | "max", Field>;
export type EdgeMeasure<Field extends string> = Spec<"first" | "last", Field>;
export type QuotientMeasure<Field extends string> = Spec<"avg" | "vwap", Field>;

export type Measure =
  | CountMeasure
  | SumMeasure<string>
  | SumProductMeasure<string>
  | ExtremeMeasure<string>
  | EdgeMeasure<string>
  | QuotientMeasure<string>;

export type Measures = Readonly<Record<string, Measure>>;

interface Options {
  /** Digits after the point that the fields may have; 8 unless said. */
  readonly scale?: number;
}

const scaleOf = (options?: Options) => options?.scale ?? DEFAULT_SCALE;

/** How many rows. */
export const count = (): CountMeasure => ({ kind: "count", fields: [], scale: 0 });

/** The exact sum of a field; null when no row has a value. */
export const sum = <F extends string>(field: F, options?: Options): SumMeasure<F> => ({
  kind: "sum",
  fields: [field],
  scale: scaleOf(options),
});

/** The exact sum of the products of two fields, over the rows that have both; null when there is none. */
export const sumProduct = <A extends string, B extends string>(
  a: A,
  b: B,
  options?: Options,
): SumProductMeasure<A | B> => ({
  kind: "sumProduct",
  fields: [a, b],
  scale: scaleOf(options),
});

/** The smallest value of a field; null when no row has one. */
export const min = <F extends string>(field: F, options?: Options): ExtremeMeasure<F> => ({
  kind: "min",
  fields: [field],
  scale: scaleOf(options),
});

/** The greatest value of a field; null when no row has one. */
export const max = <F extends string>(field: F, options?: Options): ExtremeMeasure<F> => ({
  kind: "max",
  fields: [field],
  scale: scaleOf(options),
});

/**
 * The value of a field, null too, in the row that comes first by event time, then by the `unique` field, then by the
 * value itself.
 */
export const first = <F extends string>(field: F): EdgeMeasure<F> => ({ kind: "first", fields: [field], scale: 0 });

/** The value of a field in the row that comes last, in the same order as `first`. */
export const last = <F extends string>(field: F): EdgeMeasure<F> => ({ kind: "last", fields: [field], scale: 0 });

/** The mean of a field, rounded half to even to `scale` digits; null when no row has a value. */
export const avg = <F extends string>(field: F, options?: Options): QuotientMeasure<F> => ({
  kind: "avg",
  fields: [field],
  scale: scaleOf(options),
});

/** The mean price by volume: Σ price · quantity / Σ quantity, over the rows that have both, rounded half to even; null when the volume is 0. */
export const vwap = <P extends string, Q extends string>(
  price: P,
  quantity: Q,
  options?: Options,
): QuotientMeasure<P | Q> => ({
  kind: "vwap",
  fields: [price, quantity],
  scale: scaleOf(options),
});

/** What a row must have for a measure to work on it. */
export type NeededBy<M> =
  M extends EdgeMeasure<infer F>
    ? { readonly [Name in F]: Comparable | boolean }
    : M extends SumMeasure<infer F> | SumProductMeasure<infer F> | ExtremeMeasure<infer F> | QuotientMeasure<infer F>
      ? { readonly [Name in F]: Quantity }
      : unknown;

/** What a sum of values of T gives; where there may be none, it may be null. */
type Exact<T> = T extends number ? number : T extends string ? Decimal : null;
/** What is there of T, as a column has it: nothing is null. */
type Column<T> = T extends undefined ? null : T;
type Field<M> = M extends Spec<string, infer F> ? F : never;

/** The type of the column that a measure makes of rows of T. */
export type ResultOf<M, T> = M extends CountMeasure
  ? number
  : M extends QuotientMeasure<string>
    ? Decimal | null
    : M extends SumMeasure<string> | SumProductMeasure<string>
      ? Exact<T[Field<M> & keyof T]>
      : M extends ExtremeMeasure<string> | EdgeMeasure<string>
        ? Column<T[Field<M> & keyof T]>
        : never;
