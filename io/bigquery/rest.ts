// BigQuery's REST interface through Google's client, which knows how to authenticate. What may pass is asked again here,
// since the client neither says that it does so nor when it gives up.
import type * as Client from "@google-cloud/bigquery";
import { pauseBefore, slept, type Backoff } from "../pause";
import { CONFLICT, failureOf, mayPass, NOT_FOUND, type BigQueryFailure } from "./failures";
import { type BigQuerySettings } from "./settings";

/** One request, but no file that is sent, may take so long. */
const REQUEST_LIMIT = 60_000;
/** A line that brings less than this in a second is taken for broken. */
const SLOWEST_UPLOAD = 50_000;
const BACKOFF: Backoff = { first: 250, longest: 8_000 };

export interface Request {
  readonly method: "GET" | "POST" | "DELETE";
  /** Behind the project, such as /datasets. */
  readonly path: string;
  readonly query?: Readonly<Record<string, string | number | boolean>>;
  readonly body?: unknown;
  readonly signal?: AbortSignal;
}

/** What an emulator gets where Google would get a token. */
const NOBODY = { getRequestHeaders: async () => new Headers() };

export class Rest {
  private made: Client.BigQuery | null = null;

  constructor(readonly settings: BigQuerySettings) {}

  /** Throws a BigQueryFailure, or the signal's reason. */
  async ask<Answer>({ method, path, query, body, signal }: Request): Promise<Answer> {
    return this.patiently(
      () =>
        new Promise<Answer>((resolve, reject) => {
          const request = { method, uri: path, qs: query, json: body, headers: {} };
          this.client().request(request, (error, answer) => {
            if (error !== null) reject(error);
            else resolve(answer as Answer);
          });
        }),
      signal,
    );
  }

  /** As ask(), but null where there is no such thing. */
  async find<Answer>(request: Request): Promise<Answer | null> {
    try {
      return await this.ask<Answer>(request);
    } catch (error) {
      if ((error as BigQueryFailure).status === NOT_FOUND) return null;
      throw error;
    }
  }

  /** As ask(), but null where there is one already. */
  async make<Answer>(request: Request): Promise<Answer | null> {
    try {
      return await this.ask<Answer>(request);
    } catch (error) {
      if ((error as BigQueryFailure).status === CONFLICT) return null;
      throw error;
    }
  }

  /** Sends a file and begins the load job that takes it. */
  async upload<Answer>(file: string, bytes: number, load: Upload): Promise<Answer> {
    const { dataset } = this.settings;
    const limit = REQUEST_LIMIT + (bytes / SLOWEST_UPLOAD) * 1000;
    const { location, table, jobId, ...metadata } = load;
    return this.patiently(async () => {
      const target = this.client().dataset(dataset, { location }).table(table);
      target.location = location;
      const [, answer] = await within(limit, target.createLoadJob(file, { ...metadata, jobId }));
      return answer as Answer;
    });
  }

  /** Does it again, after a pause, while what fails may pass. */
  private async patiently<T>(action: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    const begin = performance.now();
    for (let attempt = 1; ; attempt += 1) {
      signal?.throwIfAborted();
      try {
        return await action();
      } catch (error) {
        const failure = failureOf(error);
        const pause = pauseBefore(attempt, BACKOFF);
        if (!mayPass(failure) || performance.now() - begin + pause > this.settings.giveUp) throw failure;
        await slept(pause, signal);
      }
    }
  }

  private client(): Client.BigQuery {
    this.made ??= makeClient(this.settings);
    return this.made;
  }
}

export interface Upload {
  readonly table: string;
  readonly location: string;
  readonly jobId: string;
  readonly sourceFormat: "PARQUET";
  readonly writeDisposition: "WRITE_TRUNCATE";
  readonly createDisposition: "CREATE_NEVER";
}

function makeClient({ project, emulator }: BigQuerySettings): Client.BigQuery {
  // eslint-disable-next-line @typescript-eslint/no-require-imports -- a tenth of a second that only those pay who use it
  const { BigQuery } = require("@google-cloud/bigquery") as typeof Client;
  const options = { projectId: project, autoRetry: false, maxRetries: 0, timeout: REQUEST_LIMIT };
  if (emulator === null) return new BigQuery(options);
  const authClient = NOBODY as unknown as NonNullable<Client.BigQueryOptions["authClient"]>;
  const client = new BigQuery({ ...options, apiEndpoint: emulator, authClient });
  // The client itself takes BIGQUERY_EMULATOR_HOST for the whole address, path and all.
  client.baseUrl = `${emulator}/bigquery/v2`;
  return client;
}

async function within<T>(milliseconds: number, work: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const limit = new Promise<never>((_, reject) => {
    timer = setTimeout(
      () => reject(Object.assign(new Error("sending a file took too long"), { code: "ETIMEDOUT" })),
      milliseconds,
    );
  });
  try {
    return await Promise.race([work, limit]);
  } finally {
    clearTimeout(timer);
  }
}
