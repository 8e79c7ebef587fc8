// Asks one URL again and again, and makes records of its answers.
import { isUtf8 } from "node:buffer";
import { RunError } from "../../schema/errors";
import { type Raw, type SourceRecord } from "../../schema/record";
import { type FlowNews } from "../connector";
import { elementsAt, isJson } from "../json-text";
import { slept, type Backoff } from "../pause";
import { type Access } from "../web-access";
import { ANY_WAIT, askPatiently } from "../web-patience";
import { type WebAnswer } from "../web-request";
import { shownUrl } from "../web-url";
import { type Polled } from "./options";
import { nextPage } from "./pages";

export interface PollSettings {
  readonly access: Access;
  readonly signal?: AbortSignal;
  readonly tell?: (news: FlowNews) => void;
  /** A run with an end has somebody waiting for it. */
  readonly isBounded: boolean;
  /** The position of the first record. */
  readonly from?: number;
  readonly backoff?: Backoff;
  /** How long the server may fail where the address does not say it, in milliseconds. */
  readonly giveUpAfter?: number;
  /** Told that the server may have said something in front of the record of this position that nobody heard. */
  readonly missed?: (before: number) => void;
}

const GIVE_UP_RUN = 30_000;
/** How far a pause is from its length, either way: many clients do not ask at the same moment for long. */
const JITTER = 0.1;
/** A clock takes no longer time. */
const LONGEST_CLOCK = 2 ** 31 - 1;

/** The records of each answer, until `for` or `times` say that it is enough, or the signal. */
export async function* poll(polled: Polled, settings: PollSettings): AsyncGenerator<SourceRecord[]> {
  const { signal, isBounded } = settings;
  const times = polled.times ?? (isBounded && polled.for === null ? 1 : Number.POSITIVE_INFINITY);
  const ending = new AbortController();
  const stop = () => ending.abort();
  if (signal?.aborted === true) stop();
  signal?.addEventListener("abort", stop);
  const clock = polled.for === null ? undefined : setTimeout(stop, polled.for);
  const rounds = new Rounds(polled, settings, ending.signal);
  // What it said before it was asked for the first time, or while nobody asked, is known to nobody.
  settings.missed?.(rounds.position);
  try {
    for (let round = 1; !ending.signal.aborted; round += 1) {
      const started = performance.now();
      yield* rounds.next();
      if (round >= times) break;
      const next = started + polled.every * (1 - JITTER + 2 * JITTER * Math.random());
      await slept(next - performance.now(), ending.signal);
    }
  } catch (error) {
    if (error !== ending.signal.reason) throw error;
  } finally {
    clearTimeout(clock);
    rounds.end();
    signal?.removeEventListener("abort", stop);
    ending.abort();
  }
  if (signal?.aborted !== true && rounds.answers === 0)
    throw new RunError(`${polled.shown} has not answered once in the time that it was to be read`, {
      cause: rounds.trouble,
    });
}

/** What is known of a URL from one round of requests to the next. A round has one request, or one a page. */
class Rounds {
  answers = 0;
  /** What was last wrong with the server. */
  trouble: string | undefined;
  /** Of the next record. */
  position: number;
  private silence: NodeJS.Timeout | undefined;
  /** By these the server tells whether anything is new. */
  private validators: Readonly<Record<string, string>> = {};

  constructor(
    private readonly polled: Polled,
    private readonly settings: PollSettings,
    private readonly signal: AbortSignal,
  ) {
    this.position = settings.from ?? 0;
  }

  end(): void {
    clearTimeout(this.silence);
  }

  async *next(): AsyncGenerator<SourceRecord[]> {
    const { polled } = this;
    let url: URL | null = polled.url;
    for (let page = 1; url !== null; page += 1) {
      const answer = await this.ask(url, page === 1 ? this.validators : {});
      // That it has answered at all is told by nothing.
      if (answer.status === 304) {
        yield [];
        break;
      }
      if (page === 1) this.validators = validatorsOf(answer);
      const { records, elements } = this.recordsOf(answer);
      yield records;
      url = polled.pages === 1 ? null : nextPage(polled, url, answer, elements);
      if (url !== null && page === polled.pages) {
        const text = `${polled.shown} has more than the ${page} pages that were read of it: raise pages to have the others`;
        this.settings.tell?.({ kind: "left", count: 1, text });
        break;
      }
    }
  }

  private async ask(url: URL, validators: Readonly<Record<string, string>>): Promise<WebAnswer> {
    const { polled, settings, signal } = this;
    const { access, backoff, isBounded, giveUpAfter = GIVE_UP_RUN } = settings;
    const giveUp = polled.giveUp ?? giveUpAfter;
    const tell = (news: FlowNews) => {
      this.trouble = news.text;
      settings.tell?.(news);
    };
    const answer = await askPatiently(
      { url, access, headers: validators, timeout: polled.timeout, mostBytes: polled.maxBytes, signal },
      { giveUp, mostWait: isBounded ? giveUp : ANY_WAIT, variable: polled.variable, tell, backoff },
    );
    this.answers += 1;
    this.hear();
    return answer;
  }

  /** The server has answered. When it does not for the time of two rounds and a request, what it would have said is missed. */
  private hear(): void {
    const { polled, settings } = this;
    clearTimeout(this.silence);
    const patience = 2 * polled.every * (1 + JITTER) + polled.timeout;
    this.silence = setTimeout(() => settings.missed?.(this.position), Math.min(patience, LONGEST_CLOCK));
  }

  /** The records of an answer; `elements` is how many the array in it had, null when there was none. */
  private recordsOf(answer: WebAnswer): { readonly records: SourceRecord[]; readonly elements: number | null } {
    const { items, shown } = this.polled;
    const { body, status, headers: said, url, at } = answer;
    if (body.length === 0) return { records: [], elements: 0 };
    const value: Raw = isUtf8(body) ? body.toString() : new Uint8Array(body);
    const elements =
      items === null ? null : typeof value === "string" && isJson(value) ? elementsAt(value, items) : null;
    if (items !== null && elements === null) {
      const text = `${shown} has an answer in which no array lies at “${items.join(".") || "."}”: it is given on whole`;
      this.settings.tell?.({ kind: "garbage", count: 1, text });
    }
    const { etag } = said;
    const headers = { status: String(status), url: shownUrl(url), ...(etag === undefined ? {} : { etag }) };
    const records = (elements ?? [value]).map((found): SourceRecord => {
      const position = this.position;
      this.position += 1;
      return { value: found, source: shown, position, key: null, timestamp: at, headers, fields: null };
    });
    return { records, elements: elements?.length ?? null };
  }
}

function validatorsOf({ headers }: WebAnswer): Record<string, string> {
  const { etag, "last-modified": modified } = headers;
  return {
    ...(etag === undefined ? {} : { "if-none-match": etag }),
    ...(modified === undefined ? {} : { "if-modified-since": modified }),
  };
}
