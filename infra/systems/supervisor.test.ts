import { existsSync, readFileSync } from "node:fs";
import path from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { scratchDirectory } from "../../test/scratch";
import { type JobRecord, type SystemJob } from "./job";
import { logFile, Supervisor } from "./supervisor";

const at = scratchDirectory();

/** A program that does what the script says; `order` gets the names of those that ended when they were told to. */
const job = (name: string, script: string, more: Partial<SystemJob> = {}): SystemJob => ({
  name,
  program: process.execPath,
  args: [
    "-e",
    `const end = () => { require("node:fs").appendFileSync(${JSON.stringify(at("order"))}, ${JSON.stringify(`${name} `)}); process.exit(130); }; process.on("SIGINT", end); ${script}`,
  ],
  environment: {},
  keep: "goes on",
  brings: false,
  ...more,
});
const FOR_EVER = 'console.log("up"); setInterval(() => {}, 1000);';
const logOf = (name: string) => {
  const file = logFile(at("s"), name);
  return existsSync(file) ? readFileSync(file, "utf8") : "";
};
const records = () =>
  new Map(
    (JSON.parse(readFileSync(path.join(at("s"), "jobs.json"), "utf8")) as JobRecord[]).map((one) => [one.name, one]),
  );

async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await pause(20);
}

jest.setTimeout(60_000);

test("what ends by a mistake is started again; wrong usage is not, and neither is what ended well", async () => {
  const supervisor = new Supervisor(
    [job("crash", "process.exit(1)"), job("wrong", "process.exit(2)"), job("done", "process.exit(0)")],
    at("s"),
  );
  supervisor.start();
  await until(() => (records().get("crash")?.starts ?? 0) >= 2 && records().get("done")?.state === "stopped");
  expect(records().get("wrong")).toMatchObject({ state: "failed", starts: 1 });
  expect(records().get("done")).toMatchObject({ starts: 1 });
  await supervisor.stop();
  expect(records().get("crash")).toMatchObject({ state: "stopped", process: null });
});

test("what is run again and again is run again, also when it lacks what another job has yet to make", async () => {
  const supervisor = new Supervisor([job("daily", "process.exit(2)", { keep: 10 })], at("s"));
  supervisor.start();
  await until(() => (records().get("daily")?.starts ?? 0) >= 3);
  await supervisor.stop();
});

test("those that bring records in end first; what they said is in their logs", async () => {
  const supervisor = new Supervisor([job("takes", FOR_EVER), job("brings", FOR_EVER, { brings: true })], at("s"));
  supervisor.start();
  await until(() => logOf("takes").includes("up") && logOf("brings").includes("up"));
  await supervisor.stop();
  expect(readFileSync(at("order"), "utf8")).toBe("brings takes ");
});

test("a job that is killed is started again, and one whose program is not there is tried again", async () => {
  const supervisor = new Supervisor([job("killed", FOR_EVER), job("missing", "", { program: at("nothing") })], at("s"));
  supervisor.start();
  await until(() => logOf("killed").includes("up"));
  process.kill(records().get("killed")?.process?.pid ?? 0, "SIGKILL");
  await until(() => (records().get("killed")?.starts ?? 0) === 2 && logOf("killed").split("up").length === 3);
  expect(records().get("missing")?.lastEnd).toContain("ENOENT");
  await supervisor.stop();
});
