// What both simulators share: an HTTP server on this machine only, the faults of HTTP in front of what it serves, and the
// control endpoint under /_simulator.
import { createHash } from "node:crypto";
import http from "node:http";
import type net from "node:net";
import { type Duplex } from "node:stream";
import { z } from "zod";
import { positiveDuration } from "../../schema/duration";
import { codeOf, messageOf, RunError, UsageError } from "../../schema/errors";
import { type Faults, type HttpFaults } from "./faults";
import { type FaultName, type Ledger } from "./ledger";
import { draw } from "./seeded";

/** Nobody outside this machine shall take it for the real thing. */
const HOST = "127.0.0.1";
/** While there is an outage, the port is nobody's: how long it waits for one who took it. */
const PORT_PATIENCE = 10_000;
/** Nobody needs to say more to the control endpoint. */
const MOST_BYTES = 65_536;

export interface Asked {
  readonly method: string;
  readonly path: string;
  readonly query: URLSearchParams;
  /** Who asks, as far as limits are concerned. */
  readonly from: string;
}

export interface Answer {
  readonly status?: number;
  readonly json: unknown;
  /** Writes into the ledger what this answer gives away. Called only when it is really sent. */
  readonly record?: () => void;
}

/** What a simulator serves. */
export interface Service {
  answer(asked: Asked): Answer;
  /** What an answer with this status says. */
  problem(status: number, waitSeconds: number): unknown;
  /** Counts a request: headers that every answer has, and how long to wait when it is one too many. */
  weigh?(asked: Asked): { readonly headers: Readonly<Record<string, string>>; readonly waitSeconds: number | null };
  /** A request for a WebSocket. */
  upgrade?(request: http.IncomingMessage, socket: Duplex, head: Buffer): void;
  /** Further verbs of the control endpoint: POST /_simulator/<name>. */
  readonly controls?: Readonly<Record<string, (body: unknown) => unknown>>;
}

export interface ServerOptions {
  readonly service: Service;
  readonly faults: Pick<Faults<typeof HttpFaults>, "change"> & { readonly now: HttpFaults };
  readonly ledger: Ledger;
  readonly seed: number;
  /** 0 takes any that is free. */
  readonly port: number;
}

const Outage = z.object({ for: positiveDuration() });

export class SimulatorServer {
  /** Fulfilled when it was closed; rejected when it cannot go on. */
  readonly ended: Promise<void>;
  readonly #options: ServerOptions;
  readonly #server: http.Server;
  readonly #sockets = new Set<net.Socket>();
  readonly #sleeps = new Set<() => void>();
  #port = 0;
  #requests = 0;
  /** Until when everybody is told to wait, and by which status; by the machine's clock that never goes back. */
  #wait = { until: 0, status: 429 };
  #isClosed = false;
  #end: () => void = () => undefined;
  #failed: (error: unknown) => void = () => undefined;

