// A bounded run that goes on without the process that has planned and submitted it: its workers write the rows, each bundle as
// it comes. There is no commit, so it takes places where a row that is written again replaces the row of its key.
import { RunError, UsageError } from "../../schema/errors";
import { type Address, type Batch, type Output } from "../../io/connector";
import { sinkOf } from "../../io/registry";
import { buildGraph } from "../direct/build-graph";
import { planBatch, type RunRequest } from "../direct/run-batch";
import { writeKeyed } from "../worker/write-keyed";
import { type Plan } from "../plan";
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
  const ready = async () => {
    for (const output of outputs) await prepare(output, addressOf(request, output.name), { ...origin, plan });
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

/** Makes what is missing there, before anything is read, and takes out the dead letters of what is read again. */
async function prepare(
  output: Output,
  address: Address,
  { plan, ...origin }: Pick<Batch, "job" | "pipeline" | "id"> & { readonly plan: Plan },
): Promise<void> {
  const ranges = Object.values(plan.ranges).flat();
  const batch: Batch = { ...origin, plan: plan.id, ranges, replays: [], turn: null };
  const target = await sinkOf(address).open(address, [output], batch);
  try {
    await target.commit();
  } catch (error) {
    await target.abort();
    throw error;
  }
}

/** The id of the job, when the cluster has it. */
async function taken({ cluster, job, name }: Begun, signal: AbortSignal | undefined): Promise<string> {
  const waiting = new AbortController();
  const either = AbortSignal.any([waiting.signal, ...(signal === undefined ? [] : [signal])]);
  const failed = new Promise<never>((_resolve, reject) => void job.ended.catch(reject));
  try {
    const id = await Promise.race([cluster?.untilTaken(name, either), failed]);
    if (typeof id === "string") return id;
    await cluster?.end(name);
    throw signal?.reason ?? new RunError(`The cluster has not taken the job ${name}`);
  } finally {
    waiting.abort();
  }
}
