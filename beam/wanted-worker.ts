// A worker that a runner wants, from a command line or a pool: what the job's submitter has said of it, how it begins, or
// says why it cannot, and how it ends when its runner does not answer any more.
import { setTimeout as sleep } from "node:timers/promises";
import { credentials, Metadata } from "@grpc/grpc-js";
import { messageOf, RunError, UsageError } from "../schema/errors";
import { errorText } from "./bundle-errors";
import { startWorker } from "./fixes/worker-entrypoint";
import { fnApi, fnClients, provisionApi, Struct, type sdk } from "./sdk";
import { registeredModules } from "./travel";
import { type WantedWorker } from "./worker-pool";

/** What a worker must have to run a job's code. */
export interface NeededCode {
  /** Of beamline. */
  readonly version: string;
  /** The modules that functions of the pipeline may be registered in. */
  readonly modules: readonly string[];
}

/** The option by which a job's workers are told what they need. */
export const NEEDED_OPTION = "beamline_needs";
/** Its name as runners pass it on. */
export const NEEDED_URN = `beam:option:${NEEDED_OPTION}:v1`;

export const neededCode = (version: string): string =>
  JSON.stringify({ version, modules: registeredModules() } satisfies NeededCode);

interface Provided {
  readonly controlEndpoint: string;
  readonly needed: NeededCode | null;
  readonly options: object;
}

/** A Java process that collects its garbage may be silent for seconds. */
const SILENT_MS = 30_000;

/**
 * Works for a runner until it hangs up, or has not answered for a while: a frozen one keeps its connections. `load` brings
 * the pipelines' modules; where they are not those that the job was submitted with, the job fails with a sentence that says so.
 */
export async function workFor(
  { id, provisionEndpoint }: Omit<WantedWorker, "controlEndpoint">,
  { version, load, silentMs = SILENT_MS }: { version: string; load: () => Promise<void>; silentMs?: number },
): Promise<void> {
  const { controlEndpoint, needed, options } = await provided(id, provisionEndpoint, silentMs);
  try {
    await load();
    checkCode(needed, version);
  } catch (error) {
    await refuse(id, controlEndpoint, error);
    throw error;
  }
  const ended = new AbortController();
  const working = startWorker({ id, controlEndpoint, modules: [], options }).finally(() => ended.abort());
  await Promise.race([working, untilSilent(id, provisionEndpoint, silentMs, ended.signal)]);
}

/** Rejects when the runner has been silent for so long. */
async function untilSilent(id: string, endpoint: string, silentMs: number, signal: AbortSignal): Promise<void> {
  let heardAt = performance.now();
  while (await sleep(silentMs / 6, true, { signal }).catch(() => false)) {
    const heard = await provided(id, endpoint, silentMs / 3).catch(() => null);
    if (heard !== null) heardAt = performance.now();
    else if (performance.now() - heardAt >= silentMs)
      throw new RunError(
        `The runner at ${endpoint} has been silent for ${silentMs / 1000} s, so the worker ${id} ends`,
      );
  }
}

async function provided(id: string, endpoint: string, limitMs: number): Promise<Provided> {
  const client = new provisionApi.ProvisionServiceClient(endpoint, credentials.createInsecure());
  const metadata = new Metadata();
  metadata.add("worker_id", id);
  try {
    const { info } = await new Promise<sdk.GetProvisionInfoResponse>((resolve, reject) => {
      client.getProvisionInfo({}, metadata, { deadline: Date.now() + limitMs }, (error, answer) =>
        answer === undefined ? reject(error ?? new Error("no answer")) : resolve(answer),
      );
    });
    const options = info?.pipelineOptions === undefined ? {} : (Struct.toJson(info.pipelineOptions) as object);
    const text = (options as Record<string, unknown>)[NEEDED_URN];
    const needed = typeof text === "string" ? (JSON.parse(text) as NeededCode) : null;
    return { controlEndpoint: info?.controlEndpoint?.url ?? "", needed, options };
  } catch (error) {
    throw new RunError(`The runner at ${endpoint} does not say what the worker ${id} is for: ${messageOf(error)}`);
  } finally {
    client.close();
  }
}

function checkCode(needed: NeededCode | null, version: string): void {
  if (needed === null) throw new UsageError("The job was not submitted by beamline, or by an older one");
  const where = `the worker in ${process.cwd()}`;
  if (needed.version !== version)
    throw new UsageError(
      `The job was submitted by beamline ${needed.version}, and ${where} has ${version}: install the same there`,
    );
  const here = new Set(registeredModules());
  const missing = needed.modules.filter((module) => !here.has(module));
  if (missing.length > 0)
    throw new UsageError(
      `The job needs ${missing.slice(0, 3).join(", ")}${missing.length > 3 ? " …" : ""}, and ${where} does not have ` +
        `${missing.length === 1 ? "it" : "them"}: put the same project there, built as here`,
    );
}

/**
 * Answers whatever the runner asks for with the error, so that the job fails with it. A runner that has data for a bundle
 * waits for the channel that it goes by, before it looks at the answer.
 */
function refuse(id: string, controlEndpoint: string, error: unknown): Promise<void> {
  const metadata = new Metadata();
  metadata.add("worker_id", id);
  const control = new fnClients.BeamFnControlClient(controlEndpoint, credentials.createInsecure(), {}, {});
  const data = new Map<string, { close(): void }>();
  const channel = control.control(metadata);
  const text = errorText(error);

  const openData = (descriptor: sdk.ProcessBundleDescriptor | undefined): void => {
    for (const { spec } of Object.values(descriptor?.transforms ?? {})) {
      if (spec === undefined || !/^beam:runner:(source|sink):v1$/.test(spec.urn)) continue;
      const url = fnApi.RemoteGrpcPort.fromBinary(spec.payload).apiServiceDescriptor?.url;
      if (url === undefined || data.has(url)) continue;
      const client = new fnClients.BeamFnDataClient(url, credentials.createInsecure(), {}, {});
      client.data(metadata).on("error", () => undefined);
      data.set(url, client);
    }
  };
  const answer = (instructionId: string) =>
    channel.write(fnApi.InstructionResponse.create({ instructionId, error: text }));

  return new Promise((resolve) => {
    channel.on("data", ({ instructionId, request }: sdk.InstructionRequest) => {
      if (request.oneofKind !== "processBundle") return void answer(instructionId);
      const { processBundleDescriptorId } = request.processBundle;
      control.getProcessBundleDescriptor({ processBundleDescriptorId }, (_error, descriptor) => {
        openData(descriptor);
        answer(instructionId);
      });
    });
    const end = (): void => {
      for (const client of [control, ...data.values()]) client.close();
      resolve();
    };
    channel.on("end", end).on("error", end);
  });
}