  constructor(options: ServerOptions) {
    this.#options = options;
    this.ended = new Promise((resolve, reject) => {
      this.#end = resolve;
      this.#failed = reject;
    });
    this.#server = http.createServer((request, response) => this.#guard(() => this.#take(request, response)));
    this.#server.on("connection", (socket) => {
      this.#sockets.add(socket);
      socket.once("close", () => this.#sockets.delete(socket));
    });
    // A connection that cannot be accepted (no file descriptors left) must not end it. What is not HTTP gets Node's 400.
    this.#server.on("error", () => undefined);
    const { service } = options;
    if (service.upgrade !== undefined)
      this.#server.on("upgrade", (request: http.IncomingMessage, socket: Duplex, head: Buffer) =>
        this.#guard(() => this.#upgrade(request, socket, head)),
      );
  }

  get port(): number {
    return this.#port;
  }

  async start(): Promise<void> {
    await this.#listen(this.#options.port);
    this.#port = (this.#server.address() as net.AddressInfo).port;
  }

  /** Ends it because of an error that is nobody's request. */
  fail(error: unknown): void {
    this.#failed(error);
    void this.close();
  }

  /** Breaks all connections and takes no new ones for so long: whoever tries finds nobody listening. */
  async outage(milliseconds: number): Promise<void> {
    this.#options.ledger.fault("outage", `${milliseconds} ms`);
    if (this.#server.listening) this.#server.close();
    for (const socket of this.#sockets) socket.resetAndDestroy();
    const until = performance.now() + milliseconds;
    await this.#sleep(milliseconds);
    while (!this.#isClosed && !this.#server.listening) {
      try {
        await this.#listen(this.#port);
      } catch (error) {
        if (performance.now() > until + PORT_PATIENCE) {
          this.fail(error);
          return;
        }
        await this.#sleep(50);
      }
    }
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    for (const wake of this.#sleeps) wake();
    await new Promise<void>((resolve) => {
      if (this.#server.listening) this.#server.close(() => resolve());
      else resolve();
      for (const socket of this.#sockets) socket.destroy();
    });
    this.#end();
  }

  async #listen(port: number): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      const failed = (error: unknown) => {
        const why =
          codeOf(error) === "EADDRINUSE"
            ? "another program listens there: give another port, or none for any that is free"
            : messageOf(error);
        reject(new RunError(`Cannot listen on port ${port}: ${why}`, { cause: error }));
      };
      this.#server.once("error", failed);
      this.#server.listen({ port, host: HOST, exclusive: true }, () => {
        this.#server.off("error", failed);
        resolve();
      });
    });
  }

  /** A ledger that cannot be written ends the simulator: what it serves from now on, no test could know. */
  #guard(work: () => void | Promise<void>): void {
    Promise.resolve()
      .then(work)
      .catch((error: unknown) => this.fail(error));
  }

  #sleep(milliseconds: number): Promise<void> {
    if (this.#isClosed) return Promise.resolve();
    return new Promise((resolve) => {
      const wake = () => {
        clearTimeout(timer);
        this.#sleeps.delete(wake);
        resolve();
      };
      const timer = setTimeout(wake, milliseconds);
      this.#sleeps.add(wake);
    });
  }

  async #take(request: http.IncomingMessage, response: http.ServerResponse): Promise<void> {
    const asked = askedBy(request);
    if (asked.path === "/_simulator" || asked.path.startsWith("/_simulator/"))
      return this.#control(asked, request, response);
    const { service, ledger, seed, faults } = this.#options;
    ledger.count("request");
    const number = (this.#requests += 1);
    const about = `request ${number}: ${request.url ?? ""}`;
    const happens = (name: FaultName, share: number): boolean => {
      if (draw(seed, name, number) >= share) return false;
      ledger.fault(name, about);
      return true;
    };
    if (this.#turnedAway(about)) {
      request.socket.resetAndDestroy();
      return;
    }
    const { headers, waitSeconds } = service.weigh?.(asked) ?? { headers: {}, waitSeconds: null };
    const deny = (status: number, more: Record<string, string> = {}): void =>
      send(response, status, service.problem(status, Number(more["retry-after"] ?? 0)), { ...headers, ...more });
    const blocked = this.#blocked(about);
    if (blocked !== null) return deny(blocked);
    if (asked.method !== "GET" && asked.method !== "HEAD") return deny(405, { allow: "GET, HEAD" });

    const wait = (status: number, milliseconds: number): void => {
      this.#wait = { until: performance.now() + milliseconds, status };
      deny(status, { "retry-after": String(Math.ceil(milliseconds / 1000)) });
    };
    const rest = this.#wait.until - performance.now();
    if (rest > 0) {
      ledger.fault("too soon", about);
      return deny(this.#wait.status, { "retry-after": String(Math.ceil(rest / 1000)) });
    }
    if (waitSeconds !== null) {
      ledger.fault("too much weight", about);
      return wait(429, waitSeconds * 1000);
    }
    const now = faults.now;
    const retryAfter = Math.ceil(now.retryAfter / 1000) * 1000;
    if (happens("429", now.answer429)) return wait(429, retryAfter);
    if (happens("418", now.answer418)) return wait(418, retryAfter);
    if (happens("hanging", now.hanging)) return;
    if (now.slow > 0) await this.#sleep(now.slow);
    if (happens("5xx", now.answer5xx)) return deny([500, 502, 503, 504][Math.floor(draw(seed, number) * 4)] ?? 500);

    const { status = 200, json, record } = service.answer(asked);
    if (status !== 200) return send(response, status, json, headers);
    const text = JSON.stringify(json);
    if (happens("garbage answer", now.garbageAnswers)) {
      const kinds = ["<html>Bad Gateway</html>", text.slice(0, text.length / 2), "", '{"status":"ok"}'];
      return sendText(response, 200, kinds[Math.floor(draw(seed, "garbage", number) * 4)] ?? "", headers);
    }
    const tag = `W/"${createHash("sha1").update(text).digest("base64url")}"`;
    if ((request.headers["if-none-match"] ?? "").split(/\s*,\s*/).some((known) => known === tag || known === "*")) {
      response.writeHead(304, { ...headers, etag: tag }).end();
      return;
    }
    if (happens("cut", now.cut)) {
      const bytes = Buffer.from(text);
      response.writeHead(200, { ...headers, "content-type": JSON_TYPE, "content-length": bytes.length });
      response.write(bytes.subarray(0, bytes.length / 2), () => request.socket.destroy());
      return;
    }
    // Whoever asked may be gone by now.
    if (response.destroyed) return;
    if (asked.method === "GET") record?.();
    sendText(response, 200, text, { ...headers, etag: tag });
  }

  #upgrade(request: http.IncomingMessage, socket: Duplex, head: Buffer): void {
    const { service, ledger } = this.#options;
    ledger.count("connection");
    socket.on("error", () => socket.destroy());
    const about = `connection to ${request.url ?? ""}`;
    if (this.#turnedAway(about)) {
      (socket as net.Socket).resetAndDestroy();
      return;
    }
    const blocked = this.#blocked(about);
    if (blocked === null) return service.upgrade?.(request, socket, head);
    refuseUpgrade(socket, blocked, service.problem(blocked, 0));
  }

  /** Whether nobody is let in. */
  #turnedAway(about: string): boolean {
    if (!this.#options.faults.now.refuse) return false;
    this.#options.ledger.fault("refused", about);
    return true;
  }

  #blocked(about: string): 403 | 451 | null {
    const { answer403, answer451 } = this.#options.faults.now;
    const status = answer451 ? 451 : answer403 ? 403 : null;
    if (status !== null) this.#options.ledger.fault(`${status}`, about);
    return status;
  }

  async #control(asked: Asked, request: http.IncomingMessage, response: http.ServerResponse): Promise<void> {
    try {
      send(response, 200, await this.#obey(asked, request));
    } catch (error) {
      if (!(error instanceof UsageError)) throw error;
      send(response, 400, { error: error.message });
    }
  }

  async #obey({ method, path }: Asked, request: http.IncomingMessage): Promise<unknown> {
    const { faults, ledger, service } = this.#options;
    const verb = path.slice("/_simulator/".length);
    if (method === "GET" && verb === "faults") return faults.now;
    if (method === "GET" && verb === "ledger")
      return {
        settings: ledger.settings,
        counts: ledger.counts,
        forgotten: ledger.forgotten,
        entries: ledger.entries(),
      };
    const controls: Service["controls"] = {
      faults: (body) => faults.change(body as Partial<HttpFaults>),
      outage: (body) => {
        const checked = Outage.safeParse(body);
        if (!checked.success) throw new UsageError('An outage has a length: {"for": "3s"}');
        // After this answer: the one who asked for it is cut off as well.
        setImmediate(() => this.#guard(() => this.outage(checked.data.for)));
        return { outage: checked.data.for };
      },
      ...service.controls,
    };
    const control = method === "POST" ? controls[verb] : undefined;
    if (control !== undefined) {
      // A page in somebody's browser can send this too, but not without saying where it is from.
      if (request.headers.origin !== undefined) throw new UsageError("Pages in a browser do not control a simulator");
      return control(await bodyOf(request));
    }
    const gets = ["faults", "ledger"].map((name) => `GET /_simulator/${name}`);
    const posts = Object.keys(controls).map((name) => `POST /_simulator/${name}`);
    throw new UsageError(`There is no ${method} ${path}: there is ${[...gets, ...posts].join(", ")}`);
  }
}

