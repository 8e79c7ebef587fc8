// Writes to a topic as fast as one process can, and in order within each partition: one request of each is under way.
import { Kafka, logLevel, Partitioners, type Message, type Producer } from "kafkajs";

const PARTITIONS = 4;
const BATCH = 5_000;

interface Lane {
  readonly partition: number;
  waiting: Message[];
  /** The request that is under way. */
  sending: Promise<void> | null;
}

export interface TopicRecord {
  readonly value: string;
  /** Which partition it goes to depends on it alone. A record without one goes to any. */
  readonly key: string | null;
  /** Its CreateTime in milliseconds. */
  readonly time: number;
}

export class TopicWriter {
  readonly #lanes = Array.from({ length: PARTITIONS }, (_, partition): Lane => ({
    partition,
    waiting: [],
    sending: null,
  }));
  readonly #partitionOf = Partitioners.DefaultPartitioner();
  readonly #partitions = this.#lanes.map(({ partition }) => ({
    partitionId: partition,
    leader: 0,
    partitionErrorCode: 0,
    replicas: [],
    isr: [],
  }));
  readonly #partitionsOfKeys = new Map<string, number>();
  #keyless = 0;

  private constructor(
    private readonly topic: string,
    private readonly producer: Producer,
  ) {}

  /** Creates the topic, which must not be there yet. */
  static async open(broker: string, topic: string): Promise<TopicWriter> {
    const kafka = new Kafka({ clientId: "beamline-bench", brokers: [broker], logLevel: logLevel.ERROR });
    const admin = kafka.admin();
    await admin.connect();
    try {
      const isNew = await admin.createTopics({ topics: [{ topic, numPartitions: PARTITIONS }], waitForLeaders: true });
      if (!isNew) throw new Error(`the topic ${topic} is there already`);
    } finally {
      await admin.disconnect();
    }
    const producer = kafka.producer({ createPartitioner: Partitioners.DefaultPartitioner });
    await producer.connect();
    return new TopicWriter(topic, producer);
  }

  /** Takes a record; wait for what it returns, since then a partition has as much waiting as one request takes. */
  put({ value, key, time }: TopicRecord): Promise<void> | undefined {
    const lane = this.#lanes[this.#partition(key)] as Lane;
    lane.waiting.push({ key, value, timestamp: String(time), partition: lane.partition });
    return lane.waiting.length < BATCH ? undefined : this.#sendAfterLast(lane);
  }

  /** Sends what waits, where no request is under way. */
  sendNow(): void {
    for (const lane of this.#lanes) if (lane.sending === null) this.#send(lane);
  }

  /** Comes back when the broker has everything. */
  async flush(): Promise<void> {
    for (const lane of this.#lanes) {
      if (lane.waiting.length > 0) await this.#sendAfterLast(lane);
      if (lane.sending !== null) await lane.sending;
    }
  }

  async close(): Promise<void> {
    await this.producer.disconnect();
  }

  async #sendAfterLast(lane: Lane): Promise<void> {
    while (lane.sending !== null) await lane.sending;
    this.#send(lane);
  }

  #send(lane: Lane): void {
    if (lane.waiting.length === 0) return;
    const messages = lane.waiting;
    lane.waiting = [];
    const sending = this.producer.send({ topic: this.topic, messages }).then(() => {
      lane.sending = null;
    });
    // Whoever waits for the lane next sees the failure.
    sending.catch(() => undefined);
    lane.sending = sending;
  }

  #partition(key: string | null): number {
    if (key === null) return (this.#keyless += 1) % PARTITIONS;
    let partition = this.#partitionsOfKeys.get(key);
    if (partition === undefined) {
      const message = { key, value: null };
      partition = this.#partitionOf({ topic: this.topic, partitionMetadata: this.#partitions, message });
      this.#partitionsOfKeys.set(key, partition);
    }
    return partition;
  }
}
