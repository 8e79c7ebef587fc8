// A directory on a disk of a few megabytes. Only root can make one, as which CI runs.
import { execFileSync } from "node:child_process";
import { mkdtempSync, realpathSync, rmSync } from "node:fs";
import os from "node:os";
import path from "node:path";

const KILOBYTES = 2048;
const rooms: string[] = [];

export interface LittleRoom {
  readonly directory: string;
  /** Makes room, for everything that the suite writes. */
  readonly free: () => Promise<void>;
}

export async function littleRoom(kilobytes = KILOBYTES): Promise<LittleRoom> {
  const directory = mkdtempSync(path.join(realpathSync(os.tmpdir()), "beamline-little-room-"));
  execFileSync("mount", ["-t", "tmpfs", "-o", `size=${kilobytes}k`, "beamline", directory]);
  rooms.push(directory);
  return {
    directory,
    free: async () => void execFileSync("mount", ["-o", "remount,size=64m", directory]),
  };
}

export async function endLittleRooms(): Promise<void> {
  for (const directory of rooms.splice(0)) {
    execFileSync("umount", ["--lazy", directory]);
    rmSync(directory, { recursive: true, force: true });
  }
}
