// The user's cache: what servers are made of is fetched once, and kept there for every checkout.
import { createHash, randomUUID } from "node:crypto";
import { existsSync } from "node:fs";
import { rename, rm } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { makeDirectory } from "../../io/local-path";
import { type Environment } from "./programs";

export function cacheDirectory(environment: Environment, platform = process.platform): string {
  const given = environment["XDG_CACHE_HOME"];
  if (given) return path.join(given, "beamline");
  const home = os.homedir();
  return platform === "darwin"
    ? path.join(home, "Library", "Caches", "beamline")
    : path.join(home, ".cache", "beamline");
}

/** A few letters that stand for all of a text: part of a directory's name, so that another text is another directory. */
export const shortHash = (text: string): string => createHash("sha256").update(text).digest("hex").slice(0, 8);

/** Has a directory of the cache filled. It appears all at once or not at all. */
export async function fillDirectory(directory: string, fill: (incoming: string) => Promise<void>): Promise<void> {
  const incoming = `${directory}.${randomUUID()}`;
  await makeDirectory(path.dirname(directory));
  try {
    await fill(incoming);
    await rename(incoming, directory).catch((error: unknown) => {
      // Another process was faster: what it fetched is as good.
      if (!existsSync(directory)) throw error;
    });
  } finally {
    await rm(incoming, { recursive: true, force: true });
  }
}
