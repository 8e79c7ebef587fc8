// A step of `clean`: takes a value, answers with the next one, or says why the record ends here.
import { type Raw, type SourceRecord } from "../schema/record";

export type StepResult<T> =
  | { readonly kind: "ok"; readonly value: T }
  | { readonly kind: "dead"; readonly reason: string; readonly error: string }
  | { readonly kind: "drop"; readonly reason: string };

/** Goes on to the next step with `value`. */
export const ok = <T>(value: T): StepResult<T> => ({ kind: "ok", value });

/** The record is bad: it becomes a dead letter. `reason` groups, in a few constant words; `error` tells of this one. */
export const dead = (reason: string, error = ""): StepResult<never> => ({ kind: "dead", reason, error });

/** The record is fine but not wanted: it is counted and left out. */
export const drop = (reason: string): StepResult<never> => ({ kind: "drop", reason });

export interface StepContext {
  /** When the batch was planned, in milliseconds: the only clock that a step may look at. */
  readonly batchTime: number;
  /** The record that the value comes from. */
  readonly record: SourceRecord;
}

/** An exported, registered function … */
export type StepFunction<In, Out> = (value: In, context: StepContext) => StepResult<Out>;

/** … or an instance of an exported, registered class, where a step has options. */
export interface StepObject<In, Out> {
  readonly name: string;
  run(value: In, context: StepContext): StepResult<Out>;
}

export type Step<In, Out> = StepFunction<In, Out> | StepObject<In, Out>;

/** The first step gets the record's value as it was found. */
export type FirstStep<Out> = Step<Raw, Out>;
