// The outputs of the batch that runs in this process: opened before anything is read, committed when all of it went
// well, else undone. Writing transforms are copies of copies, so they find their output here, by the batch's name.
import {
  named,
  perElement,
  register,
  writeBatches,
  writeDefaults,
  type BatchWriter,
  type DoFn,
  type Emitters,
  type PCollection,
  type Place,
  type PTransform,
} from "../../beam";
import { type Address, type Batch, type OpenTarget, type Output } from "../../io/connector";
import { sinkOf } from "../../io/registry";
import { messageOf, RunError, UnavailableError } from "../../schema/errors";
import { type Row } from "../../schema/table";

type OnRows = (output: Output, rows: readonly Row[]) => void;

interface OpenOutput {
  readonly output: Output;
  readonly target: OpenTarget;
  readonly isSeenAtOnce: boolean;
}

export class OpenOutputs {
  readonly written = new Map<string, number>();
  /** Whether others may see something of the batch, although it is not committed: it cannot be taken back. */
  mayBeSeen = false;

  private constructor(
    private readonly key: string,
    private readonly targets: readonly OpenTarget[],
    private readonly byOutput: ReadonlyMap<string, OpenOutput>,
    private readonly onRows: OnRows,
  ) {}

  /** Opens every target, or none: one that cannot be opened closes those before it. */
  static async open(
    outputs: readonly Output[],
    addresses: Readonly<Record<string, Address>>,
    batch: Batch,
    onRows: OnRows,
  ): Promise<OpenOutputs> {
    // The rows of one would go to the other.
    if (live.has(batch.id)) throw new RunError(`The batch ${batch.id} is already running in this process`);
    const targets: OpenTarget[] = [];
    const byOutput = new Map<string, OpenOutput>();
    try {
      for (const group of targetsOf(outputs, addresses)) {
        const sink = sinkOf(group.address);
        const target = await sink.open(group.address, group.outputs, batch);
        targets.push(target);
        const isSeenAtOnce = sink.deliveryClass === "append";
        for (const output of group.outputs) byOutput.set(output.name, { output, target, isSeenAtOnce });
      }
    } catch (error) {
      for (const target of targets) await target.abort();
      throw error;
    }
    const opened = new OpenOutputs(batch.id, targets, byOutput, onRows);
    for (const { name } of outputs) opened.written.set(name, 0);
    live.set(opened.key, opened);
    return opened;
  }

  async write(name: string, rows: readonly Row[]): Promise<void> {
    const open = this.byOutput.get(name);
    if (open === undefined) throw new Error(`The output ${name} was not opened`);
    this.mayBeSeen ||= open.isSeenAtOnce;
    const { written } = await open.target.write(name, rows);
    this.written.set(name, (this.written.get(name) ?? 0) + written);
    this.onRows(open.output, rows);
  }

  /** Commits one target after the other; `onCommitted` is called behind each. */
  async commit(onCommitted?: () => Promise<void>): Promise<void> {
    live.delete(this.key);
    this.mayBeSeen = true;
    let committed = 0;
    try {
      for (; committed < this.targets.length; committed += 1) {
        await this.targets[committed]?.commit();
        await onCommitted?.();
      }
    } catch (error) {
      for (const target of this.targets.slice(committed)) await target.abort();
      const kept = [...this.byOutput.values()].filter(({ target }) => this.targets.indexOf(target) < committed);
      if (kept.length === 0) throw error;
      const names = kept.map(({ output }) => output.name).join(", ");
      const Kind = error instanceof UnavailableError ? UnavailableError : RunError;
      throw new Kind(`${messageOf(error)}. What was written of ${names} is there; the same run again replaces it`);
    }
  }

  async abort(): Promise<void> {
    live.delete(this.key);
    for (const target of this.targets) await target.abort();
  }
}

const live = new Map<string, OpenOutputs>();

/** Outputs that go to one place are one target: tables of one database are written in one transaction. */
function targetsOf(outputs: readonly Output[], addresses: Readonly<Record<string, Address>>) {
  const groups = new Map<string, { address: Address; outputs: Output[] }>();
  for (const output of outputs) {
    const address = addresses[output.name];
    if (address === undefined) throw new Error(`The output ${output.name} has no address`);
    const place = JSON.stringify([address.scheme, sinkOf(address).place(address), address.options]);
    const group = groups.get(place);
    if (group === undefined) groups.set(place, { address, outputs: [output] });
    else group.outputs.push(output);
  }
  return groups.values();
}

export class WriteOutput implements BatchWriter<Row> {
  // Tried again is only what can be: within one transaction a failed write cannot be repeated on its own.
  readonly options = { ...writeDefaults, batchRows: 2000, retries: 0 };
  readonly counter: string;

  constructor(
    readonly output: string,
    readonly batch: string,
  ) {
    this.counter = `written ${output}`;
  }

  /** The texts and bytes in a row: all else in it is small. */
  weigh(row: Row): number {
    let weight = 0;
    for (const name in row) {
      const value = row[name];
      if (typeof value === "string") weight += value.length;
      else if (value instanceof Uint8Array) weight += value.byteLength;
    }
    return weight;
  }

  async write(rows: readonly Row[]): Promise<void> {
    const opened = live.get(this.batch);
    if (opened === undefined) throw new Error(`The outputs of batch ${this.batch} are not open in this process`);
    await opened.write(this.output, rows);
  }
}

/** Lets through what an output wants of an aggregate that goes on: the changes of a window, or the last word on it. */
export class TakePanes implements DoFn<Row, { rows: Row }> {
  readonly outputs = ["rows"] as const;
  constructor(readonly wants: "update" | "final") {}

  process(row: Row, emit: Emitters<{ rows: Row }>, place: () => Place): void {
    const { pane } = place();
    // Rows of no aggregate have only one pane, which both want.
    if (pane === "only" || (pane === "on time") === (this.wants === "final")) emit.rows(row);
  }
}

/** An output's end of the graph. */
export function writeOutput(
  output: string,
  batch: string,
  wants?: "update" | "final",
): PTransform<PCollection<Row>, void> {
  return named(`write ${output}`, (rows: PCollection<Row>) => {
    const wanted = wants === undefined ? rows : rows.apply(perElement("wanted panes", new TakePanes(wants))).rows;
    wanted.apply(writeBatches("rows", new WriteOutput(output, batch)));
  });
}

register("beamline/runners/direct/open-outputs", { TakePanes, WriteOutput });
