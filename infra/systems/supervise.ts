// The process behind a system that is up: it outlives the command that started it, and ends its jobs when it is told to.
import { readFileSync } from "node:fs";
import path from "node:path";
import { type SystemJob } from "./job";
import { Supervisor } from "./supervisor";

const directory = process.argv[2] ?? "";
const jobs = JSON.parse(readFileSync(path.join(directory, "plan.json"), "utf8")) as SystemJob[];
const supervisor = new Supervisor(jobs, directory);
let isEnding = false;

for (const signal of ["SIGINT", "SIGTERM"] as const) {
  process.on(signal, () => {
    if (isEnding) return;
    isEnding = true;
    void supervisor.stop().then(() => process.exit(0));
  });
}
supervisor.start();
// Jobs that wait for their next try keep no process alive.
setInterval(() => undefined, 60_000);
