// What the record of a batch beside its rows says about a batch that is to be written.
import { RunError } from "../schema/errors";
import { type Batch } from "./connector";

/** What is on record for a job and an output. */
export interface RecordedBatch {
  readonly batch: string;
  /** Null when it was a run on its own. */
  readonly epoch: number | null;
}

/** Whether the batch is there already; a RunError when a younger process has taken the job over. */
export function isWritten(batch: Batch, recorded: RecordedBatch | undefined): boolean {
  if (batch.turn === null || recorded === undefined) return false;
  if (recorded.epoch !== null && recorded.epoch > batch.turn.epoch) {
    throw new RunError(
      `The job ${batch.job} was taken over by another process (its epoch is ${recorded.epoch}, ours ${batch.turn.epoch}): ` +
        `this one is too old to write`,
    );
  }
  return recorded.batch === batch.id;
}
