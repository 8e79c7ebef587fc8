// The one door to the inside of kafkajs: what its public interface cannot do is to fetch from a partition without joining
// a group, to ask for the last stable offset, and to commit offsets without being a member; and what it does slowly is to
// write messages. What its connections do wrong is repaired in connection.ts. The version is pinned for both.
import net from "node:net";
import tls from "node:tls";
import "./connection";
import { produceBody, type ProduceInput } from "./produce";
import { type Access } from "./settings";

interface Request {
  readonly apiVersion: number;
  encode(): Promise<{ readonly buf: Buffer; readonly buffer: Buffer }>;
}

/** What kafkajs sends, and what it does with the answer. */
interface Exchange<Answer> {
  readonly request: Request;
  readonly response: {
    decode(payload: Buffer): Promise<{ clientSideThrottleTime?: number } & Answer>;
    parse(decoded: Answer): Promise<Answer>;
  };
  readonly requestTimeout?: number;
}

type Protocol<Input> = (input: Input) => Exchange<object>;

interface Definition<Input> {
  /** How a version of a request is written, and its answer read. */
  protocol: (which: { readonly version: number }) => Protocol<Input>;
}

export interface FetchInput {
  readonly isolationLevel: 0 | 1;
  readonly maxWaitTime: number;
  readonly minBytes: number;
  readonly maxBytes: number;
  readonly topics: readonly {
    readonly topic: string;
    readonly partitions: readonly {
      readonly partition: number;
      readonly fetchOffset: string;
      readonly maxBytes: number;
    }[];
  }[];
}

interface ByTopic<Partition> {
  readonly topic: string;
  readonly partitions: readonly Partition[];
}

export interface InternalBroker {
  readonly connectionPool: {
    send<Answer extends object>(exchange: Exchange<Answer>): Promise<Answer>;
  };
  lookupRequest(apiKey: number, versions: unknown): Protocol<FetchInput>;
  metadata(topics: readonly string[]): Promise<Metadata>;
  listOffsets(input: {
    readonly isolationLevel: 0 | 1;
    readonly topics: readonly ByTopic<{ readonly partition: number; readonly timestamp: number }>[];
  }): Promise<{ readonly responses: readonly ByTopic<{ readonly partition: number; readonly offset: string }>[] }>;
  findGroupCoordinator(input: {
    readonly groupId: string;
    readonly coordinatorType: 0;
  }): Promise<{ readonly coordinator: { readonly nodeId: number } }>;
  offsetCommit(input: {
    readonly groupId: string;
    readonly groupGenerationId: number;
    readonly memberId: string;
    readonly topics: readonly ByTopic<{ readonly partition: number; readonly offset: string }>[];
  }): Promise<unknown>;
  offsetFetch(input: {
    readonly groupId: string;
    readonly topics: readonly ByTopic<{ readonly partition: number }>[];
  }): Promise<{ readonly responses: readonly ByTopic<{ readonly partition: number; readonly offset: string }>[] }>;
  disconnect(): Promise<void>;
}

export interface Metadata {
  readonly topicMetadata: readonly {
    readonly topic: string;
    readonly isInternal?: boolean;
    readonly partitionMetadata: readonly { readonly partitionId: number; readonly leader: number }[];
  }[];
}

export interface InternalBrokerPool {
  readonly metadata: Metadata | null;
  connect(): Promise<void>;
  disconnect(): Promise<void>;
  refreshMetadata(topics: readonly string[]): Promise<void>;
  getNodeIds(): readonly string[];
  findBroker(which: { readonly nodeId: string }): Promise<InternalBroker>;
  findConnectedBroker(): Promise<InternalBroker>;
}

interface SocketWish {
  readonly host: string;
  readonly port: number;
  readonly ssl?: tls.ConnectionOptions | null;
  readonly onConnect: () => void;
}
export type SocketFactory = (wish: SocketWish) => net.Socket;

export interface ClusterOptions extends Partial<TimeLimits> {
  readonly brokers: readonly string[];
  readonly access: Access;
  readonly socketFactory: SocketFactory;
}

