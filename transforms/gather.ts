// The first half of an aggregate where duplicates cannot be told yet: on clusters, and in sessions.
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
import { keyOf, timeOf, type PartOutputs, type Plan } from "./aggregate-plan";
import { Arrivals } from "./arrivals";
import { type Id } from "./id-set";
import { type Fields } from "./measure-states";
import { RowColumns } from "./row-columns";

interface Open extends Bounds {
  readonly key: string;
  readonly rows: RowColumns;
}

/** Gathers the measured fields of rows, for the duplicates among them to be found when they are grouped. */
export class Gather implements DoFn<Fields, PartOutputs> {
  readonly outputs = ["parts", "late"] as const;
  private count?: Count;
  private arrivals?: Arrivals | null;
  private watermark = Number.NEGATIVE_INFINITY;
  /** By window's start, then by key. */
  private gathered?: Map<number, Map<string, Open>>;
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
    const { at, by, window, unique } = this.plan;
    const time = timeOf(row, at);
    if (this.arrivals != null && place !== undefined) this.arrivals.see(time, place().timestamp);
    const key = keyOf(row, by);
    const id = unique === null ? null : ((row[unique] ?? null) as Id | null);
    if (window.kind === "fixed") {
      const start = alignDown(time, window.size);
      this.addTo(start, start + window.size, key, row, time, id, emit);
    } else {
      for (const { start, end } of assign(window, time)) this.addTo(start, end, key, row, time, id, emit);
    }
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
    const { since, until } = this.covers;
    if ((since !== null && start < since) || (until !== null && end > until)) {
      this.outside += 1;
      return;
    }
    if (end + this.plan.lateness <= this.watermark) {
      this.late += 1;
      emit.late(row);
      return;
    }
    if (this.arrivals?.mayBeOver(end) === true) {
      const alone = new RowColumns(this.fields);
      alone.add(row, time, id);
      emit.parts({ key, value: { rows: alone.pack() } }, { start, end });
      return;
    }
    this.rowsOf(start, end, key).add(row, time, id);
    this.held += 1;
  }

  private rowsOf(start: number, end: number, key: string): RowColumns {
    const gathered = this.gathered as Map<number, Map<string, Open>>;
    let ofWindow = gathered.get(start);
    if (ofWindow === undefined) gathered.set(start, (ofWindow = new Map<string, Open>()));
    let open = ofWindow.get(key);
    if (open === undefined) ofWindow.set(key, (open = { key, start, end, rows: new RowColumns(this.fields) }));
    return open.rows;
  }

  onWatermark(watermark: number, emit: Emitters<PartOutputs>): void {
    this.flush(emit);
    this.watermark = watermark;
  }

  private flush(emit: Emitters<PartOutputs>): void {
    for (const ofWindow of this.gathered?.values() ?? []) {
      for (const { key, start, end, rows } of ofWindow.values())
        emit.parts({ key, value: { rows: rows.pack() } }, { start, end });
    }
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
