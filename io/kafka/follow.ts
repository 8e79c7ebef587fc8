// A topic as a source that goes on. What was read of it the job keeps; the group's offsets are for tools that show the lag.
import { UsageError } from "../../schema/errors";
import { type Range } from "../../schema/record";
import { type Address, type Followed, type Part, type StartAt } from "../connector";
import { LOG_END, LOG_START, useClient, type KafkaClient } from "./client";
import { explain } from "./failures";
import { patiently } from "./patience";
import { rangeOf, readPlaceOf, type ReadPlace } from "./topic-range";

/** The job itself waits and tries again when a source is away: here only what passes at once is waited for. */
const PATIENCE = { limitMs: 5_000 };

/** Opens a topic for a job; the job's name is the group under which its offsets are stored. */
export async function followTopic(address: Address, job: string): Promise<Followed> {
  const place = readPlaceOf(address);
  const topic = new FollowedTopic(place, job);
  try {
    await topic.look();
    return topic;
  } catch (error) {
    await topic.close();
    throw error;
  }
}

class FollowedTopic implements Followed {
  private client: Promise<KafkaClient> | null = null;
  private isClosed = false;

  constructor(
    private readonly place: ReadPlace,
    private readonly job: string,
  ) {}

  async look(): Promise<readonly Part[]> {
    return this.asked(async (client) => {
      const { topic } = this.place;
      const partitions = await client.partitions(topic);
      const [starts, ends] = await Promise.all([
        client.offsets(topic, partitions, LOG_START),
        client.offsets(topic, partitions, LOG_END),
      ]);
      return partitions.map((partition) => {
        const first = starts.get(partition) ?? 0;
        return { source: `${topic}/${partition}`, first, end: Math.max(first, ends.get(partition) ?? 0) };
      });
    });
  }

  async start(part: Part, at: StartAt): Promise<number> {
    if (at === "earliest") return part.first;
    if (at === "latest") return part.end;
    const partition = this.partitionOf(part.source);
    const found = await this.asked((client) => client.offsets(this.place.topic, [partition], at.since));
    return found.get(partition) ?? part.end;
  }

  async cut(part: Part, from: number, most: number): Promise<Range> {
    return rangeOf(this.place, this.partitionOf(part.source), from, Math.max(from, Math.min(part.end, from + most)));
  }

  async committed(next: ReadonlyMap<string, number>): Promise<void> {
    const offsets = new Map([...next].map(([source, offset]) => [this.partitionOf(source), offset]));
    if (offsets.size === 0) return;
    try {
      const client = await this.connected();
      await client.commitOffsets(this.job, this.place.topic, offsets);
    } catch {
      // Nothing reads them back, and the next commit brings them up to date.
    }
  }

  async knowsJob(): Promise<boolean> {
    return this.asked(async (client) => (await client.committedOffsets(this.job, this.place.topic)).size > 0);
  }

  async close(): Promise<void> {
    this.isClosed = true;
    const client = this.client;
    this.client = null;
    (await client?.catch(() => null))?.release();
  }

  private partitionOf(source: string): number {
    return Number(source.slice(source.lastIndexOf("/") + 1));
  }

  private async asked<T>(work: (client: KafkaClient) => Promise<T>): Promise<T> {
    try {
      return await patiently(async () => work(await this.connected()), PATIENCE);
    } catch (error) {
      throw explain(error, `Topic ${this.place.topic} at ${this.place.brokers.join(",")}`);
    }
  }

  /** The client is kept until the job ends; one that could not connect is replaced. */
  private async connected(): Promise<KafkaClient> {
    if (this.isClosed) throw new UsageError("The topic is not followed any more: it was closed");
    this.client ??= useClient(this.place.brokers).catch((error: unknown) => {
      this.client = null;
      throw error;
    });
    return this.client;
  }
}
