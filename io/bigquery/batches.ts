// The record of batches: which batch the rows of a job's outputs stand at, written in the transaction of the rows.
import { batchesTableOf, type RecordedBatch } from "../batch-record";
import { type Jobs } from "./jobs";
import { BATCHES, quoteTable, type Place } from "./names";

export const batchesTable = batchesTableOf(BATCHES);

/** What is on record for the outputs of a job. */
export async function readRecords(jobs: Jobs, place: Place, job: string): Promise<Map<string, RecordedBatch>> {
  const rows = await jobs.query(
    `SELECT \`output\`, \`batch\`, \`epoch\` FROM ${quoteTable(place, BATCHES)} WHERE \`job\` = @job`,
    [{ name: "job", type: "STRING", value: job }],
  );
  const records = new Map<string, RecordedBatch>();
  for (const { f } of await jobs.all(rows)) {
    const [output, batch, epoch] = f.map(({ v }) => v as string | null);
    records.set(output ?? "", { batch: batch ?? "", epoch: epoch == null ? null : Number(epoch) });
  }
  return records;
}
