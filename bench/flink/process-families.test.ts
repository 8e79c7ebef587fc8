import { spawn } from "node:child_process";
import { once } from "node:events";
import { familyUsage } from "./process-families";

const onLinux = process.platform === "linux" ? test : test.skip;

const BUSY = "while (process.cpuUsage().user < 400_000);";

onLinux("what a child's child uses is the family's, while it runs and when it is gone", async () => {
  const grandchild = `${BUSY} console.log("busy"); process.stdin.resume()`;
  const child = spawn(
    process.execPath,
    [
      "-e",
      `require("child_process").spawn(process.execPath, ["-e", ${JSON.stringify(grandchild)}], { stdio: "inherit" })`,
    ],
    { stdio: ["pipe", "pipe", "inherit"] },
  );
  const pid = child.pid ?? 0;
  await once(child.stdout, "data");
  const during = familyUsage([pid]);
  expect(during.othersCpuSeconds).toBeGreaterThanOrEqual(0.3);
  expect(during.ownRssMb).toBeGreaterThan(20);
  expect(during.othersRssMb).toBeGreaterThan(20);
  const ofBoth = familyUsage([process.pid]);
  expect(ofBoth.othersCpuSeconds).toBeGreaterThanOrEqual(during.ownCpuSeconds + 0.3);

  child.stdin.end();
  await once(child, "close");
  expect(familyUsage([pid])).toEqual({ ownCpuSeconds: 0, othersCpuSeconds: 0, ownRssMb: 0, othersRssMb: 0 });
  expect(familyUsage([process.pid]).othersCpuSeconds).toBeGreaterThanOrEqual(ofBoth.othersCpuSeconds);
});
