// The memory of a job's aggregates: open windows stay in this process from batch to batch, all of them are in the job's
// state. When a batch fails, what it did here is forgotten, and the next try takes up what was committed.
import { createHash } from "node:crypto";
import { type SourceRecord } from "../../schema/record";
import { type Accumulating, type Contents, type FrozenGroup } from "../../transforms/accumulate";
import { type Plan } from "../../transforms/aggregate-plan";
import { isWhole, nameOfWindow } from "../../transforms/cut-windows";
import { IdSet } from "../../transforms/id-set";
import { type AggregateMemory, type Fate, type Kept, type Memory, type Progress } from "../../transforms/memory";
import { joined } from "./cuts";
import {
  type Cut,
  type JobState,
  type LastRecord,
  type Position,
  type StoredAggregate,
  type StoredGroup,
  type StoredPlan,
} from "./job-state";

export interface MemoryOptions {
  /** How far behind the greatest time of its source a record may come, in milliseconds. */
  readonly disorder: number;
  /** How long closed windows are kept for dead letters that are repaired. */
  readonly retain: number;
  /** Whether an output wants windows when they close. */
  readonly wantsFinal: boolean;
  readonly partialWindows: "skip" | "write";
}

/** Groups, and rows of sessions, in this process beyond which all are let go of after a batch: the state has them. */
const MOST_CACHED = 500_000;

/** Later than any window's end. */
const END_OF_TIME = Number.MAX_SAFE_INTEGER;

interface Session extends Kept {
  start: number;
  end: number;
  /** Its place in the state, where it has one. */
  stored: { readonly start: number; readonly end: number } | null;
}

/** What the aggregates of one batch need to know. */
interface BatchView {
  readonly plan: StoredPlan;
  /** Of the batch before: what is late is judged by it. */
  readonly before: number;
  /** Stretches of which the plan says for the first time that they are missing. */
  readonly found: readonly Cut[];
}

export class JobMemory implements Memory {
  record: SourceRecord | null = null;
  refused: Memory["refused"] = null;
  private readonly aggregates = new Map<string, AggregateInMemory>();
  private view: BatchView | null = null;
  /** By the field with the event time, by source. */
  private readonly progress = new Map<string, Map<string, Progress>>();
  private readonly lastRecords = new Map<string, SourceRecord>();
  private readonly partial = new Set<string>();

  constructor(
    private readonly state: JobState,
    private readonly options: MemoryOptions,
  ) {}

  get replays(): boolean {
    return this.view?.plan.kind === "replay";
  }

  /**
   * Windows that got no row in this batch, since records of them are missing; where that shows in the midst of a job also
   * those that got one before.
   */
  partialWindows(): readonly string[] {
    const { plan, found } = this.viewOf();
    if (plan.batch > 1 && this.options.partialWindows === "skip") {
      for (const cut of found.map((one) => this.shortened(one)))
        for (const { aggregate, start, end, key } of this.state.windowsIn(cut))
          this.partial.add(nameOfWindow(aggregate, start, end, key));
    }
    return [...this.partial];
  }

  startBatch(plan: StoredPlan): void {
    const known = this.state.cuts();
    const found = plan.cuts
      .slice(known.length)
      // It goes on as long as nothing comes behind it.
      .filter(({ source }) => source === null || !known.some((cut) => cut.source === source));
    this.view = { plan, before: this.state.watermark() ?? Number.NEGATIVE_INFINITY, found };
    this.record = null;
    this.refused = null;
    this.progress.clear();
    this.lastRecords.clear();
    this.partial.clear();
  }

  /** Told of every batch of records of a part. */
  sawRecords(source: string, records: readonly SourceRecord[]): void {
    const last = records[records.length - 1];
    if (last !== undefined) this.lastRecords.set(source, last);
  }

  aggregate(name: string, plan: Plan, accumulating: Accumulating<Contents>): AggregateMemory {
    const { view } = this;
    if (view === null) throw new Error("No batch is under way");
    let aggregate = this.aggregates.get(name);
    if (aggregate === undefined) {
      aggregate = new AggregateInMemory(name, plan, this.state, this.options, accumulating);
      this.aggregates.set(name, aggregate);
    }
    let progress = this.progress.get(plan.at);
    if (progress === undefined) this.progress.set(plan.at, (progress = new Map<string, Progress>()));
    aggregate.startBatch(view, progress, () => this.closesUpTo(), this.partial);
    return aggregate;
  }

