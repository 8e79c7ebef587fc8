// Which process a recorded pid meant. The system gives pids out again, so a pid alone may be anybody's by now.
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { codeOf } from "../../schema/errors";

export interface ProcessIdentity {
  readonly pid: number;
  /** When the system says it was started, in the system's own form: compared, never read. */
  readonly started: string;
}

/** The identity of the process that has this pid now; null when none has, or one that has ended and waits to be buried. */
export function identityOf(pid: number): ProcessIdentity | null {
  const found = process.platform === "linux" ? fromProc(pid) : fromPs(pid);
  return found === null || /^[ZX]/.test(found.state) ? null : { pid, started: found.started };
}

export function isRunning(identity: ProcessIdentity | null): identity is ProcessIdentity {
  return identity !== null && identityOf(identity.pid)?.started === identity.started;
}

function fromProc(pid: number): { state: string; started: string } | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    // The second field is the program's name in parentheses, which may itself hold blanks and parentheses.
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return { state: fields[0] ?? "", started: fields[19] ?? "" };
  } catch {
    return null;
  }
}

function fromPs(pid: number): { state: string; started: string } | null {
  try {
    const output = execFileSync("ps", ["-o", "stat=,lstart=", "-p", String(pid)], {
      encoding: "utf8",
      stdio: ["ignore", "pipe", "ignore"],
      env: { ...process.env, LC_ALL: "C" },
    });
    const [state = "", ...started] = output.trim().split(/\s+/);
    return { state, started: started.join(" ") };
  } catch {
    return null;
  }
}

/** Sends the signal and waits for the end; what has not ended after `patience` is killed. */
export async function endProcess(
  identity: ProcessIdentity,
  signal: NodeJS.Signals,
  patience: number,
): Promise<"ended" | "killed"> {
  if (await sendAndWait(identity, signal, patience)) return "ended";
  if (await sendAndWait(identity, "SIGKILL", 10_000)) return "killed";
  throw new Error(`process ${identity.pid} does not end, not even by SIGKILL`);
}

async function sendAndWait(identity: ProcessIdentity, signal: NodeJS.Signals, patience: number): Promise<boolean> {
  const until = Date.now() + patience;
  if (!isRunning(identity)) return true;
  try {
    process.kill(identity.pid, signal);
  } catch (error) {
    // Ended between the look and the signal.
    if (codeOf(error) !== "ESRCH") throw error;
  }
  while (isRunning(identity)) {
    if (Date.now() > until) return false;
    await sleep(20);
  }
  return true;
}
