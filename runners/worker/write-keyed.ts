// Writing where a pipeline's code runs: the rows of each bundle are a batch of their own, which is committed with the bundle.
// A bundle that a cluster runs again writes its rows again, each in the place of the row of its key.
import { randomUUID } from "node:crypto";
import {
  named,
  register,
  writeBatches,
  writeDefaults,
  type BatchWriter,
  type PCollection,
  type PTransform,
} from "../../beam";
import { type Address, type Batch, type OpenTarget, type Output, type Rejected } from "../../io/connector";
import { sinkOf } from "../../io/registry";
import { RunError } from "../../schema/errors";
import { type Row } from "../../schema/table";
import { ROWS_TOGETHER, weightOf } from "../direct/rows-together";

/** What its rows say of where they come from. */
export type Origin = Pick<Batch, "job" | "pipeline" | "id">;

export class WriteKeyed implements BatchWriter<Row> {
  readonly options = { ...writeDefaults, batchRows: ROWS_TOGETHER, retries: 0 };
  readonly counter: string;

  constructor(
    readonly output: Output,
    readonly address: Address,
    readonly origin: Origin,
  ) {
    this.counter = `written ${output.name}`;
  }

  weigh(row: Row): number {
    return weightOf(row);
  }

  async write(rows: readonly Row[]): Promise<void> {
    const { name } = this.output;
    let target = open.get(this);
    if (target === undefined) open.set(this, (target = await this.opened()));
    const { rejected: [first] = [] } = await target.write(name, rows);
    if (first !== undefined) throw refusal(name, first);
  }

  async close(isWhole: boolean): Promise<void> {
    const target = open.get(this);
    open.delete(this);
    if (target !== undefined) await (isWhole ? commitOrAbort(target) : target.abort());
  }

  private opened(): Promise<OpenTarget> {
    // What a place keeps by a batch's name must not be taken for that of another bundle.
    const plan = `${this.origin.id}-${randomUUID()}`;
    const batch: Batch = { ...this.origin, id: plan, plan, ranges: [], replays: [], turn: null, isPart: true };
    return sinkOf(this.address).open(this.address, [this.output], batch);
  }
}

const open = new WeakMap<WriteKeyed, OpenTarget>();

/** What ends the job when its place does not take a row. */
export const refusal = (output: string, { reason, error }: Rejected): RunError =>
  new RunError(
    `A row of ${output} was refused: ${reason} (${error}); of a detached job it cannot become a dead letter`,
  );

/** A target that cannot commit is let go of. */
export async function commitOrAbort(target: OpenTarget): Promise<void> {
  try {
    await target.commit();
  } catch (error) {
    await target.abort();
    throw error;
  }
}

/** An output's end of the graph. */
export function writeKeyed(output: Output, address: Address, origin: Origin): PTransform<PCollection<Row>, void> {
  return named(`write ${output.name}`, (rows: PCollection<Row>) => {
    rows.apply(writeBatches("rows", new WriteKeyed(output, address, origin)));
  });
}

register("beamline/runners/worker/write-keyed", { WriteKeyed });
