// Asking a web server until it answers: again after a pause when what is wrong may pass, and never before it allows.
import { formatDuration } from "../schema/duration";
import { UnavailableError } from "../schema/errors";
import { type FlowNews } from "./connector";
import { pauseBefore, slept, type Backoff } from "./pause";
import { explainStatus, type Named } from "./web-failures";
import { ask, type WebAnswer, type WebRequest } from "./web-request";

export const BACKOFF: Backoff = { first: 500, longest: 60_000 };
/** Exchanges ban for two minutes at least. */
const USUAL_BAN = 120_000;
/** For a job that goes on: what a server asks for, it gets. One that asks for more than that is broken. */
export const ANY_WAIT = 7 * 86_400_000;

export interface Patience extends Named {
  /** How long a server may fail, in milliseconds. */
  readonly giveUp: number;
  /** How long a server may put us off, together; more than that is a failure. */
  readonly mostWait: number;
  readonly tell?: (news: FlowNews) => void;
  readonly backoff?: Backoff;
}

/** An answer with a status of 200 to 299, or 304. Throws the reason when the signal says so. */
export async function askPatiently(request: WebRequest, patience: Patience): Promise<WebAnswer> {
  const { giveUp, mostWait, tell, backoff = BACKOFF } = patience;
  let failing = 0;
  let waited = 0;
  for (let attempt = 1; ; attempt += 1) {
    const started = performance.now();
    const { answer, failure, asked } = await attemptOf(request, patience);
    if (failure === null) return answer;
    const own = pauseBefore(attempt, backoff);
    // A little more than asked for, so that clocks and other clients do not matter; and a server that always says “now”
    // is not asked without end.
    const pause = asked === null ? own : Math.max(own, asked + Math.min(own, 1_000));
    waited += asked ?? 0;
    if (waited > mostWait)
      throw new UnavailableError(
        `${failure.message} and wants to be asked again in ${lengthOf(asked ?? 0)}: that is too long`,
      );
    // What the server asks for is not what makes us give up.
    failing += performance.now() - started + pause - (asked ?? 0);
    if (failing > giveUp)
      throw new UnavailableError(`${failure.message}; given up after ${attempt} attempts`, { cause: failure });
    tell?.({
      kind: asked === null ? "retry" : "wait",
      count: 1,
      text: `${failure.message}; it is asked again in ${lengthOf(pause)}${asked === null ? "" : ", as it wants"}`,
    });
    await slept(pause, request.signal);
    request.signal?.throwIfAborted();
  }
}

type Attempt =
  | { readonly answer: WebAnswer; readonly failure: null; readonly asked: null }
  | { readonly answer: null; readonly failure: UnavailableError; readonly asked: number | null };

/** One request: an answer, or what may pass and how long the server wants to be left alone. Throws what does not pass. */
async function attemptOf(request: WebRequest, named: Named): Promise<Attempt> {
  let answer: WebAnswer;
  try {
    answer = await ask(request);
  } catch (error) {
    if (request.signal?.aborted === true || !(error instanceof UnavailableError)) throw error;
    return { answer: null, failure: error, asked: null };
  }
  const { status, headers, url } = answer;
  if ((status >= 200 && status < 300) || status === 304) return { answer, failure: null, asked: null };
  const failure = explainStatus(status, url, named, headers.location);
  if (!(failure instanceof UnavailableError)) throw failure;
  return { answer: null, failure, asked: askedPause(status, headers["retry-after"]) };
}

/** Milliseconds that a server asks to wait, by seconds or a date; null when it says nothing that can be understood. */
export function askedPause(status: number, retryAfter: string | undefined, now = Date.now()): number | null {
  const text = retryAfter?.trim() ?? "";
  let pause: number | null = null;
  if (/^\d+$/.test(text)) pause = Number(text) * 1000;
  else if (/^[a-z]{3}, /i.test(text) && !Number.isNaN(Date.parse(text))) pause = Math.max(0, Date.parse(text) - now);
  if (status === 418) return pause ?? USUAL_BAN;
  return pause;
}

const lengthOf = (milliseconds: number): string =>
  milliseconds < 1000 ? `${Math.round(milliseconds)} ms` : formatDuration(Math.ceil(milliseconds / 1000) * 1000);
