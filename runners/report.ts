// What a run tells at its end: the same from every runner, and the object that --json prints.
import { RunError } from "../schema/errors";
import { type Row, type Table } from "../schema/table";
import { type DeadLetter } from "../transforms";
import { type EngineName } from "./engine";

export interface Counts {
  readonly read: number;
  readonly ok: number;
  readonly dead: number;
  readonly dropped: number;
  /** Of rows that were aggregated, those that were the same row again. */
  readonly duplicate: number;
  /** Rows behind the watermark; always 0 where time does not pass. */
  readonly late: number;
  /** Rows of windows that are not of the stretch of time which a run is about; absent where it is about all time. */
  readonly outside?: number;
  readonly written: Readonly<Record<string, number>>;
  /** Rows that a sink refused. */
  readonly rejected: number;
}

export interface Report extends Counts {
  readonly pipeline: string;
  readonly runner: EngineName;
  /** degraded: done, but rows wait for a place that does not answer. */
  readonly state: "done" | "degraded" | "interrupted";
  readonly seconds: number;
  readonly recordsPerSecond: number;
  readonly job: string;
  /** With --fallback: rows that waited and were delivered first, and those that wait at the end, by output. */
  readonly delivered?: Readonly<Record<string, number>>;
  readonly waiting?: Readonly<Record<string, number>>;
  /** The name of the batch; a job that goes on has many. */
  readonly batch?: string;
  /** The name of its plan, where what was written goes by it. */
  readonly plan?: string;
  /** The outputs whose rows were added to those of earlier runs, and took the place of none. */
  readonly beside?: readonly string[];
  /** Of a job that goes on. */
  readonly batches?: number;
  readonly lost?: number;
  readonly openWindows?: number;
  /** Of a bounded run over a source that has lost its beginning: what that took from the rows. */
  readonly notWhole?: NotWhole;
}

/** Windows that got no row, since records of them are gone. */
export interface NotWhole {
  /** No window that begins before this is whole: ISO 8601. */
  readonly before: string;
  readonly windows: number;
  /** The first of them by name. */
  readonly named: readonly string[];
}

/** What is shown of a run beside its counts. */
export interface Sample {
  readonly deadReasons: readonly DeadReason[];
  readonly firstRows: readonly { readonly output: string; readonly table: Table; readonly rows: readonly Row[] }[];
}

export interface DeadReason {
  readonly reason: string;
  readonly count: number;
  readonly example: DeadLetter;
}

const SHOWN_ROWS = 5;
const MOST_REASONS = 20;
const SHOWN_LENGTH = 200;

/** What of a letter is shown: a record may have megabytes. */
function shortened(letter: DeadLetter): DeadLetter {
  return { ...letter, value: letter.value.slice(0, SHOWN_LENGTH), error: letter.error.slice(0, SHOWN_LENGTH) };
}

/** Looks at rows on their way to the sinks: groups dead letters by reason, keeps the first rows of every other output. */
export class Tasting {
  private readonly reasons = new Map<string, { count: number; example: DeadLetter }>();
  private readonly rows = new Map<Table, { output: string; rows: Row[] }>();

  taste(output: string, table: Table, rows: readonly Row[]): void {
    if (table.mode === "by-origin") {
      for (const row of rows) this.tasteLetter(row as unknown as DeadLetter);
      return;
    }
    const kept = this.rows.get(table) ?? { output, rows: [] };
    // Rows that go to several places are shown once, by the name that all those names begin with.
    if (output.length < kept.output.length) kept.output = output;
    else if (output !== kept.output) return;
    this.rows.set(table, kept);
    if (kept.rows.length < SHOWN_ROWS) kept.rows.push(...rows.slice(0, SHOWN_ROWS - kept.rows.length));
  }

  private tasteLetter(letter: DeadLetter): void {
    const known = this.reasons.get(letter.reason);
    if (known !== undefined) known.count += 1;
    // A step that makes a reason of its own for every record must not fill the memory with them.
    else if (this.reasons.size < MOST_REASONS)
      this.reasons.set(letter.reason, { count: 1, example: shortened(letter) });
  }

  sample(): Sample {
    const deadReasons = [...this.reasons]
      .map(([reason, { count, example }]) => ({ reason, count, example }))
      .sort((a, b) => b.count - a.count);
    const firstRows = [...this.rows].map(([table, { output, rows }]) => ({ output, table, rows }));
    return { deadReasons, firstRows };
  }
}

/** What became of the rows that came to the outputs, by output. */
export interface Delivered {
  readonly written: ReadonlyMap<string, number>;
  readonly rejected: ReadonlyMap<string, number>;
  /** Rows that came from no transform, but are the letters of rows that another output has refused. */
  readonly added: ReadonlyMap<string, number>;
}

/** Every record and row must be somewhere. A run whose counts do not add up has lost something, and must not commit. */
export function checkCounts(
  counters: Readonly<Record<string, number>>,
  { written, rejected, added }: Delivered,
  /** Whether every input is cleaned exactly once; a pipeline that takes records in another way counts them itself. */
  cleanedOnce: boolean,
): Counts {
  const of = (name: string) => counters[name] ?? 0;
  const counts = {
    read: of("read"),
    ok: of("ok"),
    dead: of("dead"),
    dropped: of("dropped"),
    duplicate: of("duplicate"),
    late: of("late"),
    written: Object.fromEntries(written),
    rejected: [...rejected.values()].reduce((sum, rows) => sum + rows, 0),
  };
  const cleaned = counts.ok + counts.dead + counts.dropped;
  if (cleanedOnce) equal("records read", counts.read, "good, dead and dropped ones", cleaned);
  const counted = of("aggregated") + counts.duplicate + counts.late + of("outside");
  const parts = "aggregated, duplicate, late and outside ones";
  equal("rows that came to be aggregated", of("to aggregate"), parts, counted);
  for (const [output, rows] of written) {
    const came = of(`written ${output}`) + (added.get(output) ?? 0);
    equal(`rows for ${output}`, came, "written and rejected ones", rows + (rejected.get(output) ?? 0));
  }
  return counts;
}

function equal(what: string, actual: number, parts: string, sum: number): void {
  if (actual === sum) return;
  throw new RunError(
    `The counts do not add up: ${actual} ${what}, but ${sum} ${parts}. Nothing was kept; please report this`,
  );
}
