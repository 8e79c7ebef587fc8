// What SQLite's result codes mean to the person who runs a pipeline.
import { messageOf, RunError, UsageError } from "../../schema/errors";
import { SqliteFailure } from "./database";

export const BUSY = 5;
export const LOCKED = 6;

/** One sentence about the database `shown`: what failed and what to do. */
export function explain(error: unknown, shown: string): Error {
  if (error instanceof UsageError || error instanceof RunError) return error;
  if (!(error instanceof SqliteFailure)) return new RunError(`${shown} could not be written: ${messageOf(error)}`);
  switch (error.resultCode) {
    case BUSY:
    case LOCKED:
      return new RunError(`${shown} is locked by another program: run again when that one is done`);
    case 8:
      return new RunError(`${shown} may not be written: change the permissions of the file and its directory`);
    case 10:
      return new RunError(`${shown} could not be read or written: the disk reports an error (${error.message})`);
    case 11:
    case 26:
      return new RunError(`${shown} is damaged or is not a SQLite database: move it away, or write to another file`);
    case 13:
      return new RunError(`${shown} could not be written: the disk is full`);
    case 14:
      return new RunError(`${shown} cannot be opened: its directory must exist and may be written`);
    default:
      return new RunError(`${shown} could not be written: ${error.message}`);
  }
}
