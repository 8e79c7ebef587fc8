import { spawn } from "node:child_process";
import { once } from "node:events";
import { processUsage } from "./process-usage";

const onLinux = process.platform === "linux" ? test : test.skip;

onLinux("this process, and a child that comes and goes", async () => {
  const own = processUsage(process.pid);
  expect(own?.cpuSeconds).toBeGreaterThan(0);
  expect(own?.rssMb).toBeCloseTo(process.memoryUsage.rss() / 2 ** 20, -2);

  const child = spawn(process.execPath, ["-e", "console.log(1); process.stdin.resume()"]);
  await once(child.stdout, "data");
  const pid = child.pid ?? 0;
  expect(processUsage(pid)?.rssMb).toBeGreaterThan(20);
  child.stdin.end();
  await once(child, "close");
  expect(processUsage(pid)).toBeNull();
});
