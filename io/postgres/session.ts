// One transaction on one connection, which never waits for ever: a server that is silent is asked whether it is there.
import { setTimeout as sleep } from "node:timers/promises";
import { type PoolClient } from "pg";
import { from as copyFrom } from "pg-copy-streams";
import { RunError, UnavailableError } from "../../schema/errors";
import { explain, isLost } from "./failures";
import { askAbout, connect } from "./pool";
import { type PostgresSettings, shownServer } from "./settings";

/** How long the question about a silent connection may take. */
const QUESTION_MS = 5_000;
/** The server itself ends a statement that takes too long; only when it does not, we do. */
const GRACE_MS = 15_000;

export type SqlParameter = string | number | boolean | Uint8Array | null | readonly (string | null)[];

export class Session {
  private pid: number | null = null;
  private busy: Promise<unknown> | null = null;
  /** The rows that are on their way: whoever sends does not wait for the server, what comes next does. */
  private sent: Promise<void> = Promise.resolve();
  private isOver = false;
  private wasSilent = false;

  private constructor(
    private readonly client: PoolClient,
    private readonly settings: PostgresSettings,
  ) {}

  /** Begins a transaction. */
  static async begin(settings: PostgresSettings, access: "READ WRITE" | "READ ONLY"): Promise<Session> {
    for (let attempt = 1; ; attempt += 1) {
      const session = new Session(await connect(settings), settings);
      try {
        await session.start(access);
        return session;
      } catch (error) {
        session.destroy();
        // A connection that lay idle while the server was restarted: nothing was done on it yet, so take a new one.
        if (attempt >= 2 || session.wasSilent || !(error instanceof UnavailableError)) throw error;
      }
    }
  }

  /** The rows of one statement, each an object by column name. All values come as PostgreSQL's own text. */
  async query<T = Record<string, string | null>>(text: string, values: readonly SqlParameter[] = []): Promise<T[]> {
    await this.sent;
    return this.watched(async () => {
      const result = await this.client.query({ text, values: [...values], types: AS_TEXT });
      return result.rows as T[];
    });
  }

  /** Several statements that give nothing of use. */
  async execute(text: string): Promise<void> {
    await this.sent;
    await this.watched(() => this.client.query(text));
  }

  /**
   * Sends what COPY reads, which is given whole. It comes back when all is on its way, and the server works on it while the
   * next is made; that it failed is said by what is done next.
   */
  async copy(text: string, bytes: Uint8Array): Promise<void> {
    await this.sent;
    await new Promise<void>((resolve) => {
      this.sent = this.watched(
        () =>
          new Promise<void>((done, reject) => {
            const copy = this.client.query(copyFrom(text));
            copy.on("error", reject);
            copy.on("finish", done);
            copy.write(bytes, () => resolve());
            copy.end();
          }),
      );
      // Where it fails before that.
      this.sent.catch(() => undefined).finally(resolve);
    });
  }

  /** Makes all that was done last, and lets go of the connection. */
  async commit(): Promise<void> {
    await this.execute("COMMIT");
    this.isOver = true;
    this.client.release();
  }

  /** Takes back all that was done, and lets go of the connection. Never throws. */
  async rollback(): Promise<void> {
    if (this.isOver) return;
    // Whoever is still at work on it is not waited for: the server takes back what a lost connection did.
    if (this.busy !== null) return this.destroy();
    try {
      await this.execute("ROLLBACK");
      if (this.isOver) return;
      this.isOver = true;
      this.client.release();
    } catch {
      this.destroy();
    }
  }

  /** Breaks the connection off; whoever waits for it gets an error. */
  destroy(): void {
    if (this.isOver) return;
    this.isOver = true;
    this.client.connection.stream.destroy();
    this.client.release(true);
  }

  private async start(access: string): Promise<void> {
    const { statementTimeout, lockTimeout } = this.settings;
    // For this transaction only, and not when connecting, since poolers refuse that. UTF8 and ISO, whatever is usual there.
    const [row] = await this.watched(async () => {
      const results = (await this.client.query(
        `BEGIN ISOLATION LEVEL READ COMMITTED ${access}; SET LOCAL statement_timeout = ${statementTimeout}; ` +
          `SET LOCAL lock_timeout = ${lockTimeout}; SET LOCAL client_encoding = 'UTF8'; SET LOCAL timezone = 'UTC'; ` +
          `SET LOCAL datestyle = 'ISO'; SET LOCAL intervalstyle = 'iso_8601'; SET LOCAL extra_float_digits = 1; ` +
          `SET LOCAL standard_conforming_strings = on; SELECT pg_catalog.pg_backend_pid() AS pid`,
      )) as unknown as { rows: { pid: number }[] }[];
      return results[results.length - 1]?.rows ?? [];
    });
    this.pid = row?.pid ?? null;
  }

  /** Does it, and explains what goes wrong. One at a time. */
  private async watched<T>(action: () => Promise<T>): Promise<T> {
    if (this.isOver) throw new RunError(`${shownServer(this.settings)}: the batch is over`);
    if (this.busy !== null) throw new Error("A session does one thing at a time");
    const end = new AbortController();
    const work = action();
    this.busy = work;
    try {
      return await Promise.race([work, this.watch(end.signal)]);
    } catch (error) {
      if (isLost(error) || error instanceof UnavailableError) {
        work.catch(() => undefined);
        this.destroy();
      }
      throw explain(error, shownServer(this.settings));
    } finally {
      this.busy = null;
      end.abort();
    }
  }

  /** Fails when the server is found not to be there any more; never comes back otherwise. */
  private async watch(signal: AbortSignal): Promise<never> {
    const { answerTimeout, statementTimeout } = this.settings;
    const begin = performance.now();
    try {
      for (;;) {
        await sleep(answerTimeout, undefined, { signal });
        const isOverdue = statementTimeout > 0 && performance.now() - begin > statementTimeout + GRACE_MS;
        if (!isOverdue && (await askAbout(this.pid, this.settings, QUESTION_MS)) === "at work") continue;
        // The answer may have been on its way while we asked.
        await sleep(500, undefined, { signal });
        this.wasSilent = true;
        throw new UnavailableError(
          `${shownServer(this.settings)} has stopped answering: the server hangs or the network is cut. Try again when it is back`,
        );
      }
    } catch (error) {
      if (!signal.aborted) throw error;
      return new Promise<never>(() => undefined);
    }
  }
}

/** Leaves every value as the server's text: no number goes through a float, no time through a time zone. */
const AS_TEXT = { getTypeParser: () => (value: string) => value };
