// How the commands of this room end: what went wrong is printed, and the exit code tells whose mistake it was.
import { messageOf, RunError, UsageError } from "../schema/errors";

export const DONE = 0;
export const FAILED = 1;
export const WRONG_USAGE = 2;

export const print = (text: string): void => void process.stderr.write(`${text}\n`);

/** Never throws. Without an answer of its own, what is done is done. */
export async function exitCodeOf(action: () => Promise<number | void>): Promise<number> {
  try {
    return (await action()) ?? DONE;
  } catch (error) {
    const isTheirs = error instanceof UsageError;
    print(`${isTheirs ? "" : "Failed: "}${messageOf(error)}`);
    if (!isTheirs && !(error instanceof RunError)) print(String((error as Error | null)?.stack));
    return isTheirs ? WRONG_USAGE : FAILED;
  }
}
