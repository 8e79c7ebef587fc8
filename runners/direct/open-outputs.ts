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
  type RunContext,
  type WriteOptions,
} from "../../beam";
import { type Address, type Batch, type OpenTarget, type Output, type Rejected } from "../../io/connector";
import { sinkOf } from "../../io/registry";
import { messageOf, RunError, UnavailableError } from "../../schema/errors";
import { type Row } from "../../schema/table";
import { DeadLetterGuard } from "../../transforms/dead-letter";
import { type Delivered } from "../report";
import { placeOf, type Fallback } from "./fallback";
import { letterOf, type RefusedRows } from "./refused-rows";
import { ROWS_TOGETHER, weightOf } from "./rows-together";
import { SpooledTarget } from "./spooled-target";

/** What outputs need to know of the batch beside what targets do. */
export interface Writing {
  /** What letters of refused rows say, and how many of them are too many. */
  readonly run: Pick<RunContext, "job" | "pipeline" | "version" | "batch" | "attempt" | "deadLetterLimit">;
  readonly refused: RefusedRows;
  /** Told of rows that were written. */
  readonly onRows: (output: Output, rows: readonly Row[]) => void;
  /** Where rows go whose place does not answer; null: then the batch fails. */
  readonly fallback: Fallback | null;
}

interface OpenOutput {
  readonly output: Output;
  readonly target: OpenTarget;
  readonly isSeenAtOnce: boolean;
  readonly guard: DeadLetterGuard;
  /** Rows of the graph and letters of refused rows come to one output, whose calls must not overlap. */
  last: Promise<unknown>;
}

export class OpenOutputs implements Delivered {
  readonly written = new Map<string, number>();
  readonly rejected = new Map<string, number>();
  readonly added = new Map<string, number>();
  /** Outputs whose rows lie beside those of earlier runs. */
  readonly beside: string[] = [];
  /** Why rows of the batch wait, by place. They count as written until the commit, and no longer behind it. */
  readonly waits: string[] = [];
  /** Whether others may see something of the batch, although it is not committed: it cannot be taken back. */
  mayBeSeen = false;

  private constructor(
    private readonly key: string,
    private readonly targets: readonly OpenTarget[],
    private readonly byOutput: ReadonlyMap<string, OpenOutput>,
    private readonly writing: Writing,
  ) {}

  /** Opens every target, or none: one that cannot be opened closes those before it. */
  static async open(
    outputs: readonly Output[],
    addresses: Readonly<Record<string, Address>>,
    batch: Batch,
    writing: Writing,
  ): Promise<OpenOutputs> {
    // The rows of one would go to the other.
    if (live.has(batch.id)) throw new RunError(`The batch ${batch.id} is already running in this process`);
    const targets: OpenTarget[] = [];
    const byOutput = new Map<string, OpenOutput>();
    try {
      for (const group of targetsOf(outputs, addresses)) {
        const sink = sinkOf(group.address);
        const target = await openTarget(group, batch, writing, outputs, addresses);
        targets.push(target);
        const isSeenAtOnce = sink.deliveryClass === "append";
        for (const output of group.outputs) {
          const guard = new DeadLetterGuard(writing.run.deadLetterLimit, `write ${output.name}`, "rows");
          byOutput.set(output.name, { output, target, isSeenAtOnce, guard, last: Promise.resolve() });
        }
      }
    } catch (error) {
      for (const target of targets) await target.abort();
      throw error;
    }
    const opened = new OpenOutputs(batch.id, targets, byOutput, writing);
    for (const { name } of outputs) opened.written.set(name, 0);
    live.set(opened.key, opened);
    return opened;
  }

  rowsTogether(name: string): number {
    return this.byOutput.get(name)?.target.rowsTogether ?? ROWS_TOGETHER;
  }

  async write(name: string, rows: readonly Row[]): Promise<void> {
    const open = this.byOutput.get(name);
    if (open === undefined) throw new Error(`The output ${name} was not opened`);
    this.mayBeSeen ||= open.isSeenAtOnce;
    const writing = open.last.then(() => open.target.write(name, rows));
    open.last = writing.catch(() => undefined);
    const { written, rejected = [] } = await writing;
    count(this.written, name, written);
    if (rejected.length > 0) await this.bury(open, rows, rejected);
    else for (let at = 0; at < rows.length; at += 1) open.guard.passed();
    const refused = new Set(rejected.map(({ row }) => row));
    const taken = rejected.length === 0 ? rows : rows.filter((row) => !refused.has(row));
    if (!waits(open.target)) this.writing.refused.wrote(open.output, taken);
    this.writing.onRows(open.output, taken);
  }

