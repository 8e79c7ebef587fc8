// A bounded run that goes on without the process that has planned and submitted it: its workers write the rows, each bundle as
// it comes. There is no commit, so it takes places where a row that is written again replaces the row of its key.
import { UsageError } from "../../schema/errors";
import { type Address, type Output } from "../../io/connector";
import { sinkOf } from "../../io/registry";
import { buildGraph } from "../direct/build-graph";
import { planBatch, type RunRequest } from "../direct/run-batch";
import { commitOrAbort, writeKeyed } from "../worker/write-keyed";
import { begin, flink, type Begun, type FlinkWishes } from "./flink";

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
  checkPlaces(outputs, request.outputs);
  const { plan, context } = await planBatch({ ...request, engine: flink(wishes) });
  const origin = { job: wishes.job, pipeline: pipeline.name, id: plan.batch };
  const { graph } = buildGraph(pipeline, params, context, plan.ranges, (name) => {
    const { table } = pipeline.outputs[name] as Output;
    return writeKeyed({ name, table }, addressOf(request, name), origin);
  });
  const batch = { ...origin, plan: plan.id, ranges: Object.values(plan.ranges).flat(), replays: [], turn: null };
  // Makes what is missing there, before anything is read, and takes out the dead letters of what is read again.
  const ready = async () => {
    for (const output of outputs) {
      const address = addressOf(request, output.name);
      await commitOrAbort(await sinkOf(address).open(address, [output], batch));
    }
  };
  const begun = await begin(graph, wishes, signal, { isDetached: true, ready });
  try {
    const id = await taken(begun, signal);
    return {
      pipeline: pipeline.name,
      runner: "flink",
      state: "detached",
      job: begun.name,
      id,
      on: begun.cluster?.address ?? "",
    };
  } finally {
    begun.job.close();
    await begun.server.stop();
  }
}

const addressOf = ({ outputs }: RunRequest, name: string): Address => outputs[name] as Address;

function checkPlaces(outputs: readonly Output[], addresses: Readonly<Record<string, Address>>): void {
  for (const { name, table } of outputs) {
    const address = addresses[name] as Address;
    const { deliveryClass, isShared = false } = sinkOf(address);
    if (deliveryClass !== "keyed" || !isShared)
      throw new UsageError(
        `--detach: the rows of ${name} go to ${address.scheme}:, which many workers cannot write at the same time: leave ` +
          "--detach out, or give a PostgreSQL database with --to",
      );
    if (table.recomputedBy !== undefined)
      throw new UsageError(
        `--detach: the rows of ${name} take the place of all that were there for the same time, which takes a commit: leave it out`,
      );
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
