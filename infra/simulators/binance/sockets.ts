// The exchange's WebSocket streams: raw and combined connections, subscriptions by message, pings that want an answer, and
// connections that end after a day.
import { type IncomingMessage } from "node:http";
import { type Duplex } from "node:stream";
import { WebSocket, WebSocketServer, type RawData } from "ws";
import { type BinanceFaults } from "../faults";
import { type FaultName, type Ledger } from "../ledger";
import { draw } from "../seeded";
import { refuseUpgrade } from "../simulator-server";
import { eventTexts, type Frame } from "./feed";

export interface SocketOptions {
  readonly ledger: Ledger;
  readonly faults: { readonly now: BinanceFaults };
  readonly seed: number;
  /** In milliseconds, as all that follows. */
  readonly pingInterval: number;
  /** How long a ping waits for its pong. */
  readonly pongTimeout: number;
  readonly connectionLifetime: number;
}

const MOST_STREAMS = 1024;
/** Messages of a client within a second: requests, pings, and pongs that nobody asked for. */
const MOST_MESSAGES = 5;
/** What waits for a client that does not read. */
const MOST_WAITING_BYTES = 4 * 1024 * 1024;
/** A client that does not answer a goodbye in this time is cut off. */
const CLOSE_PATIENCE = 1000;

const GOING_AWAY = 1001;
const POLICY = 1008;

export class Sockets {
  readonly #options: SocketOptions;
  readonly #server = new WebSocketServer({ noServer: true, maxPayload: 65_536, clientTracking: false });
  readonly #open = new Set<Connection>();
  #connections = 0;

  constructor(options: SocketOptions) {
    this.#options = options;
  }

  upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    const place = placeOf(request.url ?? "");
    if (place === null) return refuseUpgrade(socket, 404, { code: -1000, msg: "There is /ws and /stream here" });
    this.#server.handleUpgrade(request, socket, head, (client) => {
      const connection = new Connection(client, (this.#connections += 1), place, this.#options);
      this.#open.add(connection);
      client.once("close", () => this.#open.delete(connection));
    });
  }

