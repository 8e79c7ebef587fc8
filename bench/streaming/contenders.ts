// Who takes part: how each is started on a topic and a database, for a backlog that ends or for a stream that does not.
import fs from "node:fs";
import path from "node:path";
import { CANDLE_COLUMNS } from "../compare-rows";
import { nodeCommand, type Command } from "../measure";
import { CANDLE_TABLE, createCandleTables } from "./candle-table";
import { buildSparkProgram } from "./spark-program";

const CLI = path.join(__dirname, "..", "..", "dist", "cli", "main.js");

/** What a contender is started on. */
export interface Work {
  /** host:port. */
  readonly kafka: string;
  readonly topic: string;
  /** The database's URL. */
  readonly database: string;
  /** Its own, empty: state and checkpoints. */
  readonly directory: string;
}

export interface Contender {
  readonly name: string;
  /** Whether a trade that comes twice counts once. */
  readonly dedupes: boolean;
  /** What of its rows must equal the hand loop's. */
  readonly columns: readonly string[];
  /** Makes ready what it does not make itself, unmeasured. */
  prepare(work: Work): Promise<void>;
  /** All that is in the topic, then the end. */
  backlog(work: Work): Command;
  /** The topic for ever, a batch each second. */
  stream(work: Work): Command;
  /** How it is asked to end a stream. */
  readonly endsBy: "SIGINT" | "end of input";
  /** Of what it printed: the seconds of the work itself, without start-up, and what else is worth telling. */
  told(stdout: string): { querySeconds: number; note: string };
}

export interface ContenderSettings {
  /** Spark's watermark delay. */
  readonly watermark: string;
  /** Spark's maxOffsetsPerTrigger; without it, a backlog is one batch. */
  readonly maxOffsets: number | undefined;
}

export const CONTENDER_NAMES = ["beamline", "spark", "spark-no-dedupe"] as const;
export type ContenderName = (typeof CONTENDER_NAMES)[number];

export async function contender(
  name: ContenderName,
  settings: ContenderSettings,
  say: (text: string) => void,
): Promise<Contender> {
  switch (name) {
    case "beamline":
      return beamline();
    case "spark":
      return spark(name, true, settings, say);
    case "spark-no-dedupe":
      return spark(name, false, settings, say);
  }
}

function beamline(): Contender {
  if (!fs.existsSync(CLI)) throw new Error("beamline is not built: npm run build");
  const command = ({ kafka, topic, database, directory }: Work, flags: readonly string[]): Command =>
    nodeCommand(
      CLI,
      [
        // A job of its own each time: its state is new, and one that Kafka remembers would be refused then.
        ...[
          "trades-aggregate",
          "--runner=direct",
          "--streaming",
          "--job",
          `bench-${Date.now().toString(36)}`,
          ...flags,
        ],
        ...["--state-dir", path.join(directory, "state")],
        ...["--from", `kafka://${kafka}/${topic}`, "--to", database, "--json"],
      ],
      directory,
    );
  return {
    name: "beamline",
    dedupes: true,
    columns: CANDLE_COLUMNS,
    prepare: () => Promise.resolve(),
    backlog: (work) => command(work, ["--once"]),
    stream: (work) => command(work, ["--batch-interval", "1s"]),
    endsBy: "SIGINT",
    told(stdout) {
      const { seconds, read, dead, duplicate, late } =
        lastJson<Record<"seconds" | "read" | "dead" | "duplicate" | "late", number>>(stdout);
      return { querySeconds: seconds, note: `${read} read, ${dead} dead, ${duplicate} duplicate, ${late} late` };
    },
  };
}

async function spark(
  name: string,
  dedupes: boolean,
  { watermark, maxOffsets }: ContenderSettings,
  say: (text: string) => void,
): Promise<Contender> {
  const program = await buildSparkProgram(say);
  const command = ({ kafka, topic, database, directory }: Work, trigger: string): Command => ({
    program: program.java,
    args: [
      ...program.args,
      ...["--bootstrap", kafka, "--topic", topic, "--jdbc", jdbcUrl(database), "--table", CANDLE_TABLE],
      ...["--checkpoint", path.join(directory, "checkpoint"), "--trigger", trigger],
      ...["--dedupe", String(dedupes), "--watermark", watermark],
      ...(maxOffsets === undefined ? [] : ["--max-offsets", String(maxOffsets)]),
    ],
    directory,
  });
  return {
    name,
    dedupes,
    // What a trade counted twice does not change.
    columns: dedupes ? CANDLE_COLUMNS : ["window_end", "open", "high", "low", "close"],
    prepare: ({ database }) => createCandleTables(database),
    backlog: (work) => command(work, "available-now"),
    stream: (work) => command(work, "1 second"),
    endsBy: "end of input",
    told(stdout) {
      const { spark, sessionSeconds, querySeconds, batches } = lastJson<{
        spark: string;
        sessionSeconds: number;
        querySeconds: number;
        batches: number;
      }>(stdout);
      return { querySeconds, note: `Spark ${spark}, session ${sessionSeconds.toFixed(1)} s, ${batches} batches` };
    },
  };
}

function lastJson<T>(stdout: string): T {
  return JSON.parse(stdout.trimEnd().split("\n").at(-1) ?? "") as T;
}

/** In Java's words. */
export function jdbcUrl(database: string): string {
  const { host, pathname, username, password } = new URL(database);
  const parameters = new URLSearchParams({
    user: decodeURIComponent(username),
    ...(password === "" ? {} : { password: decodeURIComponent(password) }),
    // Several rows in one statement.
    reWriteBatchedInserts: "true",
  });
  return `jdbc:postgresql://${host}${pathname}?${parameters.toString()}`;
}
