// The verbs that look at jobs on a cluster, and end them there.
import { Cluster, isOver, type ClusterJob } from "../runners/flink/cluster";
import { viewText } from "../runners/flink/follow";
import { type JobView } from "../runners/flink/job-view";
import { RunError, UsageError } from "../schema/errors";
import { amount, harmless, print } from "./screen";

/** Tells of the jobs of that name, or of all. Answers with whether none of them has failed. */
export async function showClusterJobs(master: string, asked: string | undefined, isJson: boolean): Promise<boolean> {
  const cluster = await Cluster.at(master);
  const jobs = await cluster.jobsOf(asked ?? null);
  if (jobs.length === 0 && asked !== undefined)
    throw new UsageError(`There is no job ${asked} on ${cluster.address}${namesOf(await cluster.jobsOf(null))}`);
  // What is over is not asked for more.
  const views = await Promise.all(jobs.map(async (job) => (isOver(job) ? null : cluster.view(job.id))));
  if (isJson) process.stdout.write(`${JSON.stringify(jobs.map((job, at) => ({ ...job, view: views[at] })))}\n`);
  else if (jobs.length === 0) print(`No job is on ${cluster.address}`);
  else process.stdout.write(`${jobs.map((job, at) => jobText(job, views[at] ?? null)).join("\n\n")}\n`);
  return !jobs.some(({ state }) => state === "FAILED");
}

/** Keeps where the one job of that name stands. */
export async function keepClusterJob(
  master: string,
  asked: string,
  { ends, directory }: { readonly ends: boolean; readonly directory: string | undefined },
): Promise<{ readonly id: string; readonly name: string; readonly savepoint: string }> {
  const cluster = await Cluster.at(master);
  const { id, name } = await runningJob(cluster, asked);
  const savepoint = await (ends ? cluster.stop(id, directory) : cluster.savepoint(id, { ends: false, directory }));
  return { id, name, savepoint };
}

/** Ends the one job of that name that runs. What it has written stays. */
export async function cancelClusterJob(master: string, asked: string): Promise<ClusterJob> {
  const cluster = await Cluster.at(master);
  const job = await runningJob(cluster, asked);
  await cluster.end(job.name);
  const [ended] = await cluster.jobsOf(job.id);
  if (ended === undefined || !isOver(ended))
    throw new RunError(`The job ${job.name} has not ended yet: it is ${ended?.state ?? "gone"}`);
  return ended;
}

async function runningJob(cluster: Cluster, asked: string): Promise<ClusterJob> {
  const [job, second] = (await cluster.jobsOf(asked)).filter((one) => !isOver(one));
  if (job === undefined) {
    const running = (await cluster.jobsOf(null)).filter((one) => !isOver(one));
    throw new UsageError(`No job ${asked} runs on ${cluster.address}${namesOf(running)}`);
  }
  if (second !== undefined) throw new UsageError(`Which job? ${job.name} or ${second.name}`);
  return job;
}

const namesOf = (jobs: readonly ClusterJob[]): string =>
  jobs.length === 0 ? "" : `; there is ${[...new Set(jobs.map(({ name }) => name))].join(", ")}`;

function jobText({ id, name, state, startedAt, seconds, error }: ClusterJob, view: JobView | null): string {
  const lines: [string, string][] = [
    ["id", id],
    ["since", new Date(startedAt).toISOString()],
    ["took", `${Math.round(seconds)} s`],
  ];
  if (error !== null) lines.push(["last error", error]);
  if (view !== null) lines.push(...viewLines(view));
  return [
    `${harmless(name)}: ${state}`,
    ...lines.map(([label, text]) => `  ${label.padEnd(10)} ${harmless(text)}`),
  ].join("\n");
}

function viewLines(view: JobView): [string, string][] {
  const { read = 0, dead = 0, late = 0 } = view.counters;
  const counts = Object.entries({ read, dead, late }).filter(([name, count]) => count > 0 || name === "read");
  return [
    ...counts.map(([name, count]): [string, string] => [name, amount(count)]),
    ...Object.entries(view.written).map(([name, count]): [string, string] => [
      "written",
      `${amount(count)} rows of ${name}`,
    ]),
    ...viewText(view, Date.now()).map((text): [string, string] => ["", text]),
  ];
}
