// What Cassandra's error codes and lost connections mean to the person who runs a pipeline.
import { codeOf, messageOf, RunError, UnavailableError, UsageError } from "../../schema/errors";

/** Codes of CQL's protocol. */
const CODE = {
  badCredentials: 0x0100,
  unavailable: 0x1000,
  overloaded: 0x1001,
  bootstrapping: 0x1002,
  truncating: 0x1003,
  writeTimeout: 0x1100,
  readTimeout: 0x1200,
  readFailure: 0x1300,
  writeFailure: 0x1500,
  casUnknown: 0x1700,
  unauthorized: 0x2100,
  invalid: 0x2200,
  config: 0x2300,
  unprepared: 0x2500,
} as const;

const MAY_PASS: readonly number[] = [
  CODE.unavailable,
  CODE.overloaded,
  CODE.bootstrapping,
  CODE.truncating,
  CODE.writeTimeout,
  CODE.readTimeout,
  CODE.readFailure,
  CODE.writeFailure,
  CODE.casUnknown,
];

/** The driver packs what each server said into an error of its own; one of them is enough to tell. */
function innermost(error: unknown): unknown {
  const { innerErrors } = (error ?? {}) as { innerErrors?: Readonly<Record<string, unknown>> };
  const [inner] = Object.values(innerErrors ?? {});
  return inner === undefined ? error : innermost(inner);
}

const serverCode = (error: unknown): number | null => {
  const { code } = (error ?? {}) as { code?: unknown };
  return typeof code === "number" ? code : null;
};

/** By the guardrail that lets a node take no more rows before its disk is full. */
const isDiskUsed = (said: string): boolean => /disk.usage/i.test(said);

/** What is wrong with one row, in constant words and in the server's; null: it is not about a row. */
export function refusalOf(error: unknown): { readonly reason: string; readonly said: string } | null {
  const inner = innermost(error);
  if (serverCode(inner) !== CODE.invalid) return null;
  const said = messageOf(inner);
  if (isDiskUsed(said)) return null;
  // Somebody has changed the table meanwhile: it is about all rows.
  if (/does(n't| not) exist|unconfigured|undefined (column|name)|unknown identifier/i.test(said)) return null;
  const isSize = /too big|too large|oversized|longer than maximum|exceeds/i.test(said);
  return { reason: isSize ? "too-large" : "unfit-value", said };
}

/** Whether no server could be asked at all. */
export const isWithoutServers = (error: unknown): boolean =>
  error instanceof Error && error.name === "NoHostAvailableError" && serverCode(innermost(error)) === null;

/** One sentence about the keyspace `shown`: what failed and what to do. */
export function explain(error: unknown, shown: string): Error {
  if (error instanceof UsageError || error instanceof RunError) return error;
  const inner = innermost(error);
  const said = messageOf(inner).split("\n")[0] ?? "";
  const code = serverCode(inner);
  if (code !== null) return explainServer(code, said, shown);
  const name = inner instanceof Error ? inner.name : "";
  const system = codeOf(inner) ?? "";
  if (name === "AuthenticationError")
    return /requires authentication/i.test(said)
      ? new UsageError(
          `${shown} wants to know who asks: set CASSANDRA_USERNAME and CASSANDRA_PASSWORD or CASSANDRA_PASSWORD_FILE`,
        )
      : notLetIn(shown, said);
  if (/^(ERR_SSL|ERR_TLS|ERR_OSSL|EPROTO)/.test(system) || /wrong version number/.test(said))
    return new UsageError(`${shown} has no TLS: leave out tls=true, or turn it on in the server`);
  if (/certificate|altnames|CERT_|SELF_SIGNED|UNABLE_TO/i.test(`${said} ${system}`))
    return new UsageError(
      `${shown} shows a certificate that is not trusted (${said}): set CASSANDRA_TLS_CA to its authority's`,
    );
  if (said === "No host could be resolved" || system === "ENOTFOUND")
    return new UnavailableError(`${shown} cannot be reached: no such host is known. Check the address and the network`);
  if (system === "ECONNREFUSED")
    return new UnavailableError(
      `${shown} cannot be reached: nothing listens there. Start the server, or check the address`,
    );
  if (name === "OperationTimedOutError")
    return new UnavailableError(
      `${shown} does not answer in time (timeout=): check that it is up, that Cassandra is what listens there, and whether it wants TLS (tls=true)`,
    );
  if (
    /^(ECONN|EPIPE|ETIMEDOUT|EHOST|ENET)/.test(system) ||
    /socket|connection|host|shut ?down/i.test(`${said} ${name}`)
  )
    return new UnavailableError(`${shown} does not answer: the connection was lost or not made in time (${said})`);
  return new RunError(`${shown} failed: ${said}`);
}

const notLetIn = (shown: string, said: string): Error =>
  new UsageError(`${shown} does not let this user in (${said}): check CASSANDRA_USERNAME and CASSANDRA_PASSWORD`);

function explainServer(code: number, said: string, shown: string): Error {
  if (code === CODE.badCredentials) return notLetIn(shown, said);
  if (code === CODE.unauthorized)
    return new RunError(`${shown} does not permit this user what is needed (${said}): GRANT it, or use another`);
  if (code === CODE.config)
    return new UsageError(`${shown} cannot be made so (${said}): check replication= and its data centres`);
  if (code === CODE.unavailable)
    return new UnavailableError(`${shown} has too few servers up (${said}): start them, or lower consistency=`);
  if (isDiskUsed(said))
    return new UnavailableError(`${shown} takes no rows because its disks are nearly full (${said}): make room there`);
  if (code === CODE.unprepared)
    // The driver could not prepare it again: on a busy server that passes, without the table it does not.
    return new UnavailableError(`${shown} does not know a statement any more: try again, or was its table dropped?`);
  if (MAY_PASS.includes(code)) return new UnavailableError(`${shown} cannot serve this now (${said}): try again`);
  return new RunError(`${shown} failed: ${said}`);
}
