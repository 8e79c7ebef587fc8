// A bounded run that goes on without the process that has planned and submitted it: its workers write the rows, each bundle as
// it comes. There is no commit, so it takes places where a row that is written again replaces the row of its key.
import { buildGraph } from "../direct/build-graph";
import { planBatch, type RunRequest } from "../direct/run-batch";
import { begin, flink, type Begun, type FlinkWishes } from "./flink";
import { checkPlaces, endThere, placesOf, prepare } from "./write-there";

/** A job that a cluster has. */
export interface Detached {
  readonly pipeline: string;
  readonly runner: "flink";
  readonly state: "detached";
  /** Its name on the cluster. */
  readonly job: string;
  readonly id: string;
  /** host:port of the cluster. */
  readonly on: string;
}

export async function detach(request: RunRequest, wishes: FlinkWishes): Promise<Detached> {
  const { pipeline, params, signal } = request;
  const outputs = Object.entries(pipeline.outputs).map(([name, { table }]) => ({ name, table }));
  const places = placesOf(outputs, request.outputs);
  checkPlaces(places, "--detach");
  const { plan, context } = await planBatch({ ...request, engine: flink(wishes) });
  const origin = { job: wishes.job, pipeline: pipeline.name, id: plan.batch };
  const { graph } = buildGraph(pipeline, params, context, plan.ranges, endThere(places, origin));
  const batch = { ...origin, plan: plan.id, ranges: Object.values(plan.ranges).flat(), replays: [], turn: null };
  const begun = await begin(graph, wishes, signal, { isDetached: true, ready: () => prepare(places, batch) });
  return letGo(pipeline.name, begun, signal);
}

/** Leaves a job to its cluster, as soon as that has it. */
export async function letGo(pipeline: string, begun: Begun, signal: AbortSignal | undefined): Promise<Detached> {
  try {
    const id = await taken(begun, signal);
    return { pipeline, runner: "flink", state: "detached", job: begun.name, id, on: begun.cluster?.address ?? "" };
  } finally {
    begun.job.close();
    await begun.server.stop();
  }
}

/** The id of the job, when the cluster has it. */
async function taken({ cluster, job, name }: Begun, signal: AbortSignal | undefined): Promise<string> {
  const waiting = new AbortController();
  try {
    signal?.throwIfAborted();
    return await new Promise<string>((resolve, reject) => {
      signal?.addEventListener("abort", () => reject(signal.reason as Error), { once: true });
      job.ended.catch(reject);
      void cluster?.watch(name, resolve, waiting.signal).then((failure) => failure !== null && reject(failure));
    });
  } catch (error) {
    await cluster?.end(name).catch(() => undefined);
    throw error;
  } finally {
    waiting.abort();
  }
}
