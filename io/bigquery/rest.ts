// BigQuery's REST interface. Google's client is asked for credentials only: its own requests are tried again without a word,
// and hide a part of what the service answers.
import { open } from "node:fs/promises";
import type * as Client from "@google-cloud/bigquery";
import { pauseBefore, slept, type Backoff } from "../pause";
import { BigQueryFailure, CONFLICT, CREDENTIALS, failureOf, isLost, mayPass, NOT_FOUND } from "./failures";
import { type BigQuerySettings } from "./settings";

const GOOGLE = "https://bigquery.googleapis.com";
/** One request, but no file that is sent, may take so long. */
const REQUEST_LIMIT = 60_000;
/** A line that brings less than this in a second is taken for broken. */
const SLOWEST_UPLOAD = 50_000;
/** A file is sent in pieces, so that memory holds no more of it than this. */
const PIECE = 16 * 1024 * 1024;
const MORE_PLEASE = 308;
const BACKOFF: Backoff = { first: 250, longest: 8_000 };

export interface Request {
  readonly method: "GET" | "POST" | "DELETE";
  /** Behind the project, such as /datasets. */
  readonly path: string;
  readonly query?: Readonly<Record<string, string | number | boolean>>;
  readonly body?: unknown;
  readonly signal?: AbortSignal;
}

/** One request as it goes out, once. */
interface Sending {
  readonly method: string;
  readonly url: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Uint8Array<ArrayBuffer>;
  readonly limit?: number;
  readonly signal?: AbortSignal;
}

export class Rest {
  private readonly base: string;

  constructor(readonly settings: BigQuerySettings) {
    this.base = settings.emulator ?? GOOGLE;
  }

  /** Throws a BigQueryFailure, or the signal's reason. */
  async ask<Answer>({ method, path, query = {}, body, signal }: Request): Promise<Answer> {
    const parameters = Object.entries(query).map(([name, value]) => `${name}=${encodeURIComponent(value)}`);
    const url = `${this.base}/bigquery/v2/projects/${this.settings.project}${path}`;
    return this.patiently(async () => {
      const response = await this.send({
        method,
        url: parameters.length === 0 ? url : `${url}?${parameters.join("&")}`,
        ...(body === undefined ? {} : { body: JSON.stringify(body), headers: JSON_BODY }),
        signal,
      });
      return (await answerOf(response)) as Answer;
    }, signal);
  }

  /** As ask(), but null where there is no such thing. */
  async find<Answer>(request: Request): Promise<Answer | null> {
    return this.askUnless<Answer>(NOT_FOUND, request);
  }

  /** As ask(), but null where there is one already. */
  async make<Answer>(request: Request): Promise<Answer | null> {
    return this.askUnless<Answer>(CONFLICT, request);
  }

  /** Begins a job that takes a file, and sends that. */
  async upload<Answer>(file: string, bytes: number, job: unknown): Promise<Answer> {
    const url = `${this.base}/upload/bigquery/v2/projects/${this.settings.project}/jobs?uploadType=resumable`;
    const headers = {
      ...JSON_BODY,
      "X-Upload-Content-Type": "application/octet-stream",
      "X-Upload-Content-Length": String(bytes),
    };
    // From the beginning, when it breaks off: whether the job was begun, its name tells.
    return this.patiently(async () => {
      const begun = await this.send({ method: "POST", url, headers, body: JSON.stringify(job) });
      const session = begun.headers.get("location");
      if (session === null) throw new BigQueryFailure("an upload began without an address to send to", 502, "");
      await begun.arrayBuffer();
      return (await this.sendPieces(session, file, bytes)) as Answer;
    });
  }

  private async sendPieces(session: string, file: string, bytes: number): Promise<unknown> {
    const handle = await open(file);
    try {
      const buffer = new Uint8Array(Math.min(PIECE, bytes));
      for (let from = 0; ;) {
        const { bytesRead } = await handle.read(buffer, 0, buffer.length, from);
        const to = from + bytesRead;
        const response = await this.send({
          method: "PUT",
          url: session,
          headers: { "Content-Range": `bytes ${from}-${to - 1}/${bytes}` },
          body: buffer.subarray(0, bytesRead),
          limit: REQUEST_LIMIT + (bytesRead / SLOWEST_UPLOAD) * 1000,
        });
        if (response.status !== MORE_PLEASE) return await answerOf(response);
        await response.arrayBuffer();
        if (bytesRead === 0) throw new BigQueryFailure("a file was sent whole, and more was asked for", 502, "");
        from = to;
      }
    } finally {
      await handle.close();
    }
  }

  private async askUnless<Answer>(status: number, request: Request): Promise<Answer | null> {
    try {
      return await this.ask<Answer>(request);
    } catch (error) {
      if (error instanceof BigQueryFailure && error.status === status) return null;
      throw error;
    }
  }

  private async send({ method, url, headers, body, limit = REQUEST_LIMIT, signal }: Sending): Promise<Response> {
    const credentials = this.settings.emulator === null ? await credentialsOf(this.settings.project, url) : {};
    const end = AbortSignal.timeout(Math.ceil(limit));
    const response = await fetch(url, {
      method,
      headers: { ...credentials, ...headers },
      body,
      redirect: "manual",
      signal: signal === undefined ? end : AbortSignal.any([end, signal]),
    });
    if (response.ok || response.status === MORE_PLEASE) return response;
    throw refusalOf(response.status, await response.text());
  }

  /** Does it again, after a pause, while what fails may pass. */
  private async patiently<T>(action: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    const begin = performance.now();
    for (let attempt = 1; ; attempt += 1) {
      signal?.throwIfAborted();
      try {
        return await action();
      } catch (error) {
        signal?.throwIfAborted();
        const failure = failureOf(error);
        const pause = pauseBefore(attempt, BACKOFF);
        if (!mayPass(failure) || performance.now() - begin + pause > this.settings.giveUp) throw failure;
        await slept(pause, signal);
      }
    }
  }
}

const JSON_BODY = { "Content-Type": "application/json" };

async function answerOf(response: Response): Promise<unknown> {
  const text = await response.text();
  return text === "" ? {} : (JSON.parse(text) as unknown);
}

interface ErrorBody {
  readonly error?: {
    readonly message?: string;
    readonly errors?: readonly { readonly reason?: string; readonly message?: string }[];
  };
}

function refusalOf(status: number, text: string): BigQueryFailure {
  let said: ErrorBody = {};
  try {
    said = JSON.parse(text) as ErrorBody;
  } catch {
    // Whatever stands between us and BigQuery answers in a form of its own.
  }
  const first = said.error?.errors?.[0];
  const message = said.error?.message ?? first?.message ?? (text.slice(0, 200) || `HTTP ${status}`);
  return new BigQueryFailure(message, status, first?.reason ?? "");
}

const clients = new Map<string, Client.BigQuery>();

/** The headers that say who asks. Tokens are kept until they end. */
async function credentialsOf(project: string, url: string): Promise<Record<string, string>> {
  let client = clients.get(project);
  if (client === undefined) {
    // eslint-disable-next-line @typescript-eslint/no-require-imports -- a tenth of a second that only those pay who use it
    const { BigQuery } = require("@google-cloud/bigquery") as typeof Client;
    client = new BigQuery({ projectId: project });
    clients.set(project, client);
  }
  try {
    const headers = new Headers(await client.authClient.getRequestHeaders(url));
    return Object.fromEntries(headers.entries());
  } catch (error) {
    const failure = failureOf(error);
    throw isLost(failure) ? failure : new BigQueryFailure(failure.message, null, CREDENTIALS);
  }
}
