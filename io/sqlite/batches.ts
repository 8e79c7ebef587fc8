// The record of batches: which batch the rows of a job's outputs stand at, written in the transaction of the rows.
import { type RecordedBatch } from "../batch-record";
import { type Batch } from "../connector";
import { type Database } from "./database";
import { OWN_PREFIX } from "./shape";

const BATCHES = `${OWN_PREFIX}batches`;

/** Makes the table, or gives one of an earlier version what it lacks. */
export function prepareBatches(database: Database): void {
  database.exec(
    `CREATE TABLE IF NOT EXISTS ${BATCHES} (job TEXT NOT NULL, output TEXT NOT NULL, batch TEXT NOT NULL, ` +
      `rows INTEGER NOT NULL, number INTEGER, epoch INTEGER, PRIMARY KEY (job, output)) WITHOUT ROWID`,
  );
  const there = database.prepare("SELECT name FROM pragma_table_info(?)").all([BATCHES]);
  for (const column of ["number", "epoch"]) {
    if (!there.some(({ name }) => name === column))
      database.exec(`ALTER TABLE ${BATCHES} ADD COLUMN ${column} INTEGER`);
  }
}

export function readRecord(database: Database, job: string, output: string): RecordedBatch | undefined {
  const [row] = database
    .prepare(`SELECT batch, epoch FROM ${BATCHES} WHERE job = ? AND output = ?`)
    .all([job, output]) as unknown as RecordedBatch[];
  return row;
}

/** Puts the batch on record. No clock in it: the same run leaves the same rows. */
export function writeRecord(database: Database, batch: Batch, output: string, rows: number): void {
  // A run on its own takes no job over: what keeps older processes out stays.
  database
    .prepare(
      `INSERT INTO ${BATCHES} (job, output, batch, rows, number, epoch) VALUES (?, ?, ?, ?, ?, ?) ` +
        `ON CONFLICT (job, output) DO UPDATE SET batch = excluded.batch, rows = excluded.rows, number = excluded.number, ` +
        `epoch = coalesce(excluded.epoch, epoch)`,
    )
    .run([batch.job, output, batch.id, rows, batch.turn?.number ?? null, batch.turn?.epoch ?? null]);
}