  /** Makes dead letters of rows that the place has refused. */
  private async bury(
    { output, guard }: OpenOutput,
    rows: readonly Row[],
    rejected: readonly Rejected[],
  ): Promise<void> {
    const { run, refused } = this.writing;
    const [first] = rejected;
    const why = `${first?.reason} (${first?.error})`;
    if (output.table.mode === "by-origin")
      throw new RunError(`A dead letter was refused where ${output.name} are written: ${why}`);
    const letters = [...this.byOutput.values()].find((other) => other.output.table.mode === "by-origin");
    if (letters === undefined)
      throw new RunError(`A row of ${output.name} was refused: ${why}; this pipeline has no output for dead letters`);
    count(this.rejected, output.name, rejected.length);
    const byRow = new Map(rejected.map((one) => [one.row, one]));
    const given = new Set(rows);
    // Taken for rows that were written, they would have no letter.
    if (rejected.some(({ row }) => !given.has(row)))
      throw new Error(`Where ${output.name} are written, rows were refused that were not given`);
    for (const row of rows) {
      const one = byRow.get(row);
      if (one === undefined) guard.passed();
      else guard.died(`${one.reason} (${one.error})`);
    }
    for (const { row } of rejected) refused.refused(output, row);
    count(this.added, letters.output.name, rejected.length);
    await this.write(
      letters.output.name,
      rejected.map((one) => letterOf(output, one, run)),
    );
  }

  /** Commits one target after the other; `onCommitted` is called behind each. */
  async commit(onCommitted?: () => Promise<void>): Promise<void> {
    live.delete(this.key);
    this.mayBeSeen = true;
    let committed = 0;
    try {
      for (; committed < this.targets.length; committed += 1) {
        const target = this.targets[committed] as OpenTarget;
        await target.commit();
        if (waits(target)) this.noteWaiting(target);
        this.beside.push(...(target.beside?.() ?? []));
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

  private noteWaiting(target: SpooledTarget): void {
    if (target.waits !== null) this.waits.push(target.waits);
    for (const open of this.byOutput.values()) {
      if (open.target === target) count(this.written, open.output.name, -target.rowsOf(open.output.name));
    }
  }

  async abort(): Promise<void> {
    live.delete(this.key);
    for (const target of this.targets) await target.abort();
  }
}

const live = new Map<string, OpenOutputs>();

const waits = (target: OpenTarget): target is SpooledTarget => target instanceof SpooledTarget && target.waits !== null;

/** The target of a place; with --fallback, one that does not fail when the place does not answer. */
async function openTarget(
  group: { readonly address: Address; readonly outputs: readonly Output[] },
  batch: Batch,
  { fallback, run }: Writing,
  outputs: readonly Output[],
  addresses: Readonly<Record<string, Address>>,
): Promise<OpenTarget> {
  const open = () => sinkOf(group.address).open(group.address, group.outputs, batch);
  if (fallback === null) return open();
  const byOrigin = outputs.find(({ table }) => table.mode === "by-origin");
  const address = byOrigin === undefined ? undefined : addresses[byOrigin.name];
  const letters = byOrigin === undefined || address === undefined ? null : { ...byOrigin, address };
  const spool = await fallback.spool(group.outputs, group.address, batch, { version: run.version, letters });
  return SpooledTarget.open(spool, fallback.hasWaiting(placeOf(group.address)) ? null : open);
}

const count = (counts: Map<string, number>, name: string, by: number): void =>
  void counts.set(name, (counts.get(name) ?? 0) + by);

/** Outputs that go to one place are one target: tables of one database are written in one transaction. */
function targetsOf(outputs: readonly Output[], addresses: Readonly<Record<string, Address>>) {
  const groups = new Map<string, { address: Address; outputs: Output[] }>();
  for (const output of outputs) {
    const address = addresses[output.name];
    if (address === undefined) throw new Error(`The output ${output.name} has no address`);
    const place = placeOf(address);
    const group = groups.get(place);
    if (group === undefined) groups.set(place, { address, outputs: [output] });
    else group.outputs.push(output);
  }
  return groups.values();
}

export class WriteOutput implements BatchWriter<Row> {
  // Tried again is only what can be: within one transaction a failed write cannot be repeated on its own.
  options: WriteOptions = { ...writeDefaults, batchRows: ROWS_TOGETHER, retries: 0 };
  readonly counter: string;

  constructor(
    readonly output: string,
    readonly batch: string,
  ) {
    this.counter = `written ${output}`;
  }

  weigh(row: Row): number {
    return weightOf(row);
  }

  async open(): Promise<void> {
    this.options = { ...this.options, batchRows: this.opened().rowsTogether(this.output) };
  }

  async write(rows: readonly Row[]): Promise<void> {
    await this.opened().write(this.output, rows);
  }

  private opened(): OpenOutputs {
    const opened = live.get(this.batch);
    if (opened === undefined) throw new Error(`The outputs of batch ${this.batch} are not open in this process`);
    return opened;
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
