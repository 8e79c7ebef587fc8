// Loaded with --require into the measured process: says at its exit what it used, the start-up of Node included.
const fs = require("node:fs");
const process = require("node:process");
const { isMainThread } = require("node:worker_threads");

/** Processor seconds of children that were waited for; Linux only, elsewhere they are not counted. */
function childrenCpuSeconds() {
  try {
    const stat = fs.readFileSync("/proc/self/stat", "utf8");
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return (Number(fields[13]) + Number(fields[14])) / 100;
  } catch {
    return 0;
  }
}

/**
 * The kernel's maxrss of a process starts with what its parent held at the fork, so a small child of a big parent
 * looks big. VmHWM belongs to the program itself.
 */
function peakRssMb() {
  try {
    const [, kilobytes] = /^VmHWM:\s+(\d+) kB$/m.exec(fs.readFileSync("/proc/self/status", "utf8"));
    return Number(kilobytes) / 1024;
  } catch {
    return process.resourceUsage().maxRSS / 1024;
  }
}

const report = process.env.BENCH_USAGE_FILE;
// Worker threads load this file too, but their use is already in the process's own figures.
if (report !== undefined && isMainThread) {
  process.on("exit", () => {
    const { userCPUTime, systemCPUTime } = process.resourceUsage();
    const cpuSeconds = (userCPUTime + systemCPUTime) / 1e6 + childrenCpuSeconds();
    fs.writeFileSync(report, JSON.stringify({ cpuSeconds, peakRssMb: peakRssMb() }));
  });
}
