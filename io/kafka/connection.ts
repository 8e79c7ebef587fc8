// kafkajs's connections, repaired for all of this process. As they are, one that was lost in the midst of an answer takes
// what it has of it for the beginning of the next answer, after it has connected anew too: from then on nothing that comes
// fits, for ever. What a socket still says that was given up is mixed with what the new one says. And one that swallowed a
// request is used again for the next.
import { KafkaJSConnectionError, KafkaJSRequestTimeoutError } from "kafkajs";
import type net from "node:net";

interface Connection {
  socket?: net.Socket;
  /** What has come of an answer, and how much of it has to be there before it is looked at. */
  chunks: Buffer[];
  bytesBuffered: number;
  bytesNeeded: number;
  connectionStatus: string;
  /** Its address. */
  readonly broker: string;
  readonly requestQueue: { destroy(): void };
  isConnected(): boolean;
  connect(): Promise<boolean>;
  send(exchange: object): Promise<unknown>;
  rejectRequests(error: Error): void;
}

/** Of an answer: its length comes first. */
const LENGTH_BYTES = 4;

/* eslint-disable @typescript-eslint/no-require-imports -- these modules have no types */
const { prototype: connections } = require("kafkajs/src/network/connection") as { readonly prototype: Connection };
/* eslint-enable @typescript-eslint/no-require-imports */
const { connect, send } = connections;

const connecting = new WeakMap<Connection, Promise<boolean>>();

// Once for all who ask while it is connecting: kafkajs opens one more socket for each of them, and forgets all but the last.
connections.connect = function (this: Connection) {
  if (this.isConnected()) return Promise.resolve(true);
  const known = connecting.get(this);
  if (known !== undefined) return known;
  this.socket?.destroy();
  Object.assign(this, { chunks: [], bytesBuffered: 0, bytesNeeded: LENGTH_BYTES });
  const attempt = connect.call(this).finally(() => connecting.delete(this));
  connecting.set(this, attempt);
  return attempt;
};

connections.send = async function (this: Connection, exchange: object) {
  const { socket } = this;
  try {
    return await send.call(this, exchange);
  } catch (error) {
    if (error instanceof KafkaJSRequestTimeoutError && socket === this.socket) giveUp(this);
    throw error;
  }
};

/** At once: while more is under way on it, kafkajs would wait for that, and send what comes meanwhile the same dead way. */
function giveUp(connection: Connection): void {
  connection.socket?.destroy();
  connection.rejectRequests(new KafkaJSConnectionError("Closed, as it does not answer", { broker: connection.broker }));
  connection.requestQueue.destroy();
  connection.connectionStatus = "disconnected";
}
