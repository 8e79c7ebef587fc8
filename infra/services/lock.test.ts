import { existsSync, readdirSync, writeFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { scratchDirectory } from "../../test/scratch";
import { withLock } from "./lock";
import { identityOf } from "./process-identity";

const scratch = scratchDirectory();
const settings = { patience: 5000, onWait: () => undefined };

test("one at a time", async () => {
  let inside = 0;
  let most = 0;
  const work = async () => {
    most = Math.max(most, (inside += 1));
    await sleep(10);
    inside -= 1;
  };
  await Promise.all(Array.from({ length: 4 }, () => withLock(scratch("lock"), settings, work)));
  expect(most).toBe(1);
  expect(readdirSync(scratch())).toEqual([]);
});

test("a dead process's lock holds nobody up", async () => {
  writeFileSync(scratch("lock"), JSON.stringify({ pid: process.pid, started: "another time" }));
  expect(await withLock(scratch("lock"), settings, () => Promise.resolve(existsSync(scratch("lock"))))).toBe(true);
  expect(readdirSync(scratch())).toEqual([]);
});

test("a living process is waited for, but not for ever", async () => {
  writeFileSync(scratch("lock"), JSON.stringify(identityOf(process.pid)));
  const onWait = jest.fn();
  const waiting = withLock(scratch("lock"), { patience: 120, onWait }, () => Promise.resolve());
  await expect(waiting).rejects.toThrow(`Process ${process.pid} has been at work on this service for too long`);
  expect(onWait.mock.calls).toEqual([[process.pid]]);
});

test("work that fails gives the lock back", async () => {
  const failing = withLock(scratch("lock"), settings, () => Promise.reject(new Error("no")));
  await expect(failing).rejects.toThrow("no");
  expect(readdirSync(scratch())).toEqual([]);
});
