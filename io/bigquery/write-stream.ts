// A stream of the Storage Write API: rows go into it at offsets, and all of them become visible at once, when it is committed.
import type * as Grpc from "@grpc/grpc-js";
import type * as Storage from "@google-cloud/bigquery-storage";
import { messageOf, UnavailableError } from "../../schema/errors";
import { pauseBefore, slept, type Backoff } from "../pause";
import { BigQueryFailure, mayPass, NOT_FOUND } from "./failures";
import { shownPlace, type BigQuerySettings } from "./settings";

type Client = Storage.v1.BigQueryWriteClient;
type Connection = ReturnType<Client["appendRows"]>;

/** One of gRPC's codes. */
const Code = {
  cancelled: 1,
  invalidArgument: 3,
  deadlineExceeded: 4,
  notFound: 5,
  alreadyExists: 6,
  permissionDenied: 7,
  resourceExhausted: 8,
  failedPrecondition: 9,
  unavailable: 14,
  unauthenticated: 16,
} as const;

const STATUS: Readonly<Record<number, readonly [status: number | null, reason: string]>> = {
  [Code.cancelled]: [503, "backendError"],
  [Code.invalidArgument]: [400, "invalid"],
  [Code.deadlineExceeded]: [null, "ETIMEDOUT"],
  [Code.notFound]: [404, "notFound"],
  [Code.permissionDenied]: [403, "accessDenied"],
  [Code.resourceExhausted]: [429, "rateLimitExceeded"],
  [Code.failedPrecondition]: [412, "invalid"],
  [Code.unavailable]: [null, "ECONNREFUSED"],
  [Code.unauthenticated]: [401, "authError"],
};

/** What an append, or a call, may take. */
const ANSWER_LIMIT = 60_000;
const BACKOFF: Backoff = { first: 250, longest: 8_000 };

/** What BigQuery has against one row of an append, of which it then took none. */
export interface RowError {
  readonly index: number;
  readonly message: string;
}

interface AppendAnswer {
  readonly error?: { readonly code?: number | null; readonly message?: string | null } | null;
  readonly rowErrors?: readonly { readonly index?: unknown; readonly message?: string | null }[] | null;
}

export class WriteStream {
  private connection: Connection | null = null;

  private constructor(
    private readonly client: Client,
    private readonly settings: BigQuerySettings,
    private readonly table: string,
    private readonly name: string,
    private readonly descriptor: unknown,
  ) {}

  /** Opens a stream of which nothing is seen until its commit. */
  static async open(settings: BigQuerySettings, table: string, descriptor: unknown): Promise<WriteStream> {
    const { project, dataset } = settings;
    const parent = `projects/${project}/datasets/${dataset}/tables/${table}`;
    const client = clientOf(settings);
    const name = await patiently(settings, "new table", async () => {
      const [stream] = await client.createWriteStream({ parent, writeStream: { type: "PENDING" } }, CALL);
      return stream.name ?? "";
    });
    return new WriteStream(client, settings, parent, name, descriptor);
  }

  /**
   * Puts rows at an offset. When an answer is lost they are sent again, and BigQuery knows by the offset whether it has
   * them. Where it refuses some of them, it says which, and none is taken.
   */
  async append(rows: readonly Uint8Array[], offset: number): Promise<readonly RowError[]> {
    return this.withStream(async () => {
      try {
        const { error, rowErrors } = await this.ask(rows, offset);
        if (error === null || error === undefined || error.code === Code.alreadyExists) return [];
        const refused = (rowErrors ?? []).map((one) => ({ index: Number(one.index), message: one.message ?? "" }));
        if (refused.length > 0) return refused;
        throw Object.assign(new Error(error.message ?? ""), { code: error.code });
      } catch (error) {
        this.disconnect();
        if ((error as { code?: unknown }).code === Code.alreadyExists) return [];
        throw error;
      }
    });
  }

  /** Makes all rows visible. */
  async commit(): Promise<void> {
    this.disconnect();
    const { client, name, table, settings } = this;
    await this.withStream(() => client.finalizeWriteStream({ name }, CALL));
    const [answer] = await this.withStream(() =>
      client.batchCommitWriteStreams({ parent: table, writeStreams: [name] }, CALL),
    );
    const [problem] = answer.streamErrors ?? [];
    // Its first answer was lost on the way.
    if (problem === undefined || String(problem.code) === "STREAM_ALREADY_COMMITTED") return;
    throw new UnavailableError(
      `${shownPlace(settings)} did not commit the rows that were sent (${problem.errorMessage ?? problem.code}): try again`,
    );
  }

