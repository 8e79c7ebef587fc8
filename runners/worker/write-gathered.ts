// Writing where a pipeline's code runs, for places that want few and larger batches: the rows of a stretch of time and of a share
// of the keys come to one worker when that time is over, and are one batch. Its name follows from them, so that a cluster that
// gives it again has it written in the place of what it left.
import { hash } from "node:crypto";
import {
  alignDown,
  canonicalJson,
  fixed,
  groupByKey,
  isWindowed,
  keyedInto,
  named,
  perElement,
  register,
  writeBatches,
  writeDefaults,
  type BatchWriter,
  type DoFn,
  type Emitters,
  type KV,
  type PCollection,
  type Place,
  type PTransform,
} from "../../beam";
import { cellOf } from "../../io/cell";
import { type Address, type Batch, type Gathering, type Output } from "../../io/connector";
import { orderByKey } from "../../io/lake/parquet-order";
import { sinkOf } from "../../io/registry";
import { columnOf, type Row, type Table } from "../../schema/table";
import { ROWS_TOGETHER } from "../direct/rows-together";
import { commitOrAbort, refusal, type Origin } from "./write-keyed";

/**
 * A record may be late, and what comes of it then has the stretch written again, so long behind its end: until then its rows are
 * kept. Where a record is later, nobody could keep them.
 */
const KEPT_MS = 3_600_000;
/** Clocks of others may be so much ahead. What is further ahead would wait for its time to come. */
const AHEAD_MS = 60_000;

/** Where the rows of an aggregate lie: in the windows that they are of. Any other row lies at the time of its record. */
type TimeOf = { readonly kind: "window" } | { readonly kind: "record"; readonly delay: number };

/** The last word on each row, in its stretch of time and with its share of the keys. */
export class Deal implements DoFn<Row, { dealt: KV<string, Row> }> {
  readonly outputs = ["dealt"] as const;

  constructor(
    readonly table: Table,
    readonly gathering: Gathering,
    readonly timeOf: TimeOf,
  ) {}

  process(row: Row, emit: Emitters<{ dealt: KV<string, Row> }>, place: () => Place): void {
    const { timestamp, pane } = place();
    if (pane === "early") return;
    const { every, shards } = this.gathering;
    const start = alignDown(this.timeIn(timestamp), every);
    const shard = shards === 1 ? 0 : shardOf(this.table, row, shards);
    // With the number of all of them: from a savepoint a job may go on with another one.
    emit.dealt({ key: `${shard}of${shards}`, value: row }, { start, end: start + every });
  }

  /** No watermark is nearer to now than the delay: by this time no row is behind what is kept. */
  private timeIn(timestamp: number): number {
    if (this.timeOf.kind === "window") return timestamp;
    const now = Date.now();
    const isKept = timestamp >= now - this.timeOf.delay - KEPT_MS && timestamp <= now + AHEAD_MS;
    return isKept ? timestamp : now;
  }
}

function shardOf(table: Table, row: Row, shards: number): number {
  const key = canonicalJson(table.key.map((name) => cellOf(table, columnOf(table, name), row)));
  return Number.parseInt(hash("sha256", key, "hex").slice(0, 8), 16) % shards;
}

/** The rows of a stretch of time and a share, with the name of their batch. */
export interface Gathered {
  readonly name: string;
  readonly rows: readonly Row[];
}

/** Names what has come together. */
export class Name implements DoFn<KV<string, readonly Row[]>, { gathered: Gathered }> {
  readonly outputs = ["gathered"] as const;

  constructor(readonly prefix: string) {}

  process(
    { key, value }: KV<string, readonly Row[]>,
    emit: Emitters<{ gathered: Gathered }>,
    place: () => Place,
  ): void {
    const { start, end } = place();
    emit.gathered({ name: `${this.prefix}-${timeText(start)}-${timeText(end)}-${key}`, rows: [...value] });
  }
}

/** As it may stand in any name: 20260105T093000Z, with milliseconds where there are some. */
const timeText = (time: number): string => new Date(time).toISOString().replaceAll(/[-:.]/g, "").replace("000Z", "Z");

export class WriteGathered implements BatchWriter<Gathered> {
  // One after the other: of one stretch, what comes later holds.
  readonly options = { ...writeDefaults, batchRows: 1, retries: 0 };
  readonly counter: string;

  constructor(
    readonly output: Output,
    readonly address: Address,
    readonly origin: Origin,
  ) {
    this.counter = `written ${output.name}`;
  }

  rowsIn({ rows }: Gathered): number {
    return rows.length;
  }

  async write(gathered: readonly Gathered[]): Promise<void> {
    for (const { name, rows } of gathered) await this.writeBatch(name, rows);
  }

  private async writeBatch(name: string, rows: readonly Row[]): Promise<void> {
    const { job, pipeline } = this.origin;
    const batch: Batch = { job, pipeline, id: name, plan: name, ranges: [], replays: [], turn: null, isPart: true };
    const target = await sinkOf(this.address).open(this.address, [this.output], batch);
    const inOrder = rows.toSorted(orderByKey(this.output.table));
    try {
      for (let at = 0; at < inOrder.length; at += ROWS_TOGETHER) {
        const { rejected: [first] = [] } = await target.write(this.output.name, inOrder.slice(at, at + ROWS_TOGETHER));
        if (first !== undefined) throw refusal(this.output.name, first);
      }
    } catch (error) {
      await target.abort();
      throw error;
    }
    await commitOrAbort(target);
  }
}

/** An output's end of the graph. `delay`: how far the watermark stays behind. */
export function writeGathered(
  output: Output,
  address: Address,
  origin: Origin,
  gathering: Gathering,
  delay: number,
): PTransform<PCollection<Row>, void> {
  return named(`write ${output.name}`, (rows: PCollection<Row>) => {
    const isOfWindows = isWindowed(rows);
    const deal = new Deal(output.table, gathering, isOfWindows ? { kind: "window" } : { kind: "record", delay });
    // A row of a window comes before the watermark does.
    const shape = keyedInto(fixed(gathering.every), isOfWindows ? 0 : KEPT_MS);
    rows
      .apply(perElement("deal", deal, { dealt: shape }))
      .dealt.apply(groupByKey("gather"))
      .apply(perElement("name", new Name(`${origin.job}-${output.name}`)))
      .gathered.apply(writeBatches("rows", new WriteGathered(output, address, origin)));
  });
}

register("beamline/runners/worker/write-gathered", { Deal, Name, WriteGathered });
