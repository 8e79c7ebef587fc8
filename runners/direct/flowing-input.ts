// An input whose source gives each record once: what it gives flows into an inbox in the background, and from there the
// job reads as from any source that goes on.
import { setImmediate as nextTurn, setTimeout as pause } from "node:timers/promises";
import { type FlowNews, type FlowTalk, type Followed, type Part, type StartAt } from "../../io/connector";
import { messageOf, RunError, UnavailableError, UsageError } from "../../schema/errors";
import { type Range, type SourceRecord } from "../../schema/record";
import { Inbox, type Amount } from "./inbox";

/** Stands in a range in place of a connector's name: the runner itself has the records. */
export const INBOX = "inbox";

export type FlowEvent =
  | { readonly kind: "inbox full"; readonly input: string; readonly held: Amount; readonly bounds: Amount }
  /** Does not answer, and is tried again. */
  | { readonly kind: "flow lost"; readonly input: string }
  | { readonly kind: "flow back"; readonly input: string }
  | { readonly kind: "flow news"; readonly input: string; readonly news: FlowNews };

export interface FlowSettings {
  readonly bounds: Amount;
  /** How long a source that does not answer is tried again, in milliseconds. */
  readonly giveUpAfter: number;
  readonly onEvent: (event: FlowEvent) => void;
}

/** No longer one that may pass: the source has tried as long as it may, and whoever asks again gets the same. */
const givenUp = (error: UnavailableError) => new RunError(messageOf(error), { cause: error });

type Flow = (signal: AbortSignal, talk: FlowTalk) => AsyncIterable<readonly SourceRecord[]>;

/** How long a flow may take to end when it is told to. */
const PATIENCE = 5_000;

export class FlowingInput implements Followed {
  private readonly inbox: Inbox;
  /** Where each source stood when the job was started: what lies before it, an earlier start left. */
  private readonly atStart: ReadonlyMap<string, number>;
  private readonly ending = new AbortController();
  private pumping: Promise<void> | null = null;
  private failure: { readonly error: unknown } | null = null;
  /** Whether the source has come to its end. */
  isOver = false;

  constructor(
    private readonly input: string,
    private readonly flow: Flow,
    file: string,
    private readonly settings: FlowSettings,
  ) {
    const { bounds, onEvent } = settings;
    this.inbox = Inbox.open(file, bounds, (held) => onEvent({ kind: "inbox full", input, held, bounds }));
    this.atStart = new Map(this.inbox.look().map(({ source, end }) => [source, end]));
  }

  /** Lets the source flow, until its end, or until the signal or `close` says that the job ends. */
  begin(signal?: AbortSignal): void {
    const stop = () => this.ending.abort(signal?.reason);
    if (signal?.aborted === true) stop();
    signal?.addEventListener("abort", stop, { once: true });
    this.pumping = this.pump()
      .catch((error: unknown) => void (this.failure = { error }))
      .finally(() => signal?.removeEventListener("abort", stop));
  }

  async look(): Promise<Part[]> {
    // Whoever looks again and again without a pause lets the source flow in between.
    await nextTurn();
    if (this.failure !== null) throw this.failure.error;
    return this.inbox.look();
  }

  get isFull(): boolean {
    return this.inbox.isFull;
  }

  /** Whether what lies here takes more than one batch, since records are missing in its midst. */
  get isBroken(): boolean {
    return this.inbox.look().some(({ source, first, end }) => this.breakBehind(source, first) < end);
  }

  /** Whether records are missing in front of this one: in front of which one the first of them lay; null when none are. */
  missedBefore(source: string, position: number): number | null {
    return this.inbox.missed(source).find(({ number }) => number === position)?.since ?? null;
  }

  async start(part: Part, at: StartAt): Promise<number> {
    if (at === "earliest") return part.first;
    if (at === "latest") return this.atStart.get(part.source) ?? part.first;
    throw new UsageError(`${part.source} gives each record once: a job cannot begin there --since a time`);
  }

  async cut({ source, end }: Part, from: number, most: number): Promise<Range> {
    return {
      connector: INBOX,
      source,
      from,
      to: Math.min(end, from + most, this.breakBehind(source, from)),
      detail: { input: this.input },
    };
  }

  /** The records of a range that was cut here. */
  read({ source, from, to }: Range): Iterable<SourceRecord[]> {
    return this.inbox.read(source, from, to ?? from);
  }

  async committed(next: ReadonlyMap<string, number>): Promise<void> {
    for (const [source, position] of next) this.inbox.trim(source, position);
  }

  async knowsJob(): Promise<boolean> {
    return this.inbox.look().some(({ first }) => first > 0);
  }

  /** Tells the source to end. What it has given by then is in the inbox; if that failed, this fails. */
  async stop(): Promise<void> {
    this.ending.abort();
    const patience = new AbortController();
    await Promise.race([this.pumping, pause(PATIENCE, undefined, { signal: patience.signal }).catch(() => undefined)]);
    patience.abort();
    if (this.failure !== null) throw this.failure.error;
  }

  async close(): Promise<void> {
    // What failed was told by `look` or `stop`; here it would hide why the job ends.
    await this.stop().catch(() => undefined);
    this.inbox.close();
  }

  private breakBehind(source: string, position: number): number {
    return this.inbox.missed(source).find(({ number }) => number > position)?.number ?? Number.POSITIVE_INFINITY;
  }

  /** Whoever tells it, from wherever, cannot do anything about an inbox that cannot be written. */
  private miss(before: number): void {
    try {
      this.inbox.miss(before);
    } catch (error) {
      this.failure ??= { error };
      this.ending.abort();
    }
  }

  /** Lets the source flow into the inbox until it ends. */
  private async pump(): Promise<void> {
    const { input, settings, inbox } = this;
    const { signal } = this.ending;
    let note: string | null = null;
    let isLost = false;
    const talk: FlowTalk = {
      tell: (news) => {
        if (news.kind === "retry") {
          isLost = true;
          settings.onEvent({ kind: "flow lost", input });
        }
        settings.onEvent({ kind: "flow news", input, news });
      },
      note: (text) => (note = text),
      noted: inbox.noted(),
      from: inbox.look()[0]?.end ?? 0,
      missed: (before) => this.miss(before),
      giveUpAfter: settings.giveUpAfter,
    };
    let isAppending = false;
    try {
      for await (const records of this.flow(signal, talk)) {
        if (isLost) settings.onEvent({ kind: "flow back", input });
        isLost = false;
        const noted: string | null = note;
        note = null;
        isAppending = true;
        await inbox.append(records, signal, noted);
        isAppending = false;
      }
    } catch (error) {
      if (isAppending) throw error;
      // A flow may end by throwing what the signal says.
      if (!signal.aborted) throw error instanceof UnavailableError ? givenUp(error) : error;
    }
    this.isOver = !signal.aborted;
  }
}
