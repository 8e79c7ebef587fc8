// What running programs use together with all that they started, from the kernel's books. Linux only.
import fs from "node:fs";

export interface FamilyUsage {
  /** Processor seconds of the programs themselves, since they began. */
  readonly ownCpuSeconds: number;
  /** Of all that they started, directly or not; of those that have ended too, where their parents waited for them. */
  readonly othersCpuSeconds: number;
  readonly ownRssMb: number;
  readonly othersRssMb: number;
}

interface Process {
  readonly parent: number;
  readonly cpuSeconds: number;
  /** Of children that have ended and were waited for. */
  readonly endedCpuSeconds: number;
  readonly rssMb: number;
}

/** The kernel counts in hundredths, on all machines that Node runs on. */
const TICKS = 100;
const PAGE_MB = 4096 / 2 ** 20;

/** The processes that run now. */
export type Processes = ReadonlyMap<number, Process>;

export function familyUsage(roots: readonly number[], all: Processes = processes()): FamilyUsage {
  const isRoot = new Set(roots);
  const usage = { ownCpuSeconds: 0, othersCpuSeconds: 0, ownRssMb: 0, othersRssMb: 0 };
  for (const [pid, { cpuSeconds, endedCpuSeconds, rssMb }] of all) {
    if (isRoot.has(pid)) {
      usage.ownCpuSeconds += cpuSeconds;
      usage.othersCpuSeconds += endedCpuSeconds;
      usage.ownRssMb += rssMb;
    } else if (descends(pid, isRoot, all)) {
      usage.othersCpuSeconds += cpuSeconds + endedCpuSeconds;
      usage.othersRssMb += rssMb;
    }
  }
  return usage;
}

function descends(pid: number, from: ReadonlySet<number>, all: Processes): boolean {
  for (let at = all.get(pid)?.parent; at !== undefined; at = all.get(at)?.parent) if (from.has(at)) return true;
  return false;
}

export function processes(): Processes {
  const found = new Map<number, Process>();
  for (const name of fs.readdirSync("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    try {
      const stat = fs.readFileSync(`/proc/${name}/stat`, "utf8");
      // The name of the program, in brackets, may hold anything.
      const fields = stat
        .slice(stat.lastIndexOf(")") + 2)
        .split(" ")
        .map(Number);
      const [parent = 0, user = 0, system = 0, endedUser = 0, endedSystem = 0, pages = 0] = [1, 11, 12, 13, 14, 21].map(
        (at) => fields[at],
      );
      found.set(Number(name), {
        parent,
        cpuSeconds: (user + system) / TICKS,
        endedCpuSeconds: (endedUser + endedSystem) / TICKS,
        rssMb: pages * PAGE_MB,
      });
    } catch {
      // It ended while we looked.
    }
  }
  return found;
}
