// A second opinion on pipelines: Beam's own runner for Python, by which tests run what runs on Flink too.
import { spawn, type ChildProcess } from "node:child_process";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { RunError } from "../../../schema/errors";
import { freePort, isListening } from "../ports";
import { type Environment } from "../programs";
import { findPythonEnvironment, type PythonPackages } from "../python";
import { HOST } from "../server-kind";

const packages: PythonPackages = {
  name: "python-runner",
  title: "Beam's Python runner",
  otherwise: "for the tests that run pipelines on it",
  requirements: path.join(__dirname, "requirements.txt"),
  megabytes: 60,
};

const START_MS = 60_000;

export interface PythonRunner {
  /** host:port of its job service. */
  readonly endpoint: string;
  stop(): Promise<void>;
}

/** Starts it; the first time, it is fetched. It ends with this process. */
export async function startPythonRunner(
  say: (text: string) => void = () => undefined,
  environment: Environment = process.env,
): Promise<PythonRunner> {
  const { python, make } = await findPythonEnvironment(packages, environment);
  await make(say);
  const port = await freePort();
  const server = spawn(python, ["-I", path.join(__dirname, "server.py"), String(port)], {
    stdio: ["pipe", "ignore", "pipe"],
  });
  let said = "";
  server.stderr.on("data", (text: Buffer) => (said = `${said}${text.toString()}`.slice(-4_000)));
  const ended = new Promise<void>((resolve) => server.once("close", () => resolve()));
  const stop = (): Promise<void> => {
    server.stdin.end();
    return ended;
  };
  const until = performance.now() + START_MS;
  while (!(await isListening(port))) {
    if (hasEnded(server) || performance.now() > until) {
      await stop();
      throw new RunError(`Beam's Python runner did not start:\n${said}`);
    }
    await sleep(100);
  }
  return { endpoint: `${HOST}:${port}`, stop };
}

const hasEnded = ({ exitCode, signalCode }: ChildProcess): boolean => exitCode !== null || signalCode !== null;
