// A search cluster: requests that are tried again while what fails may pass. The client is loaded when it is first needed.
import { createHash, randomUUID } from "node:crypto";
import { type ClientRequest } from "node:http";
import type * as Library from "@opensearch-project/opensearch";
import { UnavailableError } from "../../schema/errors";
import { pauseBefore, slept, type Backoff } from "../pause";
import { explainAnswer, explainLost, isBlocked, saidIn } from "./failures";
import { type SearchSettings } from "./options";

const BACKOFF: Backoff = { first: 100, longest: 5_000 };
/** Whoever only looks comes again by himself. */
const LOOK_MS = 5_000;
/** How long the server may go on with a request after its connection was lost. */
const SETTLE_MS = 30_000;

export interface Asked {
  readonly method: "GET" | "HEAD" | "PUT" | "POST" | "DELETE";
  readonly path: string;
  readonly query?: Readonly<Record<string, string>>;
  readonly body?: unknown;
  /** Lines of JSON, instead of a body. */
  readonly lines?: string;
  /** Refusals that are an answer to whoever asks. */
  readonly taken?: readonly number[];
}

export interface Answer<Body> {
  readonly status: number;
  readonly body: Body;
}

/** Clients, by what they need: connections are kept from batch to batch. Idle ones keep no process alive. */
const clients = new Map<string, Library.Client>();

function clientOf({ nodes, timeout, access }: SearchSettings): Library.Client {
  // A hash: a password in a key would turn up in whatever prints the map.
  const name = createHash("sha256")
    .update(JSON.stringify([nodes, timeout, access]))
    .digest("hex");
  const known = clients.get(name);
  if (known !== undefined) return known;
  // eslint-disable-next-line @typescript-eslint/no-require-imports -- loaded lazily, and synchronously so that jest can too
  const library = require("@opensearch-project/opensearch") as typeof Library;
  const { user, apiKey, certificates } = access;
  const client = new library.Client({
    nodes: [...nodes],
    Connection: quietConnection(library),
    requestTimeout: timeout,
    // What is tried again, and how long, is decided here.
    maxRetries: 0,
    ...(user === null ? {} : { auth: { ...user } }),
    ...(apiKey === null ? {} : { headers: { authorization: `ApiKey ${apiKey}` } }),
    ...(certificates === null ? {} : { ssl: { ca: certificates } }),
  });
  clients.set(name, client);
  return client;
}

/** The library prints what breaks behind an answer's head to stdout, which is for results. It is thrown as well. */
function quietConnection({ Connection }: typeof Library): typeof Library.Connection {
  type Requests = (options: unknown) => ClientRequest;
  return class extends Connection {
    constructor(...options: ConstructorParameters<typeof Library.Connection>) {
      super(...options);
      const own = this as unknown as { makeRequest: Requests };
      const { makeRequest } = own;
      own.makeRequest = (asked) => {
        const request = makeRequest(asked);
        // Its other listeners are added by “on”.
        request.addListener = () => request.on("error", () => undefined);
        return request;
      };
    }
  };
}

/** Ends all connections. */
export async function closeClients(): Promise<void> {
  const open = [...clients.values()];
  clients.clear();
  await Promise.all(open.map((client) => client.close()));
}

export class Cluster {
  private readonly client: Library.Client;

  constructor(
    readonly settings: SearchSettings,
    private readonly signal?: AbortSignal,
  ) {
    this.client = clientOf(settings);
  }

  get shown(): string {
    return this.settings.shown;
  }

  /** Asks once more after each failure that may pass, for some seconds: for what is only looked at. */
  look<Body>(asked: Asked): Promise<Answer<Body>> {
    return this.patiently(asked, Math.min(LOOK_MS, this.settings.giveUp));
  }

  /** Asks until it is done, or for as long as `give-up` says. */
  act<Body>(asked: Asked): Promise<Answer<Body>> {
    return this.patiently(asked, this.settings.giveUp);
  }

  private async patiently<Body>(asked: Asked, limit: number): Promise<Answer<Body>> {
    const patience = this.patience(limit);
    for (;;) {
      const { answer, failure } = await this.attempt<Body>(asked);
      if (answer !== null) return answer;
      await patience(failure);
    }
  }

  /** Answers with how to wait after a failure: it throws what does not pass, and what has not passed in time. */
  patience(limit = this.settings.giveUp): (failure: Error) => Promise<void> {
    const deadline = performance.now() + limit;
    let attempt = 0;
    return async (failure) => {
      attempt += 1;
      const pause = pauseBefore(attempt, BACKOFF);
      if (!(failure instanceof UnavailableError) || performance.now() + pause > deadline) throw failure;
      if (!(await slept(pause, this.signal))) throw failure;
    };
  }

  private async attempt<Body>(
    asked: Asked,
  ): Promise<{ answer: Answer<Body>; failure: null } | { answer: null; failure: Error }> {
    const { method, path, query, body, lines, taken = [] } = asked;
    const opaqueId = `beamline-${randomUUID()}`;
    try {
      const { statusCode, body: given } = (await this.client.transport.request(
        { method, path, querystring: query, ...(lines === undefined ? { body: body as string } : { bulkBody: lines }) },
        { opaqueId },
      )) as { readonly statusCode: number | null; readonly body: unknown };
      return { answer: { status: statusCode ?? 0, body: given as Body }, failure: null };
    } catch (error) {
      const { statusCode: status, body: said } = error as { statusCode?: number; body?: unknown };
      if (typeof status !== "number") {
        // Still at work on it, the server would put old rows over what is written next.
        if (lines !== undefined) await this.untilSettled(opaqueId);
        return { answer: null, failure: explainLost(error, this.settings) };
      }
      if (taken.includes(status) && !isBlocked(saidIn(said).type))
        return { answer: { status, body: said as Body }, failure: null };
      return { answer: null, failure: explainAnswer(status, said, this.settings) };
    }
  }

  /** Waits until the server does not work on a request any more that has lost its connection, as far as it says so. */
  private async untilSettled(opaqueId: string): Promise<void> {
    const deadline = performance.now() + SETTLE_MS;
    for (let attempt = 1; performance.now() < deadline; attempt += 1) {
      let nodes: Record<string, { tasks: Record<string, { headers?: Record<string, string> }> }>;
      try {
        const querystring = { actions: "indices:data/write/bulk*" };
        const answer = await this.client.transport.request({ method: "GET", path: "/_tasks", querystring });
        ({ nodes } = answer.body as { nodes: typeof nodes });
      } catch {
        // It is down, or this user may not see it.
        return;
      }
      const tasks = Object.values(nodes).flatMap((node) => Object.values(node.tasks));
      if (!tasks.some(({ headers }) => headers?.["X-Opaque-Id"] === opaqueId)) return;
      if (!(await slept(pauseBefore(attempt, BACKOFF), this.signal))) return;
    }
  }
}
