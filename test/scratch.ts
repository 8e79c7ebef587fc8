// What tests of files and databases need: a directory of their own, and a user who may not do everything.
import { mkdtempSync, realpathSync, rmSync } from "node:fs";
import os from "node:os";
import path from "node:path";

/** Gives the directory of the running test; call it once at the top of a test file. */
export function scratchDirectory(): (...parts: string[]) => string {
  let directory = "";
  beforeEach(() => {
    // A space and letters beyond ASCII, since people's directories have them too.
    directory = mkdtempSync(path.join(realpathSync(os.tmpdir()), "beamline test ü "));
  });
  afterEach(() => {
    rmSync(directory, { recursive: true, force: true });
  });
  return (...parts) => path.join(directory, ...parts);
}

/** root may read everything: a test of permissions steps down for its time. */
export async function asOrdinaryUser(action: () => Promise<void>): Promise<void> {
  if (process.platform === "win32") return;
  const isRoot = process.getuid?.() === 0;
  if (isRoot) process.seteuid?.(65534);
  try {
    await action();
  } finally {
    if (isRoot) process.seteuid?.(0);
  }
}
