// What the record of a batch beside its rows says about a batch that is to be written.
import { RunError } from "../schema/errors";
import { type Table } from "../schema/table";
import { type Batch } from "./connector";

/** What is on record for a job and an output. */
export interface RecordedBatch {
  readonly batch: string;
  /** Null when it was a run on its own. */
  readonly epoch: number | null;
}

/** The table of the record, where a database keeps it beside the rows. */
export const batchesTableOf = (name: string): Table => ({
  name,
  columns: [
    { name: "job", type: { kind: "text" }, nullable: false, description: "" },
    { name: "output", type: { kind: "text" }, nullable: false, description: "" },
    { name: "batch", type: { kind: "text" }, nullable: false, description: "the last batch that was written" },
    { name: "number", type: { kind: "integer" }, nullable: true, description: "which one of the job it was" },
    {
      name: "epoch",
      type: { kind: "integer" },
      nullable: true,
      description: "goes up when a process takes the job over",
    },
    { name: "rows", type: { kind: "integer" }, nullable: false, description: "how many rows the batch gave" },
  ],
  key: ["job", "output"],
  mode: "upsert",
});

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
