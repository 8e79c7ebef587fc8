import { spawn } from "node:child_process";
import { endProcess, identityOf, isRunning, type ProcessIdentity } from "./process-identity";

/** A process that ignores SIGTERM when it is stubborn. */
async function child(stubborn: boolean): Promise<ProcessIdentity> {
  const script = `${stubborn ? "trap '' TERM; " : ""}echo up; while :; do sleep 0.05; done`;
  const started = spawn("/bin/sh", ["-c", script], { stdio: ["ignore", "pipe", "ignore"] });
  await new Promise((resolve) => started.stdout.once("data", resolve));
  return identityOf(started.pid ?? 0) as ProcessIdentity;
}

test("this process runs, and a pid that nobody has does not", () => {
  const own = identityOf(process.pid);
  expect(isRunning(own)).toBe(true);
  expect(isRunning(null)).toBe(false);
  expect(identityOf(2 ** 30)).toBeNull();
});

test("a pid that was given to somebody else is not the process that was meant", async () => {
  const own = identityOf(process.pid) as ProcessIdentity;
  const recycled = { ...own, started: `${own.started}0` };
  expect(isRunning(recycled)).toBe(false);
  // Were it taken for ours, this test would end here.
  expect(await endProcess(recycled, "SIGKILL", 1000)).toBe("ended");
});

test("a process is asked first, and killed when it does not listen", async () => {
  const [polite, stubborn] = [await child(false), await child(true)];
  expect(await endProcess(polite, "SIGTERM", 5000)).toBe("ended");
  expect(await endProcess(stubborn, "SIGTERM", 100)).toBe("killed");
  expect([isRunning(polite), isRunning(stubborn)]).toEqual([false, false]);
});
