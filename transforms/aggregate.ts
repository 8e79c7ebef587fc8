// aggregate({ by, at, window, measures, unique }): one row per key and window. Rows are added up where they are (partial
// aggregates per bundle, inside one DoFn), only the partials are grouped, and each group gives its row.
//
// Counted per row and window: in = aggregated + duplicate + late + outside, of which the last are of windows that the run
// is not about.
import {
  ALL_WINDOWS,
  groupByKey,
  keyedInto,
  named,
  perElement,
  runContextOf,
  type DoFn,
  type PCollection,
  type Windowing,
} from "../beam";
import { AddUp } from "./add-up";
import { MAX_HELD, measuredFields, type PartOutputs, type Plan } from "./aggregate-plan";
import { definitionOf, noteAggregate } from "./aggregates-of";
import { GoOn } from "./go-on";
import { Gather } from "./gather";
import { type Id } from "./id-set";
import { type Fields } from "./measure-states";
import { type Measures, type NeededBy, type ResultOf } from "./measures";
import { ToRow } from "./to-row";

type Primitive = string | number | boolean | null;

export interface AggregateSpec<By extends string, At extends string, Unique extends string, M extends Measures> {
  /** The name of the aggregate in the graph, and of its state. */
  readonly name?: string;
  /** The fields that make the key. */
  readonly by: readonly By[];
  /** The field with the event time, in milliseconds. */
  readonly at: At;
  readonly window: Windowing;
  /** How long after its end a window still takes rows, in milliseconds. Only in runs where time passes. */
  readonly lateness?: number;
  /** The field that says which rows are the same one: it counts once per key and window. */
  readonly unique?: Unique;
  readonly measures: M;
}

/** What all of the measures need, as parameters of functions: those intersect, where `unknown` in a union takes all. */
type NeededByAll<M extends Measures> = { [Name in keyof M]: (row: NeededBy<M[Name]>) => void }[keyof M] extends (
  row: infer Row,
) => void
  ? Row
  : never;

/** What rows must have to be aggregated so. */
export type Needed<By extends string, At extends string, Unique extends string, M extends Measures> = {
  readonly [Name in By]: Primitive;
} & { readonly [Name in At]: number } & { readonly [Name in Unique]: Id } & NeededByAll<M>;

/** The row of a key and window. */
export type Aggregated<T, By extends keyof T, M extends Measures> = {
  window_start: number;
  window_end: number;
} & { [Name in By]: T[Name] } & { -readonly [Name in keyof M]: ResultOf<M[Name], T> };

/** One row per key and window. */
export function aggregate<
  const By extends string,
  const At extends string,
  const M extends Measures,
  const Unique extends string = never,
>(
  spec: AggregateSpec<By, At, Unique, M>,
): <T extends Needed<By, At, Unique, M>>(input: PCollection<T>) => PCollection<Aggregated<T, By & keyof T, M>> {
  const { by, at, window, lateness = 0, unique = null, measures } = spec;
  for (const column of ["window_start", "window_end", ...by]) {
    if (Object.hasOwn(measures, column)) {
      throw new Error(`The measure ${column} has the name of another column of the row`);
    }
  }
  const plan: Plan = { by, at, window, lateness, unique, measures };
  const name = spec.name ?? `aggregate by ${by.join(", ")}`;
  const transform = named(name, (input: PCollection<Fields>): PCollection<Fields> => {
    const context = runContextOf(input);
    noteAggregate(context, { name, plan });
    if (context.goesOn) return input.apply(perElement("go on", new GoOn(name, plan))).rows;
    // Sessions join after the fact, so only the whole session can tell what is a duplicate in it.
    const grouped = unique !== null && (window.kind === "sessions" || context.duplicates === "grouped");
    const { batch, covers = ALL_WINDOWS, unbounded = null } = context;
    const { wholeFrom } = covers;
    const partial: DoFn<Fields, PartOutputs> = grouped
      ? new Gather(plan, MAX_HELD, measuredFields(measures), covers, unbounded)
      : new AddUp(plan, MAX_HELD, covers, unbounded);
    const cut = wholeFrom === null ? null : { aggregate: name, batch, wholeFrom };
    const toRow = new ToRow(plan, cut, unbounded !== null);
    const gather = grouped ? "gather" : "add up";
    if (unbounded === null) {
      const { parts } = input.apply(perElement(gather, partial, { parts: keyedInto(window, lateness) }));
      return parts.apply(groupByKey()).apply(perElement("to row", toRow)).rows;
    }
    // The runner's delay has the lateness in it. Sessions that may yet merge have no row that could stay.
    const shape = keyedInto(window, 0, window.kind === "sessions" ? null : unbounded.updatesEvery);
    // By their names steps find their state in a savepoint: what was kept by another definition is not for this one.
    const definition = definitionOf({ name, plan });
    const { parts } = input.apply(perElement(`${gather} ${definition}`, partial, { parts: shape }));
    return parts.apply(groupByKey(`group ${definition}`)).apply(perElement("to row", toRow)).rows;
  });
  // What the plan makes of rows is beyond the compiler; the signature says it.
  return transform as never;
}
