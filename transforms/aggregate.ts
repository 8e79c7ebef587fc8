// aggregate({ by, at, window, measures, unique }): one row per key and window. Rows are added up where they are (partial
// aggregates per bundle, inside one DoFn), only the partials are grouped, and each group gives its row.
//
// Counted per row and window: in = aggregated + duplicate + late.
import {
  alignDown,
  canonicalJson,
  groupByKey,
  named,
  perElement,
  register,
  runContextOf,
  assign,
  keyedInto,
  type Bounds,
  type Count,
  type DoFn,
  type Emitters,
  type KV,
  type PCollection,
  type Place,
  type Windowing,
} from "../beam";
import { Accumulation, compareIds, compareTexts, type Fields, type FrozenGroup, type Group } from "./accumulate";
import { IdSet, type Id } from "./id-set";
import { type Measure, type Measures, type NeededBy, type ResultOf } from "./measures";

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

export interface Plan {
  readonly by: readonly string[];
  readonly at: string;
  readonly window: Windowing;
  readonly lateness: number;
  readonly unique: string | null;
  readonly measures: Measures;
}

/** What is grouped: accumulators or, where duplicates are yet to be found, the measured fields of the rows themselves. */
export type Part = { readonly frozen: FrozenGroup } | { readonly rows: readonly Candidate[] };
type Candidate = readonly [id: Id | null, time: number, row: Fields];
type Keyed = KV<string, Part>;
export type PartOutputs = { parts: Keyed; late: Fields };

/** Rows between two reports to the run's counters. */
const REPORT_EVERY = 8192;
/** Open groups, or gathered rows, beyond which they are sent on before the bundle ends: memory stays bounded. */
export const MAX_HELD = 200_000;

/** One text per key. A single text stands for itself, which is the usual case and costs nothing. */
function keyOf(row: Fields, by: readonly string[]): string {
  if (by.length === 1) {
    const only = row[by[0] as string];
    if (typeof only === "string" && !only.startsWith("[")) return only;
  }
  return JSON.stringify(by.map((field) => row[field] ?? null));
}

function valuesOf(key: string): unknown[] {
  return key.startsWith("[") ? (JSON.parse(key) as unknown[]) : [key];
}

/** The event time of a row. A row without one would lie in no window, or in one that is wrong. */
function timeOf(row: Fields, at: string): number {
  const time = row[at];
  if (typeof time !== "number" || !Number.isFinite(time)) {
    throw new Error(`${at} is ${String(time)}, but an event time is a number of milliseconds`);
  }
  return time;
}

interface Open extends Bounds {
  readonly key: string;
  readonly group: Group;
}

/** Adds rows up where they are. With `unique`, duplicates are found here too: all rows must pass this one place. */
export class AddUp implements DoFn<Fields, PartOutputs> {
  readonly outputs = ["parts", "late"] as const;
  private accumulation?: Accumulation;
  private count?: Count;
  private watermark = Number.NEGATIVE_INFINITY;
  /** By window's start, then by key. */
  private open?: Map<number, Map<string, Open>>;
  /** By key, in order; no two of a key touch. */
  private sessions?: Map<string, Open[]>;
  /** By window's start, then by key. Never for sessions: those with `unique` are gathered. */
  private seen?: Map<number, Map<string, IdSet>>;
  private held = 0;
  private came = 0;
  private aggregated = 0;
  private duplicates = 0;
  private late = 0;

  constructor(
    readonly plan: Plan,
    readonly maxHeld: number,
  ) {}

  startBundle(count: Count): void {
    this.accumulation = new Accumulation(this.plan.measures);
    this.count = count;
    this.watermark = Number.NEGATIVE_INFINITY;
    this.open = new Map();
    this.sessions = new Map();
    this.seen = new Map();
    this.held = 0;
    this.came = this.aggregated = this.duplicates = this.late = 0;
  }

  process(row: Fields, emit: Emitters<PartOutputs>): void {
    const { at, window, unique } = this.plan;
    const time = timeOf(row, at);
    const key = keyOf(row, this.plan.by);
    const id = unique === null ? null : ((row[unique] ?? null) as Id | null);
    if (window.kind === "fixed") {
      const start = alignDown(time, window.size);
      this.addTo(start, start + window.size, key, row, time, id, emit);
    } else {
      for (const { start, end } of assign(window, time)) this.addTo(start, end, key, row, time, id, emit);
    }
    if (this.came >= REPORT_EVERY) this.report();
    if (this.held > this.maxHeld) this.flush(emit);
  }

