// Runs a dying job as a process of its own.
import { spawn } from "node:child_process";
import path from "node:path";
import { type Writable } from "node:stream";
import { asProcess } from "./command-scene";
import { type DyingJob } from "./dying-job";

export type Ending = "done" | "killed" | "failed";

/** Until it ends, or is killed after so many milliseconds, or by `feed`, which writes what is to be piped into it. */
export function runDying(
  cwd: string,
  job: Partial<DyingJob> & Pick<DyingJob, "from" | "to" | "flags">,
  killAfter?: number,
  feed?: (stdin: Writable, kill: () => void) => void,
): Promise<Ending> {
  const said: DyingJob = {
    ...{ pipeline: "trades-aggregate", die: null, wrong: null, replays: false, journal: null },
    ...job,
  };
  const [node = "", ...words] = asProcess.slice(0, -1);
  const child = spawn(node, [...words, path.join(__dirname, "dying-job.ts"), JSON.stringify(said)], {
    cwd,
    // Under jest, what a test sets in the environment does not reach a child by itself.
    env: process.env,
    stdio: [feed === undefined ? "ignore" : "pipe", "ignore", "inherit"],
  });
  if (child.stdin !== null) {
    // Who is killed reads no more.
    child.stdin.on("error", () => undefined);
    feed?.(child.stdin, () => child.kill("SIGKILL"));
  }
  const timer = killAfter === undefined ? undefined : setTimeout(() => child.kill("SIGKILL"), killAfter);
  return new Promise((resolve) =>
    child.once("exit", (code, signal) => {
      clearTimeout(timer);
      resolve(signal === "SIGKILL" ? "killed" : code === 0 ? "done" : "failed");
    }),
  );
}
