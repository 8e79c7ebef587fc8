// The second half of an aggregate: from the parts of a key and window to its row.
import { register, type Bounds, type Count, type DoFn, type Emitters, type KV, type Place } from "../beam";
import { Accumulation, type Group } from "./accumulate";
import { measuredFields, valuesOf, type Part, type Plan } from "./aggregate-plan";
import { isWhole, nameOfWindow, tellOfCut } from "./cut-windows";
import { type Id } from "./id-set";
import { type Fields } from "./measure-states";
import { UnpackedRows } from "./row-columns";
import { UniqueRows } from "./unique-rows";

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
  private fields?: readonly string[];
  private count?: Count;
  private panes?: Panes;

  constructor(
    readonly plan: Plan,
    readonly cut: Cut | null = null,
    /** Where a window that is over gives a last pane with all of it: that one alone is counted. */
    readonly countsLast = false,
  ) {}

  startBundle(count: Count): void {
    this.accumulation = new Accumulation(this.plan.measures);
    this.fields = measuredFields(this.plan.measures);
    this.count = count;
    this.panes = new Panes();
  }

  process(
    { key, value: parts }: KV<string, readonly Part[]>,
    emit: Emitters<{ rows: Fields }>,
    place: () => Place,
  ): void {
    const accumulation = this.accumulation as Accumulation;
    const group = accumulation.create();
    const gathered: UnpackedRows[] = [];
    let summed = 0;
    for (const part of parts) {
      if ("frozen" in part) {
        group.merge(part.frozen);
        summed += part.count ?? 0;
      } else gathered.push(new UnpackedRows(this.fields as readonly string[], part.rows));
    }
    const { start, end, pane } = place();
    const { aggregated, duplicate } = this.addUnique(gathered, group);
    this.tell(key, { start, end }, pane, { aggregated: summed + aggregated, duplicate });
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

  private tell(key: string, { start, end }: Bounds, pane: Place["pane"], all: Counted): void {
    if (all.aggregated === 0 || (this.countsLast && pane === "early")) return;
    const isFirst = this.countsLast || pane === "only";
    const { aggregated, duplicate } = isFirst ? all : (this.panes as Panes).newIn(key, start, end, all);
    this.count?.("aggregated", aggregated);
    this.count?.("duplicate", duplicate);
  }

  /** Adds the rows up, each id once, and answers how many counted. */
  private addUnique(gathered: readonly UnpackedRows[], group: Group): Counted {
    const accumulation = this.accumulation as Accumulation;
    const seen = new Set<Id>();
    const repeated = new Set<Id>();
    for (const rows of gathered) {
      for (let at = 0; at < rows.length; at += 1) {
        const id = rows.id(at);
        if (id === null) continue;
        if (seen.has(id)) repeated.add(id);
        else seen.add(id);
      }
    }
    // Only of rows with one id has the right one to be found; all others count as they come.
    const unique = new UniqueRows(this.fields as readonly string[]);
    const counted = { aggregated: 0, duplicate: 0 };
    for (const rows of gathered) {
      for (let at = 0; at < rows.length; at += 1) {
        const [id, time, row] = [rows.id(at), rows.time(at), rows.row(at)];
        const counts = id === null || !repeated.has(id);
        if (counts) accumulation.add(group, row, time, id);
        if (counts || unique.add([id, time, row])) counted.aggregated += 1;
        else counted.duplicate += 1;
      }
    }
    unique.addTo(group, accumulation);
    return counted;
  }
}

interface Counted {
  readonly aggregated: number;
  readonly duplicate: number;
}

/** What earlier panes have counted: a later one has all rows of its window again, and of every session that it took in. */
class Panes {
  private readonly byKey = new Map<string, (Bounds & Counted)[]>();

  /** What of the rows in a pane was not counted before. */
  newIn(key: string, start: number, end: number, { aggregated, duplicate }: Counted): Counted {
    const ofKey = this.byKey.get(key) ?? [];
    const isIn = (pane: Bounds) => pane.start >= start && pane.end <= end;
    const before = ofKey.filter(isIn);
    this.byKey.set(key, [...ofKey.filter((pane) => !isIn(pane)), { start, end, aggregated, duplicate }]);
    return {
      aggregated: before.reduce((rest, pane) => rest - pane.aggregated, aggregated),
      duplicate: before.reduce((rest, pane) => rest - pane.duplicate, duplicate),
    };
  }
}

register("beamline/transforms/to-row", { ToRow });
