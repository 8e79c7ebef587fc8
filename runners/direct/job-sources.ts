// The sources of a job that goes on: what there is of them now, what of it the next batch reads, and whether what was
// read before is still what lies there.
import { type Address, type Followed, type Part, type StartAt } from "../../io/connector";
import { sourceOf } from "../../io/registry";
import { UsageError, RunError } from "../../schema/errors";
import { type Range } from "../../schema/record";
import { lastRecordOf } from "./job-memory";
import { type PlannedPart, type Position } from "./job-state";

/** A part of an input's source, as it is now. */
export interface SeenPart extends Part {
  readonly input: string;
}

/** Records that were gone before they were read. */
export class GapError extends RunError {}

const idOf = ({ input, source }: { readonly input: string; readonly source: string }) => `${input}\n${source}`;

export class JobSources {
  /** Since when a part has had nothing new, by the clock of this process. */
  private readonly atEndSince = new Map<string, number>();

  private constructor(private readonly followed: ReadonlyMap<string, Followed>) {}

  static async open(addresses: Readonly<Record<string, Address>>, job: string): Promise<JobSources> {
    const followed = new Map<string, Followed>();
    try {
      for (const [input, address] of Object.entries(addresses)) {
        const source = sourceOf(address);
        if (source.follow === undefined)
          throw new UsageError(`“${address.scheme}:” has an end: it cannot be read with --streaming`);
        followed.set(input, await source.follow(address, job));
      }
    } catch (error) {
      for (const open of followed.values()) await open.close();
      throw error;
    }
    return new JobSources(followed);
  }

  async close(): Promise<void> {
    for (const followed of this.followed.values()) await followed.close();
  }

  async look(): Promise<SeenPart[]> {
    const parts: SeenPart[] = [];
    for (const [input, followed] of this.followed) {
      for (const part of await followed.look()) parts.push({ ...part, input });
    }
    return parts;
  }

  /** Whether the other side of an input remembers this job. */
  async whoKnowsJob(): Promise<string | null> {
    for (const [input, followed] of this.followed) if ((await followed.knowsJob?.()) === true) return input;
    return null;
  }

  /** Where a job that has read nothing of a part begins in it. */
  start(part: SeenPart, at: StartAt): Promise<number> {
    return this.of(part.input).start(part, at);
  }

  /** Plans to read about `most` records, shared among the parts that have any. */
  async cut(
    parts: readonly SeenPart[],
    next: ReadonlyMap<string, number>,
    most: number,
    idleAfter: number,
  ): Promise<PlannedPart[]> {
    const now = performance.now();
    const behind = parts.filter((part) => part.end > (next.get(idOf(part)) ?? part.first)).length;
    const share = Math.max(1, Math.ceil(most / Math.max(1, behind)));
    const planned: PlannedPart[] = [];
    for (const part of parts) {
      const id = idOf(part);
      const from = next.get(id) ?? part.first;
      if (part.end > from) {
        this.atEndSince.delete(id);
        const range = await this.of(part.input).cut(part, from, share);
        const to = range.to ?? part.end;
        planned.push({ input: part.input, source: part.source, from, to, range, idle: false });
      } else {
        const since = this.atEndSince.get(id) ?? now;
        this.atEndSince.set(id, since);
        const idle = now - since >= idleAfter;
        planned.push({ input: part.input, source: part.source, from, to: from, range: null, idle });
      }
    }
    return planned;
  }

  /** Checks that what a job has read is still there as it was: the same source, and not a new one of the same name. */
  async verify(parts: readonly SeenPart[], positions: readonly Position[]): Promise<void> {
    const now = new Map(parts.map((part) => [idOf(part), part]));
    for (const position of positions) {
      const part = now.get(idOf(position));
      const { source, next, last } = position;
      if (part === undefined) {
        throw new UsageError(
          `${source} was read up to ${next}, but is not there any more: bring it back, or begin anew with --reset or another --job`,
        );
      }
      if (part.end < next) {
        throw new UsageError(
          `${source} was read up to ${next}, but ends at ${part.end} now, as if it were made anew: begin anew with --reset, or another --job`,
        );
      }
      if (last === null || part.first > last.position) continue;
      const record = await this.recordAt(part, last.position);
      // A log that is compacted may have lost it.
      if (record === null || record.position !== last.position) continue;
      if (lastRecordOf(record).checksum !== last.checksum) {
        throw new UsageError(
          `${source} has another record at ${last.position} than the one this job has read there, as if it were made anew: begin anew with --reset, or another --job`,
        );
      }
    }
  }

  private async recordAt(part: SeenPart, position: number) {
    if (position >= part.end) return null;
    const range = await this.of(part.input).cut(part, position, 1);
    for await (const [record] of sourceOf({ scheme: range.connector, path: "", options: {} }).read(range)) {
      if (record !== undefined) return record;
    }
    return null;
  }

  /** Tells the sources how far they were read, for tools that show the lag. */
  async committed(planned: readonly PlannedPart[]): Promise<void> {
    for (const [input, followed] of this.followed) {
      const next = planned.filter((part) => part.input === input).map(({ source, to }) => [source, to] as const);
      await followed.committed?.(new Map(next));
    }
  }

  private of(input: string): Followed {
    const followed = this.followed.get(input);
    if (followed === undefined) throw new Error(`The input ${input} is not followed`);
    return followed;
  }
}

/** A part of which records are gone that were not read yet. */
export interface Gap {
  readonly part: SeenPart;
  readonly lost: number;
}

export function gaps(parts: readonly SeenPart[], next: ReadonlyMap<string, number>): Gap[] {
  return parts
    .map((part) => ({ part, lost: part.first - (next.get(idOf(part)) ?? part.first) }))
    .filter(({ lost }) => lost > 0);
}

/** The position after which each part goes on. */
export const nextOf = (positions: readonly { input: string; source: string; next: number }[]): Map<string, number> =>
  new Map(positions.map((position) => [idOf(position), position.next]));

export const partId = idOf;

/** The ranges of a plan, by input. */
export function rangesOf(planned: readonly PlannedPart[]): Record<string, Range[]> {
  const ranges: Record<string, Range[]> = {};
  for (const { input, range } of planned) if (range !== null) (ranges[input] ??= []).push(range);
  return ranges;
}