  planBefore(name: string): Plan | null {
    if (this.view?.plan.kind !== "migrate") return null;
    return this.state.definitions().find((aggregate) => aggregate.name === name)?.plan ?? null;
  }

  private closesUpTo(): number {
    if (this.view?.plan.kind === "migrate") return END_OF_TIME;
    return this.watermark() ?? Number.NEGATIVE_INFINITY;
  }

  /** The watermark of this batch, when all its records were seen; null while there is none yet. */
  watermark(): number | null {
    const { plan, before } = this.viewOf();
    const known = Number.isFinite(before) ? before : null;
    if (plan.kind === "flush") return END_OF_TIME;
    if (plan.kind === "replay" || plan.parts.length === 0) return known;
    let least = Number.POSITIVE_INFINITY;
    for (const { watermark } of this.positions()) {
      if (watermark === null) return known;
      least = Math.min(least, watermark);
    }
    return Math.max(before, least);
  }

  /** Where each part of the plan stands when the batch is committed. */
  positions(): Position[] {
    const { plan, before } = this.viewOf();
    if (plan.kind !== "read") return [];
    const known = new Map(
      this.state.positions().map((position) => [`${position.input}\n${position.source}`, position]),
    );
    return plan.parts.map(({ input, source, to, idle }) => {
      const old = known.get(`${input}\n${source}`);
      const last = this.lastRecords.get(source);
      // A part that is new begins where the job stands.
      const watermark = old === undefined ? (Number.isFinite(before) ? before : null) : old.watermark;
      return {
        input,
        source,
        next: to,
        watermark: this.watermarkOf(source, watermark, idle),
        last: last === undefined ? (old?.last ?? null) : lastRecordOf(last),
      };
    });
  }

  private watermarkOf(source: string, old: number | null, idle: boolean): number | null {
    const { batchTime } = this.viewOf().plan;
    // The event time that lags most counts, where aggregates go by different fields.
    let greatest = Number.POSITIVE_INFINITY;
    for (const ofField of this.progress.values()) {
      const reached = ofField.get(source)?.greatest ?? Number.NEGATIVE_INFINITY;
      if (Number.isFinite(reached)) greatest = Math.min(greatest, reached);
    }
    const isNews = Number.isFinite(greatest);
    if (!isNews && !idle) return old;
    // A record of the far future must not make all after it late: no time is later than the batch's own.
    const reached = (isNews ? Math.min(batchTime, greatest) : batchTime) - this.options.disorder;
    return old === null ? reached : Math.max(old, reached);
  }

  /** What is missing, by what is known behind the batch: stretches that touch are one. */
  cuts(): Cut[] {
    const { plan } = this.viewOf();
    return joined(plan.cuts.map((cut) => this.shortened(cut)));
  }

  private shortened(cut: Cut): Cut {
    const { source } = cut;
    if (source === null) return cut;
    // The event time that came first and is the latest counts, where aggregates go by different fields.
    const firsts = [...this.progress.values()].map((ofField) => ofField.get(source)?.first ?? null);
    if (firsts.length === 0 || firsts.includes(null)) return cut;
    return { ...shortenedBy(cut, Math.max(...firsts.map(Number)), this.options.disorder), source: null };
  }

  /** What the batch leaves of its aggregates. */
  stored(): StoredAggregate[] {
    // Nothing is left of the windows of a definition that is no more.
    if (this.viewOf().plan.kind === "migrate") return [];
    const watermark = this.watermark();
    return [...this.aggregates.values()].map((aggregate) => aggregate.stored(watermark));
  }

  /** After the commit: the batch's changes are the state's now. */
  settle(): void {
    const watermark = this.state.watermark() ?? Number.NEGATIVE_INFINITY;
    for (const aggregate of this.aggregates.values()) aggregate.settle(watermark);
    this.view = null;
  }

  /** After a failure: nothing that the batch did here holds. */
  forget(): void {
    this.aggregates.clear();
    this.view = null;
  }

  private viewOf(): BatchView {
    if (this.view === null) throw new Error("No batch is under way");
    return this.view;
  }
}

export function lastRecordOf({ position, timestamp, value, key }: SourceRecord): LastRecord {
  const hash = createHash("sha256").update(value);
  if (key !== null) hash.update("\0").update(key);
  return { position, timestamp, checksum: hash.digest("hex").slice(0, 16) };
}

