// The second half of an aggregate: from the parts of a key and window to its row.
import { canonicalJson, register, type Count, type DoFn, type Emitters, type KV, type Place } from "../beam";
import { Accumulation, type Group } from "./accumulate";
import { valuesOf, type Candidate, type Part, type Plan } from "./aggregate-plan";
import { isWhole, nameOfWindow, tellOfCut } from "./cut-windows";
import { type Id } from "./id-set";
import { type Fields } from "./measure-states";
import { compareIds, compareTexts } from "./order";

/** Where a source begins later than its records did, so that windows are cut. */
export interface Cut {
  readonly aggregate: string;
  readonly batch: string;
  readonly wholeFrom: number;
}

/** Makes the row of a key and window from its parts. */
export class ToRow implements DoFn<KV<string, readonly Part[]>, { rows: Fields }> {
  readonly outputs = ["rows"] as const;
  private accumulation?: Accumulation;
  private count?: Count;

  constructor(
    readonly plan: Plan,
    readonly cut: Cut | null = null,
  ) {}

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
    if (this.cut !== null && !isWhole(this.plan.window, start, this.cut.wholeFrom)) {
      this.count?.("not whole", 1);
      tellOfCut(this.cut.batch, nameOfWindow(this.cut.aggregate, start, end, key));
      return;
    }
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

register("beamline/transforms/to-row", { ToRow });
