// Jobs of BigQuery's: begun under names that follow from their work, waited for, and their rows read.
import { createHash, randomUUID } from "node:crypto";
import { UnavailableError } from "../../schema/errors";
import { pauseBefore, slept, type Backoff } from "../pause";
import { BigQueryFailure, CONFLICT, failureOfJob, mayPass, type JobError } from "./failures";
import { type Rest } from "./rest";
import { shownPlace } from "./settings";

/** What BigQuery says of a job. */
export interface Job {
  readonly jobReference: { readonly jobId: string; readonly location?: string };
  readonly status: { readonly state: string; readonly errorResult?: JobError };
  readonly statistics?: {
    readonly query?: { readonly schema?: { readonly fields?: readonly FieldSchema[] } };
  };
}

/** A column or a part of one, as BigQuery describes it. */
export interface FieldSchema {
  readonly name: string;
  readonly type: string;
  readonly mode?: string;
  readonly description?: string;
  readonly precision?: string;
  readonly scale?: string;
  readonly maxLength?: string;
  readonly defaultValueExpression?: string;
  readonly fields?: readonly FieldSchema[];
}

/** What a job gave: where its rows are, and what they are made of. */
export interface Rows {
  readonly jobId: string;
  readonly location: string;
  readonly total: number;
  readonly fields: readonly FieldSchema[];
}

/** A cell as the REST interface gives it: a text, nothing, or what lies in lists and structures. */
export type RestCell = string | null | readonly { readonly v: RestCell }[] | RestRow;
export interface RestRow {
  readonly f: readonly { readonly v: RestCell }[];
}

/** A value that is bound to @name. */
export interface Bound {
  readonly name: string;
  readonly type: "STRING" | "INT64";
  readonly value: string | number | null;
}

const POLL: Backoff = { first: 100, longest: 2_000 };
const AGAIN: Backoff = { first: 500, longest: 8_000 };
/** BigQuery itself ends a job that takes too long; only when it does not, we do. */
const GRACE = 30_000;

/** A name for a piece of work: the same for the same parts. */
export const nameOfWork = (step: string, parts: readonly unknown[]): string =>
  `beamline_${step}_${createHash("sha256").update(JSON.stringify(parts)).digest("hex").slice(0, 40)}`;

/** A name that nothing else has. */
export const nameOfNoOther = (step: string): string => `beamline_${step}_${randomUUID()}`;

export class Jobs {
  constructor(
    private readonly rest: Rest,
    private readonly location: string,
  ) {}

  /**
   * Does a piece of work once, however often it is asked for under its name. A job of that name that is there already was
   * begun by us, before an answer was lost or a process was killed: it is waited for, and what it did is taken. One that
   * failed is of no use any more, since a name is given once: the work goes on under the next one.
   */
  async once(name: string, begin: (jobId: string) => Promise<Job>, signal?: AbortSignal): Promise<Done> {
    const started = performance.now();
    for (let attempt = 0, failed = 0; ; attempt += 1) {
      const { job, wasThere } = await this.begunOrFound(`${name}_${attempt}`, begin, signal);
      const { errorResult } = (await this.finished(job, signal)).status;
      if (errorResult === undefined) return { jobId: job.jobReference.jobId, wasThere };
      if (wasThere) continue;
      const failure = failureOfJob(errorResult);
      failed += 1;
      const pause = pauseBefore(failed, AGAIN);
      if (!mayPass(failure) || performance.now() - started + pause > this.rest.settings.giveUp) throw failure;
      await slept(pause, signal);
      signal?.throwIfAborted();
    }
  }

  /** Begins a job, for once(). */
  begin(configuration: Readonly<Record<string, unknown>>, signal?: AbortSignal): (jobId: string) => Promise<Job> {
    return (jobId) =>
      this.rest.ask<Job>({ method: "POST", path: "/jobs", body: this.described(jobId, configuration), signal });
  }

