// A Flink cluster as its REST interface tells of it: whether it can take a job, and what became of one.
import { randomBytes } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { z } from "zod";
import { jobFailure } from "../../beam";
import { type Finding } from "../../io/connector";
import { fine, findingsOf, missing, wrong } from "../../io/findings";
import { messageOf, RunError, UnavailableError, UsageError } from "../../schema/errors";
import { explainSavepoint } from "./failures";
import { viewOf, type JobView } from "./job-view";
import { BEAM_VERSION, FLINK_VERSION, flinkJars } from "../../infra/services/flink/flink-jars";

/** No answer of a cluster's takes longer unless something is wrong. */
const ANSWER_MS = 10_000;
/** So long may its slots be taken, or a JobManager be started again. */
const PATIENCE_MS = 20_000;
const BETWEEN_LOOKS_MS = 1_000;

const Config = z.object({ "flink-version": z.string() });
const Overview = z.object({ "slots-total": z.int(), "slots-available": z.int() });
const TaskManagers = z.object({ taskmanagers: z.array(z.object({ path: z.string() })) });
const Environment = z.object({ classpath: z.array(z.string()) });
const JobLine = z.object({
  jid: z.string(),
  name: z.string(),
  state: z.string(),
  "start-time": z.number(),
  duration: z.number(),
});
const Jobs = z.object({ jobs: z.array(JobLine) });

const Job = z.object({ state: z.string(), timestamps: z.object({ RESTARTING: z.number() }) });
const Exceptions = z.object({ "root-exception": z.string().nullish() });

const Triggered = z.object({ "request-id": z.string() });
const Savepoint = z.object({
  status: z.object({ id: z.string() }),
  operation: z
    .object({
      location: z.string().nullish(),
      "failure-cause": z.object({ "stack-trace": z.string().nullish() }).nullish(),
    })
    .nullish(),
});

export interface ClusterJob {
  readonly id: string;
  readonly name: string;
  /** In Flink's words: RUNNING, FINISHED, FAILED, … */
  readonly state: string;
  readonly startedAt: number;
  readonly seconds: number;
  /** What ended it, or made it begin again the last time. */
  readonly error: string | null;
}

export interface Slots {
  readonly all: number;
  readonly free: number;
}

const OVER = ["FINISHED", "CANCELED", "FAILED", "SUSPENDED"];

export class Cluster {
  private constructor(
    /** host:port, as Beam's job server takes it. */
    readonly address: string,
    readonly version: string,
    /** Whether jobs find Beam's classes there, and need bring none. */
    readonly hasBeam: boolean,
  ) {}

  /** The cluster there; an error that says what is wrong when it is none that jobs can run on. */
  static async at(master: string): Promise<Cluster> {
    const address = addressOf(master);
    const { "flink-version": version } = await ask(address, "/config", Config);
    if (!version.startsWith(`${FLINK_VERSION}.`))
      throw new UsageError(`The cluster at ${address} runs Flink ${version}; jobs are made for Flink ${FLINK_VERSION}`);
    return new Cluster(address, version, await hasBeam(address));
  }

  async slots(): Promise<Slots> {
    const { "slots-total": all, "slots-available": free } = await ask(this.address, "/overview", Overview);
    return { all, free };
  }

  /** Waits until a job of that many parts finds its slots free, but not for ever. */
  async untilFree(parallelism: number, signal?: AbortSignal): Promise<void> {
    const until = performance.now() + PATIENCE_MS;
    for (;;) {
      signal?.throwIfAborted();
      const { all, free } = await this.slots();
      if (free >= parallelism) return;
      // A TaskManager that was started with the cluster may not have reported yet.
      if (performance.now() > until) {
        const there = all === 0 ? "no TaskManager" : `${slotsText(all)}, ${free} of them free`;
        throw new UnavailableError(
          `The job needs ${slotsText(parallelism)}, and the cluster at ${this.address} has ${there}: ` +
            `start more TaskManagers, or give --parallelism ${Math.max(free, 1)}`,
        );
      }
      await sleep(BETWEEN_LOOKS_MS);
    }
  }

