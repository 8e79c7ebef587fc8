// Reads dead letters back from a topic: a message is a letter, one without a value says that the letter of its key is gone.
import { UsageError } from "../../schema/errors";
import { TOMBSTONE, type SourceRecord } from "../../schema/record";
import { type Table } from "../../schema/table";
import { EVERYTHING, type Address, type LetterNews } from "../connector";
import { newsOfLine } from "../letters";
import { formatOf } from "./message-format";
import { readRange } from "./read";
import { planTopic } from "./source";

export async function* readLetters(address: Address, table: Table, job: string): AsyncGenerator<LetterNews[]> {
  if (formatOf(address).format !== "json")
    throw new UsageError(`Dead letters in kafka:${address.path} can be replayed only when they are plain JSON`);
  // The options of the address say how it is written.
  for (const range of await planTopic({ ...address, options: {} }, EVERYTHING)) {
    for await (const records of readRange(range)) {
      yield records.flatMap((record) => newsOf(table, record, job) ?? []);
    }
  }
}

function newsOf(table: Table, { value, key, headers, source, position }: SourceRecord, job: string): LetterNews | null {
  const where = `${source}, ${position},`;
  if (headers?.[TOMBSTONE] !== "true") return newsOfLine(table, String(value), job, where);
  const [ofJob, ofSource, ofPosition, step] = JSON.parse(String(key)) as [string, string, number, string];
  return ofJob === job ? { kind: "gone", id: { source: ofSource, position: ofPosition, step } } : null;
}
