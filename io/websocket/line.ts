// Keeps a connection to a server: makes it anew when it ends, and replaces it before the server ends it.
import { UnavailableError } from "../../schema/errors";
import { type FlowNews } from "../connector";
import { pauseBefore, slept, type Backoff } from "../pause";
import { type Access } from "../web-access";
import { Connection, PutOff, type Ending, type OnMessage } from "./connection";
import { type Streamed } from "./options";

export const BACKOFF: Backoff = { first: 500, longest: 30_000 };
/** A connection that has lived so long was a good one: the next pause is the first again. */
const HEALTHY = 10_000;
/** How long an old connection stays while the new one that replaces it has given nothing yet. */
const OVERLAP = 10_000;

export interface LineSettings {
  readonly streamed: Streamed;
  readonly access: Access;
  readonly onMessage: OnMessage;
  /** Told, behind the last message, that no connection is there any more. */
  readonly onSilence: () => void;
  readonly tell: (news: FlowNews) => void;
  readonly giveUp: number;
  /** The longest pause that the server may ask for. */
  readonly mostWait: number;
  readonly backoff?: Backoff;
}

export class Line {
  /** How often a connection was made. */
  made = 0;
  /** What was last wrong. */
  trouble: string | undefined;
  private readonly open = new Set<Connection>();
  private isPaused = false;
  private goOn = (): void => undefined;
  /** Connections, and attempts to make one, since the server was last as it should be. */
  private attempts = 0;
  /** Before the next attempt. */
  private pauseMs = 0;
  /** When the server was last as it should be. */
  private goodAt = performance.now();

  constructor(private readonly settings: LineSettings) {}

  /** Until the signal says so; then all is closed in order. Throws when the server fails for too long. */
  async keep(signal: AbortSignal): Promise<void> {
    const { streamed, tell } = this.settings;
    let old: Connection | null = null;
    try {
      for (;;) {
        const connection: Connection | null = await this.connect(signal);
        if (connection === null) return;
        if (old !== null) void this.replace(old, connection, signal);
        const ending = await this.endOf(connection, signal);
        if (signal.aborted) return;
        old = ending === null ? connection : null;
        const why = ending?.why ?? "before the server ends it";
        if (ending !== null) this.trouble = `${streamed.shown}: ${why}`;
        if (ending?.isGarbage === true)
          tell({ kind: "garbage", count: 1, text: `${streamed.shown} sent what cannot be taken: ${why}` });
        tell({ kind: "reconnect", count: 1, text: `The connection to ${streamed.shown} is made anew: ${why}` });
      }
    } finally {
      await Promise.all([...this.open].map((connection) => connection.close()));
    }
  }

  /** Takes nothing more from the network until `resume`. */
  pause(): void {
    this.isPaused = true;
    for (const connection of this.open) connection.pause();
  }

  resume(): void {
    this.isPaused = false;
    this.goOn();
    for (const connection of this.open) connection.resume();
  }

  /** Tries until there is one; null when the signal came first. */
  private async connect(signal: AbortSignal): Promise<Connection | null> {
    const { streamed, access, onMessage, tell, giveUp, backoff = BACKOFF } = this.settings;
    for (;;) {
      await this.resumed(signal);
      if (!(await slept(this.pauseMs, signal))) return null;
      this.attempts += 1;
      this.pauseMs = pauseBefore(this.attempts, backoff);
      try {
        const connection = await Connection.open(streamed, access, onMessage, signal);
        this.took(connection);
        await connection.send(streamed.send, signal);
        return connection;
      } catch (error) {
        if (signal.aborted) return null;
        if (!(error instanceof UnavailableError)) throw error;
        this.trouble = error.message;
        const asked = error instanceof PutOff ? error.pause : null;
        if (asked !== null) this.putOff(error.message, asked);
        this.giveUpAfter(giveUp, error.message);
        const text = `${error.message}; tried again in ${Math.ceil(this.pauseMs / 1000)} s`;
        tell({ kind: asked === null ? "retry" : "wait", count: 1, text });
      }
    }
  }

  /** What the server asks for is not what makes us give up. */
  private putOff(message: string, asked: number): void {
    if (asked > this.settings.mostWait)
      throw new UnavailableError(
        `${message} and wants to be left alone for ${Math.ceil(asked / 1000)} s: that is too long`,
      );
    this.pauseMs = Math.max(this.pauseMs, asked + Math.min(this.pauseMs, 1_000));
    this.goodAt += asked;
  }

  private giveUpAfter(limit: number, why: string): void {
    if (this.open.size > 0) this.goodAt = performance.now();
    if (performance.now() + this.pauseMs - this.goodAt > limit)
      throw new UnavailableError(`${why}; given up after ${this.attempts} attempts`);
  }

  private took(connection: Connection): void {
    this.made += 1;
    this.open.add(connection);
    if (this.isPaused) connection.pause();
    void connection.ended.then(() => {
      this.open.delete(connection);
      if (this.open.size === 0) this.settings.onSilence();
    });
  }

  /** How the connection ended; null when it is time to replace it, or the signal says that all is over. */
  private async endOf(connection: Connection, signal: AbortSignal): Promise<Ending | null> {
    const { streamed, giveUp } = this.settings;
    let stop = (): void => undefined;
    const replaced = new Promise<null>((resolve) => {
      stop = () => resolve(null);
      void connection.leaves.then(stop);
      signal.addEventListener("abort", stop);
    });
    const timer = setTimeout(stop, streamed.renew);
    const ending = signal.aborted ? null : await Promise.race([connection.ended, replaced]);
    clearTimeout(timer);
    signal.removeEventListener("abort", stop);
    const isHealthy = performance.now() - connection.openedAt >= HEALTHY;
    if (isHealthy) {
      this.attempts = 0;
      this.pauseMs = ending === null ? 0 : pauseBefore(1, this.settings.backoff ?? BACKOFF);
      this.goodAt = performance.now();
    } else if (connection.hasDelivered) this.goodAt = connection.heardAt;
    if (ending !== null && !signal.aborted)
      this.giveUpAfter(giveUp, `${streamed.shown} ends every connection at once: ${ending.why}`);
    return ending;
  }

  /** Both give the same for a moment: that is better than nothing from either. */
  private async replace(old: Connection, by: Connection, signal: AbortSignal): Promise<void> {
    await Promise.race([by.delivers, by.ended, slept(OVERLAP, signal)]);
    await old.close();
  }

  /** A connection that nobody takes anything from would only be ended again. */
  private async resumed(signal: AbortSignal): Promise<void> {
    if (!this.isPaused || signal.aborted) return;
    await new Promise<void>((resolve) => {
      this.goOn = resolve;
      signal.addEventListener("abort", () => resolve(), { once: true });
    });
    this.goodAt = performance.now();
  }
}