/** What is missing came before the record of this time, and so is later by the disorder, and no more. */
const shortenedBy = (cut: Cut, first: number, disorder: number): Cut => ({
  ...cut,
  until: Math.min(cut.until, first + disorder + 1),
});

class AggregateInMemory implements AggregateMemory {
  /** By window's start (all windows of an aggregate have one length), then by key. */
  private readonly windows = new Map<number, Map<string, Kept>>();
  /** Starts of windows of which the state has something that is not here. */
  private readonly partlyStored = new Set<number>();
  private readonly sessions = new Map<string, Session[]>();
  private changes: Kept[] = [];
  private gone: { start: number; end: number; key: string }[] = [];
  private cached = 0;
  foundAgain = 0;
  private forgotten: number | null = null;
  private view!: BatchView;
  private progress!: Map<string, Progress>;
  private watermark!: () => number;
  private partial!: Set<string>;

  constructor(
    private readonly name: string,
    private readonly plan: Plan,
    private readonly state: JobState,
    private readonly options: MemoryOptions,
    private readonly accumulating: Accumulating<Contents>,
  ) {}

  startBatch(view: BatchView, progress: Map<string, Progress>, watermark: () => number, partial: Set<string>): void {
    this.view = view;
    this.progress = progress;
    this.watermark = watermark;
    this.partial = partial;
    this.changes = [];
    this.gone = [];
    this.foundAgain = 0;
    this.forgotten = null;
  }

  fate(end: number): Fate {
    const { before, plan } = this.view;
    if (end + this.plan.lateness > before) return "counts";
    if (plan.kind !== "replay") return "late";
    // A session that is over may have been one with what comes now: its row cannot be taken back.
    if (this.plan.window.kind === "sessions") return "too old";
    return end < (this.forgotten ??= this.state.forgottenBefore(this.name) ?? Number.NEGATIVE_INFINITY)
      ? "too old"
      : "counts";
  }

  find(start: number, end: number, key: string): Kept {
    let window = this.windows.get(start);
    if (window === undefined) {
      this.windows.set(start, (window = new Map<string, Kept>()));
      if (this.state.knowsWindow(this.name, start, end)) this.partlyStored.add(start);
    }
    let kept = window.get(key);
    if (kept === undefined) {
      window.set(key, (kept = this.load(start, end, key)));
      this.cached += 1;
    }
    if (!kept.changed) this.noteChange(kept);
    return kept;
  }

  /** Whether it will change is known by who asks; until then it is only a candidate. */
  private noteChange(kept: Kept): void {
    if (!this.candidates.has(kept)) {
      this.candidates.add(kept);
      this.changes.push(kept);
    }
  }
  private readonly candidates = new Set<Kept>();

  private load(start: number, end: number, key: string): Kept {
    const frozen = this.partlyStored.has(start) ? this.state.group(this.name, start, end, key) : null;
    const contents = this.accumulating.create();
    if (frozen !== null) contents.merge(frozen);
    const ids =
      this.plan.unique === null
        ? null
        : frozen === null
          ? new IdSet()
          : IdSet.of(this.state.ids(this.name, start, end, key));
    return { start, end, key, contents, ids, fresh: null, changed: false };
  }

  session(start: number, end: number, key: string): Kept {
    let ofKey = this.sessions.get(key);
    if (ofKey === undefined) {
      ofKey = this.state.openOf(this.name, key).map((stored) => this.sessionOf(stored));
      this.sessions.set(key, ofKey);
    }
    let to = ofKey.length;
    while (to > 0 && (ofKey[to - 1] as Session).start >= end) to -= 1;
    let from = to;
    while (from > 0 && (ofKey[from - 1] as Session).end > start) from -= 1;
    const [first, ...others] = ofKey.slice(from, to);
    if (first === undefined) {
      const made: Session = {
        start,
        end,
        key,
        contents: this.accumulating.create(),
        ids: null,
        fresh: null,
        changed: false,
        stored: null,
      };
      ofKey.splice(from, 0, made);
      this.cached += 1;
      this.noteChange(made);
      return made;
    }
    for (const other of others) {
      this.foundAgain += first.contents.merge(other.contents.freeze());
      if (other.stored !== null) this.gone.push({ ...other.stored, key });
      this.candidates.delete(other);
      other.changed = false;
    }
    first.end = Math.max(first.end, end, ...others.map((other) => other.end));
    first.start = Math.min(first.start, start);
    ofKey.splice(from + 1, others.length);
    this.noteChange(first);
    return first;
  }

