// The rows of a session, one for each id. Two sessions that counted the same id may become one, and no sum can be taken
// out of another again: so a session with `unique` keeps the measured fields of its rows, and is added up when it is over.
import { canonicalJson } from "../beam";
import { Accumulation, type Accumulating, type Contents, type FrozenGroup, type Group } from "./accumulate";
import { measuredFields, type Candidate } from "./aggregate-plan";
import { type Id } from "./id-set";
import { type Fields, type Frozen } from "./measure-states";
import { type Measures } from "./measures";
import { compareTexts } from "./order";

export class UniqueRows implements Contents {
  private readonly byId = new Map<Id, Candidate>();
  private readonly withoutId: Candidate[] = [];

  constructor(private readonly fields: readonly string[]) {}

  get size(): number {
    return this.byId.size + this.withoutId.length;
  }

  /** Answers whether its id is new. Of rows with one id the first by (time, content) stays, in whatever order they come. */
  add(candidate: Candidate): boolean {
    const [id] = candidate;
    if (id === null) {
      this.withoutId.push(candidate);
      return true;
    }
    const known = this.byId.get(id);
    if (known === undefined || isBefore(candidate, known)) this.byId.set(id, candidate);
    return known === undefined;
  }

  merge(frozen: FrozenGroup): number {
    let again = 0;
    for (const [id, time, ...values] of frozen as readonly FrozenRow[]) {
      const row = Object.fromEntries(this.fields.map((field, at) => [field, values[at]]));
      if (!this.add([id, time, row])) again += 1;
    }
    return again;
  }

  freeze(): FrozenGroup {
    return [...this.rows()].map(([id, time, row]) => [id, time, ...this.fields.map((field) => row[field] as Frozen)]);
  }

  *rows(): Iterable<Candidate> {
    yield* this.byId.values();
    yield* this.withoutId;
  }

  /** Adds all of them up. */
  addTo(group: Group, accumulation: Accumulation): void {
    for (const [id, time, row] of this.rows()) accumulation.add(group, row, time, id);
  }
}

type FrozenRow = readonly [id: Id | null, time: number, ...values: Frozen[]];

function isBefore(a: Candidate, b: Candidate): boolean {
  return (a[1] - b[1] || compareTexts(canonicalJson(a[2]), canonicalJson(b[2]))) < 0;
}

/** Keeps rows until they are wanted. */
export class KeepRows implements Accumulating<UniqueRows> {
  private readonly accumulation: Accumulation;
  private readonly fields: readonly string[];
  private readonly trial: Group;

  constructor(measures: Measures) {
    this.accumulation = new Accumulation(measures);
    this.fields = measuredFields(measures);
    this.trial = this.accumulation.create();
  }

  create(): UniqueRows {
    return new UniqueRows(this.fields);
  }

  add(rows: UniqueRows, row: Fields, time: number, id: Id | null): boolean {
    // What cannot be added up fails in its own batch, which a repaired step can run again, and not when its session is over.
    this.accumulation.add(this.trial, row, time, id);
    return rows.add([id, time, Object.fromEntries(this.fields.map((field) => [field, row[field] ?? null]))]);
  }

  results(frozen: FrozenGroup): Record<string, unknown> {
    const rows = this.create();
    rows.merge(frozen);
    const group = this.accumulation.create();
    rows.addTo(group, this.accumulation);
    return this.accumulation.results(group.freeze());
  }
}
