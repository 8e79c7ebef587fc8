// A producer that repeats what was lost without writing it twice: idempotent, every replica acknowledges.
// Shared within the process: each new one is remembered by the brokers for a day.
import { Kafka, logLevel, type Admin, type Producer } from "kafkajs";
import { createHash } from "node:crypto";
import { CLIENT_ID, RETRY, socketsFor, TIME_LIMITS, writeFast } from "./internals";
import { partitioner } from "./partitioner";
import { within } from "./patience";
import { accessOf, type Access } from "./settings";

/** How long it is kept for the next batch: of a run that is over, and of a job that goes on. */
const IDLE_MS = { run: 500, job: 3_000 } as const;

/** kafkajs tries again by itself, and must, since only it knows the numbers of what it sent: half a minute in all. */
const SEND_RETRY = { retries: 12, initialRetryTime: 100, maxRetryTime: 4_000 };

const producers = new Map<string, SharedProducer>();

/** The public client, silent. */
function kafkaOf(brokers: readonly string[], access: Access, retry: { retries: number }): Kafka {
  return new Kafka({
    ...TIME_LIMITS,
    clientId: CLIENT_ID,
    socketFactory: socketsFor(() => undefined),
    brokers: [...brokers],
    logLevel: logLevel.NOTHING,
    logCreator: () => () => undefined,
    retry,
    ...(access.ssl === null ? {} : { ssl: access.ssl }),
    ...(access.sasl === null ? {} : { sasl: access.sasl }),
  });
}

/** Runs `work` with an admin client. */
export async function withAdmin<T>(brokers: readonly string[], work: (admin: Admin) => Promise<T>): Promise<T> {
  const admin = kafkaOf(brokers, accessOf(), RETRY).admin();
  try {
    await admin.connect();
    return await work(admin);
  } finally {
    await within(admin.disconnect(), 2_000, "").catch(() => undefined);
  }
}

/** A connected producer, to be given back with `release`. */
export async function useProducer(brokers: readonly string[]): Promise<SharedProducer> {
  const access = accessOf();
  const key = createHash("sha256")
    .update(JSON.stringify([brokers, access]))
    .digest("hex");
  let shared = producers.get(key);
  if (shared === undefined) {
    writeFast();
    const producer = kafkaOf(brokers, access, SEND_RETRY).producer({
      createPartitioner: partitioner,
      allowAutoTopicCreation: false,
      idempotent: true,
      maxInFlightRequests: 1,
    });
    const made = new SharedProducer(producer, () => {
      if (producers.get(key) === made) producers.delete(key);
    });
    producers.set(key, made);
    shared = made;
  }
  shared.retain();
  try {
    await shared.connect();
    return shared;
  } catch (error) {
    shared.release("broken");
    throw error;
  }
}

export class SharedProducer {
  private connecting: Promise<void> | null = null;
  private users = 0;
  private idle: NodeJS.Timeout | undefined;

  constructor(
    readonly producer: Producer,
    private readonly forget: () => void,
  ) {}

  retain(): void {
    this.users += 1;
    clearTimeout(this.idle);
  }

  connect(): Promise<void> {
    return (this.connecting ??= this.producer.connect());
  }

  /** `broken`: it failed, so its numbers may not fit the brokers' any more, and the next user gets a new one. */
  release(use: "run" | "job" | "broken"): void {
    this.users -= 1;
    if (use === "broken") this.forget();
    if (this.users > 0) return;
    this.idle = setTimeout(
      () => {
        this.forget();
        this.producer.disconnect().catch(() => undefined);
      },
      use === "broken" ? 0 : IDLE_MS[use],
    );
  }
}
