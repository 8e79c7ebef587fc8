// Runs a job that meets a defect of the SDK as a process of its own, without the repair: it submits it, and is its worker.
import { spawn } from "node:child_process";
import { createRequire } from "node:module";
import { fromSource } from "../../infra/systems/systems";
import { messageOf } from "../../schema/errors";
import type * as Jobs from "./jobs";

export interface EndedWithout extends Jobs.Ended {
  /** What its process has told meanwhile. */
  readonly told: string;
}

/** `fix`: the name of the repair, and of the job that needs it. */
export async function runWithout(fix: string, endpoint: string): Promise<EndedWithout> {
  const { program, args } = fromSource("test/defects/run-without.ts");
  const child = spawn(program, [...args, fix, endpoint], { stdio: ["ignore", "pipe", "pipe"] });
  const said = { stdout: "", stderr: "" };
  for (const stream of ["stdout", "stderr"] as const)
    child[stream].setEncoding("utf8").on("data", (text: string) => (said[stream] += text));
  const code = await new Promise<number | null>((resolve) => child.once("close", resolve));
  const last = said.stdout.trimEnd().split("\n").at(-1) ?? "";
  if (code !== 0) throw new Error(`The process without ${fix} ended with ${code}:\n${said.stderr}`);
  return { ...(JSON.parse(last) as Jobs.Ended), told: said.stderr };
}

const require = createRequire(__filename);

/** Before anything else has loaded the SDK: what the file of that name installs is then not installed. */
function leaveOut(fix: string): void {
  const file = require.resolve(`../../beam/fixes/${fix}`);
  require(file);
  const loaded = require.cache[file];
  if (loaded === undefined) throw new Error(`${file} was loaded, and is not there`);
  const names = Object.keys(loaded.exports as object);
  loaded.exports = Object.fromEntries(names.map((name) => [name, () => undefined]));
}

async function main(fix: string, endpoint: string): Promise<void> {
  leaveOut(fix);
  const { runJob } = require("./jobs") as typeof Jobs;
  process.stdout.write(`${JSON.stringify(await runJob(fix, endpoint, true))}\n`);
}

if (require.main === module) {
  const [fix = "", endpoint = ""] = process.argv.slice(2);
  main(fix, endpoint).then(
    () => process.exit(0),
    (error: unknown) => {
      process.stderr.write(`${messageOf(error)}\n`);
      process.exit(1);
    },
  );
}
