// Asks the history for records that were missed, one gap after the other, while the stream goes on.
import { isUtf8 } from "node:buffer";
import { messageOf } from "../../schema/errors";
import { type FlowNews } from "../connector";
import { slept, type Backoff } from "../pause";
import { type Access } from "../web-access";
import { askPatiently } from "../web-patience";
import { shownUrl } from "../web-url";
import { type Gap, type Gaps } from "./gaps";
import { type Streamed } from "./options";
import { type History } from "./protocol";

/** The history may be a little behind the stream: so often is it asked for what it does not have yet. */
const BEHIND_TIMES = 5;
const BEHIND_PAUSE = 1_000;

export interface FillerSettings {
  readonly streamed: Streamed;
  readonly history: History;
  readonly gaps: Gaps;
  readonly access: Access;
  readonly tell: (news: FlowNews) => void;
  /** So many of a gap will not come. */
  readonly onLost: (gap: Gap, why: string, count: number) => void;
  /** Takes what was found; fulfilled when more can be taken. */
  readonly onFound: (key: string, found: readonly FoundRecord[], from: string) => Promise<void>;
  readonly giveUp: number;
  readonly mostWait: number;
  readonly backoff?: Backoff;
  readonly behindPause?: number;
}

export interface FoundRecord {
  readonly id: number;
  readonly value: string;
}

export class Filler {
  private wake = (): void => undefined;
  private isLast = false;

  constructor(private readonly settings: FillerSettings) {}

  /** Until `finish` was called and nothing is missing, or the signal says so. What is missing then stays missing. */
  async run(signal: AbortSignal): Promise<void> {
    const { gaps, streamed } = this.settings;
    while (!signal.aborted) {
      const grace = this.isLast ? Number.NEGATIVE_INFINITY : streamed.grace;
      const gap = gaps.next(performance.now(), grace);
      if (gap !== null) await this.fill(gap, signal);
      else if (this.isLast) return;
      else await this.waitUntil(gaps.due(grace), signal);
    }
  }

  /** Something may be missing now. */
  look(): void {
    this.wake();
  }

  /** Nothing comes by itself any more: what is missing is asked for now, and then it ends. */
  finish(): void {
    this.isLast = true;
    this.wake();
  }

  private async waitUntil(due: number | null, signal: AbortSignal): Promise<void> {
    const waiting = new AbortController();
    const stop = () => waiting.abort();
    this.wake = stop;
    signal.addEventListener("abort", stop);
    if (due === null) await new Promise<void>((resolve) => waiting.signal.addEventListener("abort", () => resolve()));
    else await slept(due - performance.now(), waiting.signal);
    signal.removeEventListener("abort", stop);
  }

  private async fill(gap: Gap, signal: AbortSignal): Promise<void> {
    const { history, streamed, behindPause = BEHIND_PAUSE, onFound } = this.settings;
    const { history: server } = streamed;
    const { key, to } = gap;
    let { from } = gap;
    if (server === null) {
      this.lost(gap, "no history is asked for them (option history)");
      return;
    }
    for (let behind = 0; from <= to;) {
      const url = history.url(server, key, from, Math.min(history.limit, to - from + 1));
      let found: FoundRecord[];
      try {
        found = await this.ask(url, key, signal);
      } catch (error) {
        if (!signal.aborted) this.lost({ ...gap, from }, messageOf(error));
        return;
      }
      const wanted = found.filter(({ id }) => id >= from && id <= to).sort((left, right) => left.id - right.id);
      const [first] = wanted;
      const isBehind = first === undefined && !found.some(({ id }) => id > to);
      if (isBehind && behind < BEHIND_TIMES) {
        behind += 1;
        await slept(behindPause, signal);
        continue;
      }
      // What the history leaves out it does not have.
      let next = from;
      for (const { id } of wanted) {
        if (id > next) this.lost({ ...gap, from: next, to: id - 1 }, `${shownUrl(url)} no longer has them`);
        next = id + 1;
      }
      if (first === undefined) {
        this.lost({ ...gap, from }, `${shownUrl(url)} does not have them`);
        return;
      }
      await onFound(key, wanted, shownUrl(new URL(url.pathname, url)));
      behind = 0;
      from = next;
    }
  }

  private async ask(url: URL, key: string, signal: AbortSignal): Promise<FoundRecord[]> {
    const { streamed, history, access, tell, giveUp, mostWait, backoff } = this.settings;
    const { timeout, maxBytes } = streamed;
    const { body } = await askPatiently(
      { url, access, timeout, mostBytes: maxBytes, signal },
      { giveUp, mostWait, tell, variable: "the option history", backoff },
    );
    const found = isUtf8(body) ? history.read(body.toString(), key) : null;
    if (found === null) throw new Error(`${shownUrl(url)} answers with something else than a history`);
    return found;
  }

  /** Told only of what has not come in another way meanwhile. */
  private lost(gap: Gap, why: string): void {
    const count = this.settings.gaps.lose(gap);
    if (count > 0) this.settings.onLost(gap, why, count);
  }
}
