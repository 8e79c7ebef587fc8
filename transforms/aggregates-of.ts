// Which aggregates a graph has: a job that goes on stores their accumulators, and must know when they have changed.
import { type RunContext } from "../beam";
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

/** The aggregates of the graphs that were built for this context. */
export const aggregatesOf = (context: RunContext): readonly NamedAggregate[] => aggregates.get(context) ?? [];
