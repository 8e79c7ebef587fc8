// Whether a connection is encrypted, and how far the server's certificate is trusted: libpq's sslmode.
import { readFileSync } from "node:fs";
import { type ConnectionOptions } from "node:tls";
import { messageOf, UsageError } from "../../schema/errors";
import { suggestion } from "../address";
import { type Environment } from "./settings";

const MODES = ["disable", "require", "verify-ca", "verify-full"] as const;

/** As plain values, so that equal settings are equal as text. */
export interface Tls {
  readonly mode: (typeof MODES)[number];
  /** The file of PGSSLROOTCERT; null: what Node trusts. */
  readonly rootCertificates: string | null;
}

export function tlsOf(mode: string | undefined, environment: Environment, host: string): Tls {
  const text = mode ?? (environment["PGSSLMODE"] || "disable");
  const found = MODES.find((one) => one === text);
  if (found === undefined) {
    const name = mode === undefined ? "PGSSLMODE" : "sslmode";
    const why = text === "prefer" || text === "allow" ? "encrypts only if nobody objects" : suggestion(text, MODES);
    throw new UsageError(
      `${name}=${text}: ${why}${why.startsWith("enc") ? `; choose one of ${MODES.join(", ")}` : ""}`,
    );
  }
  // As libpq: there is nothing to encrypt on the way to a socket of this machine.
  const isSocket = host.startsWith("/");
  const file = environment["PGSSLROOTCERT"] || null;
  return { mode: isSocket ? "disable" : found, rootCertificates: file === "system" ? null : file };
}

/** What `pg` wants to be given. */
export function tlsOptions({ mode, rootCertificates }: Tls): ConnectionOptions | false {
  if (mode === "disable") return false;
  const ca = rootCertificates === null ? undefined : certificatesOf(rootCertificates);
  // As libpq: with certificates at hand, "require" checks against them; the name counts with verify-full only.
  const isChecked = mode !== "require" || ca !== undefined;
  return {
    ...(ca === undefined ? {} : { ca }),
    rejectUnauthorized: isChecked,
    ...(mode === "verify-full" ? {} : { checkServerIdentity: () => undefined }),
  };
}

function certificatesOf(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch (error) {
    throw new UsageError(`PGSSLROOTCERT names ${file}, which cannot be read: ${messageOf(error)}`);
  }
}
