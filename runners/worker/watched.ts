// A worker process under watch: one that is frozen, or busy with one element for ever, is killed. Its runner would wait for
// it for as long as its connection stands, and a part of it that woke up later would write what another has written since.
import { fork } from "node:child_process";
import path from "node:path";
import { type WantedWorker } from "../../beam";

/** How often it says that it is alive. */
export const ALIVE_MS = 1_000;
/** Loading a project on a busy machine keeps it silent for a while. */
const SILENT_MS = 30_000;

export interface Watched {
  /** Its exit code; null when it was killed. */
  readonly ended: Promise<number | null>;
  kill(): void;
}

export function startWatched(
  { id, provisionEndpoint }: Omit<WantedWorker, "controlEndpoint">,
  silentMs = SILENT_MS,
): Watched {
  // The same kind of file as this one: TypeScript where the project runs from its source.
  const program = path.join(__dirname, `work${path.extname(__filename)}`);
  const child = fork(program, [id, provisionEndpoint], { stdio: ["ignore", "inherit", "inherit", "ipc"] });
  let heardAt = performance.now();
  child.on("message", () => (heardAt = performance.now()));
  const watch = setInterval(() => {
    if (performance.now() - heardAt < silentMs) return;
    process.stderr.write(`The worker ${id} has been silent for ${silentMs / 1000} s and is killed\n`);
    child.kill("SIGKILL");
  }, ALIVE_MS);
  const ended = new Promise<number | null>((resolve) => {
    child.once("error", () => resolve(1));
    child.once("exit", (code) => resolve(code));
  }).finally(() => clearInterval(watch));
  return { ended, kill: () => void child.kill("SIGKILL") };
}
