// The aggregate of a job that goes on: rows are added to what earlier batches left, and each window that changed gives
// its full row again. One DoFn in place of adding up, grouping and making rows: the memory is what groups.
import { alignDown, assign, register, type Count, type DoFn, type Emitters } from "../beam";
import { Accumulation, type Accumulating, type Contents } from "./accumulate";
import { keyOf, timeOf, valuesOf, type Plan } from "./aggregate-plan";
import { IdSet, type Id } from "./id-set";
import { type Fields } from "./measure-states";
import { KeepRows } from "./unique-rows";
import { currentMemory, type AggregateMemory, type Fate, type Kept, type Memory, type Progress } from "./memory";

type Outputs = { rows: Fields; late: Fields };

export class GoOn implements DoFn<Fields, Outputs> {
  readonly outputs = ["rows", "late"] as const;
  /** The plan of this batch. */
  private current?: Plan;
  private accumulating?: Accumulating<Contents>;
  private count?: Count;
  private memory?: Memory;
  private kept?: AggregateMemory;
  private source?: string;
  private progress?: Progress;
  private came = 0;
  private aggregated = 0;
  private duplicates = 0;
  private late = 0;

  constructor(
    readonly name: string,
    readonly plan: Plan,
  ) {}

  startBundle(count: Count): void {
    const memory = currentMemory();
    if (memory === null) throw new Error(`${this.name} goes on from batch to batch, but was given no memory`);
    this.count = count;
    this.memory = memory;
    this.current = memory.planBefore(this.name) ?? this.plan;
    const { measures, unique, window } = this.current;
    this.accumulating =
      unique !== null && window.kind === "sessions" ? new KeepRows(measures) : new Accumulation(measures);
    this.kept = memory.aggregate(this.name, this.current, this.accumulating);
    this.came = this.aggregated = this.duplicates = this.late = 0;
  }

  process(row: Fields, emit: Emitters<Outputs>): void {
    const { at, window, unique } = this.plan;
    const time = timeOf(row, at);
    this.sawTime(time);
    const key = keyOf(row, this.plan.by);
    const id = unique === null ? null : ((row[unique] ?? null) as Id | null);
    if (window.kind === "fixed") {
      const start = alignDown(time, window.size);
      this.addTo(start, start + window.size, key, row, time, id, emit);
    } else {
      const windows = assign(window, time);
      // Counted in some of its windows and refused by others, a letter would count again with the next try.
      const isRefused = this.memory?.replays === true && windows.some(({ end }) => this.fate(end) === "too old");
      for (const { start, end } of windows) {
        if (isRefused) this.leave("too old", start, end, row, emit);
        else this.addTo(start, end, key, row, time, id, emit);
      }
    }
  }

  private sawTime(time: number): void {
    const memory = this.memory as Memory;
    if (memory.record === null) throw new Error(`${this.name} is fed by no record: its rows must come out of clean`);
    const { source } = memory.record;
    if (source !== this.source) {
      this.source = source;
      this.progress = this.kept?.progressOf(source);
      if (this.progress !== undefined) this.progress.first ??= time;
    }
    const progress = this.progress as Progress;
    if (time > progress.greatest) progress.greatest = time;
  }

  private fate(end: number): Fate {
    return (this.kept as AggregateMemory).fate(end);
  }

  private refuse(start: number, end: number): void {
    const memory = this.memory as Memory;
    const { refused } = memory;
    memory.refused = { start: Math.min(start, refused?.start ?? start), end: Math.max(end, refused?.end ?? end) };
  }

  private leave(fate: Exclude<Fate, "counts">, start: number, end: number, row: Fields, emit: Emitters<Outputs>): void {
    this.came += 1;
    this.late += 1;
    if (fate === "too old") this.refuse(start, end);
    emit.late(row);
  }

  private addTo(
    start: number,
    end: number,
    key: string,
    row: Fields,
    time: number,
    id: Id | null,
    emit: Emitters<Outputs>,
  ): void {
    const fate = this.fate(end);
    if (fate !== "counts") {
      this.leave(fate, start, end, row, emit);
      return;
    }
    this.came += 1;
    const memory = this.kept as AggregateMemory;
    const kept = this.plan.window.kind === "sessions" ? memory.session(start, end, key) : memory.find(start, end, key);
    if (id !== null && kept.ids !== null) {
      if (!kept.ids.add(id)) {
        this.duplicates += 1;
        return;
      }
      (kept.fresh ??= new IdSet()).add(id);
    }
    // Also by a row that is in its session already: the session may reach as far as that one now.
    kept.changed = true;
    if (this.accumulating?.add(kept.contents, row, time, id) === true) this.aggregated += 1;
    else this.duplicates += 1;
  }

  finishBundle(emit: Emitters<Outputs>): void {
    const memory = this.kept as AggregateMemory;
    const isSessions = this.current?.window.kind === "sessions";
    // Where a session begins and ends is known when it is over: a row before that could be one that later merges away.
    if (!isSessions) {
      for (const kept of memory.changed()) this.send(kept, "early", emit);
    }
    for (const kept of memory.closing()) {
      if (isSessions) this.send(kept, "early", emit);
      this.send(kept, "on time", emit);
    }
    this.count?.("to aggregate", this.came);
    this.count?.("aggregated", this.aggregated - memory.foundAgain);
    this.count?.("duplicate", this.duplicates + memory.foundAgain);
    this.count?.("late", this.late);
  }

  private send({ start, end, key, contents }: Kept, pane: "early" | "on time", emit: Emitters<Outputs>): void {
    if (this.kept?.isWhole(start, end, key) !== true) return;
    const keys = valuesOf(key);
    const { by } = this.current as Plan;
    const row = {
      window_start: start,
      window_end: end,
      ...Object.fromEntries(by.map((field, at) => [field, keys[at]])),
      ...this.accumulating?.results(contents.freeze()),
    };
    emit.rows(row, { start, end, pane });
  }
}

register("beamline/transforms/go-on", { GoOn });
