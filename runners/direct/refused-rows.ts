// Rows that a place refuses while it takes others: each becomes a dead letter, known by the row's key, so that the same row
// refused again replaces its letter. And when the row is written after all, its letter is done with.
import { createHash } from "node:crypto";
import { type RunContext } from "../../beam";
import { cellOf } from "../../io/cell";
import { type LetterId, type Output, type Rejected } from "../../io/connector";
import { ndjsonOf } from "../../io/row-text";
import { type Pipeline } from "../../pipelines/definition";
import { type Range } from "../../schema/record";
import { columnOf, type Row, type Table } from "../../schema/table";
import { type DeadLetter } from "../../transforms";

/** Stands in a range in place of a connector's name: nothing is read of it. */
const OUTPUT = "output";

/** Refused rows whose letters are followed until they are written; letters of those beyond stay until they are replaced. */
const MOST_FOLLOWED = 100_000;

const stepOf = (output: string): string => `write ${output}`;
const sourceOf = (output: string): string => `${OUTPUT}:${output}`;

/** A row's place among all that its output could ever have, by its key: 48 bits, which every store has as a whole number. */
function positionOf(table: Table, row: Row): number {
  return createHash("sha256")
    .update(JSON.stringify(keyOf(table, row)))
    .digest()
    .readUIntBE(0, 6);
}

/** Decimals and times as text; a key that does not fit its columns is what the row may have been refused for. */
function keyOf(table: Table, row: Row): unknown[] {
  return table.key.map((name) => {
    try {
      const cell = cellOf(table, columnOf(table, name), row);
      return typeof cell === "bigint" ? String(cell) : cell;
    } catch {
      return String(row[name]);
    }
  });
}

function keyTextOf(table: Table, row: Row): string {
  const [only, ...others] = keyOf(table, row);
  return others.length === 0 && typeof only === "string" ? only : JSON.stringify(keyOf(table, row));
}

function textOf(table: Table, row: Row): string {
  try {
    return ndjsonOf(table).lineOf(row).trimEnd();
  } catch {
    return JSON.stringify(row, (_, value: unknown) => (typeof value === "bigint" ? String(value) : value)) ?? "";
  }
}

/** The letter of a refused row. */
export function letterOf(
  { name, table }: Output,
  { row, reason, error }: Rejected,
  run: Pick<RunContext, "job" | "pipeline" | "version" | "batch" | "attempt">,
): DeadLetter {
  const { job, pipeline, version, batch, attempt } = run;
  return {
    ...{ job, source: sourceOf(name), position: positionOf(table, row), step: stepOf(name), reason, error },
    ...{ value: textOf(table, row), key: keyTextOf(table, row), timestamp: null, headers: null, fields: null },
    ...{ pipeline, version, batch, attempt },
  };
}

/** Whether a letter is that of a row, and not of a record: nothing can be read again for it. */
export function isOfRow({ source, step }: LetterId, { outputs }: Pick<Pipeline, "outputs">): boolean {
  return Object.keys(outputs).some((name) => source === sourceOf(name) && step === stepOf(name));
}

/** What is kept of refused rows between batches: positions, by output. */
interface Followed {
  /** Refused, and not written since. */
  readonly waiting: Readonly<Record<string, readonly number[]>>;
  /** Written since: the next batch takes their letters out. */
  readonly written: Readonly<Record<string, readonly number[]>>;
}

/** Follows the letters of refused rows over batches. A batch works on a copy: what it did holds when it is committed. */
export class RefusedRows {
  private readonly waiting: Map<string, Set<number>>;
  private readonly written = new Map<string, Set<number>>();

  private constructor(
    private readonly before: string,
    { waiting }: Followed,
    /** The letters that the batch takes out. */
    readonly done: readonly LetterId[],
  ) {
    this.waiting = new Map(Object.entries(waiting).map(([output, positions]) => [output, new Set(positions)]));
  }

  /** From what the batch before has left. */
  static of(text: string): RefusedRows {
    const followed = text === "" ? { waiting: {}, written: {} } : (JSON.parse(text) as Followed);
    const done = Object.entries(followed.written).flatMap(([output, positions]) =>
      positions.map((position) => ({ source: sourceOf(output), position, step: stepOf(output) })),
    );
    return new RefusedRows(text, followed, done);
  }

  /** The places of the letters that the batch takes out: what lies there is replaced by what the batch gives. */
  get ranges(): Range[] {
    return this.done.map(({ source, position }) => ({
      connector: OUTPUT,
      source,
      from: position,
      to: position + 1,
      detail: {},
    }));
  }

  refused({ name, table }: Output, row: Row): void {
    const position = positionOf(table, row);
    this.written.get(name)?.delete(position);
    let waiting = this.waiting.get(name);
    if (waiting === undefined) this.waiting.set(name, (waiting = new Set()));
    if (waiting.size < MOST_FOLLOWED) waiting.add(position);
  }

  wrote({ name, table }: Output, rows: readonly Row[]): void {
    const waiting = this.waiting.get(name);
    if (waiting === undefined || waiting.size === 0) return;
    for (const row of rows) {
      const position = positionOf(table, row);
      if (!waiting.delete(position)) continue;
      const written = this.written.get(name) ?? new Set();
      this.written.set(name, written.add(position));
    }
  }

  /** What the batch leaves to the next one; empty when nothing is to be followed. */
  left(): string {
    const listed = (sets: ReadonlyMap<string, ReadonlySet<number>>) =>
      Object.fromEntries([...sets].filter(([, set]) => set.size > 0).map(([output, set]) => [output, [...set]]));
    const [waiting, written] = [listed(this.waiting), listed(this.written)];
    if (Object.keys(waiting).length + Object.keys(written).length === 0) return "";
    return JSON.stringify({ waiting, written } satisfies Followed);
  }

  get hasChanged(): boolean {
    return this.left() !== this.before;
  }
}
