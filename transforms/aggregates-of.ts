// Which aggregates a graph has: a job that goes on stores their accumulators, and must know when they have changed.
import { hash } from "node:crypto";
import { canonicalJson, type RunContext } from "../beam";
import { type Plan } from "./aggregate-plan";

export interface NamedAggregate {
  readonly name: string;
  readonly plan: Plan;
}

const aggregates = new WeakMap<RunContext, NamedAggregate[]>();

export function noteAggregate(context: RunContext, aggregate: NamedAggregate): void {
  const known = aggregates.get(context);
  if (known === undefined) aggregates.set(context, [aggregate]);
  else known.push(aggregate);
}

/** Of what is kept: another one cannot be read by a version that has this one. */
const FORM = 1;

/** A few letters that are the same as long as what is kept of its windows can be gone on with. How late a row may be can change. */
export function definitionOf({ name, plan: { by, at, window, unique, measures } }: NamedAggregate): string {
  return hash("sha256", canonicalJson({ name, by, at, window, unique, measures, form: FORM }), "hex").slice(0, 8);
}

/** The aggregates of the graphs that were built for this context. */
export const aggregatesOf = (context: RunContext): readonly NamedAggregate[] => aggregates.get(context) ?? [];
