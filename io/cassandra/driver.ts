// The driver, loaded when it is first needed, and what it takes to live with cassandra-driver 4.10:
// - Its control connection loses its head when it is lost twice in quick succession: both losses look for a new one at the
//   same time, each takes away the other's, and what then throws nobody can catch, which ends the process. Here the second
//   loss is left to the first.
// - A client that was shut down, or never came up, leaves connections and timers behind, and the process does not end.
// Proof: test/cassandra.integration.ts, the server that cuts connections and the process that ends.
import { type Socket } from "node:net";
import type * as Driver from "cassandra-driver";

interface ControlConnection {
  _isShuttingDown: boolean;
  /** Without an argument it is a loss that calls; with one it calls itself, for the next host. */
  _refresh(hosts?: unknown): Promise<void>;
  shutdown(): void;
}

interface Connection {
  readonly options: object;
  readonly netClient: Socket;
  _idleTimeout?: NodeJS.Timeout | null;
  _setIdleTimeout(): void;
  open(callback: unknown): void;
}

/** The connections to one server. Some that a client has forgotten go on. */
interface Pool {
  readonly options: object;
  scheduleNewConnectionAttempt(delay: number): void;
}

/** One server. */
interface Host {
  _healthResponseCountTimer?: NodeJS.Timeout | null;
  setDistance(distance: unknown): unknown;
}

/** The parts of a client that its types do not show. */
interface Internals {
  readonly options: object;
  readonly controlConnection: ControlConnection;
}

/** Before the control connection looks again, where it gave up by an error. */
const PAUSE_MS = 1_000;

/** By the options of a client, which its connections have too. */
const socketsOf = new WeakMap<object, Set<Socket>>();

/** The options of clients that are over. */
const ended = new WeakSet<object>();

let loaded: typeof Driver | null = null;

/* eslint-disable @typescript-eslint/no-require-imports -- loaded lazily, and synchronously so that jest can too */
export function driver(): typeof Driver {
  if (loaded === null) {
    loaded = require("cassandra-driver") as typeof Driver;
    const control = require("cassandra-driver/lib/control-connection") as { prototype: ControlConnection };
    const connection = require("cassandra-driver/lib/connection") as { prototype: Connection };
    fixControlConnection(control.prototype);
    const pool = require("cassandra-driver/lib/host-connection-pool") as { prototype: Pool };
    fixConnection(connection.prototype);
    fixPool(pool.prototype);
    const host = require("cassandra-driver/lib/host") as { Host: { prototype: Host } };
    fixHost(host.Host.prototype);
  }
  return loaded;
}
/* eslint-enable @typescript-eslint/no-require-imports */

function fixControlConnection(prototype: ControlConnection): void {
  const refresh = prototype._refresh;
  const busy = new WeakSet<ControlConnection>();
  prototype._refresh = async function (this: ControlConnection, hosts) {
    if (hosts !== undefined) return refresh.call(this, hosts);
    if (busy.has(this)) return;
    busy.add(this);
    try {
      await refresh.call(this);
    } catch {
      if (!this._isShuttingDown) setTimeout(() => void this._refresh(), PAUSE_MS).unref();
    } finally {
      busy.delete(this);
    }
  };
}

function fixConnection(prototype: Connection): void {
  const { open, _setIdleTimeout: setIdleTimeout } = prototype;
  prototype.open = function (this: Connection, callback) {
    open.call(this, callback);
    const sockets = socketsOf.get(this.options);
    const { netClient: socket } = this;
    sockets?.add(socket);
    socket.once("close", () => sockets?.delete(socket));
    if (ended.has(this.options)) socket.destroy();
  };
  prototype._setIdleTimeout = function (this: Connection) {
    setIdleTimeout.call(this);
    // Whoever uses the connection keeps the process, and not a heartbeat.
    this._idleTimeout?.unref();
  };
}

function fixPool(prototype: Pool): void {
  const { scheduleNewConnectionAttempt: schedule } = prototype;
  prototype.scheduleNewConnectionAttempt = function (this: Pool, delay) {
    if (!ended.has(this.options)) schedule.call(this, delay);
  };
}

function fixHost(prototype: Host): void {
  const { setDistance } = prototype;
  prototype.setDistance = function (this: Host, distance) {
    const result = setDistance.call(this, distance);
    this._healthResponseCountTimer?.unref();
    return result;
  };
}

export function clientOf(options: Driver.ClientOptions): Driver.Client {
  const client = new (driver().Client)(options);
  socketsOf.set((client as unknown as Internals).options, new Set());
  return client;
}

/** Ends a client with everything that it has, whether it ever came up or not. */
export async function endClient(client: Driver.Client): Promise<void> {
  const { options, controlConnection } = client as unknown as Internals;
  ended.add(options);
  await client.shutdown().catch(() => undefined);
  controlConnection.shutdown();
  for (const socket of socketsOf.get(options) ?? []) socket.destroy();
}
