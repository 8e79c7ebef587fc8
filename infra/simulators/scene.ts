// For tests: a client that keeps what it gets, and waiting for something to become true.
import { setTimeout as sleep } from "node:timers/promises";
import { WebSocket, type ClientOptions } from "ws";

/** Waits until it holds; jest's time limit ends a wait in vain. */
export async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await sleep(5);
}

export interface Client {
  readonly socket: WebSocket;
  /** Everything that came, as text or bytes. */
  readonly frames: (string | Buffer)[];
  /** The frames that are JSON. */
  readonly json: () => Record<string, unknown>[];
  /** Code and reason of the end. */
  readonly closed: Promise<readonly [number, string]>;
  /** Sends a message and gives the answer to it. */
  ask(message: unknown): Promise<unknown>;
}

/** Connects; what refuses is thrown. */
export async function connect(url: string, options: ClientOptions = {}): Promise<Client> {
  const socket = new WebSocket(url, options);
  const frames: (string | Buffer)[] = [];
  const answers: unknown[] = [];
  socket.on("message", (data, isBinary) => {
    const bytes = data as Buffer;
    frames.push(isBinary ? bytes : bytes.toString());
    const answer = jsonOf(bytes.toString());
    if (answer !== undefined && ("result" in answer || "code" in answer)) answers.push(answer);
  });
  const closed = new Promise<readonly [number, string]>((resolve) =>
    socket.once("close", (code, reason) => resolve([code, reason.toString()])),
  );
  await new Promise<void>((resolve, reject) => {
    socket.once("open", resolve);
    socket.on("error", reject);
  });
  return {
    socket,
    frames,
    json: () => frames.map((frame) => jsonOf(frame.toString())).filter((frame) => frame !== undefined),
    closed,
    async ask(message) {
      const before = answers.length;
      socket.send(typeof message === "string" ? message : JSON.stringify(message));
      await until(() => answers.length > before);
      return answers[before];
    },
  };
}

function jsonOf(text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}
