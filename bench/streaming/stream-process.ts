// A contender's process that goes on until it is asked to end.
import { spawn, type ChildProcess } from "node:child_process";
import { setTimeout as sleep } from "node:timers/promises";
import { type Command } from "../measure";
import { type Contender } from "./contenders";
import { processUsage, type ProcessUsage } from "./process-usage";

/** For the batch that is under way, and for letting go of everything. */
const END_PATIENCE = 60_000;

export class StreamProcess {
  readonly #child: ChildProcess;
  readonly #endsBy: Contender["endsBy"];
  readonly #closed: Promise<void>;
  #stdout = "";
  #complaints = "";
  #end: string | null = null;

  constructor({ program, args, directory }: Command, endsBy: Contender["endsBy"]) {
    const child = spawn(program, args, { cwd: directory, stdio: ["pipe", "pipe", "pipe"] });
    this.#child = child;
    this.#endsBy = endsBy;
    child.stdin.on("error", () => undefined);
    child.stdout.on("data", (bytes: Buffer) => (this.#stdout = (this.#stdout + bytes.toString()).slice(-100_000)));
    child.stderr.on(
      "data",
      (bytes: Buffer) => (this.#complaints = (this.#complaints + bytes.toString()).slice(-4_000)),
    );
    this.#closed = new Promise((resolve) => {
      child.once("error", (error) => {
        this.#end = error.message;
        resolve();
      });
      child.once("close", (code, signal) => {
        this.#end = signal ?? `exit code ${code}`;
        resolve();
      });
    });
  }

  /** What it printed. */
  get stdout(): string {
    return this.#stdout;
  }

  /** What it uses now. Throws when it has ended, which it should not by itself. */
  usage(): ProcessUsage {
    const usage = this.#end === null ? processUsage(this.#child.pid ?? 0) : null;
    if (usage === null) throw new Error(`ended with ${this.#end ?? "no word yet"}\n${this.#complaints.trim()}`);
    return usage;
  }

  /** Asks it to end, and waits. Null when it ended as it should. */
  async end(): Promise<string | null> {
    if (this.#end === null && this.#endsBy === "SIGINT") this.#child.kill("SIGINT");
    this.#child.stdin?.end();
    const limit = new AbortController();
    const tooLong = sleep(END_PATIENCE, undefined, { signal: limit.signal }).catch(() => undefined);
    await Promise.race([this.#closed, tooLong]);
    limit.abort();
    if (this.#end === null) {
      this.#child.kill("SIGKILL");
      await this.#closed;
      return `did not end within ${END_PATIENCE / 1000} s`;
    }
    // An interrupted run says that it was.
    const good = this.#endsBy === "SIGINT" ? ["exit code 0", "exit code 130"] : ["exit code 0"];
    return good.includes(this.#end) ? null : `ended with ${this.#end}\n${this.#complaints.trim()}`;
  }
}