  private addTo(
    start: number,
    end: number,
    key: string,
    row: Fields,
    time: number,
    id: Id | null,
    emit: Emitters<PartOutputs>,
  ): void {
    this.came += 1;
    if (end + this.plan.lateness <= this.watermark) {
      this.late += 1;
      emit.late(row);
      return;
    }
    if (id !== null && !this.seenIn(start, key).add(id)) {
      this.duplicates += 1;
      return;
    }
    this.aggregated += 1;
    const group =
      this.plan.window.kind === "sessions" ? this.sessionOf(start, end, key) : this.groupOf(start, end, key);
    this.accumulation?.add(group, row, time, id);
  }

  private seenIn(start: number, key: string): IdSet {
    const seen = this.seen as Map<number, Map<string, IdSet>>;
    let ofWindow = seen.get(start);
    if (ofWindow === undefined) seen.set(start, (ofWindow = new Map<string, IdSet>()));
    let ids = ofWindow.get(key);
    if (ids === undefined) ofWindow.set(key, (ids = new IdSet()));
    return ids;
  }

  private newGroup(): Group {
    this.held += 1;
    return (this.accumulation as Accumulation).create();
  }

  private groupOf(start: number, end: number, key: string): Group {
    const open = this.open as Map<number, Map<string, Open>>;
    let ofWindow = open.get(start);
    if (ofWindow === undefined) open.set(start, (ofWindow = new Map<string, Open>()));
    let found = ofWindow.get(key);
    if (found === undefined) ofWindow.set(key, (found = { key, start, end, group: this.newGroup() }));
    return found.group;
  }

  /** The session of the key that [start, end) belongs to, joined with every other one that it bridges. */
  private sessionOf(start: number, end: number, key: string): Group {
    const sessions = this.sessions as Map<string, Open[]>;
    let ofKey = sessions.get(key);
    if (ofKey === undefined) sessions.set(key, (ofKey = []));
    // Rows come more or less in order, so the sessions that one touches are looked for from the last one on.
    let to = ofKey.length;
    while (to > 0 && (ofKey[to - 1] as Open).start >= end) to -= 1;
    let from = to;
    while (from > 0 && (ofKey[from - 1] as Open).end > start) from -= 1;
    const touching = ofKey.slice(from, to);
    const [first, ...others] = touching;
    const group = first?.group ?? this.newGroup();
    for (const other of others) group.merge(other.group.freeze());
    ofKey.splice(from, to - from, {
      key,
      start: Math.min(start, first?.start ?? start),
      end: Math.max(end, touching.at(-1)?.end ?? end),
      group,
    });
    return group;
  }

  onWatermark(watermark: number, emit: Emitters<PartOutputs>): void {
    this.flush(emit);
    this.watermark = watermark;
    const { window, lateness } = this.plan;
    if (window.kind === "sessions") return;
    for (const start of this.seen?.keys() ?? []) {
      if (start + window.size + lateness <= watermark) this.seen?.delete(start);
    }
  }

  private flush(emit: Emitters<PartOutputs>): void {
    for (const ofWindow of this.open?.values() ?? []) for (const open of ofWindow.values()) this.send(open, emit);
    for (const ofKey of this.sessions?.values() ?? []) for (const open of ofKey) this.send(open, emit);
    this.open?.clear();
    this.sessions?.clear();
    this.held = 0;
    this.report();
  }

  private send({ key, start, end, group }: Open, emit: Emitters<PartOutputs>): void {
    emit.parts({ key, value: { frozen: group.freeze() } }, { start, end });
  }

  private report(): void {
    this.count?.("to aggregate", this.came);
    this.count?.("aggregated", this.aggregated);
    this.count?.("duplicate", this.duplicates);
    this.count?.("late", this.late);
    this.came = this.aggregated = this.duplicates = this.late = 0;
  }

  finishBundle(emit: Emitters<PartOutputs>): void {
    this.flush(emit);
  }
}

/** Gathers the measured fields of rows, for the duplicates among them to be found when they are grouped. */
export class Gather implements DoFn<Fields, PartOutputs> {
  readonly outputs = ["parts", "late"] as const;
  private count?: Count;
  private watermark = Number.NEGATIVE_INFINITY;
  private gathered?: Map<string, { readonly key: string; readonly bounds: Bounds; readonly rows: Candidate[] }>;
  private held = 0;
  private came = 0;
  private late = 0;

  constructor(
    readonly plan: Plan,
    readonly maxHeld: number,
    /** The fields that are measured. */
    readonly fields: readonly string[],
  ) {}

  startBundle(count: Count): void {
    this.count = count;
    this.watermark = Number.NEGATIVE_INFINITY;
    this.gathered = new Map();
    this.held = 0;
    this.came = this.late = 0;
  }

