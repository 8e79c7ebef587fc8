// A double of a Kafka broker with one topic of one partition, which breaks where a real one cannot be made to: in the
// midst of an answer. It knows what a client needs to fetch.
import { once } from "node:events";
import net from "node:net";

/** Of the protocol; what is asked for by each is in kafkajs's requests. */
const FETCH = 1;
const METADATA = 3;
const API_VERSIONS = 18;

const HOST = "127.0.0.1";

/** What becomes of a fetch: its answer, and the connection that it came by. */
export type Answering = (answer: Buffer, connection: net.Socket) => void;

export const answer: Answering = (bytes, connection) => void connection.write(bytes);

export class BrokerDouble {
  /** What becomes of the next fetches, one each; those after them are answered. */
  readonly next: Answering[] = [];
  /** Connections that were ever taken. */
  taken = 0;
  private readonly open = new Set<net.Socket>();
  private readonly server = net.createServer((connection) => {
    this.taken += 1;
    this.open.add(connection);
    connection.once("close", () => this.open.delete(connection));
    connection.on("error", () => undefined);
    this.serve(connection);
  });

  constructor(
    readonly topic: string,
    /** The partition as it lies in the log. */
    private readonly records: Buffer,
  ) {}

  async start(): Promise<void> {
    this.server.listen(0, HOST);
    await once(this.server, "listening");
  }

  get address(): string {
    return `${HOST}:${this.port}`;
  }

  private get port(): number {
    return (this.server.address() as net.AddressInfo).port;
  }

  async close(): Promise<void> {
    for (const connection of this.open) connection.destroy();
    this.server.close();
    await once(this.server, "close");
  }

  private serve(connection: net.Socket): void {
    let bytes = Buffer.alloc(0);
    connection.on("data", (more: Buffer) => {
      bytes = Buffer.concat([bytes, more]);
      while (bytes.length >= 4 && bytes.length >= 4 + bytes.readInt32BE(0)) {
        const size = bytes.readInt32BE(0);
        this.take(bytes.subarray(4, 4 + size), connection);
        bytes = bytes.subarray(4 + size);
      }
    });
  }

  private take(request: Buffer, connection: net.Socket): void {
    const key = request.readInt16BE(0);
    const body = this.bodyFor(key);
    const bytes = Buffer.concat([int32(4 + body.length), request.subarray(4, 8), body]);
    const then = key === FETCH ? (this.next.shift() ?? answer) : answer;
    then(bytes, connection);
  }

  private bodyFor(key: number): Buffer {
    switch (key) {
      case API_VERSIONS: {
        const spoken = [[FETCH, 4], [METADATA, 0], [API_VERSIONS, 2]] as const; // prettier-ignore
        const versions = spoken.map(([api, version]) => Buffer.concat([int16(api), int16(version), int16(version)]));
        return Buffer.concat([int16(0), array(versions), int32(0)]);
      }
      case METADATA: {
        const broker = Buffer.concat([int32(1), text(HOST), int32(this.port)]);
        const partition = Buffer.concat([int16(0), int32(0), int32(1), array([int32(1)]), array([int32(1)])]);
        return Buffer.concat([
          array([broker]),
          array([Buffer.concat([int16(0), text(this.topic), array([partition])])]),
        ]);
      }
      case FETCH: {
        const offsets = Buffer.concat([int64(1_000_000), int64(1_000_000)]);
        const records = Buffer.concat([int32(this.records.length), this.records]);
        const partition = Buffer.concat([int32(0), int16(0), offsets, array([]), records]);
        return Buffer.concat([int32(0), array([Buffer.concat([text(this.topic), array([partition])])])]);
      }
      default:
        throw new Error(`This broker has no answer to a request of key ${key}`);
    }
  }
}

function int16(value: number): Buffer {
  const bytes = Buffer.alloc(2);
  bytes.writeInt16BE(value);
  return bytes;
}

function int32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32BE(value);
  return bytes;
}

function int64(value: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigInt64BE(BigInt(value));
  return bytes;
}

const text = (value: string): Buffer => Buffer.concat([int16(value.length), Buffer.from(value)]);
const array = (items: readonly Buffer[]): Buffer => Buffer.concat([int32(items.length), ...items]);
