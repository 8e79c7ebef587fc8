// What the two commands of this folder share: their words, what they say, and how they end early.
import { CONTENDER_NAMES, type ContenderName } from "./contenders";

export class UsageError extends Error {
  /** Says what went wrong, and answers with the exit code. */
  static report(error: unknown, usage: string): number {
    const isParsing = (error as NodeJS.ErrnoException).code?.startsWith("ERR_PARSE_ARGS") === true;
    const isUsage = error instanceof UsageError || isParsing;
    say(
      isUsage ? `${(error as Error).message}\n${usage}`.trim() : String(error instanceof Error ? error.stack : error),
    );
    return isUsage ? 2 : 1;
  }
}

export function say(message: string): void {
  process.stderr.write(`${message}\n`);
}

export function readWhole(name: string, text: string, least: number): number {
  const value = Number(text.replaceAll("_", ""));
  if (!Number.isSafeInteger(value) || value < least)
    throw new UsageError(`--${name} takes a whole number from ${least}`);
  return value;
}

export function readContenders(text: string): ContenderName[] {
  return text.split(",").map((word) => {
    const name = CONTENDER_NAMES.find((known) => known === word);
    if (name === undefined)
      throw new UsageError(`no contender is called ${word}; there are ${CONTENDER_NAMES.join(", ")}`);
    return name;
  });
}

/** One Ctrl-C arrives by several ways at once: from the terminal, from npm, from tsx. */
const SAME_SIGNAL_MS = 1_000;

/** Whether Ctrl-C was pressed. The first only asks for an orderly end, since servers were started. */
export function stopsOnSignal(): () => boolean {
  let stopped: number | null = null;
  for (const signal of ["SIGINT", "SIGTERM"] as const)
    process.on(signal, () => {
      if (stopped !== null && Date.now() - stopped > SAME_SIGNAL_MS) process.exit(130);
      if (stopped !== null) return;
      stopped = Date.now();
      say("ending as soon as servers can be stopped; once more ends at once, and leaves them behind");
    });
  return () => stopped !== null;
}
