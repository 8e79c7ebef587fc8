// The servers that both sides use: given ones, or a Kafka and a PostgreSQL of this run's own that end with it.
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { freePort } from "../../infra/services/ports";
import { type ServiceName } from "../../infra/services/server-kind";
import { startServices, stopServices } from "../../infra/services/services";

export interface Servers {
  /** host:port. */
  readonly kafka: string;
  /** A database that may create others. */
  readonly postgres: string;
  /** Ends what this run started, and deletes its data. */
  stop(): Promise<void>;
}

export interface GivenServers {
  /** kafka://host:port. */
  readonly kafka?: string | undefined;
  /** postgres://user@host:port/database. */
  readonly postgres?: string | undefined;
}

export async function openServers(given: GivenServers, say: (text: string) => void): Promise<Servers> {
  const names: ServiceName[] = [];
  if (given.kafka === undefined) names.push("kafka");
  if (given.postgres === undefined) names.push("postgres");
  if (names.length === 0) return serversAt(given, () => Promise.resolve());

  const directory = fs.mkdtempSync(path.join(os.tmpdir(), "beamline-bench-"));
  // PostgreSQL does not run as root, and its user has to come in.
  fs.chmodSync(directory, 0o755);
  const stop = async (): Promise<void> => {
    await stopServices(names, { directory, data: true });
    fs.rmSync(directory, { recursive: true, force: true });
  };
  const ports: Partial<Record<ServiceName, number>> = {};
  for (const name of names) ports[name] = await freePort();
  try {
    const started = await startServices(names, {
      directory,
      ports,
      onProgress: (name, text) => say(`${name}: ${text}`),
    });
    // Not all of them need to have been asked for.
    const own: Partial<typeof started> = started;
    return serversAt({ kafka: own.kafka?.url ?? given.kafka, postgres: own.postgres?.url ?? given.postgres }, stop);
  } catch (error) {
    await stop();
    throw error;
  }
}

function serversAt({ kafka = "", postgres = "" }: GivenServers, stop: () => Promise<void>): Servers {
  return { kafka: new URL(kafka).host, postgres, stop };
}