  /** Does something with the stream; one that is gone took its rows with it. */
  private async withStream<T>(action: () => Promise<T>): Promise<T> {
    try {
      return await patiently(this.settings, "append", action);
    } catch (error) {
      if (!(error instanceof BigQueryFailure) || error.status !== NOT_FOUND) throw error;
      throw new UnavailableError(
        `${shownPlace(this.settings)} no longer has the rows that were sent for this batch (${error.message}): try again`,
      );
    }
  }

  /** Ends the call: destroyed alone, it would stay open at the other side for as long as this process lives. */
  disconnect(): void {
    const { connection } = this;
    this.connection = null;
    if (connection === null) return;
    connection.removeAllListeners();
    connection.on("error", () => undefined);
    connection.cancel();
  }

  private ask(rows: readonly Uint8Array[], offset: number): Promise<AppendAnswer> {
    const { client, name, descriptor } = this;
    const headers = { "x-goog-request-params": `write_stream=${encodeURIComponent(name)}` };
    const connection = (this.connection ??= client.appendRows({ otherArgs: { headers } }));
    return new Promise((resolve, reject) => {
      const end = (action: () => void) => {
        clearTimeout(timer);
        connection.removeAllListeners();
        // Said after the answer, it is found out by the next append.
        connection.on("error", () => (this.connection = null));
        action();
      };
      const timer = setTimeout(
        () => end(() => reject(Object.assign(new Error("no answer came"), { code: Code.deadlineExceeded }))),
        ANSWER_LIMIT,
      );
      connection.removeAllListeners();
      connection.once("data", (answer: AppendAnswer) => end(() => resolve(answer)));
      connection.once("error", (error: Error) => end(() => reject(error)));
      connection.once("end", () =>
        end(() => reject(Object.assign(new Error("the connection ended"), { code: Code.unavailable }))),
      );
      const protoRows = { writerSchema: { protoDescriptor: descriptor }, rows: { serializedRows: rows } };
      connection.write({ writeStream: name, offset: { value: offset }, protoRows });
    });
  }
}

const CALL = { timeout: ANSWER_LIMIT, maxRetries: 0 };

const clients = new Map<string, Client>();

function clientOf({ project, storageEmulator }: BigQuerySettings): Client {
  const key = JSON.stringify([project, storageEmulator]);
  let client = clients.get(key);
  if (client === undefined) {
    client = makeClient(project, storageEmulator);
    clients.set(key, client);
  }
  return client;
}

function makeClient(project: string, emulator: BigQuerySettings["storageEmulator"]): Client {
  /* eslint-disable @typescript-eslint/no-require-imports -- half a second that only those pay who use it */
  const { v1 } = require("@google-cloud/bigquery-storage") as typeof Storage;
  const { credentials } = require("@grpc/grpc-js") as typeof Grpc;
  /* eslint-enable @typescript-eslint/no-require-imports */
  if (emulator === null) return new v1.BigQueryWriteClient({ projectId: project });
  return new v1.BigQueryWriteClient({
    projectId: project,
    apiEndpoint: emulator.host,
    port: emulator.port,
    sslCreds: credentials.createInsecure(),
    // Nobody is asked who we are.
    auth: { getUniverseDomain: async () => "googleapis.com" } as never,
  });
}

/** Does it again, after a pause, while what fails may pass. A table that was just made may not be known everywhere yet. */
async function patiently<T>(
  { giveUp }: BigQuerySettings,
  what: "new table" | "append",
  action: () => Promise<T>,
): Promise<T> {
  const begin = performance.now();
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await action();
    } catch (error) {
      const failure = failureOfCall(error);
      const passes = mayPass(failure) || (what === "new table" && failure.status === NOT_FOUND);
      const pause = pauseBefore(attempt, BACKOFF);
      if (!passes || performance.now() - begin + pause > giveUp) throw failure;
      await slept(pause);
    }
  }
}

function failureOfCall(error: unknown): Error & BigQueryFailure {
  if (error instanceof BigQueryFailure) return error;
  const { code } = error as { code?: unknown };
  const message = messageOf(error).replace(/^\d+ [A-Z_]+: /, "");
  const [status, reason] = STATUS[Number(code)] ?? (typeof code === "number" ? [503, "backendError"] : [400, ""]);
  return new BigQueryFailure(message, status, reason);
}
