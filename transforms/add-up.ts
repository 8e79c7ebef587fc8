// The first half of an aggregate: adds rows up where they are, and sends one part per key and window.
import {
  ALL_WINDOWS,
  alignDown,
  assign,
  register,
  type Bounds,
  type Count,
  type CoveredWindows,
  type DoFn,
  type Emitters,
  type Place,
  type Unbounded,
} from "../beam";
import { Accumulation, type Group } from "./accumulate";
import { keyOf, timeOf, type PartOutputs, type Plan } from "./aggregate-plan";
import { Arrivals } from "./arrivals";
import { IdSet, type Id } from "./id-set";
import { type Fields } from "./measure-states";

/** Rows between two reports to the run's counters. */
const REPORT_EVERY = 8192;
interface Open extends Bounds {
  readonly key: string;
  readonly group: Group;
  rows: number;
}

/** Adds rows up where they are. With `unique`, duplicates are found here too: all rows must pass this one place. */
export class AddUp implements DoFn<Fields, PartOutputs> {
  readonly outputs = ["parts", "late"] as const;
  private accumulation?: Accumulation;
  private count?: Count;
  private arrivals?: Arrivals | null;
  private watermark = Number.NEGATIVE_INFINITY;
  private since = Number.NEGATIVE_INFINITY;
  private until = Number.POSITIVE_INFINITY;
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
  private outside = 0;

  constructor(
    readonly plan: Plan,
    readonly maxHeld: number,
    readonly covers: CoveredWindows = ALL_WINDOWS,
    readonly unbounded: Unbounded | null = null,
  ) {}

  startBundle(count: Count): void {
    this.accumulation = new Accumulation(this.plan.measures);
    // What has come is not forgotten from bundle to bundle.
    this.arrivals ??= this.unbounded === null ? null : new Arrivals(this.plan.at, this.unbounded);
    this.count = count;
    this.watermark = Number.NEGATIVE_INFINITY;
    this.open = new Map();
    this.sessions = new Map();
    this.seen = new Map();
    this.held = 0;
    this.since = this.covers.since ?? Number.NEGATIVE_INFINITY;
    this.until = this.covers.until ?? Number.POSITIVE_INFINITY;
    this.came = this.aggregated = this.duplicates = this.late = this.outside = 0;
  }

  process(row: Fields, emit: Emitters<PartOutputs>, place?: () => Place): void {
    const { at, window, unique } = this.plan;
    const time = timeOf(row, at);
    if (this.arrivals != null && place !== undefined) this.arrivals.see(time, place().timestamp);
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
    if (start < this.since || end > this.until) {
      this.outside += 1;
      return;
    }
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
    const accumulation = this.accumulation as Accumulation;
    if (this.arrivals?.mayBeOver(end) === true) {
      const group = accumulation.create();
      accumulation.add(group, row, time, id);
      this.send({ key, start, end, group, rows: 1 }, emit);
      return;
    }
    const open = this.plan.window.kind === "sessions" ? this.sessionOf(start, end, key) : this.openOf(start, end, key);
    open.rows += 1;
    accumulation.add(open.group, row, time, id);
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

  private openOf(start: number, end: number, key: string): Open {
    const open = this.open as Map<number, Map<string, Open>>;
    let ofWindow = open.get(start);
    if (ofWindow === undefined) open.set(start, (ofWindow = new Map<string, Open>()));
    let found = ofWindow.get(key);
    if (found === undefined) ofWindow.set(key, (found = { key, start, end, group: this.newGroup(), rows: 0 }));
    return found;
  }

  /** The session of the key that [start, end) belongs to, joined with every other one that it bridges. */
  private sessionOf(start: number, end: number, key: string): Open {
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
    const session = {
      key,
      start: Math.min(start, first?.start ?? start),
      end: Math.max(end, touching.at(-1)?.end ?? end),
      group,
      rows: touching.reduce((sum, { rows }) => sum + rows, 0),
    };
    ofKey.splice(from, to - from, session);
    return session;
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

  private send({ key, start, end, group, rows }: Open, emit: Emitters<PartOutputs>): void {
    const frozen = group.freeze();
    emit.parts({ key, value: this.unbounded === null ? { frozen } : { frozen, count: rows } }, { start, end });
  }

  private report(): void {
    this.count?.("to aggregate", this.came);
    // Which of them are late only the runner knows, so they are counted where it gives them.
    if (this.unbounded === null) this.count?.("aggregated", this.aggregated);
    this.count?.("duplicate", this.duplicates);
    this.count?.("late", this.late);
    this.count?.("outside", this.outside);
    this.came = this.aggregated = this.duplicates = this.late = this.outside = 0;
  }

  finishBundle(emit: Emitters<PartOutputs>): void {
    this.flush(emit);
  }
}

register("beamline/transforms/add-up", { AddUp });
