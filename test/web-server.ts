// A web server of a test's own: it answers as the test says, also as no server should.
import { once } from "node:events";
import http, { type IncomingMessage, type ServerResponse } from "node:http";
import { type AddressInfo, type Socket } from "node:net";

export type Answer = (request: IncomingMessage, response: ServerResponse) => void;

export interface WebServer {
  /** host:port */
  readonly host: string;
  /** What was asked for, in order. */
  readonly requests: readonly IncomingMessage[];
  /** How many connections were ever made. */
  readonly connections: number;
  readonly server: http.Server;
  /** From now on. */
  answer(answer: Answer): void;
}

/** Starts one before each test of the file and stops it afterwards. */
export function webServer(): WebServer {
  let answer: Answer = notThere;
  let requests: IncomingMessage[] = [];
  let connections = 0;
  const open = new Set<Socket>();
  let server = http.createServer();
  beforeEach(async () => {
    [answer, requests, connections] = [notThere, [], 0];
    server = http.createServer((request, response) => {
      requests.push(request);
      answer(request, response);
    });
    server.on("connection", (socket) => {
      connections += 1;
      open.add(socket);
      socket.on("close", () => open.delete(socket));
    });
    // A client that breaks off is part of the test.
    server.on("clientError", (_error, socket) => socket.destroy());
    await once(server.listen(0, "127.0.0.1"), "listening");
  });
  afterEach(async () => {
    // Those too that were upgraded, which the server itself forgets.
    for (const socket of open) socket.destroy();
    await new Promise((resolve) => server.close(resolve));
  });
  return {
    get host() {
      return `127.0.0.1:${(server.address() as AddressInfo).port}`;
    },
    get requests() {
      return requests;
    },
    get connections() {
      return connections;
    },
    get server() {
      return server;
    },
    answer: (next) => void (answer = next),
  };
}

const notThere: Answer = (_request, response) => void response.writeHead(404).end();

/** Answers one after the other; the last one again and again. */
export function inTurn(...answers: readonly Answer[]): Answer {
  let next = 0;
  return (request, response) => {
    answers[Math.min(next, answers.length - 1)]?.(request, response);
    next += 1;
  };
}

export const text =
  (body: string | Buffer, headers: Record<string, string> = {}, status = 200): Answer =>
  (_request, response) =>
    void response.writeHead(status, headers).end(body);

export const status = (code: number, headers: Record<string, string> = {}): Answer => text("", headers, code);
