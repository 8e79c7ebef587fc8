// A connected cluster: statements that are tried again while what fails may pass. The client is shared within the process
// and let go a moment after its last user.
import { createHash } from "node:crypto";
import type * as Driver from "cassandra-driver";
import { UnavailableError, UsageError } from "../../schema/errors";
import { pauseBefore, slept, type Backoff } from "../pause";
import { clientOf, driver, endClient } from "./driver";
import { explain, isWithoutServers } from "./failures";
import { CONSISTENCIES, type CassandraSettings } from "./options";

/** How long connections are kept for the next batch: of a run that is over, and of a job that goes on. */
const IDLE_MS = { run: 500, job: 3_000 } as const;
const BACKOFF: Backoff = { first: 50, longest: 5_000 };
/** Not more often are connections made anew. */
const RENEW_MS = 2_000;
/** Rows that are read together. */
const PAGE = 1_000;

/** What a statement takes for a value, after what its column is. */
export type Value =
  string | number | bigint | boolean | Buffer | Date | Driver.types.BigDecimal | Driver.types.LocalDate | null;

export type Cells = Readonly<Record<string, unknown>>;

const shared = new Map<string, SharedClient>();

class SharedClient {
  private users = 0;
  private idle: NodeJS.Timeout | undefined;
  private connecting: Promise<Driver.Client>;
  private connectedAt = performance.now();

  constructor(
    private readonly settings: CassandraSettings,
    private readonly forget: () => void,
  ) {
    this.connecting = this.connect();
  }

  retain(): Promise<Driver.Client> {
    this.users += 1;
    clearTimeout(this.idle);
    return this.connecting;
  }

  current(): Promise<Driver.Client> {
    return this.connecting;
  }

  /** Connects anew. The driver does so by itself, but where it has lost all servers it does not always find them again. */
  renew(): void {
    if (this.users === 0 || performance.now() - this.connectedAt < RENEW_MS) return;
    this.end();
    this.connecting = this.connect();
  }

  private connect(): Promise<Driver.Client> {
    this.connectedAt = performance.now();
    const connecting = connectTo(this.settings);
    // Whoever waits for it is told; it may be nobody any more.
    connecting.catch(() => undefined);
    return connecting;
  }

  private end(): void {
    void this.connecting.then(endClient).catch(() => undefined);
  }

  release(use: "run" | "job" | "broken"): void {
    this.users -= 1;
    if (use === "broken") this.forget();
    if (this.users > 0) return;
    this.idle = setTimeout(
      () => {
        this.forget();
        this.end();
      },
      use === "broken" ? 0 : IDLE_MS[use],
    );
  }
}

function optionsOf({ hosts, user, tls, connectTimeout, timeout }: CassandraSettings): Driver.DseClientOptions {
  const { auth, policies } = driver();
  return {
    contactPoints: [...hosts],
    socketOptions: { connectTimeout, readTimeout: timeout },
    encoding: { useBigIntAsLong: true },
    policies: { reconnection: new policies.reconnection.ConstantReconnectionPolicy(1_000) },
    ...(user === null ? {} : { authProvider: new auth.PlainTextAuthProvider(user.username, user.password) }),
    ...(tls === null
      ? {}
      : { sslOptions: { rejectUnauthorized: true, ...(tls.certificates === null ? {} : { ca: [tls.certificates] }) } }),
  };
}

/** The driver must be told a data centre, and hangs on with its connections when there is none of that name: we look first. */
async function connectTo(settings: CassandraSettings): Promise<Driver.Client> {
  const { policies } = driver();
  const options = optionsOf(settings);
  const scout = clientOf({
    ...options,
    policies: { ...options.policies, loadBalancing: new policies.loadBalancing.RoundRobinPolicy() },
    isMetadataSyncEnabled: false,
  });
  let datacenter: string;
  try {
    await scout.connect();
    const known = [...new Set(scout.hosts.values().map((host) => host.datacenter))].sort();
    const { rows } = await scout.execute("SELECT data_center FROM system.local");
    datacenter = settings.datacenter ?? String(rows[0]?.["data_center"]);
    if (!known.includes(datacenter))
      throw new UsageError(
        `${settings.shown} has no data centre ${datacenter}: datacenter= must be one of ${known.join(", ")}`,
      );
  } finally {
    await endClient(scout);
  }
  const client = clientOf({ ...options, localDataCenter: datacenter });
  try {
    await client.connect();
    return client;
  } catch (error) {
    await endClient(client);
    throw error;
  }
}

export class Session {
  private isOver = false;

  private constructor(
    readonly settings: CassandraSettings,
    private readonly owner: SharedClient,
    private readonly signal: AbortSignal | undefined,
  ) {}

