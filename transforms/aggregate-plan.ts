// What the parts of an aggregate share: its plan, what travels between them, and how a row's key and time are read.
import { type KV, type Windowing } from "../beam";
import { type FrozenGroup } from "./accumulate";
import { type Id } from "./id-set";
import { type Fields } from "./measure-states";
import { type Measure, type Measures } from "./measures";
import { type PackedRows } from "./row-columns";

export interface Plan {
  readonly by: readonly string[];
  readonly at: string;
  readonly window: Windowing;
  readonly lateness: number;
  readonly unique: string | null;
  readonly measures: Measures;
}

/** What is grouped: accumulators or, where duplicates are yet to be found, the measured fields of the rows themselves. */
export type Part =
  | {
      readonly frozen: FrozenGroup;
      /** How many rows it is made of, where the runner tells which are late. */
      readonly count?: number;
    }
  | { readonly rows: PackedRows };
export type Candidate = readonly [id: Id | null, time: number, row: Fields];

/** The fields that are measured, each once. */
export const measuredFields = (measures: Measures): string[] => [
  ...new Set(Object.values(measures).flatMap((measure: Measure) => measure.fields)),
];

type Keyed = KV<string, Part>;
export type PartOutputs = { parts: Keyed; late: Fields };

/** Open groups, or gathered rows, beyond which they are sent on before the bundle ends: memory stays bounded. */
export const MAX_HELD = 200_000;

/** One text per key. A single text stands for itself, which is the usual case and costs nothing. */
export function keyOf(row: Fields, by: readonly string[]): string {
  if (by.length === 1) {
    const only = row[by[0] as string];
    if (typeof only === "string" && !only.startsWith("[")) return only;
  }
  return JSON.stringify(by.map((field) => row[field] ?? null));
}

export function valuesOf(key: string): unknown[] {
  return key.startsWith("[") ? (JSON.parse(key) as unknown[]) : [key];
}

/** The event time of a row. A row without one would lie in no window, or in one that is wrong. */
export function timeOf(row: Fields, at: string): number {
  const time = row[at];
  if (typeof time !== "number" || !Number.isFinite(time)) {
    throw new Error(`${at} is ${String(time)}, but an event time is a number of milliseconds`);
  }
  return time;
}
