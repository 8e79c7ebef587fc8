// A WebSocket server of a test's own, at the web server of the test.
import { type IncomingMessage } from "node:http";
import { type Socket } from "node:net";
import { WebSocketServer, type WebSocket } from "ws";
import { type WebServer } from "./web-server";

export interface Caller {
  readonly client: WebSocket;
  readonly request: IncomingMessage;
  /** The connection under it, for what no WebSocket would do. */
  readonly socket: Socket;
  /** Which one it is: 1, 2, … */
  readonly number: number;
  /** What it has sent. */
  readonly said: string[];
}

export interface SocketServer {
  /** All that were ever connected, in order. */
  readonly callers: readonly Caller[];
  /** From now on: what happens to one who connects. */
  greet(greeting: (caller: Caller) => void): void;
}

/** Takes WebSocket connections at the server, in each test of the file. */
export function socketServer(web: WebServer, options: { readonly autoPong?: boolean } = {}): SocketServer {
  let greeting: (caller: Caller) => void = () => undefined;
  let callers: Caller[] = [];
  beforeEach(() => {
    greeting = () => undefined;
    callers = [];
    const sockets = new WebSocketServer({ server: web.server, ...options });
    sockets.on("connection", (client, request) => {
      const caller: Caller = { client, request, socket: request.socket, number: callers.length + 1, said: [] };
      client.on("error", () => undefined);
      client.on("message", (bytes: Buffer) => caller.said.push(bytes.toString()));
      callers.push(caller);
      greeting(caller);
    });
  });
  return {
    get callers() {
      return callers;
    },
    greet: (next) => void (greeting = next),
  };
}
