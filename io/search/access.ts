// How to get into a search cluster: settings from the environment and from files, never from an address.
import { readFileSync } from "node:fs";
import { codeOf, messageOf, UsageError } from "../../schema/errors";
import { type EnvironmentSetting } from "../about";

export type SearchKind = "elasticsearch" | "opensearch";
export type Environment = Readonly<Record<string, string | undefined>>;

export interface Access {
  readonly user: { readonly username: string; readonly password: string } | null;
  /** Elasticsearch's keys for programs, as base64. */
  readonly apiKey: string | null;
  /** Certificates to trust, as PEM; null: the system's. */
  readonly certificates: string | null;
}

const prefixOf = (kind: SearchKind): string => kind.toUpperCase();

export function settingsFor(kind: SearchKind): readonly EnvironmentSetting[] {
  const prefix = prefixOf(kind);
  return [
    { name: `${prefix}_USERNAME`, description: "who logs in", secret: false },
    { name: `${prefix}_PASSWORD`, description: "the password", secret: true },
    { name: `${prefix}_PASSWORD_FILE`, description: "file with the password, instead of the password", secret: false },
    ...(kind === "elasticsearch"
      ? [
          { name: `${prefix}_API_KEY`, description: "an encoded API key, instead of user and password", secret: true },
          { name: `${prefix}_API_KEY_FILE`, description: "file with that key, instead of it", secret: false },
        ]
      : []),
    {
      name: `${prefix}_TLS_CA`,
      description: "file with the certificates to trust (PEM), else the system's",
      secret: false,
    },
  ];
}

export function accessOf(kind: SearchKind, environment: Environment): Access {
  const prefix = prefixOf(kind);
  // An empty value counts as none: that is how a variable is unset in many files.
  const valueOf = (name: string) => environment[`${prefix}_${name}`] || null;
  const fileOf = (name: string) => {
    const file = valueOf(name);
    return file === null ? null : contentOf(`${prefix}_${name}`, file);
  };
  // An editor ends the last line of a file; no password ends so.
  const secretOf = (name: string) => valueOf(name) ?? fileOf(`${name}_FILE`)?.replace(/\r?\n$/, "") ?? null;
  const username = valueOf("USERNAME");
  const password = secretOf("PASSWORD");
  const apiKey = kind === "elasticsearch" ? secretOf("API_KEY") : null;
  if ((username === null) !== (password === null))
    throw new UsageError(
      username === null
        ? `${prefix}_PASSWORD is set, but ${prefix}_USERNAME is not: set both or none`
        : `${prefix}_USERNAME is set, but no password: set ${prefix}_PASSWORD or ${prefix}_PASSWORD_FILE`,
    );
  if (username !== null && apiKey !== null)
    throw new UsageError(`${prefix}_USERNAME and ${prefix}_API_KEY are both set: unset one of them`);
  return {
    user: username === null || password === null ? null : { username, password },
    apiKey,
    certificates: fileOf("TLS_CA"),
  };
}

function contentOf(name: string, file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch (error) {
    const why = codeOf(error) === "ENOENT" ? "does not exist" : `cannot be read (${messageOf(error)})`;
    throw new UsageError(`${name} names the file ${file}, which ${why}`);
  }
}
