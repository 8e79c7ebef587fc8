import { readFileSync, writeFileSync } from "node:fs";
import { scratchDirectory } from "../../../test/scratch";
import { releaseLockFile } from "./postgres";

const scratch = scratchDirectory();

async function released(pid: number, ended: number | null): Promise<string> {
  writeFileSync(scratch("postmaster.pid"), `${pid}\n/data\n1767605400\n`);
  await releaseLockFile(scratch("postmaster.pid"), ended === null ? null : { pid: ended, started: "before" });
  return readFileSync(scratch("postmaster.pid"), "utf8");
}

test("the lock file of a server that has ended is ours to take, with its other lines", async () => {
  const nobody = 2 ** 30;
  expect(await released(nobody, null)).toBe(`${process.pid}\n/data\n1767605400\n`);
  // Its pid is somebody else's by now.
  expect(await released(process.ppid, process.ppid)).toBe(`${process.pid}\n/data\n1767605400\n`);
});

test("that of a server that may run is left alone, and none is fine", async () => {
  expect(await released(process.ppid, null)).toBe(`${process.ppid}\n/data\n1767605400\n`);
  await releaseLockFile(scratch("none.pid"), null);
});
