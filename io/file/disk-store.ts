// A directory of this machine as a store of files. A name is given by link(2): to a whole file, and only where none is.
import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { link, open, readdir, rename, rm, stat, type FileHandle } from "node:fs/promises";
import path from "node:path";
import { codeOf, RunError, UsageError } from "../../schema/errors";
import { makeDirectory, shownPath, withForwardSlashes } from "../local-path";
import { SPOOLS, writeError } from "../lake/spool";
import { type Content, type Store, type Stored } from "../lake/store";
import { readError } from "./chunks";
import { syncDirectory } from "../sync-directory";

/** A disk without links: FAT, and some that are shared over a network. */
const NO_LINKS = ["EPERM", "ENOTSUP", "EOPNOTSUPP", "ENOSYS", "EXDEV", "EMLINK"];

export class DiskStore implements Store {
  readonly staging: string;

  constructor(private readonly root: string) {
    this.staging = root;
  }

  shown(name: string): string {
    return shownPath(this.at(name)) + (name.endsWith("/") ? "/" : "");
  }

  async create(name: string, content: Content): Promise<"created" | "exists"> {
    const file = this.at(name);
    try {
      await makeDirectory(path.dirname(file));
      await linkOrRename(content.path, file);
      await syncDirectory(path.dirname(file));
      return "created";
    } catch (error) {
      if (codeOf(error) === "EEXIST" && (await statOf(file)) !== null) return "exists";
      throw writeError(error, file);
    }
  }

  async replace(name: string, content: Content, version: string): Promise<"replaced" | "changed"> {
    const file = this.at(name);
    if ((await this.stat(name))?.version !== version) return "changed";
    try {
      await rename(content.path, file);
      await syncDirectory(path.dirname(file));
      return "replaced";
    } catch (error) {
      throw writeError(error, file);
    }
  }

  async stat(name: string): Promise<Stored | null> {
    return statOf(this.at(name), name);
  }

  async sha256({ name }: Stored): Promise<string> {
    const hash = createHash("sha256");
    try {
      for await (const chunk of createReadStream(this.at(name))) hash.update(chunk as Buffer);
      return hash.digest("hex");
    } catch (error) {
      throw readError(error, this.shown(name));
    }
  }

  async *list(prefix: string): AsyncGenerator<Stored> {
    // The folder that the prefix lies in; what is left of it begins names there.
    const folder = prefix.slice(0, prefix.lastIndexOf("/") + 1);
    for await (const name of this.walk(folder)) {
      if (!name.startsWith(prefix)) continue;
      const stored = await this.stat(name);
      if (stored !== null) yield stored;
    }
  }

  private async *walk(folder: string): AsyncGenerator<string> {
    let entries;
    try {
      entries = await readdir(this.at(folder), { withFileTypes: true });
    } catch (error) {
      if (codeOf(error) === "ENOENT") return;
      if (codeOf(error) === "ENOTDIR") throw writeError(error, this.at(folder));
      throw readError(error, this.shown(folder));
    }
    for (const entry of entries.sort((a, b) => (a.name < b.name ? -1 : 1))) {
      if (entry.name === SPOOLS) continue;
      if (entry.isDirectory()) yield* this.walk(`${folder}${entry.name}/`);
      else yield `${folder}${entry.name}`;
    }
  }

  async read({ name, version }: Pick<Stored, "name" | "version">, from: number, to: number): Promise<Uint8Array> {
    const shown = this.shown(name);
    let handle: FileHandle | undefined;
    try {
      handle = await open(this.at(name), "r");
      const buffer = Buffer.allocUnsafe(to - from);
      for (let filled = 0; filled < buffer.length;) {
        const { bytesRead } = await handle.read(buffer, filled, buffer.length - filled, from + filled);
        if (bytesRead === 0) throw new RunError(`${shown} ends at ${from + filled}, but ${to} bytes of it are wanted`);
        filled += bytesRead;
      }
      if (versionOf(await handle.stat({ bigint: true })) !== version)
        throw new RunError(`${shown} was changed since the run was planned: run again when nothing writes to it`);
      return buffer;
    } catch (error) {
      throw readError(error, shown);
    } finally {
      await handle?.close();
    }
  }

  async remove(name: string): Promise<void> {
    const file = this.at(name);
    try {
      await rm(file, { force: true });
    } catch (error) {
      // A part of its path is a file: then it is not there either.
      if (codeOf(error) !== "ENOTDIR") throw writeError(error, file);
    }
  }

  private at(name: string): string {
    return path.join(this.root, ...name.split("/"));
  }
}

async function linkOrRename(from: string, to: string): Promise<void> {
  try {
    await link(from, to);
  } catch (error) {
    if (!NO_LINKS.includes(codeOf(error) ?? "") || (await statOf(to)) !== null) throw error;
    await rename(from, to);
  }
}

async function statOf(file: string, name = file): Promise<Stored | null> {
  try {
    const found = await stat(file, { bigint: true });
    if (!found.isFile()) throw new UsageError(`${shownPath(file)} is not a file: it stands where one is to be`);
    return { name, bytes: Number(found.size), version: versionOf(found), time: Number(found.mtimeMs) };
  } catch (error) {
    if (codeOf(error) === "ENOENT") return null;
    throw readError(error, withForwardSlashes(file));
  }
}

/** Of a file that is changed, or made anew, one of these is another. */
export const versionOf = ({ size, mtimeNs, ino }: { size: bigint; mtimeNs: bigint; ino: bigint }): string =>
  `${size}-${mtimeNs}-${ino}`;
