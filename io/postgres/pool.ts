// Connections to PostgreSQL: kept by this process, one pool for each server and its settings, and let go when idle.
import { setTimeout as sleep } from "node:timers/promises";
import { Client, Pool, type ClientConfig, type PoolClient } from "pg";
import { messageOf, UnavailableError } from "../../schema/errors";
import { explain, isLost, isServerError } from "./failures";
import { findPassword } from "./password";
import { shownServer, type PostgresSettings } from "./settings";
import { tlsOptions } from "./tls";

/** A batch needs one connection, and a range that is read another; more of them at once wait. */
const CONNECTIONS = 10;
/** Between two batches of a job that goes on a connection stays; a process that is done is not kept by it. */
const IDLE_MS = 5_000;
/** Before TCP asks whether the other side is still there. */
const KEEP_ALIVE_MS = 10_000;

const pools = new Map<string, Pool>();

function clientConfig(settings: PostgresSettings): ClientConfig {
  const { host, port, user, database } = settings;
  return {
    host,
    port,
    user,
    database,
    password: () => findPassword(settings),
    ssl: tlsOptions(settings.tls),
    application_name: "beamline",
    connectionTimeoutMillis: settings.connectTimeout,
    keepAlive: true,
    keepAliveInitialDelayMillis: KEEP_ALIVE_MS,
  };
}

function poolOf(settings: PostgresSettings): Pool {
  const { host, port, user, database, tls, connectTimeout } = settings;
  const name = JSON.stringify([host, port, user, database, tls, connectTimeout]);
  const known = pools.get(name);
  if (known !== undefined) return known;
  const pool = new Pool({
    ...clientConfig(settings),
    max: CONNECTIONS,
    idleTimeoutMillis: IDLE_MS,
    allowExitOnIdle: true,
  });
  // A connection that breaks while nobody uses it is simply gone; one that is in use fails its statement.
  pool.on("error", () => undefined);
  pool.on("connect", (client) => client.on("error", () => undefined));
  pools.set(name, pool);
  return pool;
}

/** A connection that nobody else uses until it is released. Throws what a person can read. */
export async function connect(settings: PostgresSettings): Promise<PoolClient> {
  const pool = poolOf(settings);
  try {
    return await pool.connect();
  } catch (error) {
    if (messageOf(error) === "timeout exceeded when trying to connect" && pool.totalCount >= CONNECTIONS)
      throw new UnavailableError(
        `${shownServer(settings)}: all ${CONNECTIONS} connections of this process are busy for too long; run less at once`,
      );
    throw explain(error, shownServer(settings));
  }
}

/** Ends all connections that are idle, and the others when they are released. */
export async function closePools(): Promise<void> {
  const open = [...pools.values()];
  pools.clear();
  await Promise.all(open.map((pool) => pool.end()));
}

/** What another connection says of one that is silent. */
export type Silence = "at work" | "not there";

/** Asks over a new connection whether the server still works for the one with this process id (null: not known yet). */
export async function askAbout(pid: number | null, settings: PostgresSettings, limit: number): Promise<Silence> {
  const client = new Client({ ...clientConfig(settings), connectionTimeoutMillis: limit, query_timeout: limit });
  client.on("error", () => undefined);
  try {
    // Connecting and asking each have the limit; this one is for both together.
    return await Promise.race([ask(client, pid), sleep(limit, "not there" as const, { ref: false })]);
  } finally {
    client.end().catch(() => undefined);
  }
}

async function ask(client: Client, pid: number | null): Promise<Silence> {
  try {
    await client.connect();
    const { rows } = await client.query<{ state: string | null }>({
      text: "SELECT state FROM pg_catalog.pg_stat_activity WHERE pid = $1",
      values: [pid],
    });
    const [activity] = rows;
    // It waits for us while we wait for it: what was sent, or its answer, is lost on the way.
    return activity === undefined || activity.state?.startsWith("idle") === true ? "not there" : "at work";
  } catch (error) {
    // Too many connections, say: whoever says so is there.
    return isServerError(error) && !isLost(error) ? "at work" : "not there";
  }
}
