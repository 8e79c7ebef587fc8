// One process at a time starts or stops a server. The lock is a file that says whose it is, so that the lock of a process
// that was killed holds nobody up.
import { randomUUID } from "node:crypto";
import { link, readFile, rename, rm, writeFile } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { codeOf, RunError } from "../../schema/errors";
import { identityOf, isRunning, type ProcessIdentity } from "./process-identity";

export interface LockSettings {
  readonly patience: number;
  /** Called once when another process has to be waited for. */
  readonly onWait: (pid: number) => void;
}

/** Does the work while it holds the lock. */
export async function withLock<T>(file: string, settings: LockSettings, work: () => Promise<T>): Promise<T> {
  const own = `${file}.${randomUUID()}`;
  await writeFile(own, JSON.stringify(identityOf(process.pid)));
  try {
    await acquire(file, own, settings);
    try {
      return await work();
    } finally {
      await rm(file, { force: true });
    }
  } finally {
    await rm(own, { force: true });
  }
}

async function acquire(file: string, own: string, { patience, onWait }: LockSettings): Promise<void> {
  const until = Date.now() + patience;
  for (let hasWaited = false; ;) {
    // A link appears with all its content at once, and only where nothing is.
    const isTaken = await link(own, file).then(
      () => false,
      (error: unknown) => {
        if (codeOf(error) === "EEXIST") return true;
        throw error;
      },
    );
    if (!isTaken) return;
    const text = await readFile(file, "utf8").catch(() => null);
    if (text === null) continue;
    const holder = JSON.parse(text) as ProcessIdentity;
    if (!isRunning(holder)) {
      await removeLeftOver(file, own, text);
      continue;
    }
    if (Date.now() > until)
      throw new RunError(`Process ${holder.pid} has been at work on this service for too long: end it, then try again`);
    if (!hasWaited) onWait(holder.pid);
    hasWaited = true;
    await sleep(50);
  }
}

/** Takes a dead process's lock away. Somebody else may have done so just now: a lock that is not the dead one's is put back. */
async function removeLeftOver(file: string, own: string, dead: string): Promise<void> {
  const aside = `${own}.left-over`;
  await rename(file, aside).catch(() => undefined);
  const text = await readFile(aside, "utf8").catch(() => null);
  if (text !== null && text !== dead) await link(aside, file).catch(() => undefined);
  await rm(aside, { force: true });
}
