// What the tests of whole systems share: a system started by its own command, in directories and with servers of its own,
// whose processes are killed while they work.
import { spawn } from "node:child_process";
import { chmodSync, existsSync, mkdtempSync, readFileSync, realpathSync, rmSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { fromSource } from "../infra/systems/systems";
import { type LedgerEntry } from "../infra/simulators/ledger";

interface Status {
  readonly up: boolean;
  readonly jobs: readonly {
    readonly name: string;
    readonly process: { readonly pid: number } | null;
    readonly state: string;
    readonly starts: number;
  }[];
}

export interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface SystemScene {
  /** A path in the scene's directory. */
  readonly at: (...parts: string[]) => string;
  /** `npm run system --` with these words. */
  readonly system: (...words: string[]) => Promise<Ended>;
  readonly status: () => Promise<Status>;
  /** Ends a job by SIGKILL as soon as it runs, and waits until the supervisor has started it again. */
  readonly kill: (job: string) => Promise<void>;
  /** All that happened, as the simulator wrote it down. */
  readonly ledger: () => LedgerEntry[];
}

/** Sets up the tests of a file; call it once at its top. */
export function systemScene(name: string): SystemScene {
  const directory = mkdtempSync(path.join(realpathSync(os.tmpdir()), "beamline-system-"));
  // The database's server may run as another user.
  chmodSync(directory, 0o755);
  const at = (...parts: string[]): string => path.join(directory, ...parts);
  const environment = {
    ...process.env,
    BEAMLINE_SERVICES_DIR: at("services"),
    BEAMLINE_SYSTEMS_DIR: at("systems"),
  };
  const system = (...words: string[]): Promise<Ended> => {
    const { program, args } = fromSource("infra/systems/main.ts");
    const child = spawn(program, [...args, ...words], { env: environment, stdio: ["ignore", "pipe", "pipe"] });
    const said = { stdout: "", stderr: "" };
    child.stdout.on("data", (text) => (said.stdout += String(text)));
    child.stderr.on("data", (text) => (said.stderr += String(text)));
    return new Promise((resolve, reject) => {
      child.once("error", reject);
      child.once("close", (code) => resolve({ code, ...said }));
    });
  };
  const status = async (): Promise<Status> => {
    const [found] = JSON.parse((await system("status", name, "--json")).stdout) as Status[];
    return found ?? { up: false, jobs: [] };
  };
  const jobOf = async (job: string) => (await status()).jobs.find((one) => one.name === job);
  afterAll(async () => {
    await system("down", name, "--data");
    rmSync(directory, { recursive: true, force: true });
  });
  return {
    at,
    system,
    status,
    async kill(job) {
      for (;;) {
        const found = await jobOf(job);
        const pid = found?.process?.pid;
        if (found?.state === "running" && pid !== undefined) {
          process.kill(pid, "SIGKILL");
          while (((await jobOf(job))?.starts ?? 0) <= found.starts) await pause(200);
          return;
        }
        await pause(200);
      }
    },
    ledger() {
      const file = at("ledger.ndjson");
      if (!existsSync(file)) return [];
      return readFileSync(file, "utf8")
        .trim()
        .split("\n")
        .map((line) => JSON.parse(line) as LedgerEntry);
    },
  };
}