function askedBy(request: http.IncomingMessage): Asked {
  // Not as a relative one: “//” would be taken for a host.
  const url = new URL(`http://${HOST}${request.url ?? "/"}`);
  return {
    method: request.method ?? "GET",
    path: url.pathname,
    query: url.searchParams,
    from: request.socket.remoteAddress ?? "",
  };
}

async function bodyOf(request: http.IncomingMessage): Promise<object> {
  let text = "";
  try {
    request.setEncoding("utf8");
    for await (const part of request as AsyncIterable<string>) {
      text += part;
      if (text.length > MOST_BYTES) break;
    }
    const body: unknown = JSON.parse(text === "" ? "{}" : text);
    if (typeof body === "object" && body !== null && !Array.isArray(body)) return body;
  } catch {
    // Said below.
  }
  throw new UsageError('The body must be a JSON object, such as {"garbage": 0.1}');
}

/** Answers a request for a WebSocket by HTTP, as one without. */
export function refuseUpgrade(socket: Duplex, status: number, json: unknown): void {
  const body = JSON.stringify(json);
  socket.end(
    [
      `HTTP/1.1 ${status} ${http.STATUS_CODES[status] ?? ""}`,
      `content-type: ${JSON_TYPE}`,
      `content-length: ${Buffer.byteLength(body)}`,
      "connection: close",
      "",
      body,
    ].join("\r\n"),
  );
}

const JSON_TYPE = "application/json;charset=UTF-8";

function send(
  response: http.ServerResponse,
  status: number,
  json: unknown,
  headers: Readonly<Record<string, string>> = {},
): void {
  sendText(response, status, JSON.stringify(json), headers);
}

function sendText(
  response: http.ServerResponse,
  status: number,
  text: string,
  headers: Readonly<Record<string, string>>,
): void {
  const length = Buffer.byteLength(text);
  response.writeHead(status, { "content-type": JSON_TYPE, "content-length": length, ...headers });
  response.end(text);
}
