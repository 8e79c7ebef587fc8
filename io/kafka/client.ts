// A client of one Kafka cluster: metadata, offsets, raw fetches, and a group's offsets without being in the group.
// Connected clients are shared within the process and let go a moment after their last user, so that it can end.
import { createHash } from "node:crypto";
import { type Socket } from "node:net";
import { UnavailableError, UsageError } from "../../schema/errors";
import { suggestion } from "../address";
import { explain, mayPass, typeOf } from "./failures";
import { parseFetch, type FetchedPartition } from "./fetch-response";
import {
  brokerPoolOf,
  fetchRaw,
  socketsFor,
  type InternalBroker,
  type InternalBrokerPool,
  type TimeLimits,
} from "./internals";
import { within } from "./patience";
import { type KafkaPlace } from "./place";
import { accessOf, type Access } from "./settings";

/** In the place of a timestamp: what Kafka takes for the two ends of a log. */
export const LOG_END = -1;
export const LOG_START = -2;

/** A client that nobody uses is ended after this long: the pieces of one run follow each other faster. */
const IDLE_MS = 500;

/** New partitions are seen after this long at most. */
const METADATA_AGE_MS = 5_000;

/** Nothing takes longer: all that is asked for at once is answered, or refused, within it. */
const ANSWER_LIMIT_MS = 12_000;

/** How long the broker may hold a fetch back when there is nothing to give. */
const FETCH_WAIT_MS = 500;

const READ_COMMITTED = 1;

interface TopicLeaders {
  /** Partition to the broker that leads it. */
  readonly leaders: ReadonlyMap<number, number>;
  readonly at: number;
}

/** A topic that is not there: a wrong name, or one that has to be made first. */
export class MissingTopicError extends UsageError {}

const clients = new Map<string, KafkaClient>();

/** A connected client. Each of them must be given back with `release`. */
export async function useClient(brokers: readonly string[]): Promise<KafkaClient> {
  const access = accessOf();
  // A hash: a password in a key would turn up in whatever prints the map.
  const key = createHash("sha256")
    .update(JSON.stringify([brokers, access]))
    .digest("hex");
  let client = clients.get(key);
  if (client === undefined) {
    client = new KafkaClient(brokers, access, () => clients.delete(key));
    clients.set(key, client);
  }
  client.retain();
  try {
    await client.connect();
    return client;
  } catch (error) {
    client.release();
    throw error;
  }
}

export class KafkaClient {
  private readonly sockets = new Set<Socket>();
  private readonly pool: InternalBrokerPool;
  private readonly topics = new Map<string, TopicLeaders>();
  /** Metadata requests go one after the other: the pool keeps only the last answer. */
  private metadataTurn: Promise<unknown> = Promise.resolve();
  private connecting: Promise<void> | null = null;
  private users = 0;
  private idle: NodeJS.Timeout | undefined;
  private isEnded = false;

  constructor(
    private readonly brokers: readonly string[],
    access: Access,
    private readonly onEnd: () => void,
    limits: Partial<TimeLimits> = {},
  ) {
    const socketFactory = socketsFor((socket) => {
      if (this.isEnded) socket.destroy();
      this.sockets.add(socket);
      socket.once("close", () => this.sockets.delete(socket));
    });
    this.pool = brokerPoolOf({ brokers, access, socketFactory, ...limits });
  }

  /** The brokers as a person wrote them. */
  get shown(): string {
    return this.brokers.join(",");
  }

  retain(): void {
    this.users += 1;
    clearTimeout(this.idle);
  }

  release(): void {
    this.users -= 1;
    if (this.users === 0 && !this.isEnded) this.idle = setTimeout(() => void this.end(), IDLE_MS);
  }

  /** Connects when it is not. Throws one sentence when that does not go. */
  async connect(): Promise<void> {
    this.connecting ??= this.answered(this.pool.connect()).finally(() => {
      this.connecting = null;
    });
    try {
      await this.connecting;
    } catch (error) {
      // What still tries to connect in the background would keep the process alive.
      if (error instanceof UnavailableError && this.users === 1) void this.end();
      throw explain(error, `Kafka at ${this.shown}`);
    }
  }

  private async end(): Promise<void> {
    if (this.isEnded) return;
    this.isEnded = true;
    clearTimeout(this.idle);
    this.onEnd();
    const disconnected = this.pool.disconnect().catch(() => undefined);
    await within(disconnected, FETCH_WAIT_MS + 500, "").catch(() => undefined);
    for (const socket of this.sockets) socket.destroy();
  }

  /** The partitions of a topic, in order. A UsageError when there is no such topic. */
  async partitions(topic: string): Promise<number[]> {
    try {
      const { leaders } = await this.leadersOf(topic);
      return [...leaders.keys()].sort((left, right) => left - right);
    } catch (error) {
      if (typeOf(error) !== "UNKNOWN_TOPIC_OR_PARTITION") throw error;
      const known = await this.topicNames().catch(() => []);
      throw new MissingTopicError(`There is no topic “${topic}” at ${this.shown}: ${nameHint(topic, known)}`);
    }
  }

  /** All topics that are not Kafka's own. */
  async topicNames(): Promise<string[]> {
    const broker = await this.answered(this.pool.findConnectedBroker());
    const { topicMetadata } = await this.answered(broker.metadata([]));
    return topicMetadata.flatMap(({ topic, isInternal }) => (isInternal === true ? [] : [topic])).sort();
  }

  /** Forgets who leads: the next request asks again. */
  forget(topic: string): void {
    this.topics.delete(topic);
  }