  /** The hosts of its TaskManagers, as they call themselves. */
  async taskManagers(): Promise<readonly string[]> {
    const { taskmanagers } = await ask(this.address, "/taskmanagers", TaskManagers);
    return taskmanagers.map(({ path }) => /@([^/:]+)(:\d+)?\//.exec(path)?.[1] ?? path);
  }

  /** Cancels the job of that name, and waits until nothing of it runs. One that is over is fine. */
  async end(name: string): Promise<void> {
    const until = performance.now() + PATIENCE_MS;
    while (performance.now() < until) {
      const job = await this.find(name);
      if (job === null || OVER.includes(job.state)) return;
      if (job.state !== "CANCELLING") await answered(this.address, `/jobs/${job.jid}?mode=cancel`, "PATCH");
      await sleep(BETWEEN_LOOKS_MS / 4);
    }
  }

  /**
   * Watches the job of that name until the signal says that it is enough. Comes back before with an error when it cannot
   * end well any more: what failed on the way would be run again, and rows that were written would be written twice.
   */
  async watch(name: string, onFound: (id: string) => void, signal: AbortSignal): Promise<Error | null> {
    let found: string | null = null;
    let silentSince: number | null = null;
    while (!signal.aborted) {
      try {
        const id: string | null = found ?? (await this.find(name))?.jid ?? null;
        if (id !== null && found === null) onFound((found = id));
        const failure = id === null ? null : await this.failureOf(id);
        if (failure !== null) return failure;
        silentSince = null;
      } catch (error) {
        silentSince ??= performance.now();
        if (performance.now() - silentSince > PATIENCE_MS)
          return new RunError(`The cluster does not answer any more: ${messageOf(error)}`);
      }
      await sleep(BETWEEN_LOOKS_MS, undefined, { signal }).catch(() => undefined);
    }
    return null;
  }

  /** Whether something of the job had to be begun again. */
  async wasBroken(name: string): Promise<Error | null> {
    const job = await this.find(name);
    return job === null ? null : this.failureOf(job.jid);
  }

  /** The jobs that are meant by an id, by a name, or by that of which a name on the cluster was made, the newest first; or all. */
  async jobsOf(asked: string | null): Promise<readonly ClusterJob[]> {
    const lines = (await this.lines()).filter(({ jid, name }) => asked === null || isMeant(asked, jid, name));
    lines.sort((one, other) => other["start-time"] - one["start-time"]);
    return Promise.all(
      lines.map(async ({ jid, name, state, duration, "start-time": startedAt }) => {
        const error = (await this.failureOf(jid))?.message ?? null;
        return { id: jid, name, state, startedAt, seconds: duration / 1000, error };
      }),
    );
  }

  view(id: string): Promise<JobView> {
    return viewOf((path, shape) => ask(this.address, path, shape), id);
  }

  /** What broke the job last; null when nothing has. */
  async failure(id: string): Promise<Error | null> {
    const { "root-exception": why } = await ask(this.address, `/jobs/${id}/exceptions`, Exceptions);
    return why == null || why === "" ? null : (explainSavepoint(why) ?? jobFailure([why]));
  }

  /**
   * Keeps where the job stands, in a directory of the cluster's or in `directory`, and answers where. It goes on, or ends with
   * it: never by Flink's own stop, which acts as an end of all input, and gives rows of windows that are still open.
   */
  async savepoint(id: string, { ends, directory }: { ends: boolean; directory?: string | undefined }): Promise<string> {
    const wish = { "cancel-job": ends, ...(directory === undefined ? {} : { "target-directory": directory }) };
    const { "request-id": request } = await post(this.address, `/jobs/${id}/savepoints`, wish, Triggered);
    for (;;) {
      const { status, operation } = await ask(this.address, `/jobs/${id}/savepoints/${request}`, Savepoint);
      if (status.id === "COMPLETED") {
        if (operation?.location != null) return operation.location;
        const why = operation?.["failure-cause"]?.["stack-trace"] ?? "it did not say why";
        throw new RunError(`Flink could not keep where the job stands: ${messageOf(jobFailure([why]))}`);
      }
      await sleep(BETWEEN_LOOKS_MS / 4);
    }
  }

  /** Ends the job with a savepoint, and waits until nothing of it runs. */
  async stop(id: string, directory?: string): Promise<string> {
    const savepoint = await this.savepoint(id, { ends: true, directory });
    const until = performance.now() + PATIENCE_MS;
    while (performance.now() < until) {
      const { state } = await ask(this.address, `/jobs/${id}`, Job);
      if (OVER.includes(state)) break;
      await sleep(BETWEEN_LOOKS_MS / 4);
    }
    return savepoint;
  }

  private async failureOf(id: string): Promise<Error | null> {
    const { timestamps, state } = await ask(this.address, `/jobs/${id}`, Job);
    if (timestamps.RESTARTING === 0 && state !== "FAILED" && state !== "FAILING") return null;
    return (await this.failure(id)) ?? jobFailure([]);
  }

  private async find(name: string): Promise<z.infer<typeof JobLine> | null> {
    return (await this.lines()).find((one) => one.name === name) ?? null;
  }

  private async lines(): Promise<z.infer<typeof JobLine>[]> {
    return (await ask(this.address, "/jobs/overview", Jobs)).jobs;
  }
}

/** Among all that run on a cluster a job has to be found again. */
export const nameOnCluster = (job: string): string => `${job}-${randomBytes(4).toString("hex")}`;

const isMeant = (asked: string, id: string, name: string): boolean =>
  asked === id ||
  asked === name ||
  (name.startsWith(`${asked}-`) && /^[0-9a-f]{8}$/.test(name.slice(asked.length + 1)));

export const isOver = ({ state }: ClusterJob): boolean => OVER.includes(state);

const slotsText = (count: number): string => (count === 1 ? "1 slot" : `${count} slots`);

/** What of a cluster a job would find; starts nothing. */
export function findCluster(master: string): Promise<readonly Finding[]> {
  return findingsOf(async () => {
    const cluster = await Cluster.at(master);
    const { all, free } = await cluster.slots();
    return [
      (free > 0 ? fine : wrong)(
        `Flink ${cluster.version} at ${cluster.address}: ${all === 0 ? "no TaskManager" : `${slotsText(all)}, ${free} of them free`}`,
      ),
      cluster.hasBeam
        ? fine("Beam's jars are on its class path")
        : missing(`Beam's jars are not on its class path: each job brings them, about ${flinkJars.megabytes} MB`),
    ];
  });
}

/** host:port of a cluster's REST interface, as people write it. */
export function addressOf(master: string): string {
  const match = /^(?:https?:\/\/)?([\w.-]+|\[[\da-f:]+\]):(\d{1,5})\/?$/i.exec(master.trim());
  const [, host, port] = match ?? [];
  if (host === undefined || port === undefined || Number(port) < 1 || Number(port) > 65_535)
    throw new UsageError(
      `--flink-master is ${JSON.stringify(master)}: write the host:port of the JobManager's REST interface, such as localhost:8081`,
    );
  return `${host}:${port}`;
}

async function hasBeam(address: string): Promise<boolean> {
  // Older ones do not tell.
  const { classpath } = await ask(address, "/jobmanager/environment", Environment).catch(() => ({ classpath: [] }));
  const found = classpath.flatMap((file) => /beam-runners-flink-[\d.]+?-(\d[\w.]*)\.jar$/.exec(file)?.[1] ?? []);
  const other = found.find((version) => version !== BEAM_VERSION);
  if (other !== undefined)
    throw new UsageError(
      `The cluster at ${address} has the jars of Beam ${other} on its class path, and jobs come from Beam ${BEAM_VERSION}: ` +
        `put those of ${BEAM_VERSION} there, or none`,
    );
  return found.length > 0;
}

async function ask<Shape extends z.ZodType>(address: string, path: string, shape: Shape): Promise<z.infer<Shape>> {
  return shaped(await answered(address, path), address, path, shape);
}

async function post<Shape extends z.ZodType>(
  address: string,
  path: string,
  body: object,
  shape: Shape,
): Promise<z.infer<Shape>> {
  return shaped(await answered(address, path, "POST", body), address, path, shape);
}

async function shaped<Shape extends z.ZodType>(
  response: Response,
  address: string,
  path: string,
  shape: Shape,
): Promise<z.infer<Shape>> {
  const answer = shape.safeParse(await response.json().catch(() => null));
  if (answer.success) return answer.data;
  throw new UsageError(
    `What answers at ${address} is not Flink's REST interface (${path}): --flink-master is host:port of the JobManager, mostly port 8081`,
  );
}

async function answered(address: string, path: string, method = "GET", body?: object): Promise<Response> {
  let response: Response;
  try {
    const json =
      body === undefined ? {} : { body: JSON.stringify(body), headers: { "content-type": "application/json" } };
    response = await fetch(`http://${address}${path}`, { method, ...json, signal: AbortSignal.timeout(ANSWER_MS) });
  } catch (error) {
    const cause = (error as { cause?: unknown }).cause ?? error;
    throw new UnavailableError(`No Flink cluster answers at ${address}: ${messageOf(cause)}`);
  }
  if (response.ok) return response;
  // It listens before it has a leader, and while it looks for another one.
  if (response.status === 503) throw new UnavailableError(`Flink at ${address} is not ready yet`);
  throw response.status === 404 && method === "GET"
    ? new UsageError(`What answers at ${address} is not Flink's REST interface: it has no ${path}`)
    : new RunError(`Flink at ${address} answers ${method} ${path} with ${response.status}`);
}
