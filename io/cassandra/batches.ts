// The record of batches: which batch the rows of a job's outputs stand at, which process writes for them, and the times
// that its rows were written with. There is no transaction with the rows: each change of it is conditional on the last.
import { UnavailableError } from "../../schema/errors";
import { isWritten } from "../batch-record";
import { type Batch } from "../connector";
import { BATCHES, quoteTable } from "./shape";
import { type Session } from "./session";

/** Microseconds that a process may go on from the time at which it took an output over: another one begins behind them. */
const REACH = 1_000_000;
/** Two processes that change it in turns without end do not exist. */
const ATTEMPTS = 20;

interface Recorded {
  /** The last batch of which all rows are there; empty when there is none yet. */
  readonly batch: string;
  readonly number: number | null;
  readonly epoch: number | null;
  readonly rows: number;
  /** Behind all times that rows were written with. */
  readonly stamp: number;
}

const numberOf = (cell: unknown): number | null => (cell === null || cell === undefined ? null : Number(cell));
const valueOf = (number: number | null): bigint | null => (number === null ? null : BigInt(number));

/** Makes the table when it is missing. */
export async function prepareBatches(session: Session): Promise<void> {
  await session.execute(
    `CREATE TABLE IF NOT EXISTS ${quoteTable(session.settings.keyspace, BATCHES)} ` +
      `(job text, output text, "batch" text, number bigint, epoch bigint, rows bigint, stamp bigint, PRIMARY KEY ((job), output))`,
  );
}

/** Whether there is a table of it at all. */
export async function hasBatches(session: Session): Promise<boolean> {
  const query = "SELECT table_name FROM system_schema.tables WHERE keyspace_name = ? AND table_name = ?";
  return (await session.rows(query, [session.settings.keyspace, BATCHES])).length > 0;
}

/** What is on record for one output of a batch. The table of it must be there. */
export class BatchRecord {
  private last = 0;
  private readonly table: string;

  constructor(
    private readonly session: Session,
    private readonly batch: Batch,
    private readonly output: string,
  ) {
    this.table = quoteTable(session.settings.keyspace, BATCHES);
  }

  /** Whether the batch is there already; a RunError when a younger process has taken the job over. */
  async isWritten(): Promise<boolean> {
    return this.batch.turn !== null && isWritten(this.batch, (await this.read()) ?? undefined);
  }

  /**
   * Takes the output over for this process: an older one can put no batch on record any more, and its rows, wherever they
   * still are, lose against ours by their times.
   */
  async claim(): Promise<void> {
    if (this.batch.isPart === true) {
      // Among parts, which have no order, the clock decides, as for everybody who writes there.
      this.last = Date.now() * 1000;
      return;
    }
    await this.change((there) => {
      this.last = Math.max(Date.now() * 1000, there?.stamp ?? 0);
      const { turn } = this.batch;
      const before = there ?? { batch: "", number: null, epoch: null, rows: 0 };
      return { ...before, epoch: turn?.epoch ?? before.epoch, stamp: this.last + REACH };
    });
  }

  /** The time of the next rows, in microseconds: later than that of all rows before, whatever the clock says. */
  nextTime(): number {
    this.last += 1;
    return this.last;
  }

  /** Puts the batch on record. */
  async finish(rows: number): Promise<void> {
    const { id, turn, isPart } = this.batch;
    if (isPart === true) return;
    await this.change((there) => ({
      ...{ batch: id, rows, number: turn?.number ?? null },
      // A run on its own takes no job over: what keeps older processes out stays.
      epoch: turn?.epoch ?? there?.epoch ?? null,
      // What was reserved and not used is given back, unless somebody has taken over in between.
      stamp: there?.stamp === this.reserved ? this.last : Math.max(this.last, there?.stamp ?? 0),
    }));
  }

  private reserved = 0;

  /** Writes what `next` makes of what is there, unless somebody else was faster: then it is asked again. */
  private async change(next: (there: Recorded | null) => Recorded): Promise<void> {
    for (let attempt = 1; attempt <= ATTEMPTS; attempt += 1) {
      const there = await this.read();
      isWritten(this.batch, there ?? undefined);
      const wanted = next(there);
      if (await this.write(there, wanted)) {
        this.reserved = wanted.stamp;
        return;
      }
    }
    throw new UnavailableError(
      `${this.session.shown}: the record of ${this.batch.job} in ${BATCHES} is changed by others all the time; try again`,
    );
  }

  private async read(): Promise<Recorded | null> {
    const [row] = await this.session.settledRows(
      `SELECT "batch", number, epoch, rows, stamp FROM ${this.table} WHERE job = ? AND output = ?`,
      [this.batch.job, this.output],
    );
    if (row === undefined) return null;
    const { batch, number, epoch, rows, stamp } = row;
    return {
      batch: String(batch),
      number: numberOf(number),
      epoch: numberOf(epoch),
      rows: Number(rows),
      stamp: Number(stamp),
    };
  }

  private async write(there: Recorded | null, { batch, number, epoch, rows, stamp }: Recorded): Promise<boolean> {
    const values = [batch, valueOf(number), valueOf(epoch), BigInt(rows), BigInt(stamp)];
    const place = [this.batch.job, this.output];
    const [query, all] =
      there === null
        ? ([
            `INSERT INTO ${this.table} ("batch", number, epoch, rows, stamp, job, output) VALUES (?, ?, ?, ?, ?, ?, ?) IF NOT EXISTS`,
            [...values, ...place],
          ] as const)
        : ([
            `UPDATE ${this.table} SET "batch" = ?, number = ?, epoch = ?, rows = ?, stamp = ? WHERE job = ? AND output = ? IF stamp = ?`,
            [...values, ...place, BigInt(there.stamp)],
          ] as const);
    // One that is not answered may have been applied all the same: then the next look finds what was to be written, and
    // it is written once more.
    return this.session.patiently(() => this.session.wasApplied(query, all));
  }
}
