// A stream of messages as records: connections that are made anew, records that were missed, and no more in memory than
// whoever takes them can bear.
import { isUtf8 } from "node:buffer";
import { RunError, UsageError } from "../../schema/errors";
import { type Raw, type SourceRecord } from "../../schema/record";
import { type FlowNews, type FlowTalk } from "../connector";
import { type Backoff } from "../pause";
import { type Access } from "../web-access";
import { ANY_WAIT } from "../web-patience";
import { Backlog, type Bounds } from "./backlog";
import { binance } from "./binance";
import { type Connection, type OnMessage } from "./connection";
import { Filler, type FillerSettings } from "./filler";
import { Gaps, type Gap } from "./gaps";
import { Line } from "./line";
import { type Streamed } from "./options";
import { plain, type Protocol, type RecordId } from "./protocol";

export interface StreamSettings {
  readonly access: Access;
  readonly signal?: AbortSignal;
  readonly talk?: FlowTalk;
  /** A run with an end has somebody waiting for it. */
  readonly isBounded: boolean;
  /** The position of the first record. */
  readonly from?: number;
  readonly bounds?: Bounds;
  readonly backoff?: Backoff;
}

const GIVE_UP_RUN = 30_000;
const BOUNDS: Bounds = { items: 10_000, bytes: 16 * 1024 * 1024 };
/** At most this many records are handed on together. */
const RECORDS_TOGETHER = 1_000;
/** What happens often is told so often at most. */
const BETWEEN_NEWS = 1_000;
/** How long missing records are still asked for at the end. */
const LAST_PATIENCE = 10_000;

/** What came: a message of the stream, a record of its history, or, when no connection is there any more, nothing. */
type Arrived = Message | Found | Silence;

interface Silence {
  readonly kind: "silence";
}

interface Message {
  readonly kind: "message";
  readonly bytes: Buffer;
  readonly at: number;
  readonly over: Connection;
}

interface Found extends RecordId {
  readonly kind: "found";
  readonly value: string;
  /** The history that has it. */
  readonly source: string;
}

/** The records of the stream, until `for` says that it is enough, or the signal: then with all that has come. */
export async function* stream(streamed: Streamed, settings: StreamSettings): AsyncGenerator<SourceRecord[]> {
  const { signal } = settings;
  const work = new Stream(streamed, settings);
  const stop = () => work.stop("now");
  if (signal?.aborted === true) stop();
  signal?.addEventListener("abort", stop);
  const clock = streamed.for === null ? undefined : setTimeout(() => work.stop("in order"), streamed.for);
  try {
    for (let records = await work.take(); records !== null; records = await work.take())
      if (records.length > 0) yield records;
  } finally {
    clearTimeout(clock);
    signal?.removeEventListener("abort", stop);
    work.stop("now");
    await work.ended;
  }
  if (signal?.aborted !== true && work.line.made === 0)
    throw new RunError(`${streamed.shown} could not be reached in the time that it was to be read`, {
      cause: work.line.trouble,
    });
}

class Stream {
  readonly line: Line;
  /** Fulfilled when nothing comes any more. */
  readonly ended: Promise<void>;
  private readonly protocol: Protocol;
  private readonly gaps: Gaps;
  private readonly filler: Filler | null;
  private readonly backlog: Backlog<Arrived>;
  private readonly lineEnding = new AbortController();
  private readonly fillerEnding = new AbortController();
  private failure: { readonly error: unknown } | null = null;
  private isOver = false;
  /** Of the next record. */
  private position: number;
  /** Where records are missing as long as nothing else shows, and nobody was told; null where none are. */
  private silentAt: number | null;
  /** What happens often, since it was last told. */
  private garbage = 0;
  private filled = 0;
  private toldAt = Number.NEGATIVE_INFINITY;

  constructor(
    private readonly streamed: Streamed,
    private readonly settings: StreamSettings,
  ) {
    const { access, talk, isBounded, from = 0, bounds = BOUNDS, backoff } = settings;
    const giveUp = streamed.giveUp ?? talk?.giveUpAfter ?? GIVE_UP_RUN;
    const mostWait = isBounded ? giveUp : ANY_WAIT;
    const ours = { streamed, access, tell: (news: FlowNews) => this.tell(news), giveUp, mostWait, backoff };
    this.position = from;
    this.silentAt = from;
    this.protocol = streamed.protocol === "binance" ? binance : plain(streamed.unwrap);
    this.gaps = new Gaps(streamed.fill, talk?.noted);
    const onMessage: OnMessage = (bytes, over) =>
      this.backlog.add({ kind: "message", bytes, at: Date.now(), over }, bytes.length);
    this.line = new Line({ ...ours, onMessage, onSilence: () => this.backlog.add({ kind: "silence" }, 0) });
    this.backlog = new Backlog(
      bounds,
      () => this.line.pause(),
      () => this.line.resume(),
    );
    const { history } = this.protocol;
    const onFound: FillerSettings["onFound"] = async (key, found, source) => {
      for (const { id, value } of found) this.backlog.add({ kind: "found", key, id, value, source }, value.length);
      await this.backlog.room(this.fillerEnding.signal);
    };
    const onLost: FillerSettings["onLost"] = (gap, why, count) => this.lose(gap, why, count);
    this.filler = history === undefined ? null : new Filler({ ...ours, history, gaps: this.gaps, onFound, onLost });
    this.missWithoutIds();
    this.ended = this.work();
  }

