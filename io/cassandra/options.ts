// What may stand behind the question mark of a cassandra: address, what it means, and who logs in.
import { readFileSync } from "node:fs";
import { codeOf, messageOf, UsageError } from "../../schema/errors";
import { type EnvironmentSetting } from "../about";
import { GivenOptions, type AddressOption } from "../address-options";
import { type Address } from "../connector";

/** By their names in CQL, and their numbers in its protocol. */
export const CONSISTENCIES = {
  one: 1,
  two: 2,
  three: 3,
  quorum: 4,
  all: 5,
  local_quorum: 6,
  each_quorum: 7,
  local_one: 10,
} as const;
type Consistency = keyof typeof CONSISTENCIES;

export const writeOptions = [
  { name: "datacenter", usual: null, description: "the data centre to connect to; else that of the first server" },
  {
    name: "replication",
    usual: "1",
    description:
      "of a keyspace that is made: how many copies of each row, or how many in which data centre: east:3,west:2",
  },
  {
    name: "partition-key",
    usual: "the key's first column",
    description: "of tables that are made: the columns of the key that say where a row lies, with commas between",
  },
  {
    name: "consistency",
    usual: "local_quorum",
    description: `how many copies must have a row before it counts as written: ${Object.keys(CONSISTENCIES).join(", ")}`,
  },
  { name: "in-flight", usual: "256", description: "how many rows are under way at once" },
  { name: "tls", usual: "false", description: "true for an encrypted connection" },
  { name: "connect-timeout", usual: "10s", description: "how long to wait for a connection" },
  { name: "timeout", usual: "12s", description: "how long a server may be silent" },
  { name: "give-up", usual: "1m", description: "how long what failed and may pass is tried again" },
] as const satisfies readonly AddressOption[];

export const cassandraSettings = [
  { name: "CASSANDRA_USERNAME", description: "who logs in", secret: false },
  { name: "CASSANDRA_PASSWORD", description: "the password", secret: true },
  { name: "CASSANDRA_PASSWORD_FILE", description: "file with the password, instead of the password", secret: false },
  {
    name: "CASSANDRA_TLS_CA",
    description: "file with the certificates to trust (PEM), else the system's",
    secret: false,
  },
] as const satisfies readonly EnvironmentSetting[];

type Environment = Readonly<Record<string, string | undefined>>;

/** Copies of each row in all, or in each data centre. */
export type Replication = number | Readonly<Record<string, number>>;

export interface Place {
  /** `host:port`, in order and without doubles. */
  readonly hosts: readonly string[];
  readonly keyspace: string;
}

/** An address with everything that was left out of it. Times in milliseconds. */
export interface CassandraSettings extends Place {
  /** As a person would write it. */
  readonly shown: string;
  readonly user: { readonly username: string; readonly password: string } | null;
  readonly tls: { readonly certificates: string | null } | null;
  readonly datacenter: string | null;
  readonly replication: Replication;
  /** Null: the key's first column. */
  readonly partitionKey: readonly string[] | null;
  readonly consistency: Consistency;
  readonly inFlight: number;
  readonly connectTimeout: number;
  readonly timeout: number;
  readonly giveUp: number;
}

/** The settings of an address; a UsageError for what is wrong with it. */
export function settingsOf(address: Address, environment: Environment = process.env): CassandraSettings {
  const place = placeOf(address);
  const shown = shownPlace(place);
  const given = new GivenOptions(shown, address.options, writeOptions);
  const certificates = fileOf(environment, "CASSANDRA_TLS_CA");
  const tls = given.choice("tls", ["true", "false"]) === "true" ? { certificates } : null;
  return {
    ...place,
    shown,
    user: userOf(environment),
    tls,
    datacenter: given.text("datacenter"),
    replication: replicationOf(given),
    partitionKey: given.has("partition-key") ? (given.text("partition-key")?.split(",") ?? null) : null,
    consistency: given.choice("consistency", Object.keys(CONSISTENCIES) as Consistency[]) ?? "local_quorum",
    inFlight: given.whole("in-flight", 1) ?? 1,
    connectTimeout: given.duration("connect-timeout") ?? 0,
    timeout: given.duration("timeout") ?? 0,
    giveUp: given.duration("give-up") ?? 0,
  };
}

