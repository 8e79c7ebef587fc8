// What a running process uses, from the kernel's books. Linux only.
import fs from "node:fs";

export interface ProcessUsage {
  /** Since it began; of children that have ended too. */
  readonly cpuSeconds: number;
  /** Now, of the process alone: a child that it has just forked seems to hold all of its memory too. */
  readonly rssMb: number;
}

/** The kernel counts in hundredths, on all machines that Node runs on. */
const TICKS = 100;

/** Null when it has ended. */
export function processUsage(pid: number): ProcessUsage | null {
  try {
    const stat = fs.readFileSync(`/proc/${pid}/stat`, "utf8");
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    const ticks = fields.slice(11, 15).reduce((sum, field) => sum + Number(field), 0);
    const rss = /^VmRSS:\s+(\d+) kB$/m.exec(fs.readFileSync(`/proc/${pid}/status`, "utf8"))?.[1];
    // One that has ended and was not waited for has no memory any more.
    return rss === undefined ? null : { cpuSeconds: ticks / TICKS, rssMb: Number(rss) / 1024 };
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code === "ENOENT" || code === "ESRCH") return null;
    throw error;
  }
}