  /** Sends a frame to everybody who wants its stream. */
  publish(frame: Frame): void {
    for (const connection of this.#open) connection.publish(frame);
  }

  /** Breaks all connections, without a goodbye; says how many. */
  cut(): number {
    const count = this.#open.size;
    for (const connection of this.#open) connection.cut("by order");
    return count;
  }

  /** Says goodbye as the exchange does before it goes down, and waits until all are gone. */
  async close(time: number): Promise<void> {
    const goodbye = eventTexts("!serverShutdown", { e: "serverShutdown", E: time });
    await Promise.all([...this.#open].map((connection) => connection.end(goodbye)));
  }
}

interface Place {
  readonly streams: readonly string[];
  /** Whether events are wrapped: {stream, data}. */
  readonly isCombined: boolean;
}

/** What a connection's address asks for; null when there is nothing there. */
function placeOf(url: string): Place | null {
  const [path = "", query = ""] = url.split("?", 2);
  const raw = /^\/ws(?:\/(.*))?$/.exec(path);
  if (raw !== null) return { streams: listed(decoded(raw[1] ?? "")), isCombined: false };
  if (!/^\/stream\/?$/.test(path)) return null;
  return { streams: listed(new URLSearchParams(query).get("streams") ?? ""), isCombined: true };
}

const listed = (streams: string): string[] => streams.split("/").filter((stream) => stream !== "");

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

class Connection {
  readonly #client: WebSocket;
  readonly #number: number;
  readonly #options: SocketOptions;
  /** Names nobody trades under are taken too, and stay silent. */
  readonly #streams: Set<string>;
  readonly #timers: NodeJS.Timeout[] = [];
  /** Payloads of pings without a pong, and what happens when none comes. */
  readonly #unanswered = new Map<string, NodeJS.Timeout>();
  #isCombined: boolean;
  #frames = 0;
  /** When the last messages came. */
  #messages: number[] = [];

  constructor(client: WebSocket, number: number, { streams, isCombined }: Place, options: SocketOptions) {
    this.#client = client;
    this.#number = number;
    this.#options = options;
    this.#streams = new Set(streams);
    this.#isCombined = isCombined;
    // A peer that breaks the protocol or the connection: the close that follows is enough.
    client.on("error", () => undefined);
    client.on("message", (data) => this.#take(data));
    client.on("ping", () => this.#count());
    client.on("pong", (payload) => this.#pong(payload.toString()));
    client.once("close", () => this.#stopTimers());
    let pings = 0;
    this.#timers.push(
      setInterval(() => this.#ping(`${number}.${(pings += 1)}`), options.pingInterval),
      setTimeout(() => this.#dismiss("end of life", GOING_AWAY, ""), options.connectionLifetime),
    );
    if (streams.length > MOST_STREAMS) this.#dismiss("too many messages", POLICY, "Too many streams");
  }

  publish(frame: Frame): void {
    if (!this.#streams.has(frame.stream) || this.#client.readyState !== WebSocket.OPEN) return;
    const { ledger, faults, seed } = this.#options;
    if (frame.fault !== null) ledger.fault(frame.fault, `connection ${this.#number}: ${frame.about}`);
    this.#client.send(this.#isCombined ? frame.wrapped : frame.raw);
    this.#frames += 1;
    const { disconnectEvery, disconnects } = faults.now;
    if (
      (disconnectEvery > 0 && this.#frames % disconnectEvery === 0) ||
      draw(seed, "disconnect", this.#number, this.#frames) < disconnects
    )
      this.cut(`after ${this.#frames} frames`);
    else if (this.#client.bufferedAmount > MOST_WAITING_BYTES) {
      ledger.fault("slow reader", `connection ${this.#number}`);
      this.#client.terminate();
    }
  }

  cut(why: string): void {
    this.#options.ledger.fault("disconnect", `connection ${this.#number}: ${why}`);
    this.#client.terminate();
  }

  async end(goodbye: { readonly raw: string; readonly wrapped: string }): Promise<void> {
    if (this.#client.readyState === WebSocket.CLOSED) return;
    const closed = new Promise<void>((resolve) => this.#client.once("close", () => resolve()));
    if (this.#client.readyState === WebSocket.OPEN) this.#client.send(this.#isCombined ? goodbye.wrapped : goodbye.raw);
    this.#goodbye(GOING_AWAY, "");
    await closed;
  }

  #dismiss(fault: FaultName, code: number, reason: string): void {
    if (this.#client.readyState !== WebSocket.OPEN) return;
    this.#options.ledger.fault(fault, `connection ${this.#number}`);
    this.#goodbye(code, reason);
  }

  /** Closes properly; a peer that does not do its part is cut off. */
  #goodbye(code: number, reason: string): void {
    this.#stopTimers();
    this.#client.close(code, reason);
    const patience = setTimeout(() => this.#client.terminate(), CLOSE_PATIENCE);
    this.#client.once("close", () => clearTimeout(patience));
  }

  #stopTimers(): void {
    for (const timer of [...this.#timers, ...this.#unanswered.values()]) clearTimeout(timer);
  }

  #ping(payload: string): void {
    if (this.#client.readyState !== WebSocket.OPEN) return;
    this.#client.ping(payload);
    this.#unanswered.set(
      payload,
      setTimeout(() => this.#dismiss("no pong", POLICY, "Pong timeout"), this.#options.pongTimeout),
    );
  }

  /** A pong answers the ping whose payload it has, and all before it. */
  #pong(payload: string): void {
    if (!this.#unanswered.has(payload)) return this.#count();
    for (const [ping, timer] of this.#unanswered) {
      clearTimeout(timer);
      this.#unanswered.delete(ping);
      if (ping === payload) return;
    }
  }

  /** Counts what a client sends of its own accord. */
  #count(): void {
    const now = performance.now();
    this.#messages = [...this.#messages.filter((time) => time > now - 1000), now];
    if (this.#messages.length > MOST_MESSAGES) this.#dismiss("too many messages", POLICY, "Too many requests");
  }

  #take(data: RawData): void {
    this.#count();
    if (this.#client.readyState !== WebSocket.OPEN) return;
    this.#client.send(JSON.stringify(this.#reply(textOf(data))));
  }

  #reply(text: string): object {
    let request: unknown;
    try {
      request = JSON.parse(text);
    } catch {
      return { code: 3, msg: "Invalid JSON: expected value at line 1 column 1" };
    }
    const invalid = (what: string) => ({ code: 2, msg: `Invalid request: ${what}` });
    if (typeof request !== "object" || request === null) return invalid("missing field `method`");
    const { method, params = [], id } = request as { method?: unknown; params?: unknown; id?: unknown };
    if (method === undefined) return invalid("missing field `method`");
    if (!isId(id)) return invalid("request ID must be an unsigned integer");
    if (!Array.isArray(params)) return invalid("params must be a list");
    switch (method) {
      case "SUBSCRIBE":
      case "UNSUBSCRIBE":
        if (params.length === 0 || !params.every((param) => typeof param === "string"))
          return invalid("params must be a list of stream names");
        if (method === "SUBSCRIBE") {
          if (new Set([...this.#streams, ...params]).size > MOST_STREAMS) return invalid("too many streams");
          for (const stream of params) this.#streams.add(stream);
        } else {
          for (const stream of params) this.#streams.delete(stream);
        }
        return { result: null, id };
      case "LIST_SUBSCRIPTIONS":
        return { result: [...this.#streams], id };
      case "SET_PROPERTY":
      case "GET_PROPERTY": {
        const [property, value] = params as unknown[];
        if (typeof property !== "string") return invalid("property name must be a string");
        if (property !== "combined") return { code: 0, msg: "Unknown property", id };
        if (method === "GET_PROPERTY") return { result: this.#isCombined, id };
        if (typeof value !== "boolean") return { code: 1, msg: "Invalid value type: expected Boolean" };
        this.#isCombined = value;
        return { result: null, id };
      }
      default:
        return invalid(
          `unknown variant ${JSON.stringify(method)}, expected one of \`SUBSCRIBE\`, \`UNSUBSCRIBE\`, \`LIST_SUBSCRIPTIONS\`, \`SET_PROPERTY\`, \`GET_PROPERTY\``,
        );
    }
  }
}

/** Null, a whole number or a short text. */
function isId(id: unknown): boolean {
  return id === null || Number.isSafeInteger(id) || (typeof id === "string" && /^[a-zA-Z0-9_-]{1,36}$/.test(id));
}

function textOf(data: RawData): string {
  return Array.isArray(data) ? Buffer.concat(data).toString() : Buffer.from(data as Buffer).toString();
}