export interface TimeLimits {
  readonly connectionTimeout: number;
  readonly requestTimeout: number;
}

export const CLIENT_ID = "beamline";

/** So that a server that swallows all it is sent is given up within 15 seconds. */
export const TIME_LIMITS: TimeLimits = { connectionTimeout: 4_000, requestTimeout: 10_000 };

/** Few and short: waiting longer is up to who called, who knows how much patience there is. */
export const RETRY = { retries: 2, initialRetryTime: 100, maxRetryTime: 500 } as const;

export function brokerPoolOf({ brokers, access, socketFactory, ...limits }: ClusterOptions): InternalBrokerPool {
  const logger = createLogger({ level: 0, logCreator: () => () => undefined });
  return new Cluster({
    ...TIME_LIMITS,
    ...limits,
    logger,
    socketFactory,
    brokers,
    clientId: CLIENT_ID,
    ssl: access.ssl,
    sasl: access.sasl,
    retry: { ...RETRY, retries: Math.max(RETRY.retries, brokers.length) },
    metadataMaxAge: 300_000,
    allowAutoTopicCreation: false,
  }).brokerPool;
}

/** Sends a fetch and gives the answer as the bytes that came, with the version of their form. */
export async function fetchRaw(broker: InternalBroker, input: FetchInput): Promise<{ version: number; bytes: Buffer }> {
  const exchange = broker.lookupRequest(apiKeys.Fetch, requests.Fetch)(input);
  const answer = await broker.connectionPool.send<{ bytes: Buffer }>({
    request: exchange.request,
    requestTimeout: exchange.requestTimeout,
    response: {
      decode: async (bytes) => ({ bytes, clientSideThrottleTime: 0 }),
      parse: async (decoded) => decoded,
    },
  });
  return { version: exchange.request.apiVersion, bytes: answer.bytes };
}

let isFast = false;

/** From now on all producers of this process write their messages by `produceBody`: the same bytes, in less time. */
export function writeFast(): void {
  if (isFast) return;
  isFast = true;
  const definition = requests.Produce;
  const { protocol } = definition;
  definition.protocol = (which) => {
    const exchangeOf = protocol(which);
    // Older brokers have messages of another form.
    if (which.version < 3) return exchangeOf;
    return (input) => {
      const exchange = exchangeOf(input);
      if ((input.compression ?? 0) !== 0) return exchange;
      const encode = async () => {
        const body = produceBody(input);
        return { buf: body, buffer: body };
      };
      return { ...exchange, request: { ...exchange.request, encode } };
    };
  };
}

/** As kafkajs makes its sockets; `onSocket` gets each of them, so that a client can be ended at once. */
export function socketsFor(onSocket: (socket: net.Socket) => void): SocketFactory {
  return ({ host, port, ssl, onConnect }) => {
    const where = { host, port, ...(net.isIP(host) === 0 ? { servername: host } : {}) };
    const socket = ssl == null ? net.connect({ host, port }, onConnect) : tls.connect({ ...where, ...ssl }, onConnect);
    socket.setKeepAlive(true, 60_000);
    // kafkajs ends a socket that never connected once for each attempt after it, and leaves a listener every time.
    socket.setMaxListeners(0);
    onSocket(socket);
    return socket;
  };
}

/* eslint-disable @typescript-eslint/no-require-imports -- these modules have no types, and no names that import could check */
const Cluster = require("kafkajs/src/cluster") as new (options: object) => { readonly brokerPool: InternalBrokerPool };
const { createLogger } = require("kafkajs/src/loggers") as {
  createLogger(options: { level: number; logCreator: () => () => void }): object;
};
const apiKeys = require("kafkajs/src/protocol/requests/apiKeys") as { readonly Fetch: number };
const { requests } = require("kafkajs/src/protocol/requests") as {
  requests: { readonly Fetch: unknown; readonly Produce: Definition<ProduceInput> };
};
const { createErrorFromCode } = require("kafkajs/src/protocol/error") as { createErrorFromCode(code: number): Error };
/* eslint-enable @typescript-eslint/no-require-imports */

/** kafkajs's error for a code of the protocol. */
export const protocolError = createErrorFromCode;
