// Keeps the jobs of a system going: starts them, starts again what ends by a mistake, with growing pauses, and ends them in
// order. What each of them says goes into a file of its own.
import { spawn, type ChildProcess } from "node:child_process";
import { createWriteStream, mkdirSync, renameSync, statSync, writeFileSync } from "node:fs";
import path from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { identityOf } from "../services/process-identity";
import { type JobRecord, type SystemJob } from "./job";

/** The command's exit codes that trying again does not mend, and that are no mistake. */
const WRONG_USAGE = 2;
const INTERRUPTED = 130;

const FIRST_PAUSE = 1_000;
const LONGEST_PAUSE = 30_000;
/** Whoever ran for so long was well, and its next mistake is its first one. */
const WELL_AFTER = 60_000;
/** Longer than the command takes for its last batch. */
const END_PATIENCE = 15_000;
/** A log that is longer than this is put aside when its job starts. */
const MOST_LOG_BYTES = 50 * 1024 * 1024;

class Kept {
  child: ChildProcess | null = null;
  record: JobRecord;
  /** Resolved when nothing of the job runs any more and none will. */
  over: Promise<void> = Promise.resolve();
  readonly stop = new AbortController();

  constructor(readonly job: SystemJob) {
    this.record = { name: job.name, process: null, state: "waiting", starts: 0, lastEnd: null };
  }
}

export class Supervisor {
  private readonly kept: readonly Kept[];

  /** `directory` gets the logs and the record of how the jobs stand. */
  constructor(
    jobs: readonly SystemJob[],
    private readonly directory: string,
  ) {
    this.kept = jobs.map((job) => new Kept(job));
    mkdirSync(path.join(directory, "logs"), { recursive: true });
  }

  start(): void {
    this.write();
    for (const kept of this.kept) kept.over = this.keepGoing(kept);
  }

  /** Ends all jobs, those that bring records in first. */
  async stop(): Promise<void> {
    for (const brings of [true, false])
      await Promise.all(this.kept.filter(({ job }) => job.brings === brings).map((kept) => this.end(kept)));
  }

  private async end(kept: Kept): Promise<void> {
    kept.stop.abort();
    kept.child?.kill("SIGINT");
    const killing = setTimeout(() => kept.child?.kill("SIGKILL"), END_PATIENCE);
    await kept.over;
    clearTimeout(killing);
    this.note(kept, { state: "stopped", process: null });
  }

  private async keepGoing(kept: Kept): Promise<void> {
    const { job, stop } = kept;
    let wait = FIRST_PAUSE;
    while (!stop.signal.aborted) {
      const started = performance.now();
      const code = await this.runOnce(kept);
      if (stop.signal.aborted) return;
      // What is run again and again may only lack what another job has yet to make.
      const isAgain = job.keep !== "goes on" && (code === 0 || code === WRONG_USAGE);
      if (!isAgain && (code === 0 || code === INTERRUPTED || code === WRONG_USAGE)) {
        this.note(kept, { state: code === WRONG_USAGE ? "failed" : "stopped", process: null });
        return;
      }
      if (performance.now() - started > WELL_AFTER) wait = FIRST_PAUSE;
      this.note(kept, { state: "waiting", process: null });
      await pause(isAgain ? Number(job.keep) : wait, undefined, { signal: stop.signal }).catch(() => undefined);
      wait = isAgain ? FIRST_PAUSE : Math.min(LONGEST_PAUSE, wait * 2);
    }
  }

  /** The exit code; null when it could not be started or was killed. */
  private async runOnce(kept: Kept): Promise<number | null> {
    const { job } = kept;
    const log = createWriteStream(this.freshLog(job.name), { flags: "a" });
    const child = spawn(job.program, job.args, {
      env: { ...process.env, ...job.environment },
      stdio: ["ignore", "pipe", "pipe"],
    });
    kept.child = child;
    child.stdout.pipe(log, { end: false });
    child.stderr.pipe(log, { end: false });
    this.note(kept, {
      state: "running",
      process: child.pid === undefined ? null : identityOf(child.pid),
      starts: kept.record.starts + 1,
    });
    // Told to end while it was being started.
    if (kept.stop.signal.aborted) child.kill("SIGINT");
    return new Promise((resolve) => {
      let isOver = false;
      const finish = (code: number | null, how: string): void => {
        // A program that is not there gives an error, and a strange exit code behind it.
        if (isOver) return;
        isOver = true;
        kept.child = null;
        log.end();
        this.note(kept, { lastEnd: `${new Date().toISOString()} ${how}`, process: null });
        resolve(code);
      };
      child.once("error", (error) => finish(null, error.message));
      child.once("close", (code, signal) => finish(code, signal === null ? `exit code ${code}` : `by ${signal}`));
    });
  }

  private freshLog(name: string): string {
    const file = logFile(this.directory, name);
    try {
      if (statSync(file).size > MOST_LOG_BYTES) renameSync(file, file.replace(/\.log$/, ".previous.log"));
    } catch {
      // There is none yet.
    }
    return file;
  }

  private note(kept: Kept, change: Partial<JobRecord>): void {
    kept.record = { ...kept.record, ...change };
    this.write();
  }

  private write(): void {
    const file = path.join(this.directory, "jobs.json");
    writeFileSync(`${file}.new`, JSON.stringify(this.kept.map(({ record }) => record)));
    renameSync(`${file}.new`, file);
  }
}

export const logFile = (directory: string, name: string): string => path.join(directory, "logs", `${name}.log`);
