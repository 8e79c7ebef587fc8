// Runs a dying job as a process of its own.
import { spawn } from "node:child_process";
import path from "node:path";
import { asProcess } from "./command-scene";
import { type DyingJob } from "./dying-job";

export type Ending = "done" | "killed" | "failed";

/** Until it ends, or is killed after so many milliseconds. */
export function runDying(
  cwd: string,
  job: Partial<DyingJob> & Pick<DyingJob, "from" | "to" | "flags">,
  killAfter?: number,
): Promise<Ending> {
  const said: DyingJob = { die: null, wrong: null, replays: false, ...job };
  const [node = "", ...words] = asProcess.slice(0, -1);
  const child = spawn(node, [...words, path.join(__dirname, "dying-job.ts"), JSON.stringify(said)], {
    cwd,
    stdio: ["ignore", "ignore", "inherit"],
  });
  const timer = killAfter === undefined ? undefined : setTimeout(() => child.kill("SIGKILL"), killAfter);
  return new Promise((resolve) =>
    child.once("exit", (code, signal) => {
      clearTimeout(timer);
      resolve(signal === "SIGKILL" ? "killed" : code === 0 ? "done" : "failed");
    }),
  );
}