  private sessionOf(stored: { start: number; end: number; key: string; frozen: FrozenGroup }): Session {
    const contents = this.accumulating.create();
    contents.merge(stored.frozen);
    const { start, end, key } = stored;
    this.cached += 1;
    return { start, end, key, contents, ids: null, fresh: null, changed: false, stored: { start, end } };
  }

  progressOf(source: string): Progress {
    // A record that is tried again tells nothing of how far its source is now.
    if (this.view.plan.kind === "replay") return { greatest: 0, first: null };
    let progress = this.progress.get(source);
    if (progress === undefined)
      this.progress.set(source, (progress = { greatest: Number.NEGATIVE_INFINITY, first: null }));
    return progress;
  }

  *changed(): Iterable<Kept> {
    for (const kept of this.changes) if (kept.changed && this.candidates.has(kept)) yield kept;
  }

  /** Those that the new watermark closes, in order; and in a replay those that were closed and are corrected. */
  *closing(): Iterable<Kept> {
    const isSessions = this.plan.window.kind === "sessions";
    if (!this.options.wantsFinal && !isSessions) return;
    const upTo = this.watermark() - this.plan.lateness;
    const found = new Map<string, Kept>();
    const add = (kept: Kept) => found.set(`${kept.start}|${kept.end}|${kept.key}`, kept);
    if (isSessions) {
      for (const stored of this.state.openUpTo(this.name, upTo)) this.session(stored.start, stored.end, stored.key);
      for (const ofKey of this.sessions.values()) for (const kept of ofKey) if (kept.end <= upTo) add(kept);
    } else {
      for (const { start, end, key } of this.state.openUpTo(this.name, upTo)) add(this.find(start, end, key));
      for (const kept of this.changed()) if (kept.end <= upTo) add(kept);
    }
    yield* [...found.values()].sort((a, b) => a.end - b.end || a.start - b.start || (a.key < b.key ? -1 : 1));
  }

  isWhole(start: number, end: number, key: string): boolean {
    if (this.options.partialWindows === "write" || !this.view.plan.cuts.some((cut) => this.reaches(start, end, cut)))
      return true;
    this.partial.add(nameOfWindow(this.name, start, end, key));
    return false;
  }

  private reaches(start: number, end: number, cut: Cut): boolean {
    if (cut.from !== null && end <= cut.from) return false;
    const first = cut.source === null ? null : (this.progress.get(cut.source)?.first ?? null);
    const { until } = first === null ? cut : shortenedBy(cut, first, this.options.disorder);
    return !isWhole(this.plan.window, start, until);
  }

  stored(watermark: number | null): StoredAggregate {
    const groups: StoredGroup[] = [];
    const gone = [...this.gone];
    for (const kept of this.changed()) {
      const { start, end, key, contents, fresh } = kept;
      const { stored } = kept as Partial<Session>;
      // A session that grew has another place.
      if (stored != null && (stored.start !== start || stored.end !== end)) gone.push({ ...stored, key });
      groups.push({ start, end, key, frozen: contents.freeze(), freshIds: fresh === null ? null : fresh.freeze() });
    }
    return {
      aggregate: this.name,
      groups,
      gone,
      closedUpTo: watermark === null ? null : watermark - this.plan.lateness,
      forgetBefore:
        watermark === null || watermark === END_OF_TIME ? null : watermark - this.plan.lateness - this.options.retain,
    };
  }

  settle(watermark: number): void {
    for (const kept of this.changes) {
      if ("stored" in kept) (kept as Session).stored = { start: kept.start, end: kept.end };
      kept.changed = false;
      kept.fresh = null;
    }
    this.changes = [];
    this.gone = [];
    this.candidates.clear();
    const closed = watermark - this.plan.lateness;
    for (const [start, window] of this.windows) {
      const [any] = window.values();
      if (any !== undefined && any.end > closed) continue;
      this.cached -= window.size;
      this.windows.delete(start);
      this.partlyStored.delete(start);
    }
    let rows = 0;
    for (const [key, ofKey] of this.sessions) {
      const open = ofKey.filter((session) => session.end > closed);
      this.cached -= ofKey.length - open.length;
      if (open.length === 0) this.sessions.delete(key);
      else if (open.length < ofKey.length) this.sessions.set(key, open);
      for (const { contents } of open) rows += contents.size - 1;
    }
    if (this.cached + rows > MOST_CACHED) {
      this.windows.clear();
      this.sessions.clear();
      this.partlyStored.clear();
      this.cached = 0;
    }
  }
}
