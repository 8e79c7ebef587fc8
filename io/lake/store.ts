// What files are kept in, a directory or a bucket: the few things that named files need of it. Names are paths with
// forward slashes below the store's root. What a store throws is a sentence for people; what may pass it has tried again.
import { RunError, UnavailableError } from "../../schema/errors";
import { pauseBefore, slept } from "../pause";

/** A file of this machine that goes to a store. */
export interface Content {
  readonly path: string;
  readonly bytes: number;
  readonly sha256: string;
}

/** A file that is in a store. */
export interface Stored {
  readonly name: string;
  readonly bytes: number;
  /** Another one as soon as its content is another one. */
  readonly version: string;
  /** When it was written, in milliseconds, by the store's clock. */
  readonly time: number;
}

export interface Store {
  /** Where files wait on this machine: for a directory, on the same disk. */
  readonly staging: string;
  /** A file for messages. */
  shown(name: string): string;
  /** Puts a file there, whole or not at all; "exists" when there is one of that name, which is left as it is. */
  create(name: string, content: Content): Promise<"created" | "exists">;
  /** Puts it in the place of the one of that version; "changed" when that is another one by now. */
  replace(name: string, content: Content, version: string): Promise<"replaced" | "changed">;
  /** Null when it is not there. */
  stat(name: string): Promise<Stored | null>;
  /** Of its bytes, in hexadecimal; null where that is not known and not found out easily. */
  sha256(stored: Stored): Promise<string | null>;
  /** All files whose names begin so, by name. */
  list(prefix: string): AsyncIterable<Stored>;
  /** The bytes from `from` up to, not including, `to`. Throws when it is not of that version any more. */
  read(stored: Pick<Stored, "name" | "version">, from: number, to: number, signal?: AbortSignal): Promise<Uint8Array>;
  /** It may be gone already. */
  remove(name: string): Promise<void>;
}

/** A file that is read is not the one that was planned. */
export const changedSincePlan = (shown: string): RunError =>
  new RunError(`${shown} was changed or deleted since the run was planned: run again when nothing writes to it`);

const ATTEMPTS = 8;
const BACKOFF = { first: 200, longest: 8_000 };

/** Again after a pause, while what failed may pass. */
export async function again<T>(work: () => Promise<T>, signal?: AbortSignal): Promise<T> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await work();
    } catch (error) {
      if (!(error instanceof UnavailableError) || attempt === ATTEMPTS) throw error;
    }
    await slept(pauseBefore(attempt, BACKOFF), signal);
    signal?.throwIfAborted();
  }
}

/** Some at a time. The first failure ends it, when what is under way has ended. */
export async function eachOf<T>(
  items: readonly T[],
  together: number,
  work: (item: T) => Promise<void>,
): Promise<void> {
  let next = 0;
  const failures: unknown[] = [];
  const worker = async (): Promise<void> => {
    while (next < items.length && failures.length === 0) {
      const item = items[next] as T;
      next += 1;
      await work(item).catch((error: unknown) => failures.push(error));
    }
  };
  await Promise.all(Array.from({ length: Math.min(together, items.length) }, worker));
  if (failures.length > 0) throw failures[0];
}

/** The bytes of a small file. */
export const wholeOf = (store: Store, stored: Stored): Promise<Uint8Array> => store.read(stored, 0, stored.bytes);
