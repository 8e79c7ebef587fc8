// The record of batches: which batch the rows of a job's outputs stand at, written in the transaction of the rows.
import { batchesTableOf, type RecordedBatch } from "../batch-record";
import { type Batch } from "../connector";
import { BATCHES, quoteTable } from "./names";
import { type Session } from "./session";

export const batchesTable = batchesTableOf(BATCHES);

/** What is on record. With `locked`, nobody else changes it until the transaction ends. */
export async function readRecords(
  session: Session,
  schema: string,
  batch: Batch,
  outputs: readonly string[],
  locked: boolean,
): Promise<Map<string, RecordedBatch>> {
  const name = quoteTable(schema, BATCHES);
  const read = async () => {
    const rows = await session.query(
      `SELECT output, batch, epoch FROM ${name} WHERE job = $1 AND output = ANY($2::text[]) ORDER BY output` +
        (locked ? " FOR UPDATE" : ""),
      [batch.job, outputs],
    );
    return new Map(
      rows.map((row) => [
        row["output"] ?? "",
        { batch: row["batch"] ?? "", epoch: row["epoch"] == null ? null : Number(row["epoch"]) },
      ]),
    );
  };
  const found = await read();
  if (!locked || found.size === outputs.length) return found;
  // Only a row that is there can be locked. Of two processes that add it, one waits here for the other.
  await session.query(
    `INSERT INTO ${name} (job, output, batch, rows) SELECT $1, o, '', 0 FROM unnest($2::text[]) AS o ORDER BY o ON CONFLICT DO NOTHING`,
    [batch.job, outputs],
  );
  return read();
}

/** Puts the batch on record. No clock in it: the same run leaves the same rows. */
export async function writeRecords(
  session: Session,
  schema: string,
  batch: Batch,
  counts: ReadonlyMap<string, number>,
): Promise<void> {
  const name = quoteTable(schema, BATCHES);
  // A run on its own takes no job over: what keeps older processes out stays.
  await session.query(
    `INSERT INTO ${name} AS t (job, output, batch, number, epoch, rows) ` +
      `SELECT $1, o, $2, $3::bigint, $4::bigint, r FROM unnest($5::text[], $6::bigint[]) AS s(o, r) ORDER BY o ` +
      `ON CONFLICT (job, output) DO UPDATE SET batch = excluded.batch, number = excluded.number, ` +
      `epoch = coalesce(excluded.epoch, t.epoch), rows = excluded.rows`,
    [
      batch.job,
      batch.id,
      batch.turn?.number ?? null,
      batch.turn?.epoch ?? null,
      [...counts.keys()],
      [...counts.values()].map(String),
    ],
  );
}