  /** In order: nothing new comes, and what is missing is still asked for. */
  stop(how: "in order" | "now"): void {
    this.lineEnding.abort();
    if (how === "now") this.fillerEnding.abort();
  }

  /** Some records, or none this time; null when there will be no more. */
  async take(): Promise<SourceRecord[] | null> {
    const arrived = this.backlog.take(RECORDS_TOGETHER);
    if (arrived.length > 0) return this.recordsOf(arrived);
    if (!this.isOver) {
      await this.backlog.filled();
      return [];
    }
    this.tellCounts();
    if (this.failure !== null) throw this.failure.error;
    // Where they are noted, the next start asks for them.
    if (this.settings.talk?.note === undefined)
      for (const gap of this.gaps.all()) this.lose(gap, "the time was over before they were asked for");
    return null;
  }

  /** The connection and the history, side by side. Never throws: `take` does. */
  private async work(): Promise<void> {
    const fail = (error: unknown) => this.fail(error);
    const filling = this.filler?.run(this.fillerEnding.signal).catch(fail);
    await this.line.keep(this.lineEnding.signal).catch(fail);
    this.filler?.finish();
    const late = setTimeout(() => this.fillerEnding.abort(), LAST_PATIENCE);
    await filling;
    clearTimeout(late);
    this.isOver = true;
    this.backlog.wake();
  }

  private fail(error: unknown): void {
    this.failure ??= { error };
    this.stop("now");
  }

  private recordsOf(arrived: readonly Arrived[]): SourceRecord[] {
    const records: SourceRecord[] = [];
    for (const one of arrived) {
      if (one.kind === "silence") {
        this.silentAt ??= this.position;
        this.missWithoutIds();
        continue;
      }
      const record = one.kind === "found" ? this.foundRecord(one) : this.messageRecord(one);
      if (record !== null) records.push(record);
    }
    if (performance.now() - this.toldAt >= BETWEEN_NEWS) this.tellCounts();
    if (this.protocol.history !== undefined) this.settings.talk?.note?.(this.gaps.toText());
    this.filler?.look();
    return records;
  }

  private messageRecord({ bytes, at, over }: Message): SourceRecord | null {
    if (!isUtf8(bytes)) {
      if (!this.protocol.takesBytes) this.garbage += 1;
      return this.record(new Uint8Array(bytes), at, null);
    }
    const message = this.protocol.read(bytes.toString());
    switch (message.kind) {
      case "record":
        // What of it came before, no id can tell.
        if (message.id === null || !this.gaps.knows(message.id.key)) this.miss();
        if (message.id !== null) this.see(message.id);
        return this.record(message.value, at, null);
      case "garbage":
        this.garbage += 1;
        return this.record(message.value, at, null);
      case "answer":
        return null;
      case "refusal":
        // Of what? Nothing was sent.
        if (this.streamed.send.length === 0) {
          this.garbage += 1;
          return this.record(message.value, at, null);
        }
        this.fail(new UsageError(`${this.streamed.shown} does not take what it was sent: ${message.why}`));
        return null;
      case "farewell":
        over.sayFarewell();
        return null;
    }
  }

  /** It may have come by itself meanwhile. */
  private foundRecord({ key, id, value, source }: Found): SourceRecord | null {
    if (!this.gaps.take(key, id)) return null;
    this.filled += 1;
    return this.record(value, Date.now(), { "filled-from": source });
  }

  private record(value: Raw, timestamp: number, headers: SourceRecord["headers"]): SourceRecord {
    const position = this.position;
    this.position += 1;
    return { value, source: this.streamed.shown, position, key: null, timestamp, headers, fields: null };
  }

  private see({ key, id }: RecordId): void {
    for (const gap of this.gaps.see(key, id, performance.now(), this.position))
      this.lose(gap, "more are missing than are asked for (option fill)");
  }

  /** Of a gap some may have come in another way. */
  private lose({ key, from, to, at }: Gap, why: string, count = to - from + 1): void {
    const { shown } = this.streamed;
    this.settings.talk?.missed?.(at);
    this.tell({
      kind: "lost",
      count,
      text: `${count} records of ${key} from ${shown} are lost, ids ${from} to ${to}: ${why}`,
    });
  }

  /** Where records have no ids, what came while nobody was listening is missing for good. */
  private missWithoutIds(): void {
    if (this.protocol.history === undefined) this.miss();
  }

  private miss(): void {
    if (this.silentAt !== null) this.settings.talk?.missed?.(this.silentAt);
    this.silentAt = null;
  }

  private tellCounts(): void {
    this.toldAt = performance.now();
    const { shown, protocol } = this.streamed;
    const { garbage, filled } = this;
    this.garbage = 0;
    this.filled = 0;
    const about = protocol === "plain" ? "as they should be" : `what ${protocol} sends`;
    if (garbage > 0)
      this.tell({
        kind: "garbage",
        count: garbage,
        text: `${garbage} messages of ${shown} are not ${about}: given on whole`,
      });
    if (filled > 0)
      this.tell({
        kind: "filled",
        count: filled,
        text: `${filled} records that ${shown} missed came from its history`,
      });
  }

  private tell(news: FlowNews): void {
    this.settings.talk?.tell?.(news);
  }
}
