// A TCP proxy between a client and a real server that breaks when a test tells it to: it cuts, delays, stalls, refuses.
// It rewrites nothing. Kafka clients go where the broker says it is, so the broker needs one more listener that advertises
// the proxy's port: `BEAMLINE_KAFKA_PROXY`, see infra/services/kafka/proxied-listener.ts.
import { once } from "node:events";
import net from "node:net";
import { setTimeout as sleep } from "node:timers/promises";

const HOST = "127.0.0.1";
/** What one direction holds back before its sender has to wait. */
const MOST_HELD = 16 * 1024 * 1024;
/** While the proxy refuses, its port is nobody's: how long it waits for one who took it. */
const PORT_PATIENCE = 10_000;

export interface Connections {
  /** Ever taken from a client. */
  readonly accepted: number;
  /** Taken and neither closed nor broken yet. */
  readonly open: number;
  /** Broken by cut. */
  readonly cut: number;
  /** Of these, such whose client had sent something and heard nothing since: a request was broken. */
  readonly interrupted: number;
  /** Broken because the server could not be reached. */
  readonly unreachable: number;
}

export interface FaultProxy {
  /** Where clients connect, on 127.0.0.1. */
  readonly port: number;
  /** As they are now. */
  readonly connections: Connections;
  /** Drops all connections now, both sides by RST, with what they hold, and says how many. New ones are taken. */
  cut(): number;
  /** Whether new connections find nobody listening (ECONNREFUSED). Those that are open stay. */
  refuse(on: boolean): Promise<void>;
  /** Bytes, and the end of a direction, pass on so many milliseconds after they came; in order, even when it changes. */
  delay(milliseconds: number): void;
  /** Whether connections, new ones too, are kept but nothing passes on in either direction, as on a dead network. */
  stall(on: boolean): void;
  /** Drops all and stops; comes back when nothing is open any more. */
  close(): Promise<void>;
}

interface Faults {
  delay: number;
  stalled: boolean;
}

/** Starts a proxy on a free port in front of the server at `host` and `port`. */
export async function startFaultProxy(server: { host?: string; port: number }): Promise<FaultProxy> {
  const faults: Faults = { delay: 0, stalled: false };
  const pairs = new Set<Pair>();
  let accepted = 0;
  let cut = 0;
  let interrupted = 0;
  let unreachable = 0;

  const take = (client: net.Socket): void => {
    accepted += 1;
    const pair = new Pair(client, server.host ?? HOST, server.port, faults);
    pairs.add(pair);
    void pair.closed.then(() => pairs.delete(pair));
    pair.onUnreachable = () => (unreachable += 1);
  };
  let listener = await listen(0, take);
  const { port } = listener.address() as net.AddressInfo;
  const stopListening = (): void => {
    // Its callback would wait for the connections.
    if (listener.listening) listener.close();
  };
  const drop = (): number => {
    for (const pair of pairs) pair.reset();
    return pairs.size;
  };

  return {
    port,
    get connections() {
      return { accepted, open: pairs.size, cut, interrupted, unreachable };
    },
    cut() {
      for (const { isWaiting } of pairs) if (isWaiting) interrupted += 1;
      const count = drop();
      pairs.clear();
      cut += count;
      return count;
    },
    async refuse(on) {
      if (on) stopListening();
      else if (!listener.listening) listener = await listen(port, take);
    },
    delay(milliseconds) {
      faults.delay = milliseconds;
    },
    stall(on) {
      faults.stalled = on;
      for (const pair of pairs) pair.goOn();
    },
    async close() {
      stopListening();
      const closed = [...pairs].map((pair) => pair.closed);
      drop();
      await Promise.all(closed);
    },
  };
}

/** Cuts again and again while `work` is under way, each time after a longer pause: on any machine something gets through. */
export async function whileCutting<T>(proxy: FaultProxy, work: () => Promise<T>): Promise<T> {
  const done = new AbortController();
  const working = work().finally(() => done.abort());
  working.catch(() => undefined);
  for (let pause = 20; !done.signal.aborted; pause *= 1.5) {
    await sleep(pause, undefined, { signal: done.signal }).catch(() => undefined);
    if (!done.signal.aborted) proxy.cut();
  }
  return working;
}

