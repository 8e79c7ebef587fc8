// A bounded run that ends itself by SIGKILL where it is told to, as a process of its own. Its file goes by its plan, as
// those of sinks that keep what earlier runs wrote do.
import { spawn } from "node:child_process";
import { readParameters } from "../cli/parameters";
import { quietSdkLogs } from "../beam";
import { fromSource } from "../infra/systems/systems";
import { fileSink } from "../io/file/sink";
import { catalog } from "../pipelines/catalog";
import { inputAddresses, outputAddresses } from "../runners/addresses";
import { type Point } from "../runners/direct/points";
import { runBatch } from "../runners/direct/run-batch";
import { RunOptions } from "../runners/run-options";
import { messageOf } from "../schema/errors";

export interface DyingRun {
  readonly from: string;
  readonly to: readonly string[];
  readonly flags: Readonly<Record<string, string>>;
  readonly die: { readonly point: Point; readonly nth: number } | null;
}

/** Until it ends or is killed; with what it told. */
export async function runDyingBatch(
  cwd: string,
  run: DyingRun,
): Promise<{ readonly ending: "done" | "killed" | "failed"; readonly told: string }> {
  const { program, args } = fromSource("test/dying-run.ts");
  const child = spawn(program, [...args, JSON.stringify(run)], {
    cwd,
    // Under jest, what a test sets in the environment does not reach a child by itself.
    env: process.env,
    stdio: ["ignore", "ignore", "pipe"],
  });
  let told = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => (told += text));
  return new Promise((resolve) =>
    child.once("close", (code, signal) =>
      resolve({ ending: signal === "SIGKILL" ? "killed" : code === 0 ? "done" : "failed", told }),
    ),
  );
}

async function main({ from, to, flags, die }: DyingRun): Promise<void> {
  quietSdkLogs();
  fileSink.namedByPlan = () => true;
  const pipeline = catalog.find(({ name }) => name === "trades-aggregate");
  if (pipeline === undefined) throw new Error("There is no trades-aggregate");
  const params = pipeline.params.parse({});
  let reached = 0;
  await runBatch({
    pipeline,
    params,
    options: readParameters(RunOptions, new Map(Object.entries(flags).map(([flag, text]) => [flag, [text]])), {}),
    inputs: inputAddresses(pipeline, [from], params),
    outputs: outputAddresses(pipeline, to, params),
    tell: (sentence) => process.stderr.write(`${sentence}\n`),
    onPoint: (point) => {
      if (point !== die?.point) return;
      reached += 1;
      if (reached === die.nth) process.kill(process.pid, "SIGKILL");
    },
  });
}

if (require.main === module) {
  main(JSON.parse(process.argv[2] ?? "{}") as DyingRun).then(
    () => process.exit(0),
    (error: unknown) => {
      process.stderr.write(`${messageOf(error)}\n`);
      process.exit(1);
    },
  );
}
