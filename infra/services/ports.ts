// Ports of this machine, and what is said on the command line about them.
import net from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { suggestion } from "../../io/address";
import { RunError, UsageError } from "../../schema/errors";
import { HOST, serviceNames, type ServiceName } from "./server-kind";

/** Whether a server could listen there now. */
export function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = net.createServer();
    server.once("error", () => resolve(false));
    server.listen({ port, host: HOST, exclusive: true }, () => server.close(() => resolve(true)));
  });
}

/**
 * Where free ports are looked for: below those that systems give to clients. A client that tries a server's port again and
 * again while that is away could be given the same one, and would be connected with itself.
 */
const FIRST_PORT = 10_240;
const LAST_PORT = 32_767;
const TRIES = 200;

/** A port that nobody uses at the moment; the first of `count` that follow each other. */
export async function freePort(count = 1): Promise<number> {
  for (let tries = 0; tries < TRIES; tries += 1) {
    const port = FIRST_PORT + Math.floor(Math.random() * (LAST_PORT - FIRST_PORT + 2 - count));
    if ((await firstTaken(port, count)) === null) return port;
  }
  throw new RunError(`No port from ${FIRST_PORT} to ${LAST_PORT} is free on this machine`);
}

async function firstTaken(first: number, count: number): Promise<number | null> {
  for (let port = first; port < first + count; port += 1) if (!(await isFree(port))) return port;
  return null;
}

/** Whether something listens there: less than ready, but quickly asked. */
export function isListening(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = net.connect({ port, host: HOST });
    const answer = (listening: boolean) => {
      socket.destroy();
      resolve(listening);
    };
    socket.setTimeout(1000, () => answer(false));
    socket.once("connect", () => answer(true));
    socket.once("error", () => answer(false));
  });
}

/** A large process that was killed is gone for whoever looks before the system has closed what it had open. */
const LETTING_GO_MS = 5_000;

export interface PortWishes {
  readonly given?: number | undefined;
  /** The one it had before: clients know it, so no other is taken silently. */
  readonly recorded?: number | undefined;
  readonly usual: number;
  /** How many follow each other from there. */
  readonly count: number;
}

/** The port for a start: the given one, else the one it had, else the usual one when free, else any. */
export async function choosePort(name: ServiceName, wishes: PortWishes): Promise<number> {
  const { given, recorded, usual, count } = wishes;
  const fixed = given ?? recorded;
  const until = performance.now() + (given === undefined && recorded !== undefined ? LETTING_GO_MS : 0);
  let taken = await firstTaken(fixed ?? usual, count);
  while (taken !== null && performance.now() < until) {
    await sleep(100);
    taken = await firstTaken(fixed ?? usual, count);
  }
  if (taken === null) return fixed ?? usual;
  if (fixed === undefined) return freePort(count);
  const why = given === undefined ? `, where ${name} was before, is` : " is";
  throw new RunError(
    `Port ${taken}${why} taken by another program: end that, or give another port: npm run services -- up ${name} --port ${name}=${await freePort(count)}`,
  );
}

/** What `--port kafka=19092 --port postgres=15432` says. */
export function parsePorts(texts: readonly string[]): Partial<Record<ServiceName, number>> {
  const ports: Partial<Record<ServiceName, number>> = {};
  for (const text of texts) {
    const [, word = "", digits = ""] = /^([^=]*)=(\d{1,6})$/.exec(text) ?? [];
    const port = Number(digits);
    if (digits === "" || port < 1 || port > 65_535)
      throw new UsageError(`--port ${text}: it must be a service and a port from 1 to 65535, such as kafka=19092`);
    const name = serviceNames.find((known) => known === word);
    if (name === undefined)
      throw new UsageError(`--port ${text}: there is no service “${word}”: ${suggestion(word, serviceNames)}`);
    ports[name] = port;
  }
  return ports;
}
