// A job that goes on, followed by the command: how it stands is told, an error of the pipeline's own code ends it, and a signal
// ends it with a savepoint, from which it can go on.
import { setTimeout as sleep } from "node:timers/promises";
import { messageOf, RunError, UnavailableError } from "../../schema/errors";
import { formatDuration } from "../../schema/duration";
import { Cluster } from "./cluster";
import { type Begun } from "./flink";
import { type JobView } from "./job-view";

const BETWEEN_LOOKS_MS = 1_000;
/** So far behind Flink may be with what it tells of a job, and more. */
const STALE_MS = 10_000;
/** Until the job runs, and while a JobManager is started again. */
const PATIENCE_MS = 60_000;

/** How a job that goes on stands, for who follows it. */
export type OnView = (view: JobView) => void;

/** What is left of a job that was stopped. */
export interface Stopped {
  readonly view: JobView | null;
  /** Where it can go on from. */
  readonly savepoint: string;
}

/** Comes back when the signal has ended it; throws when it ends otherwise. */
export async function followStream(
  begun: Begun,
  address: string,
  signal: AbortSignal,
  onView: OnView,
): Promise<Stopped> {
  const { name, job, server, tell } = begun;
  const serverSays = job.ended.then(() => null).catch((error: unknown) => error as Error);
  let followed: Followed | null = null;
  try {
    // Also when it was interrupted by now: what has begun there is ended there.
    const cluster = await reached(address, serverSays);
    followed = { cluster, name, id: null, view: null, restarts: 0, state: "", silentSince: null };
    let interruptedAt: number | null = null;
    for (;;) {
      await look(followed, { serverSays, tell, onView });
      if (signal.aborted) {
        // Flink tells of a job by what it was some seconds ago: one that has just begun is waited for.
        interruptedAt ??= performance.now();
        if (followed.state === "RUNNING" || performance.now() - interruptedAt > STALE_MS) break;
      }
      await sleep(BETWEEN_LOOKS_MS, undefined, signal.aborted ? {} : { signal }).catch(() => undefined);
    }
    if (followed.state !== "RUNNING" || followed.id === null) throw signal.reason;
    // A small cluster is gone with its job, and could not say where it was kept. It ends with the job server.
    const savepoint =
      begun.cluster === null ? await cluster.savepoint(followed.id, { ends: false }) : await cluster.stop(followed.id);
    return { view: followed.view, savepoint };
  } catch (error) {
    await job.cancel().catch(() => undefined);
    await followed?.cluster.end(name).catch(() => undefined);
    throw error;
  } finally {
    job.close();
    await server.stop();
  }
}

interface Followed {
  readonly cluster: Cluster;
  readonly name: string;
  id: string | null;
  view: JobView | null;
  restarts: number;
  state: string;
  silentSince: number | null;
}

interface Telling {
  /** What the job server had to say in the end, if anything. */
  readonly serverSays: Promise<Error | null>;
  readonly tell: (sentence: string) => void;
  readonly onView: OnView;
}

/** Looks once. Throws when the job has ended, or had better be. */
async function look(followed: Followed, { serverSays, tell, onView }: Telling): Promise<void> {
  const { cluster, name } = followed;
  try {
    const [job] = await cluster.jobsOf(followed.id ?? name);
    if (job === undefined) {
      if (followed.id !== null) throw new RunError(goneText(followed));
      const said = await Promise.race([serverSays, sleep(0, undefined)]);
      if (said instanceof Error) throw said;
      return;
    }
    if (followed.id === null) tell(`Flink: job ${job.id}, ${name}, on ${cluster.address}`);
    followed.id = job.id;
    if (job.state === "FAILED" || job.state === "FAILING") throw await failureSoon(cluster, job.id);
    if (job.state === "CANCELED" || job.state === "FINISHED")
      throw new RunError(`The job ${name} was ended there by somebody else: it is ${job.state}`);
    if (job.state !== followed.state && followed.state !== "") tell(`Flink: the job is ${job.state}`);
    followed.state = job.state;
    if (job.state !== "RUNNING") return;
    const view = await cluster.view(job.id);
    if (view.restarts > followed.restarts) await tellOfRestart(cluster, job.id, view.restarts, tell);
    followed.restarts = view.restarts;
    followed.view = view;
    followed.silentSince = null;
    onView(view);
  } catch (error) {
    if (!(error instanceof UnavailableError)) throw error;
    followed.silentSince ??= performance.now();
    if (performance.now() - followed.silentSince > PATIENCE_MS)
      throw new RunError(`The cluster does not answer any more: ${messageOf(error)}`);
  }
}

/** What broke a job is told some moments after it has failed. */
async function failureSoon(cluster: Cluster, id: string): Promise<Error> {
  for (let attempt = 0; attempt < 5; attempt += 1) {
    const failure = await cluster.failure(id);
    if (failure !== null) return failure;
    await sleep(BETWEEN_LOOKS_MS);
  }
  return new RunError("The job failed, and Flink does not say why");
}

/** A JobManager that was started again knows no job, unless it is highly available. */
function goneText({ name, cluster, view }: Followed): string {
  const last = view?.checkpoints.last ?? null;
  const rest =
    last === null ? "before its first checkpoint: run it again" : `run it again with --from-savepoint ${last.path}`;
  return `The cluster at ${cluster.address} does not know the job ${name} any more, ${rest}`;
}

/** What broke it is tried again by Flink, but for what would break it again: an error of the pipeline's own code. */
async function tellOfRestart(cluster: Cluster, id: string, restarts: number, tell: Telling["tell"]): Promise<void> {
  const failure = await cluster.failure(id);
  if (failure === null) return;
  if (isLasting(failure)) throw failure;
  tell(`Flink: the job was begun again from its last checkpoint (${restarts}): ${messageOf(failure)}`);
}

/** Whether it comes again however often it is tried. What of our own does not answer may answer again. */
const isLasting = (failure: Error): boolean =>
  !(failure instanceof UnavailableError) && !messageOf(failure).startsWith("The job failed on the runner");

/** A small cluster is there when its job begins. */
async function reached(address: string, serverSays: Promise<Error | null>): Promise<Cluster> {
  const until = performance.now() + PATIENCE_MS;
  for (;;) {
    try {
      return await Cluster.at(address);
    } catch (error) {
      if (!(error instanceof UnavailableError) || performance.now() > until) throw error;
    }
    const said = await Promise.race([serverSays, sleep(BETWEEN_LOOKS_MS / 4, undefined)]);
    if (said instanceof Error) throw said;
  }
}

/** How it stands in a few words. */
export function viewText({ watermark, checkpoints, restarts, heldBack }: JobView, now: number): string[] {
  const { last } = checkpoints;
  return [
    watermark === null ? "no watermark yet" : `windows over up to ${new Date(watermark).toISOString()}`,
    last === null
      ? "no checkpoint yet"
      : `checkpoint ${formatDuration(Math.max(0, Math.round((now - last.at) / 1000)) * 1000)} ago`,
    ...(restarts === 0 ? [] : [`begun again ${restarts} times`]),
    ...(heldBack === null ? [] : [`${heldBack.step} is held back ${Math.round(heldBack.share * 100)} % of its time`]),
  ];
}
