// What can be set about a PostgreSQL address: by its options, and by the environment that PostgreSQL's own tools know.
import os from "node:os";
import { parseDuration } from "../../schema/duration";
import { UsageError } from "../../schema/errors";
import { type EnvironmentSetting } from "../about";
import { suggestion } from "../address";
import { type AddressOption } from "../address-options";
import { type Address } from "../connector";
import { tlsOf, type Tls } from "./tls";

const option = (name: string, usual: string | null, description: string): AddressOption => ({
  name,
  usual,
  description,
});
const variable = (name: string, usual: string | null, description: string, secret = false): EnvironmentSetting => ({
  name,
  ...(usual === null ? {} : { usual }),
  description,
  secret,
});

/** The options of every address. */
export const writeOptions: readonly AddressOption[] = [
  option("schema", "public", "the schema that the tables are in"),
  option(
    "sslmode",
    "PGSSLMODE",
    "disable, require (encrypted), verify-ca or verify-full (and the server is who it says)",
  ),
  option("connect_timeout", "10s", "how long to wait for a connection"),
  option("answer_timeout", "8s", "how long a server may be silent before it is asked whether it is still there"),
  option("statement_timeout", "5m", "how long one statement may take; 0 is without end"),
  option("lock_timeout", "30s", "how long to wait for rows and tables that others have locked; 0 is without end"),
];

/** The options of an address that is read. */
export const readOptions: readonly AddressOption[] = [
  option("table", null, "the table or view to read"),
  option("columns", null, "the columns to read, with commas between; else all"),
  option("key", "the primary key", "a column of whole numbers that tells rows apart: the table is read in its ranges"),
  option("time", null, "a column of times, by which --since and --until choose rows"),
  ...writeOptions,
];

/** What the tools of PostgreSQL take from the environment too, and a file for the password. */
export const postgresSettings: readonly EnvironmentSetting[] = [
  variable("PGHOST", "localhost", "the server, where the address names none"),
  variable("PGPORT", "5432", "its port, where the address names none"),
  variable("PGUSER", "the system's user", "the user, where the address names none"),
  variable("PGDATABASE", null, "the database, where the address names none"),
  variable("PGPASSWORD", null, "the password", true),
  variable("POSTGRES_PASSWORD_FILE", null, "a file with nothing but the password in it"),
  variable("PGPASSFILE", "~/.pgpass", "a file of passwords by host, port, database and user, as psql reads it"),
  variable("PGSSLMODE", "disable", "as sslmode, for every address"),
  variable("PGSSLROOTCERT", null, "a file with the certificates that a server's is checked against"),
];

export type Environment = Readonly<Record<string, string | undefined>>;

/** An address with everything that was left out of it. Times in milliseconds. No secret is in it. */
export interface PostgresSettings {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly database: string;
  readonly schema: string;
  readonly tls: Tls;
  readonly connectTimeout: number;
  readonly answerTimeout: number;
  readonly statementTimeout: number;
  readonly lockTimeout: number;
}

/** The settings of an address; a UsageError for what is wrong with it. */
export function settingsOf(
  address: Address,
  side: "sink" | "source",
  environment: Environment = process.env,
): PostgresSettings {
  const { options } = address;
  const place = placeOf(address, environment);
  const known = (side === "source" ? readOptions : writeOptions).map(({ name }) => name);
  for (const name of Object.keys(options)) {
    if (/^(pg)?pass/i.test(name)) throw passwordInAddress();
    if (!known.includes(name))
      throw new UsageError(`The option “${name}” of ${shownServer(place)}: ${suggestion(name, known)}`);
  }
  const time = (name: string, least: number): number => {
    const text = options[name] ?? writeOptions.find((known) => known.name === name)?.usual ?? "";
    const milliseconds = parseDuration(text);
    if (milliseconds === null || milliseconds < least)
      throw new UsageError(
        `${name}=${text} is not a duration${least > 0 ? " above 0" : ""}: write it like ${name}=30s`,
      );
    return milliseconds;
  };
  const schema = options["schema"] ?? "public";
  if (schema === "" || schema.includes("\0"))
    throw new UsageError("schema= needs the name of a schema, such as public");
  return {
    ...place,
    schema,
    tls: tlsOf(options["sslmode"], environment, place.host),
    connectTimeout: time("connect_timeout", 1),
    answerTimeout: time("answer_timeout", 1),
    statementTimeout: time("statement_timeout", 0),
    lockTimeout: time("lock_timeout", 0),
  };
}

export type Place = Pick<PostgresSettings, "host" | "port" | "user" | "database">;

const EXAMPLE = "postgres://user@host:5432/database";

/** Which database it is, and as whom. */
export function placeOf({ path }: Pick<Address, "path">, environment: Environment = process.env): Place {
  // What stands before the last @ is the user, and must not be shown before it is known to have no password in it.
  const form = /^\/\/(?:([^/]*)@)?(\[[^\]/]*\]|[^/:@]*)(?::([^/@]*))?(?:\/([^/]*))?$/.exec(path);
  if (/^\/\/[^/]*:[^/]*@/.test(path)) throw passwordInAddress();
  if (form === null) throw new UsageError(`An address of PostgreSQL has the form ${EXAMPLE}`);
  const [user, host, port, database] = form.slice(1).map((part) => decoded(part ?? ""));
  const found = {
    host: (host || environment["PGHOST"] || "localhost").replace(/^\[(.*)\]$/, "$1").toLowerCase(),
    port: Number(port || environment["PGPORT"] || "5432"),
    user: user || environment["PGUSER"] || os.userInfo().username,
    database: database || environment["PGDATABASE"] || "",
  };
  if (found.database === "") throw new UsageError(`The address names no database: write it like ${EXAMPLE}`);
  if (!Number.isInteger(found.port) || found.port < 1 || found.port > 65_535)
    throw new UsageError(`“${port || environment["PGPORT"]}” is not a port: write the address like ${EXAMPLE}`);
  return found;
}

function decoded(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    throw new UsageError(`The address has a % that stands for no character: write %25 for a percent sign`);
  }
}

function passwordInAddress(): UsageError {
  return new UsageError(
    "An address must not have a password in it, since addresses are shown and recorded: " +
      "leave it out and set PGPASSWORD, POSTGRES_PASSWORD_FILE or PGPASSFILE",
  );
}

/** One text for a database, as a person would write it. */
export function shownServer({ host, port, user, database }: Place): string {
  const name = host.startsWith("/") ? encodeURIComponent(host) : host.includes(":") ? `[${host}]` : host;
  return `postgres://${encodeURIComponent(user)}@${name}:${port}/${encodeURIComponent(database)}`;
}
