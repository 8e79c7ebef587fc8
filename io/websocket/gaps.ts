// Which records are missing, by ids that should follow each other: per key (a symbol) the greatest id that came, and the
// ids below it that did not.
export interface Gap {
  readonly key: string;
  readonly from: number;
  /** The last one. */
  readonly to: number;
  /** The position of the record by which it was seen that they are missing. */
  readonly at: number;
}

interface Missing {
  readonly from: number;
  readonly to: number;
  readonly at: number;
  /** Since when, by the clock of this process. */
  readonly since: number;
  /** Whether somebody asks for it. */
  readonly isAsked: boolean;
}

interface Row {
  last: number;
  missing: Missing[];
  /** An id that is too far off to be believed alone. */
  far: { readonly id: number; readonly at: number } | null;
}

/** After an id that is far off, the next one must be as near to it as this for the two to be believed. */
const NEAR = 1000;
/** Beyond these a server's nonsense would fill the memory. */
const MOST_KEYS = 10_000;
const MOST_GAPS = 10_000;

export class Gaps {
  private readonly rows = new Map<string, Row>();
  private count = 0;

  /** `most` ids of one gap are worth asking for. `noted` is what `toText` gave in an earlier start. */
  constructor(
    private readonly most: number,
    noted: string | null = null,
  ) {
    for (const [key, last, ...missing] of rowsIn(noted)) {
      this.rows.set(key, {
        last,
        missing: missing.map(([from, to, at = 0]) => ({
          from,
          to,
          at,
          since: Number.NEGATIVE_INFINITY,
          isAsked: false,
        })),
        far: null,
      });
      this.count += missing.length;
    }
  }

  /** Whether a record of the key came before. */
  knows(key: string): boolean {
    return this.rows.has(key);
  }

  /** A record came, and gets the position `at`. Answers what of the key is known to be lost since then. */
  see(key: string, id: number, now: number, at: number): Gap[] {
    const row = this.rows.get(key);
    if (row === undefined) {
      if (this.rows.size < MOST_KEYS) this.rows.set(key, { last: id, missing: [], far: null });
      return [];
    }
    if (id === row.last + 1 && row.far === null) {
      row.last = id;
      return [];
    }
    if (Math.abs(id - row.last) <= this.most) {
      row.far = null;
      if (id > row.last) return this.goOn(key, row, id, now, at);
      this.remove(row, id, id);
      return [];
    }
    // One such id is nonsense, two that follow each other are a long absence, or ids that begin anew.
    const { far } = row;
    if (far === null || id <= far.id || id - far.id > NEAR) {
      row.far = { id, at };
      return [];
    }
    row.far = null;
    const isBack = far.id < row.last;
    const lost = isBack ? this.forget(key, row) : this.goOn(key, row, far.id, now, far.at);
    row.last = far.id;
    return [...lost, ...this.goOn(key, row, id, now, at)];
  }

  /** A record came that was asked for. Whether it was still missing. */
  take(key: string, id: number): boolean {
    const row = this.rows.get(key);
    return row !== undefined && this.remove(row, id, id) > 0;
  }

  /** They will not come: how many of them were still missing. */
  lose({ key, from, to }: Pick<Gap, "key" | "from" | "to">): number {
    const row = this.rows.get(key);
    return row === undefined ? 0 : this.remove(row, from, to);
  }

  /** A gap that is older than the grace and that nobody asks for yet; from now on somebody does. */
  next(now: number, grace: number): Gap | null {
    for (const [key, row] of this.rows) {
      const at = row.missing.findIndex(({ since, isAsked }) => !isAsked && since + grace <= now);
      const found = row.missing[at];
      if (found === undefined) continue;
      row.missing[at] = { ...found, isAsked: true };
      return { key, from: found.from, to: found.to, at: found.at };
    }
    return null;
  }

  /** When the next gap is older than the grace; null when none waits for that. */
  due(grace: number): number | null {
    let due = Number.POSITIVE_INFINITY;
    for (const { missing } of this.rows.values())
      for (const { since, isAsked } of missing) if (!isAsked) due = Math.min(due, since + grace);
    return due === Number.POSITIVE_INFINITY ? null : due;
  }

  /** All that is missing now. */
  all(): Gap[] {
    return [...this.rows].flatMap(([key, { missing }]) => missing.map(({ from, to, at }) => ({ key, from, to, at })));
  }

  toText(): string {
    return JSON.stringify(
      [...this.rows].map(([key, { last, missing }]) => [
        key,
        last,
        ...missing.map(({ from, to, at }) => [from, to, at]),
      ]),
    );
  }

  /** What lies between the greatest id and this one is missing. */
  private goOn(key: string, row: Row, id: number, now: number, at: number): Gap[] {
    const first = row.last + 1;
    row.last = id;
    if (first >= id) return [];
    const from = Math.max(first, id - this.most);
    const isKept = this.count < MOST_GAPS;
    if (isKept) {
      row.missing.push({ from, to: id - 1, at, since: now, isAsked: false });
      this.count += 1;
    }
    if (!isKept) return [{ key, from: first, to: id - 1, at }];
    return from === first ? [] : [{ key, from: first, to: from - 1, at }];
  }

  private forget(key: string, row: Row): Gap[] {
    const lost = row.missing.map(({ from, to, at }) => ({ key, from, to, at }));
    this.count -= lost.length;
    row.missing = [];
    return lost;
  }

  private remove(row: Row, from: number, to: number): number {
    let removed = 0;
    const before = row.missing.length;
    row.missing = row.missing.flatMap((gap) => {
      const [first, last] = [Math.max(from, gap.from), Math.min(to, gap.to)];
      if (first > last) return [gap];
      removed += last - first + 1;
      return [
        ...(first > gap.from ? [{ ...gap, to: first - 1 }] : []),
        ...(last < gap.to ? [{ ...gap, from: last + 1 }] : []),
      ];
    });
    this.count += row.missing.length - before;
    return removed;
  }
}

/** A key, its greatest id, and what was missing; versions before did not note where that was seen. */
type NotedRow = [string, number, ...[from: number, to: number, at?: number][]];

/** Nothing where the text is of another kind: it was another protocol's, or another version's. */
function rowsIn(text: string | null): NotedRow[] {
  try {
    const rows = JSON.parse(text ?? "[]") as unknown;
    return Array.isArray(rows) ? rows.filter(isRow) : [];
  } catch {
    return [];
  }
}

function isRow(row: unknown): row is NotedRow {
  if (!Array.isArray(row)) return false;
  const [key, last, ...missing] = row as unknown[];
  const isGap = (gap: unknown) =>
    Array.isArray(gap) && (gap.length === 2 || gap.length === 3) && gap.every(Number.isSafeInteger);
  return typeof key === "string" && Number.isSafeInteger(last) && missing.every(isGap);
}
