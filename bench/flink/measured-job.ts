// Runs a command that submits a job, waits until the cluster has done it, and says what all of it took: the command, the
// cluster's own programs, and the workers that they started.
import { spawn } from "node:child_process";
import { setTimeout as sleep } from "node:timers/promises";
import { z } from "zod";
import { familyUsage, processes } from "./process-families";
import { type Servers } from "./servers";

/** What submits a job: it ends when the cluster has it, or has done it. */
export interface SubmitCommand {
  readonly program: string;
  readonly args: readonly string[];
  readonly directory: string;
}

const BETWEEN_LOOKS_MS = 250;
const LONGEST_MS = 20 * 60_000;
/** Workers may take so long to end when their job has. */
const ENDING_MS = 1_500;

const Jobs = z.object({
  jobs: z.array(z.object({ jid: z.string(), state: z.string(), "start-time": z.number(), "end-time": z.number() })),
});

export interface JobUsage {
  /** By Flink's own books: from the job's start to its end, its workers' start-up included, the submission not. */
  readonly jobSeconds: number;
  /** From the start of the command that submits it to the job's end. */
  readonly wholeSeconds: number;
  /** Of the JobManager and the TaskManagers. */
  readonly flinkCpuSeconds: number;
  /** Of the processes that the TaskManagers started: the code of the pipeline, where that is not Java. */
  readonly workersCpuSeconds: number;
  /** Of the command that submits, and its job server. */
  readonly submitCpuSeconds: number;
  /** The most that all TaskManagers held together, and all workers. */
  readonly taskManagersRssMb: number;
  readonly workersRssMb: number;
}

/** Looks at what the cluster and all that this process started have used so far. */
export function lookAt(servers: Servers) {
  const { jobManager, taskManagers } = servers.flinkPids();
  return () => {
    // Looking costs what is measured its time: once for all of them.
    const all = processes();
    const managers = familyUsage(taskManagers, all);
    return {
      flink: managers.ownCpuSeconds + familyUsage([jobManager], all).ownCpuSeconds,
      workers: managers.othersCpuSeconds,
      submit: familyUsage([process.pid], all).othersCpuSeconds,
      taskManagersRssMb: managers.ownRssMb,
      workersRssMb: managers.othersRssMb,
    };
  };
}

export async function measureJob(command: SubmitCommand, servers: Servers): Promise<JobUsage> {
  const look = lookAt(servers);
  const earlier = new Set((await jobsOn(servers.flink)).map(({ jid }) => jid));
  const before = look();
  const most = { ...before, taskManagersRssMb: 0, workersRssMb: 0 };
  // What ends is in its parent's books a moment later.
  const lookAgain = (): void => {
    const now = look();
    for (const name of Object.keys(most) as (keyof typeof most)[]) most[name] = Math.max(most[name], now[name]);
  };
  const began = performance.now();
  const submitting = ended(command);
  let failure: Error | null = null;
  let isSubmitted = false;
  submitting.then(
    () => (isSubmitted = true),
    (error: Error) => (failure = error),
  );
  for (;;) {
    lookAgain();
    if (failure !== null) throw failure as Error;
    if (performance.now() - began > LONGEST_MS) throw new Error("took too long");
    const [job] = (await jobsOn(servers.flink)).filter(({ jid }) => !earlier.has(jid));
    if (job !== undefined && ["FAILED", "CANCELED"].includes(job.state)) throw new Error(`the job is ${job.state}`);
    if (job?.state === "FINISHED" && isSubmitted) {
      // The command of one that waits for its job may end later than the job.
      const wholeSeconds = (performance.now() - began) / 1000;
      const until = performance.now() + ENDING_MS;
      while (performance.now() < until) {
        await sleep(BETWEEN_LOOKS_MS);
        lookAgain();
      }
      return {
        jobSeconds: (job["end-time"] - job["start-time"]) / 1000,
        wholeSeconds,
        flinkCpuSeconds: most.flink - before.flink,
        workersCpuSeconds: most.workers - before.workers,
        submitCpuSeconds: most.submit - before.submit,
        taskManagersRssMb: most.taskManagersRssMb,
        workersRssMb: most.workersRssMb,
      };
    }
    await sleep(BETWEEN_LOOKS_MS);
  }
}

export async function jobsOn(flink: string): Promise<z.infer<typeof Jobs>["jobs"]> {
  return Jobs.parse(await (await fetch(`http://${flink}/jobs/overview`)).json()).jobs;
}

async function ended({ program, args, directory }: SubmitCommand): Promise<void> {
  const child = spawn(program, args, { cwd: directory, stdio: ["ignore", "ignore", "pipe"] });
  let complaints = "";
  child.stderr.on("data", (chunk: Buffer) => (complaints = (complaints + chunk.toString("utf8")).slice(-4_000)));
  const [code, signal] = await new Promise<[number | null, string | null]>((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (exitCode, exitSignal) => resolve([exitCode, exitSignal]));
  });
  if (code !== 0) throw new Error(`ended with ${signal ?? `exit code ${code}`}\n${complaints.trim()}`);
}
