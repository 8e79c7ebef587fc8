// What `doctor` finds out of a place for files: that it may be written, and has room.
import { constants } from "node:fs";
import { access, stat, statfs } from "node:fs/promises";
import path from "node:path";
import { messageOf, RunError } from "../../schema/errors";
import { type Address, type Finding, type Output } from "../connector";
import { lakeOptionsOf } from "../lake/options";
import { Partitioning } from "../lake/partition";
import { writeError } from "../lake/spool";
import { localPath, shownPath } from "../local-path";

/** With less than that a run of any size is in danger. */
const LITTLE_ROOM = 64 * 1024 * 1024;

export async function checkFiles(address: Address, outputs: readonly Output[]): Promise<readonly Finding[]> {
  const written = localPath(address.path);
  const shown = shownPath(written);
  try {
    const options = lakeOptionsOf(address, null);
    for (const { table } of outputs) if (table.mode !== "by-origin") Partitioning.of(options.partition, table, shown);
    const there = await stat(written).catch(() => null);
    const directory = await nearestThere(there?.isDirectory() === true ? written : path.dirname(written));
    await access(there === null ? directory : written, constants.W_OK);
    await access(directory, constants.W_OK);
    const room = await statfs(directory);
    const free = room.bavail * room.bsize;
    if (free < LITTLE_ROOM)
      return [{ state: "wrong", text: `${shown} has ${megabytes(free)} MB left on its disk: make room there` }];
    if (there === null) return [{ state: "missing", text: `${shown} is not there yet: the first run makes it` }];
    return [{ state: "fine", text: `${shown} may be written, with ${megabytes(free)} MB of room` }];
  } catch (error) {
    return [{ state: "wrong", text: messageOf(writeError(error, written)) }];
  }
}

/** The directory, or the nearest one above it that is there. */
async function nearestThere(directory: string): Promise<string> {
  for (let at = directory; ; at = path.dirname(at)) {
    const found = await stat(at).catch(() => null);
    if (found?.isDirectory() === true) return at;
    if (found !== null || path.dirname(at) === at)
      throw new RunError(`${shownPath(directory)} cannot be written: a part of its path is a file, not a directory`);
  }
}

const megabytes = (bytes: number): string => Math.floor(bytes / (1024 * 1024)).toLocaleString("en");
