// The backlog: the trades of a seed in a Kafka topic, and the candles that must come of them, computed by the hand loop.
import fs from "node:fs";
import path from "node:path";
import readline from "node:readline";
import { readRows, type Row } from "../compare-rows";
import { ensureTradesFile, type TradesLedger } from "../generate-trades";
import { aggregateTrades } from "../hand-loop";
import { TopicWriter, type TopicRecord } from "./topic-writer";

const DATA = path.join(__dirname, "..", "data");

export interface Backlog {
  readonly topic: string;
  readonly records: number;
  readonly bytes: number;
  /** How long writing it took. */
  readonly seconds: number;
  readonly ledger: TradesLedger;
  readonly expected: readonly Row[];
}

export interface LoadOptions {
  /** host:port. */
  readonly kafka: string;
  readonly topic: string;
  readonly records: number;
  readonly seed: number;
}

/** Writes the trades into a new topic of four partitions, keyed by symbol, CreateTime = event time. */
export async function loadTrades({ kafka, topic, records, seed }: LoadOptions): Promise<Backlog> {
  const file = ensureTradesFile(DATA, records, seed);
  const expected = expectedCandles(file.path);
  const writer = await TopicWriter.open(kafka, topic);
  const begin = performance.now();
  try {
    const toRecord = recordsOf();
    for await (const line of readline.createInterface({ input: fs.createReadStream(file.path) })) {
      const full = writer.put(toRecord(line));
      if (full !== undefined) await full;
    }
    await writer.flush();
  } finally {
    await writer.close();
  }
  const seconds = (performance.now() - begin) / 1000;
  return { topic, records, bytes: file.bytes, seconds, ledger: file.ledger, expected };
}

/** The key and time of a line, without trusting it: a bad record has what can be found of them, else the time before. */
export function recordsOf(): (line: string) => TopicRecord {
  let time = 0;
  return (line) => {
    // 13 digits: from 2001 to 2286.
    const told = /"T":(\d{13})[,}]/.exec(line)?.[1];
    if (told !== undefined) time = Number(told);
    return { value: line, key: /"s":"([^"]+)"/.exec(line)?.[1] ?? null, time };
  };
}

/** The candles of a seed's trades when a trade that comes twice counts twice. */
export function candlesWithRepeats(records: number, seed: number): Row[] {
  return expectedCandles(ensureTradesFile(DATA, records, seed).path, "counted");
}

function expectedCandles(file: string, repeats: "dropped" | "counted" = "dropped"): Row[] {
  const rows = file.replace(/\.ndjson$/, repeats === "dropped" ? ".candles.ndjson" : ".candles-with-repeats.ndjson");
  if (!fs.existsSync(rows)) {
    const incoming = `${rows}.new`;
    aggregateTrades(file, incoming, "/dev/null", repeats);
    fs.renameSync(incoming, rows);
  }
  return readRows(rows);
}