  /** A session, to be given back with `release`. */
  static async open(settings: CassandraSettings, signal?: AbortSignal): Promise<Session> {
    const { hosts, user, tls, datacenter, connectTimeout, timeout } = settings;
    // A hash: a password in a key would turn up in whatever prints the map.
    const name = createHash("sha256")
      .update(JSON.stringify([hosts, user, tls, datacenter, connectTimeout, timeout]))
      .digest("hex");
    let owner = shared.get(name);
    if (owner === undefined) {
      const made = new SharedClient(settings, () => {
        if (shared.get(name) === made) shared.delete(name);
      });
      shared.set(name, made);
      owner = made;
    }
    try {
      await owner.retain();
      return new Session(settings, owner, signal);
    } catch (error) {
      owner.release("broken");
      throw explain(error, settings.shown);
    }
  }

  get shown(): string {
    return this.settings.shown;
  }

  release(use: "run" | "job"): void {
    if (this.isOver) return;
    this.isOver = true;
    this.owner.release(use);
  }

  /** One attempt. Whatever is wrong is thrown as the driver has it. */
  async attempt(query: string, values: readonly Value[], timestamp?: number): Promise<Driver.types.ResultSet> {
    return this.perform(query, values, this.optionsOf(timestamp));
  }

  /** Does it, and again after each failure that may pass, within the time there is. */
  async execute(query: string, values: readonly Value[] = []): Promise<void> {
    await this.patiently(() => this.attempt(query, values));
  }

  async rows(query: string, values: readonly Value[] = []): Promise<readonly Cells[]> {
    const { rows } = await this.patiently(() => this.attempt(query, values));
    return rows;
  }

  /** All rows, some at a time. */
  async *pages(query: string, values: readonly Value[]): AsyncGenerator<readonly Cells[]> {
    let pageState: string | undefined;
    do {
      const options = { ...this.optionsOf(), fetchSize: PAGE, ...(pageState === undefined ? {} : { pageState }) };
      const page = await this.patiently(() => this.perform(query, values, options));
      if (page.rows.length > 0) yield page.rows;
      pageState = page.pageState;
    } while (typeof pageState === "string");
  }

  /** A statement with a condition: whether it was applied. Whether one was that is not answered, only a look can tell. */
  async wasApplied(query: string, values: readonly Value[]): Promise<boolean> {
    const options = { ...this.optionsOf(), isIdempotent: false };
    try {
      return (await this.perform(query, values, options)).wasApplied();
    } catch (error) {
      throw explain(error, this.shown);
    }
  }

  /** A statement with a condition, as attempt(): null when it was applied, else what it found instead. */
  async unlessApplied(query: string, values: readonly Value[]): Promise<Cells | null> {
    const result = await this.perform(query, values, { ...this.optionsOf(), isIdempotent: false });
    return result.wasApplied() ? null : (result.first() ?? {});
  }

  /** The rows of a statement, with nothing under way that could still change them. */
  async settledRows(query: string, values: readonly Value[]): Promise<readonly Cells[]> {
    const options = { ...this.optionsOf(), consistency: this.serial };
    const { rows } = await this.patiently(() => this.perform(query, values, options));
    return rows;
  }

  private async perform(
    query: string,
    values: readonly Value[],
    options: Driver.QueryOptions,
  ): Promise<Driver.types.ResultSet> {
    try {
      return await (await this.owner.current()).execute(query, values, options);
    } catch (error) {
      if (isWithoutServers(error)) this.owner.renew();
      throw error;
    }
  }

  async patiently<T>(work: () => Promise<T>): Promise<T> {
    const patience = this.patience();
    for (;;) {
      try {
        return await work();
      } catch (error) {
        await patience(explain(error, this.shown));
      }
    }
  }

  /** Answers with how to wait after a failure: it throws what does not pass, and what has not passed in time. */
  patience(): (failure: Error) => Promise<void> {
    const deadline = performance.now() + this.settings.giveUp;
    let attempt = 0;
    return async (failure) => {
      attempt += 1;
      const pause = pauseBefore(attempt, BACKOFF);
      if (!(failure instanceof UnavailableError) || performance.now() + pause > deadline) throw failure;
      if (!(await slept(pause, this.signal))) throw failure;
    };
  }

  private get serial(): Driver.types.consistencies {
    const { consistencies } = driver().types;
    return this.settings.consistency.startsWith("local_") ? consistencies.localSerial : consistencies.serial;
  }

  private optionsOf(timestamp?: number): Driver.QueryOptions {
    return {
      prepare: true,
      isIdempotent: true,
      consistency: CONSISTENCIES[this.settings.consistency],
      serialConsistency: this.serial,
      ...(timestamp === undefined ? {} : { timestamp }),
    };
  }
}
