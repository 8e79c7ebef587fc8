// Who takes part, and how each submits the work to the cluster.
import fs from "node:fs";
import path from "node:path";
import { type SubmitCommand } from "./measured-job";
import { beamPython } from "./beam-python";
import { flinkSql } from "./flink-sql";
import { makeOwnProject } from "./own-project";

const CLI = path.join(__dirname, "..", "..", "dist", "cli", "main.js");

export interface Work {
  /** host:port. */
  readonly kafka: string;
  readonly topic: string;
  /** The database's URL. */
  readonly database: string;
  /** host:port of the cluster. */
  readonly flink: string;
  /** How many parts of a step run at the same time. */
  readonly parallelism: number;
  /** Whether a trade that comes twice counts once. */
  readonly unique: boolean;
}

/** What of the work is measured one way and another. */
export type Case = Pick<Work, "parallelism" | "unique">;

export const caseText = ({ parallelism, unique }: Case): string =>
  `parallelism ${parallelism}, ${unique ? "each trade once" : "repeats counted"}`;

export interface Contender {
  readonly name: string;
  /** Makes ready what it does not make itself, unmeasured. */
  prepare(work: Work): Promise<void>;
  command(work: Work): SubmitCommand;
  /** Lets go of what it has for all of its runs. */
  close(): Promise<void>;
}

export const CONTENDER_NAMES = ["beamline", "beam-python", "flink-sql"] as const;
export type ContenderName = (typeof CONTENDER_NAMES)[number];

/** `flink`: host:port of the cluster. */
export async function contender(name: ContenderName, flink: string, say: (text: string) => void): Promise<Contender> {
  switch (name) {
    case "beamline":
      return beamline();
    case "beam-python":
      return beamPython(flink, say);
    case "flink-sql":
      return flinkSql(say);
  }
}

/** The command as it is built. */
export function builtCommand(): string {
  if (!fs.existsSync(CLI)) throw new Error("beamline is not built: npm run build");
  return CLI;
}

async function beamline(): Promise<Contender> {
  const command = builtCommand();
  const project = await makeOwnProject();
  return {
    name: "beamline",
    prepare: () => Promise.resolve(),
    close: () => Promise.resolve(),
    command({ kafka, topic, database, flink, parallelism, unique }) {
      const where = ["--from", `kafka://${kafka}/${topic}`, "--to", database];
      const how = ["--runner=flink", "--flink-master", flink, "--workers=process", "--detach"];
      const pipeline = unique ? "trades-aggregate" : "trades-counted";
      return {
        program: process.execPath,
        args: [command, "run", pipeline, ...where, ...how, "--parallelism", String(parallelism)],
        directory: project,
      };
    },
  };
}
