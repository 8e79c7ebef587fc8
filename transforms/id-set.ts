// Which ids were seen. Whole numbers are kept as ranges: ids that are nearly contiguous, as sequence numbers are, take
// next to no memory, in whatever order they come. Everything else is kept one by one.

export type Id = string | number;

/** Ids as they are stored: ranges as from, to, from, to …, and the others one by one. */
export interface FrozenIds {
  readonly ranges: readonly number[];
  readonly others: readonly Id[];
}

export class IdSet {
  // Ranges [from, to], both seen, in order, never touching each other.
  private readonly from: number[] = [];
  private readonly to: number[] = [];
  private others: Set<Id> | null = null;

  /** Adds an id; answers whether it is new. */
  add(id: Id): boolean {
    if (typeof id === "string" || !Number.isSafeInteger(id)) return this.addOther(id);
    const { from, to } = this;
    const last = from.length - 1;
    // Ids mostly come in order, or a little out of it: the last ranges are looked at first.
    if (last < 0 || id > (to[last] as number)) {
      if (last >= 0 && id === (to[last] as number) + 1) to[last] = id;
      else {
        from.push(id);
        to.push(id);
      }
      return true;
    }
    let at = this.rangeAtOrBefore(id);
    if (at >= 0 && id <= (to[at] as number)) return false;
    const joinsLeft = at >= 0 && (to[at] as number) + 1 === id;
    const joinsRight = at < last && (from[at + 1] as number) - 1 === id;
    if (joinsLeft && joinsRight) {
      to[at] = to[at + 1] as number;
      from.splice(at + 1, 1);
      to.splice(at + 1, 1);
    } else if (joinsLeft) {
      to[at] = id;
    } else if (joinsRight) {
      from[at + 1] = id;
    } else {
      at += 1;
      from.splice(at, 0, id);
      to.splice(at, 0, id);
    }
    return true;
  }

  freeze(): FrozenIds {
    return { ranges: this.from.flatMap((from, at) => [from, this.to[at] as number]), others: [...(this.others ?? [])] };
  }

  /** All ids of several sets. */
  static of(parts: readonly FrozenIds[]): IdSet {
    const set = new IdSet();
    const ranges: [from: number, to: number][] = [];
    for (const part of parts) {
      for (let at = 0; at < part.ranges.length; at += 2) {
        ranges.push([part.ranges[at] as number, part.ranges[at + 1] as number]);
      }
      for (const id of part.others) set.addOther(id);
    }
    for (const [from, to] of ranges.sort((a, b) => a[0] - b[0])) {
      const last = set.to.length - 1;
      if (last >= 0 && from <= (set.to[last] as number) + 1) set.to[last] = Math.max(set.to[last] as number, to);
      else {
        set.from.push(from);
        set.to.push(to);
      }
    }
    return set;
  }

  get isEmpty(): boolean {
    return this.from.length === 0 && (this.others?.size ?? 0) === 0;
  }

  /** How many ranges the whole numbers take. */
  get ranges(): number {
    return this.from.length;
  }

  private addOther(id: Id): boolean {
    this.others ??= new Set();
    if (this.others.has(id)) return false;
    this.others.add(id);
    return true;
  }

  /** Index of the last range that starts at or before `id`, -1 when none does. */
  private rangeAtOrBefore(id: number): number {
    const { from } = this;
    let low = 0;
    let high = from.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((from[middle] as number) <= id) low = middle + 1;
      else high = middle;
    }
    return low - 1;
  }
}
