// Writes rows to a topic, one message each. What is in a topic cannot be taken back: a batch that is run again writes its
// messages again, with the same ids.
import { RunError, UsageError } from "../../schema/errors";
import { type Row } from "../../schema/table";
import { type Address, type Batch, type OpenTarget, type Output, type SinkConnector } from "../connector";
import { MissingTopicError, withClient } from "./client";
import { explain, typeOf } from "./failures";
import { formatOf, valuesOf } from "./message-format";
import { LettersDone } from "../letters";
import { readLetters } from "./letters";
import { goneMessages, messagesOf, type Message } from "./messages";
import { writeOptions } from "./options";
import { patiently } from "./patience";
import { checkOptions, placeOf, sameText, type KafkaPlace } from "./place";
import { useProducer, withAdmin, type SharedProducer } from "./producer";

/** What is sent together, well below the megabyte that brokers take by default. */
const SEND_BYTES = 512 * 1024;
const SEND_MESSAGES = 5_000;

const OPEN_PATIENCE_MS = 5_000;

export const kafkaSink: SinkConnector = {
  deliveryClass: "append",
  delivery:
    "append, at least once: a batch that is run again writes its messages again, with the same beamline-id; nothing can be taken back",
  // The ids of messages follow from what a plan covers: gone on with, it gives them again with the same ones.
  namedByPlan: () => true,
  wants: "final",
  place: (address) => sameText(placeOf(address)),
  open: openTopic,
  letters: readLetters,
};

async function openTopic(address: Address, outputs: readonly Output[], batch: Batch): Promise<OpenTarget> {
  checkOptions(address, writeOptions, "written to");
  const place = placeOf(address);
  const [output, second] = outputs;
  if (output === undefined) throw new Error("No output goes to this topic");
  if (second !== undefined)
    throw new UsageError(
      `The outputs ${outputs.map(({ name }) => name).join(", ")} all go to the topic ${place.topic}: give each its own, such as --to ${second.name}=kafka://${place.brokers.join(",")}/${second.table.name}`,
    );
  const creation = creationOf(address);
  const format = formatOf(address);
  const messagesWith = messagesOf(output.table, output.name, batch, address.options["time"] ?? null);
  const shown = `Topic ${place.topic} at ${place.brokers.join(",")}`;
  try {
    await ensureTopic(place, creation);
    const messageOf = messagesWith(
      await patiently(() => valuesOf(format, place.topic, output.table), { limitMs: OPEN_PATIENCE_MS }),
    );
    const producer = await patiently(() => useProducer(place.brokers), { limitMs: OPEN_PATIENCE_MS });
    return new TopicTarget(producer, place.topic, shown, output, messageOf, batch);
  } catch (error) {
    throw explain(error, shown);
  }
}

class TopicTarget implements OpenTarget {
  private isOpen = true;
  private hasFailed = false;
  private readonly lettersDone: LettersDone;

  constructor(
    private readonly shared: SharedProducer,
    private readonly topic: string,
    private readonly shown: string,
    private readonly output: Output,
    private readonly messageOf: (row: Row) => Message,
    private readonly batch: Batch,
  ) {
    this.lettersDone = new LettersDone(output.table.mode === "by-origin" ? batch.replays : []);
  }

  async write(name: string, rows: readonly Row[]): Promise<{ written: number }> {
    if (name !== this.output.name) throw new Error(`Output ${name} was not opened`);
    this.lettersDone.wrote(rows);
    await this.sendAll(rows.map(this.messageOf));
    return { written: rows.length };
  }

  private async sendAll(all: readonly Message[]): Promise<void> {
    let messages: Message[] = [];
    let bytes = 0;
    for (const message of all) {
      const size = (message.value?.length ?? 0) + (message.key?.length ?? 0);
      if (messages.length > 0 && (bytes + size > SEND_BYTES || messages.length >= SEND_MESSAGES)) {
        await this.send(messages);
        messages = [];
        bytes = 0;
      }
      messages.push(message);
      bytes += size;
    }
    if (messages.length > 0) await this.send(messages);
  }

  /** Comes back when every replica has the messages. */
  private async send(messages: Message[]): Promise<void> {
    try {
      await this.shared.producer.send({ topic: this.topic, acks: -1, messages });
    } catch (error) {
      this.hasFailed = true;
      if (typeOf(error) === "MESSAGE_TOO_LARGE")
        throw new RunError(
          `${this.shown} does not take a message of ${largest(messages)} bytes: raise the topic's max.message.bytes`,
        );
      throw explain(error, this.shown);
    }
  }

  /** All rows were acknowledged when they were written. */
  async commit(): Promise<void> {
    await this.sendAll(goneMessages(this.batch.job, this.lettersDone.gone()));
    this.close();
  }

  async abort(): Promise<void> {
    this.close();
  }

  private close(): void {
    if (!this.isOpen) return;
    this.isOpen = false;
    this.shared.release(this.hasFailed ? "broken" : this.batch.turn === null ? "run" : "job");
  }
}

function largest(messages: readonly Message[]): number {
  return messages.reduce((most, { value }) => Math.max(most, Buffer.byteLength(value ?? "")), 0);
}

interface Creation {
  /** Null: as many as the broker makes by itself. */
  readonly partitions: number | null;
  readonly replication: number | null;
}

/** What `?create=true&partitions=N&replication=N` asks for; null when the topic must be there. */
export function creationOf({ path, options }: Address): Creation | null {
  const { create } = options;
  if (create !== undefined && create !== "true" && create !== "false")
    throw new UsageError(`“?create=${create}” of kafka:${path} must be true or false`);
  const partitions = countOf(options, "partitions", 100_000);
  const replication = countOf(options, "replication", 1_000);
  if (create === "true") return { partitions, replication };
  if (partitions !== null || replication !== null)
    throw new UsageError(
      `“?partitions” and “?replication” say how a topic is made: they need “create=true” beside them`,
    );
  return null;
}

function countOf(options: Address["options"], name: string, most: number): number | null {
  const text = options[name];
  if (text === undefined) return null;
  const count = Number(text);
  if (!/^\d+$/.test(text) || count < 1 || count > most)
    throw new UsageError(`“?${name}=${text}” must be a whole number from 1 to ${most}`);
  return count;
}

export const notThere = ({ message }: MissingTopicError): UsageError =>
  new UsageError(`${message}; a new topic is made with ?create=true behind the address`);

async function ensureTopic(place: KafkaPlace, creation: Creation | null): Promise<void> {
  const { brokers, topic } = place;
  const look = (): Promise<unknown> =>
    patiently(() => withClient(place, (client) => client.partitions(topic)), { limitMs: OPEN_PATIENCE_MS });
  try {
    await look();
  } catch (error) {
    if (!(error instanceof MissingTopicError)) throw error;
    if (creation === null) throw notThere(error);
    await withAdmin(brokers, (admin) =>
      admin.createTopics({
        topics: [{ topic, numPartitions: creation.partitions ?? -1, replicationFactor: creation.replication ?? -1 }],
        waitForLeaders: true,
      }),
    );
  }
}
