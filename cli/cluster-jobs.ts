// The verbs that look at jobs on a cluster, and end them there.
import { Cluster, isOver, type ClusterJob } from "../runners/flink/cluster";
import { RunError, UsageError } from "../schema/errors";
import { harmless, print } from "./screen";

/** Tells of the jobs of that name, or of all. Answers with whether none of them has failed. */
export async function showClusterJobs(master: string, asked: string | undefined, isJson: boolean): Promise<boolean> {
  const cluster = await Cluster.at(master);
  const jobs = await cluster.jobsOf(asked ?? null);
  if (jobs.length === 0 && asked !== undefined)
    throw new UsageError(`There is no job ${asked} on ${cluster.address}${namesOf(await cluster.jobsOf(null))}`);
  if (isJson) process.stdout.write(`${JSON.stringify(jobs)}\n`);
  else if (jobs.length === 0) print(`No job is on ${cluster.address}`);
  else process.stdout.write(`${jobs.map(jobText).join("\n\n")}\n`);
  return !jobs.some(({ state }) => state === "FAILED");
}

/** Ends the one job of that name that runs. What it has written stays. */
export async function cancelClusterJob(master: string, asked: string): Promise<ClusterJob> {
  const cluster = await Cluster.at(master);
  const [job, second] = (await cluster.jobsOf(asked)).filter((one) => !isOver(one));
  if (job === undefined) {
    const running = (await cluster.jobsOf(null)).filter((one) => !isOver(one));
    throw new UsageError(`No job ${asked} runs on ${cluster.address}${namesOf(running)}`);
  }
  if (second !== undefined) throw new UsageError(`Which job? ${job.name} or ${second.name}`);
  await cluster.end(job.name);
  const [ended] = await cluster.jobsOf(job.id);
  if (ended === undefined || !isOver(ended))
    throw new RunError(`The job ${job.name} has not ended yet: it is ${ended?.state ?? "gone"}`);
  return ended;
}

const namesOf = (jobs: readonly ClusterJob[]): string =>
  jobs.length === 0 ? "" : `; there is ${[...new Set(jobs.map(({ name }) => name))].join(", ")}`;

function jobText({ id, name, state, startedAt, seconds, error }: ClusterJob): string {
  const lines: [string, string][] = [
    ["id", id],
    ["since", new Date(startedAt).toISOString()],
    ["took", `${Math.round(seconds)} s`],
  ];
  if (error !== null) lines.push(["last error", error]);
  return [
    `${harmless(name)}: ${state}`,
    ...lines.map(([label, text]) => `  ${label.padEnd(10)} ${harmless(text)}`),
  ].join("\n");
}
