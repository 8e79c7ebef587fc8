"""Says what a peer used, in the words that bench/measure.ts reads: the whole process with its children, start-up included."""

import json
import os

TICKS = os.sysconf("SC_CLK_TCK")


def _stat(pid):
    with open(f"/proc/{pid}/stat") as stat:
        return stat.read().rpartition(")")[2].split()


def _family(root):
    """The process and all that it started, directly or not, and that still runs (a JVM, workers)."""
    parents = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                parents.setdefault(int(_stat(name)[1]), []).append(int(name))
            except OSError:
                pass  # ended while we looked
    family = [root]
    for pid in family:
        family.extend(parents.get(pid, []))
    return family


def report_usage():
    """Call it last: what a stopped child used is only in the books of whoever waited for it."""
    target = os.environ.get("BENCH_USAGE_FILE")
    if target is None:
        return
    cpu, peak = 0.0, 0.0
    for pid in _family(os.getpid()):
        try:
            cpu += sum(int(field) for field in _stat(pid)[11:15]) / TICKS
            with open(f"/proc/{pid}/status") as status:
                peak += next(int(line.split()[1]) for line in status if line.startswith("VmHWM:")) / 1024
        except (OSError, StopIteration):
            pass
    with open(target, "w") as report:
        json.dump({"cpuSeconds": cpu, "peakRssMb": peak}, report)