const EXAMPLE = "cassandra://localhost:9042/keyspace";

/** Which cluster it is, and which keyspace. */
export function placeOf({ path }: Pick<Address, "path">): Place {
  if (path.includes("@"))
    throw new UsageError(
      "An address must not have a user or a password in it, since addresses are shown and recorded: set CASSANDRA_USERNAME and CASSANDRA_PASSWORD",
    );
  const form = /^\/\/([^/]+)(?:\/([^/]*))?$/.exec(path);
  if (form === null) throw new UsageError(`“cassandra:${path}” names no server: write it like ${EXAMPLE}`);
  const [, servers = "", keyspace = ""] = form;
  if (!/^\w{1,48}$/.test(keyspace))
    throw new UsageError(
      keyspace === ""
        ? `“cassandra:${path}” names no keyspace: write it like ${EXAMPLE}`
        : `“${keyspace}” cannot be a keyspace: its name is of letters, digits and _, 48 at most`,
    );
  const hosts = servers.split(",").map((text) => {
    const match = /^(\[[0-9a-f:.]+\]|[\w.-]+)(?::(\d{1,5}))?$/i.exec(text.trim());
    const port = Number(match?.[2] ?? 9042);
    if (match === null || port < 1 || port > 65_535)
      throw new UsageError(`“${text}” of “cassandra:${path}” is no server: write it like ${EXAMPLE}`);
    return `${match[1]?.toLowerCase()}:${port}`;
  });
  return { hosts: [...new Set(hosts)].sort(), keyspace };
}

export const shownPlace = ({ hosts, keyspace }: Place): string => `cassandra://${hosts.join(",")}/${keyspace}`;

type Given = GivenOptions<(typeof writeOptions)[number]["name"]>;

function replicationOf(given: Given): Replication {
  const text = given.text("replication") ?? "1";
  if (/^[1-9]\d{0,2}$/.test(text)) return Number(text);
  const parts = text.split(",").map((part) => /^([\w.-]+):([1-9]\d{0,2})$/.exec(part));
  if (parts.includes(null))
    throw given.refused("replication", text, "write a number of copies, or one for each data centre: east:3,west:2");
  return Object.fromEntries(parts.map((part) => [part?.[1] ?? "", Number(part?.[2])]));
}

function userOf(environment: Environment): CassandraSettings["user"] {
  const username = valueOf(environment, "CASSANDRA_USERNAME");
  // An editor ends the last line of a file; no password ends so.
  const password =
    valueOf(environment, "CASSANDRA_PASSWORD") ??
    fileOf(environment, "CASSANDRA_PASSWORD_FILE")?.replace(/\r?\n$/, "") ??
    null;
  if (username === null && password === null) return null;
  if (username === null)
    throw new UsageError("CASSANDRA_PASSWORD is set, but CASSANDRA_USERNAME is not: set both or none");
  if (password === null)
    throw new UsageError(
      "CASSANDRA_USERNAME is set, but no password: set CASSANDRA_PASSWORD or CASSANDRA_PASSWORD_FILE",
    );
  return { username, password };
}

type Name = (typeof cassandraSettings)[number]["name"];

/** An empty value counts as none: that is how a variable is unset in many files. */
const valueOf = (environment: Environment, name: Name): string | null => environment[name] || null;

function fileOf(environment: Environment, name: Name): string | null {
  const file = valueOf(environment, name);
  if (file === null) return null;
  try {
    return readFileSync(file, "utf8");
  } catch (error) {
    const why = codeOf(error) === "ENOENT" ? "does not exist" : `cannot be read (${messageOf(error)})`;
    throw new UsageError(`${name} names the file ${file}, which ${why}`);
  }
}
