// The two kinds of failure a person meets: a mistake of theirs (exit code 2), and a run that failed (exit code 1).

/** A wrong word, flag, value or setting: one sentence that says what to change. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}

/** A run that could not be finished for a reason outside the code: a missing file, a full disk, a server that is down. */
export class RunError extends Error {
  override readonly name: string = "RunError";
}

/** Something outside does not answer, or not now. The same again may go well: a job that goes on waits and tries. */
export class UnavailableError extends RunError {
  override readonly name = "UnavailableError";
}

/** The message of whatever was thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** The code that Node puts on system errors, such as ENOENT. */
export function codeOf(error: unknown): string | undefined {
  const code = (error as { code?: unknown } | null)?.code;
  return typeof code === "string" ? code : undefined;
}
