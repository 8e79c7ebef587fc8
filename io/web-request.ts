// One GET request: bounded in time, in bytes and in redirects. What a server does beyond that ends the request, not us.
import http, { type IncomingMessage } from "node:http";
import https from "node:https";
import { pipeline, type Readable } from "node:stream";
import zlib from "node:zlib";
import { RunError, UsageError } from "../schema/errors";
import { type Access } from "./web-access";
import { explainFailure, silentFor } from "./web-failures";
import { shownUrl } from "./web-url";

const MOST_REDIRECTS = 5;
const REDIRECTS = [301, 302, 303, 307, 308];
/** A server's clock that is further off than this does not say when it answered. */
const MOST_CLOCK_ERROR = 86_400_000;

export interface WebRequest {
  readonly url: URL;
  readonly access: Access;
  /** Beside those of the access. */
  readonly headers?: Readonly<Record<string, string>>;
  /** From the first try to connect to the last byte, redirects too. */
  readonly timeout: number;
  /** Of the body, when it is unpacked. */
  readonly mostBytes: number;
  readonly signal?: AbortSignal;
}

export interface WebAnswer {
  readonly status: number;
  readonly headers: http.IncomingHttpHeaders;
  readonly body: Buffer;
  /** Where the answer came from in the end. */
  readonly url: URL;
  /** When it was given, in milliseconds. */
  readonly at: number;
}

/** The answer, whatever its status is; throws when none came. */
export async function ask(request: WebRequest): Promise<WebAnswer> {
  const { signal, timeout } = request;
  signal?.throwIfAborted();
  const ending = new AbortController();
  const stop = () => ending.abort(signal?.reason);
  signal?.addEventListener("abort", stop);
  const clock = setTimeout(() => ending.abort(silentFor(request.url, timeout)), timeout);
  try {
    return await follow(request, ending.signal);
  } catch (error) {
    if (ending.signal.aborted) throw ending.signal.reason;
    throw explainFailure(error, request.url);
  } finally {
    clearTimeout(clock);
    signal?.removeEventListener("abort", stop);
    // Whatever is still open of it.
    ending.abort();
  }
}

async function follow(request: WebRequest, signal: AbortSignal): Promise<WebAnswer> {
  let { url } = request;
  for (let redirects = 0; ; redirects += 1) {
    const incoming = await send(url, { ...request.access(url), ...request.headers }, signal);
    const { statusCode: status = 0, headers } = incoming;
    if (!REDIRECTS.includes(status) || headers.location === undefined) {
      const body = await bodyOf(incoming, url, request.mostBytes);
      return { status, headers, body, url, at: timeOf(headers.date) };
    }
    incoming.destroy();
    if (redirects === MOST_REDIRECTS)
      throw new RunError(
        `${shownUrl(request.url)} sends from one address to the next more than ${MOST_REDIRECTS} times`,
      );
    url = redirected(url, headers.location);
  }
}

/** Where a redirect leads, if it may be followed. */
export function redirected(from: URL, location: string): URL {
  const to = URL.canParse(location, from.href) ? new URL(location, from) : null;
  if (to === null || (to.protocol !== "http:" && to.protocol !== "https:"))
    throw new RunError(`${shownUrl(from)} sends to an address that is none of the web`);
  if (from.protocol === "https:" && to.protocol === "http:")
    throw new RunError(
      `${shownUrl(from)} sends to ${shownUrl(to)}, which is not encrypted: it is not followed; name it yourself if it is meant`,
    );
  to.username = "";
  to.password = "";
  return to;
}

function send(url: URL, headers: Readonly<Record<string, string>>, signal: AbortSignal): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const { request } = url.protocol === "https:" ? https : http;
    const own = { accept: "application/json, */*", "accept-encoding": "gzip, br", "user-agent": "beamline" };
    const outgoing = request(url, { headers: { ...own, ...headers }, signal });
    // Also after the answer has begun: nobody else listens.
    outgoing.on("response", resolve).on("error", reject);
    outgoing.end();
  });
}

/** Empty where the status says that it is not what was asked for. */
async function bodyOf(incoming: IncomingMessage, url: URL, most: number): Promise<Buffer> {
  const { statusCode: status = 0 } = incoming;
  if (status >= 200 && status <= 299 && status !== 204) return wholeBody(incoming, url, most);
  // These have none, and when that is seen, their connection can be used again.
  if (status === 304 || status === 204) for await (const chunk of incoming) void chunk;
  else incoming.destroy();
  return Buffer.alloc(0);
}

async function wholeBody(incoming: IncomingMessage, url: URL, most: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of unpacked(incoming, url) as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > most) {
      incoming.destroy();
      throw new RunError(`${shownUrl(url)} answers with more than ${most} bytes: raise max-bytes, or ask for less`);
    }
    chunks.push(chunk);
  }
  return Buffer.concat(chunks, bytes);
}

function unpacked(incoming: IncomingMessage, url: URL): Readable {
  const encoding = incoming.headers["content-encoding"]?.trim().toLowerCase() ?? "";
  switch (encoding) {
    case "":
    case "identity":
      return incoming;
    case "gzip":
    case "x-gzip":
    case "br": {
      const unpack = encoding === "br" ? zlib.createBrotliDecompress() : zlib.createGunzip();
      // What fails is told to whoever reads the unpacked bytes.
      return pipeline(incoming, unpack, () => undefined);
    }
    default:
      incoming.destroy();
      throw new UsageError(
        `${shownUrl(url)} packs its answer by “${encoding}”, which nobody asked for and is not known here`,
      );
  }
}

function timeOf(date: string | undefined): number {
  const now = Date.now();
  const said = date === undefined ? Number.NaN : Date.parse(date);
  return Math.abs(said - now) <= MOST_CLOCK_ERROR ? said : now;
}
