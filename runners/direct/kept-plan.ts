// The plan of a bounded run on disk, where rows may lie that go by its name: a run that finds the plan of one that was
// killed goes on with it, so that the same files get the same names and content. It is gone when all is committed.
import { createHash } from "node:crypto";
import { readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import path from "node:path";
import { z } from "zod";
import { canonicalJson } from "../../beam";
import { type Address, type Stretch } from "../../io/connector";
import { makeDirectory } from "../../io/local-path";
import { type Database } from "../../io/sqlite/database";
import { codeOf, messageOf, RunError, UsageError } from "../../schema/errors";
import { type Range } from "../../schema/record";
import { timeText } from "../../schema/time-text";
import { type InputAddress } from "../addresses";
import { type Plan } from "../plan";
import { JobIsRunningError } from "./job-state";
import { isLocked, takeLock } from "./process-lock";
import { writeWhole } from "./whole-file";

/** What makes two runs the same work: then one can go on with the plan of the other. */
export interface Work {
  readonly job: string;
  readonly pipeline: string;
  readonly inputs: Readonly<Record<string, InputAddress>>;
  readonly outputs: Readonly<Record<string, Address>>;
  readonly stretch: Stretch;
}

/** What else decides about the rows, by what it is called: where it differs, the same plan would give other ones. */
export type Terms = Readonly<Record<string, unknown>>;

/** Goes up when the file changes its meaning. */
const FORMAT = 1;

const Stored = z.object({
  format: z.literal(FORMAT),
  job: z.string(),
  terms: z.record(z.string(), z.unknown()),
  plan: z.object({
    id: z.string().regex(/^[\w-]+$/),
    batch: z.string(),
    batchTime: z.int(),
    ranges: z.record(z.string(), z.array(z.custom<Range>((range) => typeof range === "object" && range !== null))),
    wholeFrom: z.number().nullable(),
  }),
});

const ENDING = ".plan.json";

export class KeptPlan {
  private constructor(
    private readonly file: string,
    private readonly lock: Database,
    private readonly job: string,
    private readonly terms: Terms,
    /** That of a run that was killed. */
    readonly left: Plan | null,
  ) {}

  /** Finds the plan that a run of the same work has left. One process at a time: a second one is refused. */
  static async open(
    directory: string,
    work: Work,
    terms: Terms,
    { reset, tell }: { readonly reset: boolean; readonly tell: (sentence: string) => void },
  ): Promise<KeptPlan> {
    const { job } = work;
    const file = path.resolve(directory, `${filePrefixOf(job)}${nameOf(work)}${ENDING}`);
    const lock = await lockOf(file, job).catch((error: unknown) => {
      if (error instanceof JobIsRunningError) throw error;
      throw new RunError(
        `The plan of the run cannot be kept in ${directory} (${messageOf(error)}): name another directory by --state-dir`,
      );
    });
    try {
      for (const other of othersOf(file, job)) {
        const words = `A run of ${job} that was killed has left the plan ${other.id}, of other inputs, outputs or times`;
        if (reset) await forget(other.file, job);
        tell(`${words}${reset ? ": it is forgotten" : ": run it again as it was, or forget it with --reset"}`);
      }
      const left = reset ? null : read(file);
      if (reset) rmSync(file, { force: true });
      if (left !== null) {
        checkTerms(job, left, terms);
        tell(
          `Going on with the plan ${left.plan.id} of ${timeText(left.plan.batchTime)}, whose run was killed: what has come since then is for the next run`,
        );
      }
      return new KeptPlan(file, lock, job, terms, left?.plan ?? null);
    } catch (error) {
      release(file, lock);
      throw error;
    }
  }

  /** Brings the plan to the disk. */
  async keep({ id, batch, batchTime, ranges, wholeFrom }: Plan): Promise<void> {
    const plan = { id, batch, batchTime, ranges, wholeFrom };
    try {
      await writeWhole(this.file, `${JSON.stringify({ format: FORMAT, job: this.job, terms: this.terms, plan })}\n`);
    } catch (error) {
      throw new RunError(`The plan of the run could not be written to ${this.file}: ${messageOf(error)}`);
    }
  }

  /** Nothing goes by its name any more that another run could double. */
  forget(): void {
    rmSync(this.file, { force: true });
  }

  /** Lets others have it. */
  close(): void {
    release(this.file, this.lock);
  }
}

/** What the names of all files begin with that a run leaves for the next one: the job's name, as far as it is none of a path. */
export const filePrefixOf = (job: string): string => `${job.replaceAll(/[^\w.-]/g, "_")}.`;

const nameOf = (work: Work): string => createHash("sha256").update(canonicalJson(work)).digest("hex").slice(0, 12);

const lockFile = (file: string): string => `${file.slice(0, -ENDING.length)}.plan.lock`;

/**
 * The lock of a plan. Its file is gone when nobody has it, or there would be one more for each stretch of time that is ever
 * run: so it only counts when the file that was locked is still the one that others find.
 */
async function lockOf(file: string, job: string): Promise<Database> {
  const locked = lockFile(file);
  for (;;) {
    await makeDirectory(path.dirname(file));
    const before = identityOf(locked);
    const lock = takeLock(locked);
    if (lock === null)
      throw new JobIsRunningError(
        `The job ${job} is being run over the same inputs and outputs by another process: wait for it, or choose another --job`,
      );
    if (before !== null && before === identityOf(locked)) return lock;
    lock.close();
  }
}

/** Two files are not the same one, also when the second one takes the place of the first on the disk. */
function identityOf(file: string): string | null {
  const there = statSync(file, { bigint: true, throwIfNoEntry: false });
  return there === undefined ? null : `${there.ino} ${there.ctimeNs}`;
}

function release(file: string, lock: Database): void {
  // While it is locked: who waits for it finds out that it is gone. Where an open file cannot be removed, behind that.
  removeLock(file);
  lock.close();
  if (process.platform === "win32") removeLock(file);
}

function removeLock(file: string): void {
  try {
    rmSync(lockFile(file), { force: true });
  } catch {
    // Somebody has it open: theirs to remove.
  }
}

interface Left {
  readonly terms: Terms;
  readonly plan: Plan;
}

function read(file: string): Left | null {
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch (error) {
    if (codeOf(error) === "ENOENT") return null;
    throw new RunError(`The plan ${file} could not be read: ${messageOf(error)}`);
  }
  try {
    return Stored.parse(JSON.parse(text));
  } catch {
    throw new UsageError(
      `${file} is no plan that this version of beamline can read: go on with the version that wrote it, or forget it with --reset`,
    );
  }
}

function checkTerms(job: string, { terms: before, plan }: Left, terms: Terms): void {
  const differing = [...new Set([...Object.keys(before), ...Object.keys(terms)])].filter(
    (what) => canonicalJson(before[what] ?? null) !== canonicalJson(terms[what] ?? null),
  );
  if (differing.length === 0) return;
  const said = (value: unknown) => (value === undefined || value === null ? "not there" : JSON.stringify(value));
  const differences = differing.map((what) => `${what} was ${said(before[what])} and is ${said(terms[what])}`);
  throw new UsageError(
    `A run of ${job} was killed, and this one cannot go on with its plan ${plan.id}, for ${differences.join("; ")}: run it once more as it was, or forget it with --reset; then what it has written under the name of its plan stays beside what this run writes`,
  );
}

/** Plans of the job that are of other work, and whose runs are no more. */
function othersOf(own: string, job: string): { readonly file: string; readonly id: string }[] {
  return readdirSync(path.dirname(own)).flatMap((name) => {
    const file = path.join(path.dirname(own), name);
    if (file === own || !name.startsWith(filePrefixOf(job)) || !name.endsWith(ENDING)) return [];
    if (isLocked(lockFile(file))) return [];
    try {
      const left = Stored.safeParse(JSON.parse(readFileSync(file, "utf8")));
      return left.success && left.data.job === job ? [{ file, id: left.data.plan.id }] : [];
    } catch {
      // It was done just now, or it is not ours.
      return [];
    }
  });
}

async function forget(file: string, job: string): Promise<void> {
  const lock = await lockOf(file, job);
  rmSync(file, { force: true });
  release(file, lock);
}
