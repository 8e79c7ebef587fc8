// The sources of a job that goes on: what there is of them now, what of it the next batch reads, and whether what was
// read before is still what lies there.
import { type Address, type Followed, type Part, type SourceConnector, type StartAt } from "../../io/connector";
import { sourceOf } from "../../io/registry";
import { UsageError, RunError } from "../../schema/errors";
import { type Range } from "../../schema/record";
import { FlowingInput, INBOX, type FlowSettings } from "./flowing-input";
import { inboxFile, lookInto } from "./inbox";
import { lastRecordOf } from "./job-memory";
import { type PlannedPart, type Position } from "./job-state";

/** A part of an input's source, as it is now. */
export interface SeenPart extends Part {
  readonly input: string;
}

/** Where a job keeps what its sources give only once, and how much of it. */
export interface InboxSettings extends FlowSettings {
  readonly directory: string;
}

/** Where a part goes on. */
export type Place = Pick<Position, "input" | "source" | "next">;

/** Records of a part that flows are missing in front of the next one. */
export interface Missing {
  readonly input: string;
  readonly source: string;
  /** In front of the record of this position the first of them lay. */
  readonly since: number;
}

/** Records that were gone before they were read. */
export class GapError extends RunError {}

const idOf = ({ input, source }: { readonly input: string; readonly source: string }) => `${input}\n${source}`;

export class JobSources {
  /** Since when a part has had nothing new, by the clock of this process. */
  private readonly atEndSince = new Map<string, number>();

  /** Reads the ranges of inboxes, by the name that they have in place of a connector's. */
  readonly readers = { [INBOX]: (range: Range) => this.inboxOf(range).read(range) };

  private constructor(private readonly followed: ReadonlyMap<string, Followed>) {}

  /** Changes nothing in the sources; those that give a record only once do not flow before `begin`. */
  static async open(
    addresses: Readonly<Record<string, Address>>,
    job: string,
    settings: InboxSettings,
  ): Promise<JobSources> {
    const followed = new Map<string, Followed>();
    try {
      for (const [input, address] of Object.entries(addresses)) {
        const source = sourceOf(address);
        const { flow } = source;
        if (source.follow !== undefined) followed.set(input, await source.follow(address, job));
        else if (flow !== undefined) {
          const file = inboxFile(settings.directory, job, input);
          followed.set(input, new FlowingInput(input, (signal, talk) => flow(address, signal, talk), file, settings));
        } else throw new UsageError(`“${address.scheme}:” has an end: it cannot be read with --streaming`);
      }
    } catch (error) {
      for (const open of followed.values()) await open.close();
      throw error;
    }
    return new JobSources(followed);
  }

  /** Lets flow into the inboxes what gives each record only once, until the signal says that the job ends. */
  begin(signal?: AbortSignal): void {
    for (const input of this.flowing()) input.begin(signal);
  }

  /** Whether each source that flows has come to its end: what there will ever be of it can be seen. */
  get areFlowsOver(): boolean {
    return this.flowing().every(({ isOver }) => isOver);
  }

  /** Whether all that there will ever be of the sources can be seen. */
  get isOver(): boolean {
    return this.flowing().length === this.followed.size && this.areFlowsOver;
  }

  /** Whether a source is paused until a batch makes room. */
  get isFull(): boolean {
    return this.flowing().some(({ isFull }) => isFull);
  }

  /** Whether what flowed in takes more than one batch. */
  get isBroken(): boolean {
    return this.flowing().some(({ isBroken }) => isBroken);
  }

  /** Those of which records are missing in front of the next one, and in front of which one the first of them lay. */
  missing(places: readonly Place[]): Missing[] {
    return places.flatMap(({ input, source, next }) => {
      const followed = this.followed.get(input);
      const since = followed instanceof FlowingInput ? followed.missedBefore(source, next) : null;
      return since === null ? [] : [{ input, source, since }];
    });
  }

  flows(input: string): boolean {
    return this.followed.get(input) instanceof FlowingInput;
  }

  /** Ends what flows. All that it gave is in the inboxes then. */
  async stop(): Promise<void> {
    for (const input of this.flowing()) await input.stop();
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
    const records =
      range.connector === INBOX
        ? this.readers[INBOX](range)
        : sourceOf({ scheme: range.connector, path: "", options: {} }).read(range);
    for await (const [record] of records) if (record !== undefined) return record;
    return null;
  }

  /** Tells the sources how far they were read: inboxes let go of it, and tools show the lag. */
  async committed(positions: readonly Pick<Position, "input" | "source" | "next">[]): Promise<void> {
    for (const [input, followed] of this.followed) {
      const ofInput = positions.filter((position) => position.input === input);
      await followed.committed?.(new Map(ofInput.map(({ source, next }) => [source, next])));
    }
  }

  private of(input: string): Followed {
    const followed = this.followed.get(input);
    if (followed === undefined) throw new Error(`The input ${input} is not followed`);
    return followed;
  }

  private flowing(): FlowingInput[] {
    return [...this.followed.values()].filter((followed) => followed instanceof FlowingInput);
  }

  private inboxOf({ source, detail }: Range): FlowingInput {
    const input = this.followed.get(String(detail["input"]));
    if (input instanceof FlowingInput) return input;
    throw new RunError(`${source} was planned to be read from an inbox that the job no longer has`);
  }
}

/** What lies in the sources of a job, for whoever only asks: nothing is changed, and nothing begins to flow. */
export async function lookAtSources(
  addresses: Readonly<Record<string, Address>>,
  job: string,
  directory: string,
): Promise<SeenPart[]> {
  const seen: SeenPart[] = [];
  for (const [input, address] of Object.entries(addresses)) {
    const source = sourceOf(address);
    const parts =
      source.follow === undefined && source.flow !== undefined
        ? lookInto(inboxFile(directory, job, input))
        : await lookOnce(source, address, job);
    seen.push(...parts.map((part) => ({ ...part, input })));
  }
  return seen;
}

async function lookOnce(source: SourceConnector, address: Address, job: string): Promise<readonly Part[]> {
  const followed = await source.follow?.(address, job);
  try {
    return (await followed?.look()) ?? [];
  } finally {
    await followed?.close();
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
