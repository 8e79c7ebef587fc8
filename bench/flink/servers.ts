// A Kafka, a PostgreSQL and a Flink cluster: of this run's own, or those that `npm run services` has up in a directory.
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { freePort } from "../../infra/services/ports";
import { startServices, stopServices } from "../../infra/services/services";

export interface Servers {
  /** host:port. */
  readonly kafka: string;
  /** A database that may create others. */
  readonly postgres: string;
  /** host:port of Flink's REST interface. */
  readonly flink: string;
  /** Of the JobManager and the TaskManagers. */
  readonly flinkPids: () => { readonly jobManager: number; readonly taskManagers: readonly number[] };
  /** Ends what this run started, and deletes its data. */
  stop(): Promise<void>;
}

const NAMES = ["kafka", "postgres", "flink"] as const;

export async function openServers(given: string | undefined, say: (text: string) => void): Promise<Servers> {
  const directory = given ?? fs.mkdtempSync(path.join(os.tmpdir(), "beamline-bench-"));
  // PostgreSQL does not run as root, and its user has to come in.
  if (given === undefined) fs.chmodSync(directory, 0o755);
  const stop = async (): Promise<void> => {
    if (given !== undefined) return;
    await stopServices(NAMES, { directory, data: true });
    fs.rmSync(directory, { recursive: true, force: true });
  };
  const ports: Partial<Record<(typeof NAMES)[number], number>> = {};
  if (given === undefined) for (const name of NAMES) ports[name] = await freePort(name === "flink" ? 2 : 1);
  const onProgress = (name: string, text: string): void => say(`${name}: ${text}`);
  try {
    const { kafka, postgres, flink } = await startServices(NAMES, { directory, ports, onProgress });
    const pidOf = (name: string) => Number(fs.readFileSync(path.join(directory, "flink", `${name}.pid`), "utf8"));
    const flinkPids = () => ({
      jobManager: pidOf("jobmanager"),
      taskManagers: ["taskmanager-1", "taskmanager-2"].map(pidOf),
    });
    return {
      kafka: new URL(kafka.url).host,
      postgres: postgres.url,
      flink: new URL(flink.url).host,
      flinkPids,
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}
