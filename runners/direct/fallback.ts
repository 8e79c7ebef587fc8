// Rows that wait on this machine because their place does not answer (--fallback). What one batch has for one place is kept
// whole, in a directory with a manifest; the next run delivers what waits, in order and each as the batch that it was.
import { createHash, type Hash } from "node:crypto";
import { createReadStream, existsSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { open, rename, rm, type FileHandle } from "node:fs/promises";
import path from "node:path";
import { StringDecoder } from "node:string_decoder";
import { z } from "zod";
import { type RunContext } from "../../beam";
import { parseAddress } from "../../io/address";
import { type Address, type Batch, type Output, type Rejected } from "../../io/connector";
import { localPath, makeDirectory, shownPath } from "../../io/local-path";
import { sinkOf } from "../../io/registry";
import { type Database } from "../../io/sqlite/database";
import { syncDirectory } from "../../io/sync-directory";
import { codeOf, messageOf, RunError, UnavailableError, UsageError } from "../../schema/errors";
import { type Row, type Table } from "../../schema/table";
import { type RunOptions } from "../run-options";
import { filePrefixOf } from "./kept-plan";
import { JobIsRunningError } from "./job-state";
import { packRow, unpackRow } from "./packed-row";
import { type Point } from "./points";
import { takeLock } from "./process-lock";
import { letterOf } from "./refused-rows";
import { writeWhole } from "./whole-file";

/** Goes up when the files change their meaning. */
const FORMAT = 1;
const MANIFEST = "manifest.json";
const SPOOL = ".spool";

/** Rows are written and delivered in pieces of about these sizes. */
const PIECE_CHARACTERS = 128 * 1024;
const ROWS_TOGETHER = 2000;

const object = <T extends object>() => z.custom<T>((value) => typeof value === "object" && value !== null);

const KeptOutput = z.object({
  name: z.string(),
  table: object<Table>(),
  address: object<Address>(),
  file: z.string().regex(/^\d+\.rows$/),
  rows: z.int(),
  sha256: z.string(),
});

const Manifest = z.object({
  format: z.literal(FORMAT),
  job: z.string(),
  /** Which place all its outputs go to. */
  place: z.string(),
  batch: object<Batch>(),
  outputs: z.array(KeptOutput),
  /** What letters say, and where they go: a place may refuse rows when it gets them. */
  version: z.string(),
  letters: z.object({ name: z.string(), table: object<Table>(), address: object<Address>() }).nullable(),
  /** Why it did not get them at once. */
  reason: z.string(),
});
type Manifest = z.infer<typeof Manifest>;

/** Of the pipeline whose rows wait. */
export type Sender = Pick<Manifest, "version" | "letters">;

/** What one batch had for one place. */
interface Kept extends Manifest {
  readonly directory: string;
}

/** One text for the place that an address means: outputs of one place are written together. */
export function placeOf(address: Address): string {
  return JSON.stringify([address.scheme, sinkOf(address).place(address), address.options]);
}

/** By output. */
export type RowsOf = Readonly<Record<string, number>>;

/** What was delivered, and why each place that still does not answer got nothing. */
export interface Delivery {
  readonly delivered: RowsOf;
  readonly failures: readonly Error[];
}

export interface DeliverySettings {
  /** Where the outputs go now; null: to where they were to go. */
  readonly addresses: Readonly<Record<string, Address>> | null;
  /** Whether that may be another place than the one they wait for. */
  readonly mayMove: boolean;
  /** Of the process that delivers. */
  readonly epoch: number;
}

export interface FallbackSettings {
  /** Where runs of the job find out that rows wait, also those without --fallback. */
  readonly stateDirectory: string;
  readonly onPoint?: (point: Point) => void | Promise<void>;
}

export class Fallback {
  private kept: Kept[];
  private spools = 0;

  private constructor(
    private readonly directory: string,
    private readonly job: string,
    private readonly lock: Database,
    private readonly settings: FallbackSettings,
  ) {
    this.kept = keptIn(directory, job);
  }

  /** Finds what waits. One process at a time, or rows could overtake each other. */
  static async open(address: string, job: string, settings: FallbackSettings): Promise<Fallback> {
    const directory = directoryOf(address, job);
    let lock: Database | null;
    try {
      await makeDirectory(directory);
      lock = takeLock(path.join(directory, ".lock"));
    } catch (error) {
      throw new UsageError(`Rows cannot be kept in ${shownPath(directory)}: ${messageOf(error)}`);
    }
    if (lock === null)
      throw new JobIsRunningError(
        `Another process has the rows of ${job} that wait in ${shownPath(directory)}: wait for it, or choose another --job`,
      );
    try {
      rmSync(path.join(directory, SPOOL), { recursive: true, force: true });
      return new Fallback(directory, job, lock, settings);
    } catch (error) {
      lock.close();
      throw error;
    }
  }

  close(): void {
    rmSync(path.join(this.directory, SPOOL), { recursive: true, force: true });
    this.lock.close();
  }

  /** The rows that wait, by output. */
  waiting(): RowsOf {
    return rowsOf(this.kept);
  }

  get isWaiting(): boolean {
    return this.kept.length > 0;
  }

  /** Whether rows wait for a place: those that come after them wait too. */
  hasWaiting(place: string): boolean {
    return this.kept.some((one) => one.place === place);
  }

  /** What is written for a place in one batch goes here too, until it is known that the place has it. */
  async spool(outputs: readonly Output[], address: Address, batch: Batch, sender: Sender): Promise<Spool> {
    const directory = path.join(this.directory, SPOOL, String((this.spools += 1)));
    const files: SpooledRows[] = [];
    try {
      await makeDirectory(directory);
      for (const [at, output] of outputs.entries()) files.push(await SpooledRows.open(directory, output, `${at}.rows`));
    } catch (error) {
      throw spoolError(error, directory);
    }
    return new Spool(directory, files, {
      keep: (written, reason) =>
        this.keep(directory, written, { ...sender, place: placeOf(address), batch, reason }, address),
    });
  }

  private async keep(
    spooled: string,
    files: readonly SpooledRows[],
    about: Pick<Manifest, "place" | "batch" | "version" | "letters" | "reason">,
    address: Address,
  ): Promise<void> {
    const { place, batch } = about;
    const outputs = files.map(({ output, file, rows, sha256 }) => ({ ...output, address, file, rows, sha256 }));
    // A batch that changes nothing need not wait.
    const clears = outputs.some(({ table }) => table.mode === "by-origin") && batch.ranges.length > 0;
    if (outputs.every(({ rows }) => rows === 0) && !clears && batch.covers === undefined) return;
    const { job, settings } = this;
    const manifest: Manifest = { format: FORMAT, job, ...about, outputs };
    // A crash behind this one's end and before the job's own runs the batch again.
    if (this.kept.some((one) => one.place === place && one.batch.plan === batch.plan)) return;
    const last = this.kept[this.kept.length - 1];
    const number = last === undefined ? 1 : Number(path.basename(last.directory).split("-", 1)[0]) + 1;
    const directory = path.join(this.directory, `${String(number).padStart(9, "0")}-${batch.plan}`);
    try {
      // Before they are there: no run may go on without them.
      await writeWhole(markFile(settings.stateDirectory, job), `${JSON.stringify({ directory: this.directory })}\n`);
      await writeWhole(path.join(spooled, MANIFEST), `${JSON.stringify(manifest)}\n`);
      await rename(spooled, directory);
      await syncDirectory(this.directory);
    } catch (error) {
      throw spoolError(error, directory);
    }
    this.kept.push({ ...manifest, directory });
    await settings.onPoint?.("kept");
  }

  /**
   * Gives the places what waits for them. Answers with the rows that were delivered, by output, and with the reason of each
   * place that does not answer yet.
   */
  async deliver(to: DeliverySettings): Promise<Delivery> {
    const done: Kept[] = [];
    const failures = new Map<string, Error>();
    for (;;) {
      const next = this.kept.find(({ place }) => !failures.has(place));
      if (next === undefined) break;
      try {
        await this.deliverOne(next, to);
        done.push(next);
      } catch (error) {
        if (!(error instanceof UnavailableError)) throw error;
        failures.set(next.place, error);
      }
    }
    if (this.kept.length === 0) rmSync(markFile(this.settings.stateDirectory, this.job), { force: true });
    return { delivered: rowsOf(done), failures: [...failures.values()] };
  }

  private async deliverOne(kept: Kept, to: DeliverySettings): Promise<void> {
    const address = this.addressOf(kept, to);
    const { turn } = kept.batch;
    // A place that keeps a record of batches takes none of a process before the last one that wrote there.
    const epoch = Math.max(turn?.epoch ?? 0, to.epoch);
    const batch: Batch = { ...kept.batch, turn: turn === null ? null : { ...turn, epoch } };
    const target = await sinkOf(address).open(address, kept.outputs, batch);
    try {
      const refused: { output: Output; one: Rejected }[] = [];
      for (const output of kept.outputs) {
        for await (const rows of rowsIn(kept, output)) {
          const { written, rejected = [] } = await target.write(output.name, rows);
          if (written + rejected.length !== rows.length)
            throw new RunError(
              `The counts do not add up: ${rows.length} rows for ${output.name} were delivered, but ${written} written and ${rejected.length} rejected. Please report this`,
            );
          refused.push(...rejected.map((one) => ({ output, one })));
        }
      }
      if (refused.length > 0) await this.keepLetters(kept, refused, to);
      await target.commit();
    } catch (error) {
      await target.abort();
      throw error;
    }
    await this.settings.onPoint?.("delivered");
    await rm(kept.directory, { recursive: true });
    await syncDirectory(this.directory);
    this.kept = this.kept.filter((one) => one !== kept);
  }

  /** Letters of rows that a place refuses when it gets them wait as a batch of their own, and are delivered next. */
  private async keepLetters(
    { batch, version, letters }: Kept,
    refused: readonly { readonly output: Output; readonly one: Rejected }[],
    { addresses }: DeliverySettings,
  ): Promise<void> {
    const [first] = refused;
    const why = `${first?.one.reason} (${first?.one.error})`;
    if (letters === null || refused.some(({ output }) => output.table.mode === "by-origin"))
      throw new RunError(`A row of ${first?.output.name} that waited was refused: ${why}`);
    const run: Pick<RunContext, "job" | "pipeline" | "version" | "batch" | "attempt"> = {
      ...{ job: this.job, pipeline: batch.pipeline, version, batch: batch.id, attempt: 1 },
    };
    const ofLetters: Batch = {
      ...{ job: this.job, pipeline: batch.pipeline, id: `${batch.id}-refused`, plan: `${batch.plan}-refused` },
      ...{ ranges: [], replays: [], turn: null },
    };
    const { name, table } = letters;
    const address = addresses?.[name] ?? letters.address;
    const spool = await this.spool([{ name, table }], address, ofLetters, { version, letters });
    await spool.add(
      name,
      refused.map(({ output, one }) => ({ ...letterOf(output, one, run) })),
    );
    await spool.keep("rows were refused");
  }

  /** Where the rows go, of all outputs together. */
  private addressOf({ directory, outputs, place }: Kept, { addresses, mayMove }: DeliverySettings): Address {
    const [first] = outputs;
    if (first === undefined) throw new UsageError(`${shownPath(directory)} has rows of no output: move it away`);
    const now = addresses?.[first.name] ?? first.address;
    const wanted = mayMove ? placeOf(now) : place;
    const shown = ({ scheme, path: where }: Address) => `${scheme}:${where}`;
    for (const { name, address } of outputs) {
      const goes = addresses === null ? address : addresses[name];
      if (goes !== undefined && placeOf(goes) === wanted) continue;
      throw new UsageError(
        mayMove
          ? `Rows of ${outputs.map((output) => output.name).join(" and ")} wait together in ${shownPath(directory)}: name one place for all of them`
          : `Rows of ${name} wait in ${shownPath(directory)} for ${shown(address)}, but this run writes them ${goes === undefined ? "nowhere" : `to ${shown(goes)}`}: deliver them first, by replay --fallback or a run that writes there`,
      );
    }
    return now;
  }
}

/** The rows of one batch for one place, on their way. */
export class Spool {
  constructor(
    private readonly directory: string,
    private readonly files: readonly SpooledRows[],
    private readonly fallback: {
      keep(files: readonly SpooledRows[], reason: string): Promise<void>;
    },
  ) {}

  async add(output: string, rows: readonly Row[]): Promise<void> {
    const file = this.files.find((one) => one.output.name === output);
    if (file === undefined) throw new Error(`The output ${output} was not opened`);
    try {
      await file.add(rows);
    } catch (error) {
      throw spoolError(error, this.directory);
    }
  }

  rowsOf(output: string): number {
    return this.files.find((one) => one.output.name === output)?.rows ?? 0;
  }

  /** They wait from now on. */
  async keep(reason: string): Promise<void> {
    try {
      for (const file of this.files) await file.finish();
    } catch (error) {
      throw spoolError(error, this.directory);
    }
    await this.fallback.keep(this.files, reason);
    await this.discard();
  }

  /** Their place has them, or nobody is to have them. Never throws. */
  async discard(): Promise<void> {
    for (const file of this.files) await file.close();
    await rm(this.directory, { recursive: true, force: true }).catch(() => undefined);
  }
}

class SpooledRows {
  rows = 0;
  sha256 = "";
  private readonly hash: Hash = createHash("sha256");
  private piece = "";
  /** Calls for one output may overlap here: some of its rows are still on their way to the place. */
  private last: Promise<void> = Promise.resolve();
  private isOpen = true;

  private constructor(
    readonly output: Output,
    readonly file: string,
    private readonly handle: FileHandle,
  ) {}

  static async open(directory: string, output: Output, file: string): Promise<SpooledRows> {
    return new SpooledRows(output, file, await open(path.join(directory, file), "wx"));
  }

  async add(rows: readonly Row[]): Promise<void> {
    for (const row of rows) {
      this.piece += `${packRow(this.output.table, row)}\n`;
      this.rows += 1;
      if (this.piece.length >= PIECE_CHARACTERS) await this.flush();
    }
  }

  private flush(): Promise<void> {
    const { piece } = this;
    this.piece = "";
    this.hash.update(piece);
    return (this.last = this.last.then(() => this.handle.writeFile(piece)));
  }

  async finish(): Promise<void> {
    await this.flush();
    await this.handle.sync();
    this.sha256 = this.hash.digest("hex");
    await this.close();
  }

  async close(): Promise<void> {
    if (!this.isOpen) return;
    this.isOpen = false;
    await this.last.catch(() => undefined);
    await this.handle.close().catch(() => undefined);
  }
}

/** With --fallback, what waits of the job; where rows wait and it is not said, the run is refused. */
export async function openFallback(
  { fallback, "state-dir": stateDirectory }: Pick<RunOptions, "fallback" | "state-dir">,
  job: string,
  onPoint?: FallbackSettings["onPoint"],
): Promise<Fallback | null> {
  checkNothingWaits(stateDirectory, job, fallback);
  return fallback === undefined ? null : Fallback.open(fallback, job, { stateDirectory, onPoint });
}

/** Delivers what waits of a job, without a run; `addresses`: to other places than it was to go. */
export async function deliverWaiting(
  { fallback, "state-dir": stateDirectory }: { readonly fallback: string; readonly "state-dir": string },
  job: string,
  addresses: Readonly<Record<string, Address>> | null,
): Promise<Delivery & { readonly waiting: RowsOf }> {
  const open = await Fallback.open(fallback, job, { stateDirectory });
  try {
    // Epochs go by the clock: no process that has written there is of a later one.
    const delivery = await open.deliver({ addresses, mayMove: true, epoch: Date.now() });
    return { ...delivery, waiting: open.waiting() };
  } finally {
    open.close();
  }
}

/** Refuses a run that would write before what waits: rows would come to be replaced by older ones. */
export function checkNothingWaits(stateDirectory: string, job: string, fallback: string | undefined): void {
  const named = fallback === undefined ? null : directoryOf(fallback, job);
  const mark = markFile(stateDirectory, job);
  if (!existsSync(mark)) return;
  const { directory } = markOf(mark);
  if (named === directory) return;
  const kept = keptIn(directory, job);
  if (kept.length === 0) return;
  const rows = Object.values(rowsOf(kept)).reduce((sum, count) => sum + count, 0);
  const address = `file:${shownPath(path.dirname(directory))}`;
  throw new UsageError(
    `${rows} rows of ${job} wait in ${shownPath(directory)} and must go first: run with --fallback ${address}, or deliver them by replay --fallback ${address}`,
  );
}

/** The rows of a job that wait somewhere, by output. */
export function rowsWaiting(stateDirectory: string, job: string): RowsOf {
  const mark = markFile(stateDirectory, job);
  if (!existsSync(mark)) return {};
  return rowsOf(keptIn(markOf(mark).directory, job));
}

const Mark = z.object({ directory: z.string() });

function markOf(file: string): z.infer<typeof Mark> {
  try {
    return Mark.parse(JSON.parse(readFileSync(file, "utf8")));
  } catch (error) {
    throw new UsageError(`${file}, which says where rows wait, cannot be read: ${messageOf(error)}`);
  }
}

const markFile = (stateDirectory: string, job: string): string =>
  path.resolve(stateDirectory, `${filePrefixOf(job)}fallback.json`);

function directoryOf(address: string, job: string): string {
  const { scheme, path: where, options } = parseAddress(address);
  if (scheme !== "file" || where === "" || Object.keys(options).length > 0)
    throw new UsageError(`--fallback ${address}: it must be a directory on this machine, such as file:data/fallback`);
  return path.join(localPath(where), filePrefixOf(job).slice(0, -1));
}

function rowsOf(kept: readonly Kept[]): RowsOf {
  const rows: Record<string, number> = {};
  for (const { outputs } of kept) for (const { name, rows: more } of outputs) rows[name] = (rows[name] ?? 0) + more;
  return rows;
}

/** What waits, in order. */
function keptIn(directory: string, job: string): Kept[] {
  let names: string[];
  try {
    names = readdirSync(directory).filter((name) => !name.startsWith("."));
  } catch (error) {
    if (codeOf(error) === "ENOENT") return [];
    throw new UsageError(`The rows that wait in ${shownPath(directory)} cannot be read: ${messageOf(error)}`);
  }
  return names.sort().map((name) => {
    const at = path.join(directory, name);
    const wrong = (what: string) =>
      new UsageError(`${shownPath(at)} is nothing that a run of ${job} has left there: ${what}; move it away`);
    let manifest: Manifest;
    try {
      manifest = Manifest.parse(JSON.parse(readFileSync(path.join(at, MANIFEST), "utf8")));
    } catch (error) {
      throw wrong(
        error instanceof z.ZodError || error instanceof SyntaxError ? "its manifest is none" : messageOf(error),
      );
    }
    if (manifest.job !== job) throw wrong(`it is of the job ${manifest.job}`);
    return { ...manifest, directory: at };
  });
}

/** The rows of a file, some at a time; at its end it must have been the file that was written. */
async function* rowsIn(
  { directory }: Kept,
  { table, file, rows: expected, sha256 }: z.infer<typeof KeptOutput>,
): AsyncGenerator<Row[]> {
  const shown = shownPath(path.join(directory, file));
  const spoiled = (what: string) =>
    new UsageError(
      `${shown} is not as it was written (${what}): its rows cannot be delivered; bring it back from a copy`,
    );
  const hash = createHash("sha256");
  const decoder = new StringDecoder();
  let some: Row[] = [];
  let [count, rest] = [0, ""];
  try {
    for await (const piece of createReadStream(path.join(directory, file)) as AsyncIterable<Buffer>) {
      hash.update(piece);
      const lines = (rest + decoder.write(piece)).split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines) {
        some.push(unpackRow(table, line));
        count += 1;
        if (some.length < ROWS_TOGETHER) continue;
        yield some;
        some = [];
      }
    }
  } catch (error) {
    if (error instanceof SyntaxError || codeOf(error) !== undefined) throw spoiled(messageOf(error));
    throw error;
  }
  if (count !== expected) throw spoiled(`it has ${count} rows, not ${expected}`);
  if (hash.digest("hex") !== sha256) throw spoiled("its checksum is another one");
  if (some.length > 0) yield some;
}

function spoolError(error: unknown, directory: string): Error {
  if (error instanceof RunError || error instanceof UsageError) return error;
  const full = ["ENOSPC", "EDQUOT"].includes(codeOf(error) ?? "");
  return new RunError(
    `Rows could not be kept in ${shownPath(directory)} until their place has them: ${full ? "the disk is full" : messageOf(error)}`,
  );
}