  /**
   * For each partition the first offset at or after a time, by the records' timestamps, or one of the log's ends.
   * The end is the last stable offset. A partition without such an offset is not in the answer.
   */
  async offsets(topic: string, partitions: readonly number[], timestamp: number): Promise<Map<number, number>> {
    const found = new Map<number, number>();
    await this.atLeaders(topic, partitions, async (broker, led) => {
      const wanted = led.map((partition) => ({ partition, timestamp }));
      const answer = await broker.listOffsets({
        isolationLevel: READ_COMMITTED,
        topics: [{ topic, partitions: wanted }],
      });
      for (const { partition, offset } of answer.responses.flatMap((response) => response.partitions)) {
        if (Number(offset) >= 0) found.set(partition, Number(offset));
      }
    });
    return found;
  }

  /** What lies at an offset and behind it, as it came. Null when the broker gave no answer for the partition. */
  async fetch(topic: string, partition: number, offset: number, maxBytes: number): Promise<FetchedPartition | null> {
    let fetched: FetchedPartition | null = null;
    await this.atLeaders(topic, [partition], async (broker) => {
      const { version, bytes } = await fetchRaw(broker, {
        isolationLevel: READ_COMMITTED,
        maxWaitTime: FETCH_WAIT_MS,
        minBytes: 1,
        maxBytes,
        topics: [{ topic, partitions: [{ partition, fetchOffset: String(offset), maxBytes }] }],
      });
      fetched = parseFetch(bytes, version);
    });
    return fetched;
  }

  /** Stores offsets for a group that nobody need be in. */
  async commitOffsets(group: string, topic: string, next: ReadonlyMap<number, number>): Promise<void> {
    const partitions = [...next].map(([partition, offset]) => ({ partition, offset: String(offset) }));
    await this.atCoordinator(group, (broker) =>
      broker.offsetCommit({
        groupId: group,
        groupGenerationId: -1,
        memberId: "",
        topics: [{ topic, partitions }],
      }),
    );
  }

  /** The offsets that a group stored for a topic. */
  async committedOffsets(group: string, topic: string): Promise<Map<number, number>> {
    const partitions = (await this.partitions(topic)).map((partition) => ({ partition }));
    const { responses } = await this.atCoordinator(group, (broker) =>
      broker.offsetFetch({ groupId: group, topics: [{ topic, partitions }] }),
    );
    const stored = responses.flatMap((response) => response.partitions);
    return new Map(
      stored.flatMap(({ partition, offset }) => (Number(offset) >= 0 ? [[partition, Number(offset)]] : [])),
    );
  }

  /** Runs `work` once for each broker that leads some of the partitions, at the same time. */
  private async atLeaders(
    topic: string,
    partitions: readonly number[],
    work: (broker: InternalBroker, led: readonly number[]) => Promise<void>,
  ): Promise<void> {
    try {
      const { leaders } = await this.leadersOf(topic);
      const byLeader = new Map<number, number[]>();
      for (const partition of partitions) {
        const leader = leaders.get(partition);
        if (leader === undefined)
          throw new UsageError(`Topic ${topic} at ${this.shown} has no partition ${partition} any more`);
        const led = byLeader.get(leader);
        if (led === undefined) byLeader.set(leader, [partition]);
        else led.push(partition);
      }
      await Promise.all(
        [...byLeader].map(async ([nodeId, led]) => this.answered(this.at(nodeId, (broker) => work(broker, led)))),
      );
    } catch (error) {
      // Whoever leads may have changed.
      if (mayPass(error)) this.forget(topic);
      throw error;
    }
  }

  private async atCoordinator<T>(group: string, work: (broker: InternalBroker) => Promise<T>): Promise<T> {
    const any = await this.answered(this.pool.findConnectedBroker());
    const { coordinator } = await this.answered(any.findGroupCoordinator({ groupId: group, coordinatorType: 0 }));
    if (!this.pool.getNodeIds().includes(String(coordinator.nodeId))) await this.pool.refreshMetadata([]);
    return this.answered(this.at(coordinator.nodeId, work));
  }

  private async at<T>(nodeId: number, work: (broker: InternalBroker) => Promise<T>): Promise<T> {
    return work(await this.pool.findBroker({ nodeId: String(nodeId) }));
  }

  private async leadersOf(topic: string): Promise<TopicLeaders> {
    const known = this.topics.get(topic);
    if (known !== undefined && performance.now() - known.at < METADATA_AGE_MS) return known;
    const turn = this.metadataTurn.then(async () => {
      await this.answered(this.pool.refreshMetadata([topic]));
      const found = this.pool.metadata?.topicMetadata.find((one) => one.topic === topic);
      const leaders = new Map(found?.partitionMetadata.map(({ partitionId, leader }) => [partitionId, leader]));
      const fresh = { leaders, at: performance.now() };
      this.topics.set(topic, fresh);
      return fresh;
    });
    this.metadataTurn = turn.catch(() => undefined);
    return turn;
  }

  private answered<T>(promise: Promise<T>): Promise<T> {
    const message = `${this.shown} does not answer as Kafka does: check the address, and whether it wants TLS (KAFKA_TLS)`;
    return within(promise, ANSWER_LIMIT_MS, message);
  }
}

function nameHint(topic: string, known: readonly string[]): string {
  if (known.length === 0) return "there are no topics at all";
  return known.length > 10 && !suggestion(topic, known).startsWith("did")
    ? "no name there is like it"
    : suggestion(topic, known);
}

/** The client for a place, given back when `work` has ended. */
export async function withClient<T>(place: KafkaPlace, work: (client: KafkaClient) => Promise<T>): Promise<T> {
  const client = await useClient(place.brokers);
  try {
    return await work(client);
  } finally {
    client.release();
  }
}
