// A directory on this machine's disk in which files wait until their batch is committed. It carries the process that made
// it in its name: whoever makes the next one beside it takes away what killed processes left.
import { createHash } from "node:crypto";
import { mkdir, readdir, rm, rmdir, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { codeOf, messageOf, RunError, UsageError } from "../../schema/errors";
import { makeDirectory, shownPath } from "../local-path";
import { type Content } from "./store";

/** Beside what is read: tools leave out names that begin so. */
export const SPOOLS = ".beamline-spool";

/** Where files wait that go to a bucket: TMPDIR names another disk. */
export const stagingDirectory = (): string => os.tmpdir();

let made = 0;

export class Spool {
  private names = 0;

  private constructor(
    private readonly parent: string,
    readonly directory: string,
  ) {}

  /** Makes one in a directory, which is made too where it is missing. */
  static async make(inside: string): Promise<Spool> {
    const parent = path.join(inside, SPOOLS);
    await makeDirectory(parent);
    await removeStale(parent);
    made += 1;
    const directory = path.join(parent, `${host()}.${process.pid}.${made}`);
    await mkdir(directory);
    return new Spool(parent, directory);
  }

  /** A path in it that nobody has yet. */
  file(): string {
    this.names += 1;
    return path.join(this.directory, `${this.names}.part`);
  }

  /** A small file, whole. */
  async text(text: string): Promise<Content> {
    const file = this.file();
    const bytes = Buffer.from(text);
    await writeFile(file, bytes, { flag: "wx", flush: true }).catch((error: unknown) => {
      throw writeError(error, file);
    });
    return { path: file, bytes: bytes.length, sha256: createHash("sha256").update(bytes).digest("hex") };
  }

  async remove(): Promise<void> {
    await rm(this.directory, { recursive: true, force: true }).catch(() => undefined);
    // Fails while others stage beside it, which is as it should be.
    await rmdir(this.parent).catch(() => undefined);
  }
}

/** Two machines, or containers, may share a disk, and the numbers of their processes say nothing to each other. */
const host = (): string => os.hostname().replaceAll(/[^\w-]/g, "-");

async function removeStale(parent: string): Promise<void> {
  for (const name of await readdir(parent)) {
    const [, of, process] = /^(.+)\.(\d+)\.\d+$/.exec(name) ?? [];
    if (of !== host() || isAlive(Number(process))) continue;
    await rm(path.join(parent, name), { recursive: true, force: true }).catch(() => undefined);
  }
}

function isAlive(id: number): boolean {
  try {
    process.kill(id, 0);
    return true;
  } catch (error) {
    return codeOf(error) === "EPERM";
  }
}

/** What a person is told when a file of this machine could not be written. */
export function writeError(error: unknown, file: string): Error {
  if (error instanceof RunError || error instanceof UsageError) return error;
  const shown = shownPath(file);
  switch (codeOf(error) ?? "") {
    case "EACCES":
    case "EPERM":
    case "EROFS":
      return new RunError(`${shown} may not be written: change the permissions there, or write to another place`);
    case "ENOSPC":
    case "EDQUOT":
      return new RunError(`${shown} could not be written: the disk is full`);
    case "ENOTDIR":
    case "EEXIST":
      return new RunError(`${shown} cannot be written: a part of its path is a file, not a directory`);
    default:
      return new RunError(`${shown} could not be written: ${messageOf(error)}`);
  }
}
