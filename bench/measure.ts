// A contender is measured as a whole process, start-up and shutdown included: that is what a user waits and pays for.
import { spawn } from "node:child_process";
import fs from "node:fs";
import path from "node:path";

const USAGE_HOOK = path.join(__dirname, "report-usage.cjs");
const LONGEST_RUN_MS = 30 * 60_000;

export interface Command {
  program: string;
  args: readonly string[];
  /** Files that a contender leaves behind (job state, results) go here, so that no run starts from an earlier one's state. */
  directory: string;
}

export interface Usage {
  cpuSeconds: number;
  wallSeconds: number;
  peakRssMb: number;
}

export interface Measured {
  usage: Usage;
  stdout: string;
}

/** A Node process reports its usage by itself; other programs write the file named by BENCH_USAGE_FILE. */
export function nodeCommand(script: string, args: readonly string[], directory: string): Command {
  return { program: process.execPath, args: ["--require", USAGE_HOOK, script, ...args], directory };
}

export async function measure(command: Command): Promise<Measured> {
  const usageFile = path.join(command.directory, "usage.json");
  fs.rmSync(command.directory, { recursive: true, force: true });
  fs.mkdirSync(command.directory, { recursive: true });

  const started = process.hrtime.bigint();
  const child = spawn(command.program, command.args, {
    cwd: command.directory,
    env: { ...process.env, BENCH_USAGE_FILE: usageFile },
    stdio: ["ignore", "pipe", "pipe"],
    timeout: LONGEST_RUN_MS,
  });
  const stdout: Buffer[] = [];
  let complaints = "";
  child.stdout.on("data", (chunk: Buffer) => stdout.push(chunk));
  child.stderr.on("data", (chunk: Buffer) => (complaints = (complaints + chunk.toString("utf8")).slice(-4_000)));
  const [code, signal] = await new Promise<[number | null, string | null]>((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (exitCode, exitSignal) => resolve([exitCode, exitSignal]));
  });
  const wallSeconds = Number(process.hrtime.bigint() - started) / 1e9;

  if (code !== 0) throw new Error(`ended with ${signal ?? `exit code ${code}`}\n${complaints.trim()}`);
  if (!fs.existsSync(usageFile)) throw new Error("did not report what it used");
  const reported = JSON.parse(fs.readFileSync(usageFile, "utf8")) as Pick<Usage, "cpuSeconds" | "peakRssMb">;
  return { usage: { ...reported, wallSeconds }, stdout: Buffer.concat(stdout).toString("utf8") };
}

export interface Spread {
  min: number;
  median: number;
  max: number;
}

export function spread(values: readonly number[]): Spread {
  const sorted = [...values].sort((left, right) => left - right);
  const at = (index: number): number => sorted[index] ?? NaN;
  const middle = (sorted.length - 1) / 2;
  return { min: at(0), median: (at(Math.floor(middle)) + at(Math.ceil(middle))) / 2, max: at(sorted.length - 1) };
}
