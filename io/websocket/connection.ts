// One connection: made within its time, kept alive, held up while nobody takes what comes, and ended in order.
import { type IncomingMessage } from "node:http";
import { WebSocket } from "ws";
import { UnavailableError } from "../../schema/errors";
import { slept } from "../pause";
import { type Access } from "../web-access";
import { explainFailure, explainStatus, silentFor } from "../web-failures";
import { askedPause } from "../web-patience";
import { type Streamed } from "./options";

/** Exchanges take some messages a second and no more. */
const BETWEEN_MESSAGES = 250;
/** How long the other side may take to say goodbye too. */
const GOODBYE_PATIENCE = 1_000;
const NORMAL = 1000;

/** The server wants to be left alone for so many milliseconds. */
export class PutOff extends UnavailableError {
  constructor(
    message: string,
    readonly pause: number,
  ) {
    super(message);
  }
}

/** Why a connection is there no more. */
export interface Ending {
  readonly why: string;
  /** What came was not WebSocket, or too large. */
  readonly isGarbage: boolean;
}

/** Takes a message, and the connection that it came over. */
export type OnMessage = (bytes: Buffer, over: Connection) => void;

export class Connection {
  readonly openedAt = performance.now();
  /** When anything came over it last, by the same clock. */
  heardAt = this.openedAt;
  hasDelivered = false;
  readonly ended: Promise<Ending>;
  /** Fulfilled with the first message; never, when none comes. */
  readonly delivers: Promise<void>;
  /** Fulfilled when somebody read in it that the server ends it soon. */
  readonly leaves: Promise<void>;
  sayFarewell: () => void = () => undefined;
  private readonly watching: NodeJS.Timeout;
  private error: Error | null = null;
  private isSilent = false;

  private constructor(
    private readonly socket: WebSocket,
    { heartbeat }: Streamed,
    onMessage: OnMessage,
  ) {
    this.watching = setInterval(() => this.watch(heartbeat), heartbeat / 4);
    const heard = () => void (this.heardAt = performance.now());
    socket.on("ping", heard).on("pong", heard);
    socket.on("error", (error) => (this.error = error));
    this.delivers = new Promise((resolve) => {
      socket.on("message", (bytes: Buffer) => {
        heard();
        this.hasDelivered = true;
        onMessage(bytes, this);
        resolve();
      });
    });
    this.leaves = new Promise((resolve) => (this.sayFarewell = resolve));
    this.ended = new Promise((resolve) => {
      socket.on("close", (code, reason) => {
        clearInterval(this.watching);
        resolve(this.endingOf(code, reason.toString()));
      });
    });
  }

  /** Throws the signal's reason when it says so before the connection is there. */
  static async open(
    streamed: Streamed,
    access: Access,
    onMessage: OnMessage,
    signal: AbortSignal,
  ): Promise<Connection> {
    signal.throwIfAborted();
    const { url, timeout, maxBytes, variable } = streamed;
    const socket = new WebSocket(url, {
      headers: { "user-agent": "beamline", ...access(url) },
      maxPayload: maxBytes,
      perMessageDeflate: false,
      // A message that is no text becomes a record that is no text; it is no reason to end the connection.
      skipUTF8Validation: true,
    });
    // Also of what comes when nobody waits for it any more.
    socket.on("error", () => undefined);
    const patience = new AbortController();
    const opening = new Promise<Connection>((resolve, reject) => {
      // Made in the same turn: the first messages may follow at once.
      socket.once("open", () => resolve(new Connection(socket, streamed, onMessage)));
      socket.once("error", (error) => reject(explainFailure(error, url)));
      socket.once("unexpected-response", (_request, { statusCode: status = 0, headers }: IncomingMessage) => {
        const failure = explainStatus(status, url, { variable }, headers.location);
        const pause = failure instanceof UnavailableError ? askedPause(status, headers["retry-after"]) : null;
        reject(pause === null ? failure : new PutOff(failure.message, pause));
      });
      const late = setTimeout(() => reject(silentFor(url, timeout)), timeout);
      const stop = () => reject(signal.reason as Error);
      signal.addEventListener("abort", stop);
      patience.signal.addEventListener("abort", () => {
        clearTimeout(late);
        signal.removeEventListener("abort", stop);
      });
    });
    try {
      return await opening;
    } catch (error) {
      socket.terminate();
      throw error;
    } finally {
      patience.abort();
    }
  }

  /** Sends one after the other, slowly enough for exchanges. */
  async send(messages: readonly string[], signal: AbortSignal): Promise<void> {
    for (const [at, message] of messages.entries()) {
      if (at > 0 && !(await slept(BETWEEN_MESSAGES, signal))) return;
      // What cannot be sent ends the connection, which is told there.
      this.socket.send(message, () => undefined);
    }
  }

  /** Takes nothing more from the network until `resume`. The server is not told, but its network is held up. */
  pause(): void {
    this.socket.pause();
  }

  resume(): void {
    this.heardAt = performance.now();
    this.socket.resume();
  }

  /** Says goodbye; what comes until the other side has said it too is still given. */
  async close(): Promise<void> {
    const patience = new AbortController();
    // While it is held up, no goodbye can come.
    if (this.socket.isPaused) this.socket.terminate();
    else this.socket.close(NORMAL);
    await Promise.race([this.ended, slept(GOODBYE_PATIENCE, patience.signal)]);
    patience.abort();
    this.socket.terminate();
    await this.ended;
  }

  private watch(heartbeat: number): void {
    const { socket } = this;
    if (socket.isPaused) return;
    const silence = performance.now() - this.heardAt;
    if (silence >= heartbeat) {
      this.isSilent = true;
      socket.terminate();
    } else if (silence >= heartbeat / 3 && socket.readyState === WebSocket.OPEN) {
      socket.ping();
    }
  }

  private endingOf(code: number, reason: string): Ending {
    const { error } = this;
    if (this.isSilent) return { why: "nothing came over it any more", isGarbage: false };
    if (error !== null) {
      const isGarbage = (error as { code?: string }).code?.startsWith("WS_ERR") ?? false;
      return { why: isGarbage ? `${error.message}` : "it broke off", isGarbage };
    }
    const words = reason === "" ? "" : `, “${reason.slice(0, 100)}”`;
    return { why: code === 1006 ? "it broke off" : `the server ended it with ${code}${words}`, isGarbage: false };
  }
}
