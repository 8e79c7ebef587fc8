// What a kind of server says of itself, so that all are started, watched and stopped by the same code.
import { type ProcessIdentity } from "./process-identity";
import { type Environment, type User } from "./programs";

export const serviceNames = [
  "kafka",
  "postgres",
  "gcs",
  "s3",
  "bigquery",
  "cassandra",
  "opensearch",
  "elasticsearch",
  "flink",
] as const;
export type ServiceName = (typeof serviceNames)[number];

/** What is started when nobody says what: most jobs need no more, and the others take memory and downloads. */
export const usualServices: readonly ServiceName[] = ["kafka", "postgres"];

/** Nobody outside this machine shall reach a server that asks for no password. */
export const HOST = "127.0.0.1";

/** How a server's process is started. */
export interface Command {
  readonly program: string;
  readonly args: readonly string[];
  readonly environment: Environment;
  readonly user: User | null;
}

/** Where one server keeps its things. */
export interface Site {
  readonly directory: string;
  readonly data: string;
  /** Tells the person who waits what is done now. */
  readonly say: (text: string) => void;
}

/** A server whose programs were found. */
export interface Installation {
  /** Fetches what is needed to run and is not there yet. */
  readonly fetch: (site: Site) => Promise<void>;
  /** Fills an empty directory with a new server's data. */
  readonly createData: (site: Site, directory: string) => Promise<void>;
  /** `ended` is the process that ran here last, of which it is sure that it does not run any more. */
  readonly command: (site: Site, port: number, ended: ProcessIdentity | null) => Promise<Command>;
}

export interface ServerKind {
  readonly name: ServiceName;
  readonly usualPort: number;
  /** How many ports it takes, one after the other from the one that is chosen: some speak two protocols. */
  readonly portCount: number;
  /** What asks it to stop cleanly and soon, whoever is connected. */
  readonly stopSignal: NodeJS.Signals;
  /** The connector URI under which pipelines find it. */
  readonly url: (port: number) => string;
  /** What to set so that clients who look for a service of the cloud find this server instead. */
  readonly environment: (port: number) => Readonly<Record<string, string>>;
  /** Looks for the programs it needs; what is missing is a UsageError that says how to get it. */
  readonly find: (site: Site, environment: Environment) => Promise<Installation>;
  /** Does with it what a client does, and throws when that does not work. */
  readonly probe: (port: number) => Promise<void>;
  /** Whether a failed start, by what its log says, was only too soon after a crash. */
  readonly wasTooSoon: (log: string) => boolean;
}
