// How to get into a Kafka cluster or a schema registry: settings from the environment and from files, never from an address.
import { readFileSync } from "node:fs";
import { type SASLOptions } from "kafkajs";
import { codeOf, messageOf, UsageError } from "../../schema/errors";
import { type EnvironmentSetting } from "../about";
import { suggestion } from "../address";

const MECHANISMS = ["plain", "scram-sha-256", "scram-sha-512"] as const;

export const kafkaSettings = [
  {
    name: "KAFKA_TLS",
    description: "true for an encrypted connection; a file given by one of the next three means it too",
    secret: false,
  },
  { name: "KAFKA_TLS_CA", description: "file with the certificates to trust (PEM), else the system's", secret: false },
  { name: "KAFKA_TLS_CERT", description: "file with this client's certificate (PEM)", secret: false },
  { name: "KAFKA_TLS_KEY", description: "file with the key of that certificate (PEM)", secret: false },
  { name: "KAFKA_SASL_MECHANISM", description: `how to log in: ${MECHANISMS.join(", ")}`, secret: false },
  { name: "KAFKA_SASL_USERNAME", description: "who logs in", secret: false },
  { name: "KAFKA_SASL_PASSWORD", description: "the password", secret: true },
  { name: "KAFKA_SASL_PASSWORD_FILE", description: "file with the password, instead of the password", secret: false },
  { name: "KAFKA_REGISTRY_USERNAME", description: "who logs in to the schema registry", secret: false },
  { name: "KAFKA_REGISTRY_PASSWORD", description: "the password for it", secret: true },
  { name: "KAFKA_REGISTRY_PASSWORD_FILE", description: "file with that password, instead of it", secret: false },
] as const satisfies readonly EnvironmentSetting[];

type Name = (typeof kafkaSettings)[number]["name"];
export type Environment = Readonly<Record<string, string | undefined>>;

export interface TlsSettings {
  readonly ca?: string[];
  readonly cert?: string;
  readonly key?: string;
}

/** What a client needs beside the addresses of brokers. */
export interface Access {
  readonly ssl: TlsSettings | null;
  readonly sasl: SASLOptions | null;
}

export interface RegistryAccess {
  readonly username: string;
  readonly password: string;
}

export function accessOf(environment: Environment = process.env): Access {
  return { ssl: tlsOf(environment), sasl: saslOf(environment) };
}

/** Null when the registry asks nobody who he is. */
export function registryAccessOf(environment: Environment = process.env): RegistryAccess | null {
  const username = valueOf(environment, "KAFKA_REGISTRY_USERNAME");
  const password = passwordOf(environment, "KAFKA_REGISTRY_PASSWORD", "KAFKA_REGISTRY_PASSWORD_FILE");
  if (username === null && password === null) return null;
  if (username === null)
    throw new UsageError("KAFKA_REGISTRY_PASSWORD is set, but KAFKA_REGISTRY_USERNAME is not: set both or none");
  if (password === null)
    throw new UsageError(
      "KAFKA_REGISTRY_USERNAME is set, but no password: set KAFKA_REGISTRY_PASSWORD or KAFKA_REGISTRY_PASSWORD_FILE",
    );
  return { username, password };
}

function tlsOf(environment: Environment): TlsSettings | null {
  const wanted = valueOf(environment, "KAFKA_TLS");
  if (wanted !== null && wanted !== "true" && wanted !== "false")
    throw new UsageError(`KAFKA_TLS is “${wanted}”: it must be true or false`);
  const ca = fileOf(environment, "KAFKA_TLS_CA");
  const cert = fileOf(environment, "KAFKA_TLS_CERT");
  const key = fileOf(environment, "KAFKA_TLS_KEY");
  if (wanted === "false" || (wanted === null && ca === null && cert === null && key === null)) return null;
  if ((cert === null) !== (key === null))
    throw new UsageError("KAFKA_TLS_CERT and KAFKA_TLS_KEY belong together: set both or none");
  return {
    ...(ca === null ? {} : { ca: [ca] }),
    ...(cert === null || key === null ? {} : { cert, key }),
  };
}

function saslOf(environment: Environment): SASLOptions | null {
  const mechanism = valueOf(environment, "KAFKA_SASL_MECHANISM")?.toLowerCase() ?? null;
  const username = valueOf(environment, "KAFKA_SASL_USERNAME");
  const password = passwordOf(environment, "KAFKA_SASL_PASSWORD", "KAFKA_SASL_PASSWORD_FILE");
  if (mechanism === null && username === null && password === null) return null;
  if (mechanism === null)
    throw new UsageError(`A Kafka user is set, but KAFKA_SASL_MECHANISM is not: it is one of ${MECHANISMS.join(", ")}`);
  const known = MECHANISMS.find((name) => name === mechanism);
  if (known === undefined)
    throw new UsageError(`KAFKA_SASL_MECHANISM is “${mechanism}”: ${suggestion(mechanism, MECHANISMS)}`);
  if (username === null) throw new UsageError("KAFKA_SASL_MECHANISM is set, but KAFKA_SASL_USERNAME is not");
  if (password === null)
    throw new UsageError(
      "KAFKA_SASL_MECHANISM is set, but no password: set KAFKA_SASL_PASSWORD or KAFKA_SASL_PASSWORD_FILE",
    );
  return { mechanism: known, username, password };
}

/** An empty value counts as none: that is how a variable is unset in many files. */
function valueOf(environment: Environment, name: Name): string | null {
  return environment[name] || null;
}

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

function passwordOf(environment: Environment, direct: Name, inFile: Name): string | null {
  const password = valueOf(environment, direct);
  // An editor ends the last line of a file; no password ends so.
  return password ?? fileOf(environment, inFile)?.replace(/\r?\n$/, "") ?? null;
}
