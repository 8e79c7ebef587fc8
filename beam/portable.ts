// Runs a graph on a portable job service, which Flink's job server is one of: submits it, follows what it tells, and
// brings its counters back. The pipeline's own code runs in this process, where the runner finds a pool of workers.
import { Reader } from "protobufjs";
import { RunError } from "../schema/errors";
import { writtenError } from "./bundle-errors";
import { SUM } from "./counts";
import { type Counters, type Graph } from "./direct-runner";
import { readInt64 } from "./fixes/varint";
import { startWorker } from "./fixes/worker-entrypoint";
import { externalEnvironment, processEnvironment } from "./fixes/worker-environment";
import { beam, jobApi, portable, runnerApi, type sdk } from "./sdk";
import { openWorkerPool, type WantedWorker } from "./worker-pool";
import { WRITE_URN } from "./write";

export interface Submission {
  /** host:port of the job service. */
  readonly endpoint: string;
  readonly jobName: string;
  /** As Beam's runners know them, in camelCase. */
  readonly options: Readonly<Record<string, unknown>>;
  /** host:port where the runner finds this process; port 0 is any. */
  readonly here: string;
  readonly code: CodePlace;
  /** Whether the job goes on without this process. Else what it writes is written here, wherever its other code runs. */
  readonly isDetached: boolean;
}

/** In this process; in processes that the runner starts by a command; or in those of a pool. */
export type CodePlace =
  | { readonly kind: "here" }
  | { readonly kind: "process"; readonly command: string; readonly env: Readonly<Record<string, string>> }
  | { readonly kind: "pool"; readonly address: string };

export interface PortableJob {
  /** The job's counters at its end. When it failed, rejects with the error of the pipeline's own code where there is one. */
  readonly ended: Promise<Counters>;
  cancel(): Promise<void>;
  /** Lets go of what the job has in this process. */
  close(): void;
}

export async function submit(
  graph: Graph,
  { endpoint, jobName, options, here, code, isDetached }: Submission,
): Promise<PortableJob> {
  const pool = await openWorkerPool(here, startHere);
  try {
    const runner = new portable.PortableRunner({ jobEndpoint: endpoint });
    const environment = { environmentType: "EXTERNAL", environmentConfig: pool.address } as const;
    const placed = code.kind === "here" ? graph.proto() : withCodeElsewhere(graph.proto(), code, isDetached);
    const result = await runner.runPipelineWithProto(placed, { ...options, ...environment, jobName });
    const { jobId } = result as unknown as { jobId: string };
    const client = await runner.getClient();
    const ended = follow(runner, client, jobId);
    // Whoever only cancels does not ask how it ended.
    ended.catch(() => undefined);
    return {
      ended,
      close() {
        pool.close();
        // Left open, it looks for a server that is gone for as long as the process lives.
        (client as unknown as { _transport: { close(): void } })._transport.close();
      },
      cancel: async () => void (await client.cancel({ jobId }).response),
    };
  } catch (error) {
    pool.close();
    throw error;
  }
}

/** All, or all but the writing transforms, whose targets this process has opened, and commits. */
function withCodeElsewhere(
  proto: sdk.PipelineProto,
  code: Exclude<CodePlace, { kind: "here" }>,
  isAll: boolean,
): sdk.PipelineProto {
  const copy = runnerApi.Pipeline.clone(proto);
  const { environments = {}, transforms = {} } = copy.components ?? {};
  environments[ELSEWHERE] =
    code.kind === "pool" ? externalEnvironment(code.address) : processEnvironment(code.command, code.env);
  for (const transform of Object.values(transforms)) {
    if (transform.environmentId !== "" && (isAll || !writes(transform))) transform.environmentId = ELSEWHERE;
  }
  return copy;
}

const ELSEWHERE = "elsewhere";

function writes({ spec }: sdk.TransformProto): boolean {
  if (spec?.urn !== beam.parDo.urn) return false;
  return runnerApi.ParDoPayload.fromBinary(spec.payload).doFn?.urn === WRITE_URN;
}

/** A worker in this process, which has all modules already. That its runner is gone, the job's end tells. */
async function startHere({ id, controlEndpoint }: WantedWorker): Promise<void> {
  startWorker({ id, controlEndpoint, modules: [] }).catch(() => undefined);
}

type Client = Awaited<ReturnType<sdk.PortableRunner["getClient"]>>;

async function follow(runner: sdk.PortableRunner, client: Client, jobId: string): Promise<Counters> {
  let state = jobApi.JobState_Enum.UNSPECIFIED;
  const errors: string[] = [];
  for await (const { response } of client.getMessageStream({ jobId }).responses) {
    if (response.oneofKind === "stateResponse") state = response.stateResponse.state;
    else if (response.oneofKind === "messageResponse") errors.push(response.messageResponse.messageText);
  }
  if (state === jobApi.JobState_Enum.DONE) {
    const { attempted = [], committed = [] } = (await runner.getJobMetrics(jobId)).metrics ?? {};
    // Flink knows only what was attempted, Beam's Python runner only what counts.
    return countersOf(committed.length > 0 ? committed : attempted);
  }
  if (state === jobApi.JobState_Enum.CANCELLED) throw new RunError("The job was cancelled");
  throw jobFailure(errors);
}

/** Why a job failed, by what the runner has told: the pipeline's own error, or the runner's last word on it. */
export function jobFailure(errors: readonly string[]): Error {
  for (const text of errors) {
    const error = writtenError(text);
    if (error !== null) return error;
  }
  // A stack of Java begins with its outermost cause; the innermost says what happened.
  const causes = errors.join("\n").match(/^(?:Caused by: )?[\w.$]+(?:Exception|Error): .*$/gm) ?? [];
  const innermost = causes
    .at(-1)
    ?.replace(/^Caused by: /, "")
    .replace(/^[\w.$]+: /, "");
  return new RunError(`The job failed on the runner: ${innermost ?? (errors.at(-1) || "it did not say why")}`);
}

/** The sums of what the pipeline's own code counted, by name. */
function countersOf(metrics: readonly sdk.MonitoringInfo[]): Counters {
  const counters: Record<string, number> = {};
  for (const { urn, labels, payload } of metrics) {
    const name = labels["NAME"];
    if (urn === SUM && name !== undefined)
      counters[name] = (counters[name] ?? 0) + Number(readInt64(new Reader(payload)));
  }
  return counters;
}
