// Paths that people write behind `file:` and `sqlite:`, and how they are shown again.
import { mkdir, stat } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { codeOf } from "../schema/errors";

/** The absolute path of what stands behind a scheme: relative to the working directory, `~/…`, `///absolute`, `C:\…`. */
export function localPath(written: string): string {
  let text = written;
  if (text.startsWith("///")) text = text.slice(2);
  // file:///C:/data is how URLs carry a drive letter.
  if (process.platform === "win32" && /^\/[a-zA-Z]:/.test(text)) text = text.slice(1);
  if (/^~(?=[\\/]|$)/.test(text)) text = os.homedir() + text.slice(1);
  return path.resolve(text);
}

/** A path as people are shown it: relative when it lies in the working directory, forward slashes on every system. */
export function shownPath(absolute: string): string {
  const relative = path.relative(process.cwd(), absolute);
  const inside = relative !== "" && !path.isAbsolute(relative) && relative.split(path.sep)[0] !== "..";
  return withForwardSlashes(inside ? relative : absolute);
}

export function withForwardSlashes(text: string): string {
  return path.sep === "\\" ? text.replaceAll("\\", "/") : text;
}

/**
 * Makes a directory and those above it. Not by mkdir's own `recursive`, which never comes back on Linux when a parent
 * exists but takes no children, as in /proc.
 */
export async function makeDirectory(directory: string): Promise<void> {
  const missing: string[] = [];
  for (let at = directory; !(await isDirectory(at)); at = path.dirname(at)) {
    missing.unshift(at);
    if (path.dirname(at) === at) break;
  }
  for (const at of missing) {
    await mkdir(at).catch(async (error: unknown) => {
      // Somebody else may have made it just now.
      if (codeOf(error) !== "EEXIST" || !(await isDirectory(at))) throw error;
    });
  }
}

async function isDirectory(place: string): Promise<boolean> {
  return stat(place).then(
    (found) => found.isDirectory(),
    () => false,
  );
}
