// Waiting for something outside: again after a pause, up to a limit, and never longer than the signal allows.
import { UnavailableError } from "../../schema/errors";
import { mayPass } from "./failures";

export interface Patience {
  /** No new attempt begins after that long without success. */
  readonly limitMs: number;
  readonly signal?: AbortSignal;
}

const FIRST_PAUSE = 100;
const LONGEST_PAUSE = 2_000;

/** Tries again while what failed may pass. The last failure is thrown as it came. */
export async function patiently<T>(work: () => Promise<T>, { limitMs, signal }: Patience): Promise<T> {
  const deadline = performance.now() + limitMs;
  for (let pause = FIRST_PAUSE; ; pause = Math.min(2 * pause, LONGEST_PAUSE)) {
    try {
      return await abortable(work(), signal);
    } catch (error) {
      // Between half and all of the pause: clients that lost the same broker do not come back at the same moment.
      const wait = pause * (0.5 + Math.random() / 2);
      if (signal?.aborted === true || !mayPass(error) || performance.now() + wait > deadline) throw error;
      await sleep(wait, signal);
    }
  }
}

/** The promise's end, or the signal's reason when that comes first. */
export function abortable<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return promise;
  // Given up, it may still fail later, when nobody listens.
  promise.catch(() => undefined);
  return new Promise((resolve, reject) => {
    const stop = (): void => reject(signal.reason as Error);
    if (signal.aborted) {
      stop();
      return;
    }
    signal.addEventListener("abort", stop, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener("abort", stop));
  });
}

/** The promise's end within so long, else an UnavailableError with `message`. */
export async function within<T>(promise: Promise<T>, limitMs: number, message: string): Promise<T> {
  promise.catch(() => undefined);
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new UnavailableError(message)), limitMs);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

export function sleep(ms: number, signal?: AbortSignal): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const slept = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, ms);
  });
  return abortable(slept, signal).finally(() => clearTimeout(timer));
}