  process(row: Fields, emit: Emitters<PartOutputs>): void {
    const { at, by, window, unique, lateness } = this.plan;
    const time = timeOf(row, at);
    const key = keyOf(row, by);
    const candidate: Candidate = [
      unique === null ? null : ((row[unique] ?? null) as Id | null),
      time,
      Object.fromEntries(this.fields.map((field) => [field, row[field]])),
    ];
    for (const bounds of assign(window, time)) {
      this.came += 1;
      if (bounds.end + lateness <= this.watermark) {
        this.late += 1;
        emit.late(row);
        continue;
      }
      const place = `${bounds.start}|${key}`;
      const gathered = this.gathered?.get(place);
      if (gathered === undefined) this.gathered?.set(place, { key, bounds, rows: [candidate] });
      else gathered.rows.push(candidate);
      this.held += 1;
    }
    if (this.held > this.maxHeld) this.flush(emit);
  }

  onWatermark(watermark: number, emit: Emitters<PartOutputs>): void {
    this.flush(emit);
    this.watermark = watermark;
  }

  private flush(emit: Emitters<PartOutputs>): void {
    for (const { key, bounds, rows } of this.gathered?.values() ?? []) emit.parts({ key, value: { rows } }, bounds);
    this.gathered?.clear();
    this.held = 0;
    this.count?.("to aggregate", this.came);
    this.count?.("late", this.late);
    this.came = this.late = 0;
  }

  finishBundle(emit: Emitters<PartOutputs>): void {
    this.flush(emit);
  }
}

/** Makes the row of a key and window from its parts. */
export class ToRow implements DoFn<KV<string, readonly Part[]>, { rows: Fields }> {
  readonly outputs = ["rows"] as const;
  private accumulation?: Accumulation;
  private count?: Count;

  constructor(readonly plan: Plan) {}

  startBundle(count: Count): void {
    this.accumulation = new Accumulation(this.plan.measures);
    this.count = count;
  }

  process(
    { key, value: parts }: KV<string, readonly Part[]>,
    emit: Emitters<{ rows: Fields }>,
    place: () => Place,
  ): void {
    const accumulation = this.accumulation as Accumulation;
    const group = accumulation.create();
    const candidates: Candidate[] = [];
    for (const part of parts) {
      if ("frozen" in part) group.merge(part.frozen);
      else for (const candidate of part.rows) candidates.push(candidate);
    }
    if (candidates.length > 0) this.addUnique(candidates, group);
    const { start, end } = place();
    const keys = valuesOf(key);
    emit.rows({
      window_start: start,
      window_end: end,
      ...Object.fromEntries(this.plan.by.map((field, at) => [field, keys[at]])),
      ...accumulation.results(group.freeze()),
    });
  }

  /** Of rows with one id the first by (time, content) counts: the same one in whatever order they came. */
  private addUnique(candidates: Candidate[], group: Group): void {
    const texts = new Map<Candidate, string>();
    const textOf = (candidate: Candidate) => {
      let text = texts.get(candidate);
      if (text === undefined) texts.set(candidate, (text = canonicalJson(candidate[2])));
      return text;
    };
    candidates.sort((a, b) => compareIds(a[0], b[0]) || a[1] - b[1] || compareTexts(textOf(a), textOf(b)));
    let duplicates = 0;
    let previous: Id | null = null;
    for (const [id, time, row] of candidates) {
      if (id !== null && id === previous) {
        duplicates += 1;
        continue;
      }
      previous = id;
      this.accumulation?.add(group, row, time, id);
    }
    this.count?.("aggregated", candidates.length - duplicates);
    this.count?.("duplicate", duplicates);
  }
}

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
    // Sessions join after the fact, so only the whole session can tell what is a duplicate in it.
    const grouped = unique !== null && (window.kind === "sessions" || runContextOf(input).duplicates === "grouped");
    const fields = [...new Set(Object.values(measures).flatMap((measure: Measure) => measure.fields))];
    const partial: DoFn<Fields, PartOutputs> = grouped ? new Gather(plan, MAX_HELD, fields) : new AddUp(plan, MAX_HELD);
    const shapes = { parts: keyedInto(window, lateness) };
    const { parts } = input.apply(perElement(grouped ? "gather" : "add up", partial, shapes));
    return parts.apply(groupByKey()).apply(perElement("to row", new ToRow(plan))).rows;
  });
  // What the plan makes of rows is beyond the compiler; the signature says it.
  return transform as never;
}

register("beamline/transforms/aggregate", { AddUp, Gather, ToRow });