async function listen(port: number, take: (client: net.Socket) => void): Promise<net.Server> {
  const until = Date.now() + PORT_PATIENCE;
  for (;;) {
    const listener = net.createServer({ allowHalfOpen: true, noDelay: true }, take);
    try {
      listener.listen({ port, host: HOST, exclusive: true });
      await once(listener, "listening");
      return listener;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EADDRINUSE" || Date.now() > until) throw error;
      await sleep(50);
    }
  }
}

/** A client's connection and the one to the server that stands for it. */
class Pair {
  /** Fulfilled when both are closed. */
  readonly closed: Promise<unknown>;
  onUnreachable: () => void = () => undefined;
  /** The client has sent something, and has heard nothing since. */
  isWaiting = false;
  readonly #client: net.Socket;
  readonly #server: net.Socket;
  readonly #ways: readonly Way[];

  constructor(client: net.Socket, host: string, port: number, faults: Faults) {
    const server = net.connect({ host, port, allowHalfOpen: true, noDelay: true });
    this.#client = client;
    this.#server = server;
    this.#ways = [new Way(client, server, faults), new Way(server, client, faults)];
    client.on("data", () => (this.isWaiting = true));
    server.on("data", () => (this.isWaiting = false));
    let isConnected = false;
    server.once("connect", () => (isConnected = true));
    // One side broken breaks the other: by RST, since an end would look like a proper goodbye.
    client.on("error", () => this.reset());
    server.on("error", () => {
      if (!isConnected) this.onUnreachable();
      this.reset();
    });
    const closed = (socket: net.Socket) => new Promise<void>((resolve) => socket.once("close", () => resolve()));
    this.closed = Promise.all([closed(client), closed(server)]);
  }

  reset(): void {
    for (const way of this.#ways) way.drop();
    for (const socket of [this.#client, this.#server]) {
      // One that is not connected yet has nobody to send a RST to.
      if (socket.connecting) socket.destroy();
      else socket.resetAndDestroy();
    }
  }

  goOn(): void {
    for (const way of this.#ways) way.goOn();
  }
}

/** One direction of a connection. */
class Way {
  /** No bytes are the end of the direction. */
  readonly #queue: { readonly due: number; readonly bytes: Buffer | null }[] = [];
  #held = 0;
  #isFull = false;
  #timer: NodeJS.Timeout | undefined;
  readonly #from: net.Socket;
  readonly #to: net.Socket;
  readonly #faults: Faults;

  constructor(from: net.Socket, to: net.Socket, faults: Faults) {
    this.#from = from;
    this.#to = to;
    this.#faults = faults;
    from.on("data", (bytes: Buffer) => this.#take(bytes));
    from.on("end", () => this.#take(null));
    to.on("drain", () => {
      this.#isFull = false;
      this.goOn();
    });
    this.goOn();
  }

  #take(bytes: Buffer | null): void {
    const due = Math.max(this.#queue.at(-1)?.due ?? 0, performance.now() + this.#faults.delay);
    this.#queue.push({ due, bytes });
    this.#held += bytes?.length ?? 0;
    this.goOn();
  }

  /** Passes on what is due; makes the sender wait when too much is held. */
  goOn(): void {
    while (!this.#faults.stalled && !this.#isFull) {
      const [next] = this.#queue;
      if (next === undefined) break;
      const wait = next.due - performance.now();
      if (wait > 0) {
        this.#timer ??= setTimeout(() => {
          this.#timer = undefined;
          this.goOn();
        }, Math.ceil(wait));
        break;
      }
      this.#queue.shift();
      this.#held -= next.bytes?.length ?? 0;
      if (next.bytes === null) this.#to.end();
      else this.#isFull = !this.#to.write(next.bytes);
    }
    // What is not read fills the sender's buffers, as a dead network does.
    if (this.#faults.stalled || this.#held > MOST_HELD) this.#from.pause();
    else this.#from.resume();
  }

  drop(): void {
    clearTimeout(this.#timer);
    this.#queue.length = 0;
    this.#held = 0;
  }
}
