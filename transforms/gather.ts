// The first half of an aggregate where duplicates cannot be told yet: on clusters, and in sessions.
import {
  ALL_WINDOWS,
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
import { keyOf, timeOf, type Candidate, type PartOutputs, type Plan } from "./aggregate-plan";
import { Arrivals } from "./arrivals";
import { type Id } from "./id-set";
import { type Fields } from "./measure-states";

/** Gathers the measured fields of rows, for the duplicates among them to be found when they are grouped. */
export class Gather implements DoFn<Fields, PartOutputs> {
  readonly outputs = ["parts", "late"] as const;
  private count?: Count;
  private arrivals?: Arrivals | null;
  private watermark = Number.NEGATIVE_INFINITY;
  private gathered?: Map<string, { readonly key: string; readonly bounds: Bounds; readonly rows: Candidate[] }>;
  private held = 0;
  private came = 0;
  private late = 0;
  private outside = 0;

  constructor(
    readonly plan: Plan,
    readonly maxHeld: number,
    /** The fields that are measured. */
    readonly fields: readonly string[],
    readonly covers: CoveredWindows = ALL_WINDOWS,
    readonly unbounded: Unbounded | null = null,
  ) {}

  startBundle(count: Count): void {
    this.count = count;
    // What has come is not forgotten from bundle to bundle.
    this.arrivals ??= this.unbounded === null ? null : new Arrivals(this.plan.at, this.unbounded);
    this.watermark = Number.NEGATIVE_INFINITY;
    this.gathered = new Map();
    this.held = 0;
    this.came = this.late = this.outside = 0;
  }

  process(row: Fields, emit: Emitters<PartOutputs>, place?: () => Place): void {
    const { at, by, window, unique, lateness } = this.plan;
    const time = timeOf(row, at);
    if (this.arrivals != null && place !== undefined) this.arrivals.see(time, place().timestamp);
    const key = keyOf(row, by);
    const candidate: Candidate = [
      unique === null ? null : ((row[unique] ?? null) as Id | null),
      time,
      Object.fromEntries(this.fields.map((field) => [field, row[field] ?? null])),
    ];
    const { since, until } = this.covers;
    for (const bounds of assign(window, time)) {
      this.came += 1;
      if ((since !== null && bounds.start < since) || (until !== null && bounds.end > until)) {
        this.outside += 1;
        continue;
      }
      if (bounds.end + lateness <= this.watermark) {
        this.late += 1;
        emit.late(row);
        continue;
      }
      if (this.arrivals?.mayBeOver(bounds.end) === true) {
        emit.parts({ key, value: { rows: [candidate] } }, bounds);
        continue;
      }
      const at = `${bounds.start}|${key}`;
      const gathered = this.gathered?.get(at);
      if (gathered === undefined) this.gathered?.set(at, { key, bounds, rows: [candidate] });
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
    this.count?.("outside", this.outside);
    this.came = this.late = this.outside = 0;
  }

  finishBundle(emit: Emitters<PartOutputs>): void {
    this.flush(emit);
  }
}

register("beamline/transforms/gather", { Gather });
