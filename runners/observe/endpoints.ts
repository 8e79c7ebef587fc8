// What a running job tells over HTTP: that it lives, whether it is ready, and its metrics.
import http from "node:http";
import { type AddressInfo } from "node:net";
import { codeOf, RunError, UsageError } from "../../schema/errors";
import { formatAddress, parseListenAddress, type ListenAddress } from "./listen-address";
import { type Metrics } from "./metrics";
import { type Readiness } from "./readiness";
import { sentenceOf } from "./safe-text";

/** Path → what it answers; for the docs too. */
export const ENDPOINTS = {
  "/ping": "200 `pong`, as soon as the job's process listens",
  "/ready":
    "200 when every source and sink was reached, the sources answer and the last batch did not fail, else 503; a JSON object says what is missing, or the last error",
  "/metrics": "the metrics below, in Prometheus' text form",
} as const;

type Path = keyof typeof ENDPOINTS;

export interface EndpointsRequest {
  /** A port, host:port or [::1]:port; 127.0.0.1 unless a host is given; port 0 takes a free one. */
  readonly listen: string;
  readonly metrics: Pick<Metrics, "text" | "contentType">;
  readonly readiness: Readiness;
}

export interface Endpoints {
  /** Where it really listens. */
  readonly address: ListenAddress;
  readonly url: string;
  /** Also ends connections that are open. */
  close(): Promise<void>;
}

/** A client gets this long for its headers, and for all of its request. None of them needs more than a moment. */
const LONGEST_HEADERS_MS = 5_000;
const LONGEST_REQUEST_MS = 10_000;
const LIMITS: http.ServerOptions = {
  headersTimeout: LONGEST_HEADERS_MS,
  requestTimeout: LONGEST_REQUEST_MS,
  keepAliveTimeout: 5_000,
  // Node looks for connections that are over their time only so often: every 30 s unless told.
  connectionsCheckingInterval: 1_000,
  maxHeaderSize: 8_192,
};
const MOST_CONNECTIONS = 100;

interface Answer {
  readonly status: number;
  readonly type: string;
  readonly body: string;
  readonly headers?: http.OutgoingHttpHeaders;
}

export async function startEndpoints({ listen, metrics, readiness }: EndpointsRequest): Promise<Endpoints> {
  const wanted = parseListenAddress(listen);
  const server = http.createServer(LIMITS, (request, response) => {
    answer(request, metrics, readiness)
      .catch((error: unknown) => plain(500, sentenceOf(error)))
      .then((given) => send(response, given))
      // Whoever asked is gone.
      .catch(() => response.destroy());
  });
  server.maxConnections = MOST_CONNECTIONS;
  await listening(server, wanted);
  // A connection that cannot be accepted (no file descriptors left) must not end the job.
  server.on("error", () => {});
  // Looking at a job is no reason for its process to live on.
  server.unref();
  const { address: host, port } = server.address() as AddressInfo;
  const address = { host, port };
  return { address, url: `http://${formatAddress(address)}`, close: () => closed(server) };
}

async function answer(
  { method, url = "" }: http.IncomingMessage,
  metrics: EndpointsRequest["metrics"],
  readiness: Readiness,
): Promise<Answer> {
  const path = url.split("?", 1)[0] ?? "";
  if (!isPath(path)) return plain(404, `There is nothing here. There is: ${Object.keys(ENDPOINTS).join(", ")}`);
  if (method !== "GET" && method !== "HEAD") return plain(405, "Only GET and HEAD", { allow: "GET, HEAD" });
  switch (path) {
    case "/ping":
      return plain(200, "pong");
    case "/ready": {
      const state = readiness.state();
      return { status: state.ready ? 200 : 503, type: "application/json", body: `${JSON.stringify(state)}\n` };
    }
    case "/metrics":
      return { status: 200, type: metrics.contentType, body: await metrics.text() };
  }
}

const isPath = (path: string): path is Path => Object.hasOwn(ENDPOINTS, path);

function plain(status: number, text: string, headers: http.OutgoingHttpHeaders = {}): Answer {
  return { status, type: "text/plain; charset=utf-8", body: status === 200 ? text : `${text}\n`, headers };
}

function send(response: http.ServerResponse, { status, type, body, headers }: Answer): void {
  response.writeHead(status, {
    "content-type": type,
    "content-length": Buffer.byteLength(body),
    "cache-control": "no-store",
    "x-content-type-options": "nosniff",
    // What came with another method, maybe an endless body, is not read.
    ...(status === 405 ? { connection: "close" } : {}),
    ...headers,
  });
  response.end(body);
}

async function listening(server: http.Server, wanted: ListenAddress): Promise<void> {
  try {
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      server.listen(wanted, () => {
        server.off("error", reject);
        resolve();
      });
    });
  } catch (error) {
    const remedy = remedyFor(error);
    const failed = `Cannot listen on ${formatAddress(wanted)}: ${remedy ?? sentenceOf(error)}`;
    throw remedy === null ? new RunError(failed, { cause: error }) : new UsageError(failed, { cause: error });
  }
}

/** What is wrong with the address; null when it is not the address. */
function remedyFor(error: unknown): string | null {
  switch (codeOf(error)) {
    case "EADDRINUSE":
      return "another process listens there; choose another port, or 0 for any that is free";
    case "EADDRNOTAVAIL":
    case "EINVAL":
      return "that is not an address of this machine; leave the host out for 127.0.0.1";
    case "ENOTFOUND":
    case "EAI_AGAIN":
      return "the host is not known; leave it out for 127.0.0.1";
    case "EACCES":
      return "this user may not; choose a port of 1024 or above";
    default:
      return null;
  }
}

async function closed(server: http.Server): Promise<void> {
  await new Promise<void>((resolve) => {
    server.close(() => resolve());
    server.closeAllConnections();
  });
}