  /** A job as it is sent. */
  described(jobId: string, configuration: Readonly<Record<string, unknown>>): unknown {
    const { project, timeout } = this.rest.settings;
    return {
      jobReference: { projectId: project, jobId, location: this.location },
      configuration: { jobTimeoutMs: String(timeout), ...configuration },
    };
  }

  /** The rows of a statement, which is run anew. */
  async query(sql: string, bound: readonly Bound[] = [], signal?: AbortSignal): Promise<Rows> {
    const { jobId } = await this.once(nameOfNoOther("query"), this.begin({ query: querying(sql, bound) }, signal));
    return this.rowsOf(jobId, signal);
  }

  /** What a job that is done gave. */
  async rowsOf(jobId: string, signal?: AbortSignal): Promise<Rows> {
    const { totalRows, schema } = await this.page(jobId, 0, 0, signal);
    return { jobId, location: this.location, total: Number(totalRows ?? 0), fields: schema?.fields ?? [] };
  }

  /** Some of its rows, from the one at `from` on: fewer than asked for where they are long. */
  async some({ jobId }: Pick<Rows, "jobId">, from: number, most: number, signal?: AbortSignal): Promise<RestRow[]> {
    return [...((await this.page(jobId, from, most, signal)).rows ?? [])];
  }

  /** All rows of an answer that is known to be short. */
  async all(rows: Rows): Promise<RestRow[]> {
    const found: RestRow[] = [];
    while (found.length < rows.total) found.push(...(await this.some(rows, found.length, rows.total - found.length)));
    return found;
  }

  private page(jobId: string, startIndex: number, maxResults: number, signal?: AbortSignal): Promise<Page> {
    return this.rest.ask<Page>({
      method: "GET",
      path: `/queries/${jobId}`,
      // Times as whole numbers: the usual floats have no microseconds.
      query: { location: this.location, startIndex, maxResults, "formatOptions.useInt64Timestamp": true },
      signal,
    });
  }

  private async begunOrFound(
    jobId: string,
    begin: (jobId: string) => Promise<Job>,
    signal: AbortSignal | undefined,
  ): Promise<{ readonly job: Job; readonly wasThere: boolean }> {
    try {
      return { job: await begin(jobId), wasThere: false };
    } catch (error) {
      if (!(error instanceof BigQueryFailure) || error.status !== CONFLICT) throw error;
      return { job: await this.look(jobId, signal), wasThere: true };
    }
  }

  private look(jobId: string, signal: AbortSignal | undefined): Promise<Job> {
    return this.rest.ask<Job>({
      method: "GET",
      path: `/jobs/${jobId}`,
      query: { location: this.location },
      signal,
    });
  }

  private async finished(begun: Job, signal: AbortSignal | undefined): Promise<Job> {
    const { settings } = this.rest;
    const started = performance.now();
    for (let looked = 1, job = begun; ; looked += 1) {
      if (job.status.state === "DONE") return job;
      if (performance.now() - started > settings.timeout + GRACE)
        throw new UnavailableError(
          `${shownPlace(settings)}: the job ${job.jobReference.jobId} is not done in time: look what it does, or raise timeout=`,
        );
      await slept(pauseBefore(looked, POLL), signal);
      signal?.throwIfAborted();
      job = await this.look(job.jobReference.jobId, signal);
    }
  }
}

export interface Done {
  readonly jobId: string;
  /** It was begun before. */
  readonly wasThere: boolean;
}

interface Page {
  readonly totalRows?: string;
  readonly schema?: { readonly fields?: readonly FieldSchema[] };
  readonly rows?: readonly RestRow[];
}

/** The configuration of a statement, or of a script, which has no values to bind. */
export function querying(sql: string, bound: readonly Bound[] = []): Readonly<Record<string, unknown>> {
  return {
    query: sql,
    useLegacySql: false,
    ...(bound.length === 0
      ? {}
      : {
          parameterMode: "NAMED",
          queryParameters: bound.map(({ name, type, value }) => ({
            name,
            parameterType: { type },
            parameterValue: { value: value === null ? null : String(value) },
          })),
        }),
  };
}
