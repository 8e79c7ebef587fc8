// Who takes part, how each is started, and which part of its answer can be compared.
import { spawnSync } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import { buildSync } from "esbuild";
import { CANDLE_COLUMNS, type Equality } from "./compare-rows";
import { type Command, nodeCommand } from "./measure";

const ROOT = path.join(__dirname, "..");
const CLI = path.join(ROOT, "dist", "cli", "main.js");
const PEERS = path.join(__dirname, "peers");
const PEERS_VENV = path.join(__dirname, "data", "peers-venv");

export interface Counts {
  read: number;
  ok: number;
  dead: number;
  duplicate: number;
}

export interface Contender {
  name: string;
  /** Why it cannot take part here. */
  missing?: string;
  command(input: string, directory: string): Command;
  rowsFile(directory: string): string;
  columns: readonly string[];
  equality: Equality;
  /** Of the process's standard output; a peer that only computes rows has none. */
  counts?(stdout: string): Counts;
}

const rowsFile = (directory: string): string => path.join(directory, "candles.ndjson");

function lastJsonLine(stdout: string): Counts {
  const line = stdout.trimEnd().split("\n").at(-1) ?? "";
  const { read, ok, dead, duplicate } = JSON.parse(line) as Counts;
  return { read, ok, dead, duplicate };
}

/** Plain JavaScript, so that no loader's start-up is charged to it. */
export function handLoop(buildDirectory: string): Contender {
  const script = path.join(buildDirectory, "hand-loop.cjs");
  buildSync({
    entryPoints: [path.join(__dirname, "hand-loop.ts")],
    outfile: script,
    platform: "node",
    format: "cjs",
    target: "node20",
    logLevel: "error",
  });
  return {
    name: "hand loop",
    command: (input, directory) =>
      nodeCommand(script, [input, rowsFile(directory), path.join(directory, "dead-letters.ndjson")], directory),
    rowsFile,
    columns: CANDLE_COLUMNS,
    equality: "text",
    counts: lastJsonLine,
  };
}

export function pipeline(): Contender {
  return {
    name: "beamline",
    missing: fs.existsSync(CLI) ? undefined : "not built: npm run build",
    command: (input, directory) =>
      nodeCommand(
        CLI,
        [
          ...["run", "trades-aggregate", "--runner=direct", "--from", `file:${input}`],
          ...["--to", `candles=file:${rowsFile(directory)}`],
          ...["--to", `dead_letters=file:${path.join(directory, "dead-letters.ndjson")}`, "--json"],
        ],
        directory,
      ),
    rowsFile,
    columns: CANDLE_COLUMNS,
    equality: "text",
    counts: lastJsonLine,
  };
}

interface PythonPeer {
  script: string;
  module: string;
}

const PYTHON_PEERS: Record<string, PythonPeer> = {
  duckdb: { script: "trades-duckdb.py", module: "duckdb" },
  polars: { script: "trades-polars.py", module: "polars" },
  spark: { script: "trades-spark.py", module: "pyspark" },
  "beam-python": { script: "trades-beam.py", module: "apache_beam" },
};

export const PEER_NAMES = Object.keys(PYTHON_PEERS);

/** Peers compute what every engine can say in its own words: no first and last, hence less work than the hand loop's. */
export const PEER_COLUMNS = ["trade_count", "volume", "quote_volume", "high", "low"] as const;

export function peer(name: string): Contender {
  const known = PYTHON_PEERS[name];
  if (known === undefined) throw new Error(`unknown peer ${name}; known: ${PEER_NAMES.join(", ")}`);
  const python = findPython();
  const probe = `import importlib.util as u, sys; sys.exit(u.find_spec("${known.module}") is None)`;
  const installed = spawnSync(python, ["-c", probe]).status === 0;
  return {
    name,
    missing: installed ? undefined : "not installed",
    command: (input, directory) => ({
      program: python,
      args: [path.join(PEERS, known.script), input, rowsFile(directory)],
      directory,
    }),
    rowsFile,
    columns: PEER_COLUMNS,
    equality: "number",
  };
}

function findPython(): string {
  if (process.env.BENCH_PYTHON !== undefined) return process.env.BENCH_PYTHON;
  const own = path.join(PEERS_VENV, "bin", "python");
  return fs.existsSync(own) ? own : "python3";
}
