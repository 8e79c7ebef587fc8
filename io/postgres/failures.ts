// What PostgreSQL's error codes and lost connections mean to the person who runs a pipeline.
import { codeOf, messageOf, RunError, UnavailableError, UsageError } from "../../schema/errors";

/** The parts of what the server says that are of use here; `pg` puts them on its errors. */
interface ServerError {
  readonly code: string;
  readonly message: string;
  readonly detail?: string;
  readonly hint?: string;
  readonly table?: string;
  readonly column?: string;
  readonly constraint?: string;
}

/** An error that the server itself sent: it has answered, whatever it said. */
export function isServerError(error: unknown): boolean {
  const { severity } = (error ?? {}) as { severity?: unknown };
  return typeof severity === "string" && /^[0-9A-Z]{5}$/.test(codeOf(error) ?? "");
}

const NO_CONNECTION = new Set([
  "ECONNREFUSED",
  "ECONNRESET",
  "ECONNABORTED",
  "EPIPE",
  "ETIMEDOUT",
  "EHOSTUNREACH",
  "ENETUNREACH",
  "EHOSTDOWN",
  "ENETDOWN",
  "EAI_AGAIN",
  "ENOTFOUND",
  "ENOENT",
  "ERR_STREAM_DESTROYED",
  "ERR_SOCKET_CLOSED",
]);

/** What `pg` says, without a code, when a connection is gone or does not come. */
const LOST =
  /connection terminated|connection error and is not queryable|client was closed|timeout|socket|stream (was|is) /i;

/** Whether the connection was lost: another one may be all that is needed. */
export function isLost(error: unknown): boolean {
  if (error instanceof RunError || error instanceof UsageError) return false;
  if (isServerError(error)) return /^(08|57P0)/.test(codeOf(error) ?? "");
  return NO_CONNECTION.has(connectionCode(error) ?? "") || LOST.test(messageOf(error));
}

/** The code of the first of several attempts, where a name has several addresses. */
function connectionCode(error: unknown): string | undefined {
  if (error instanceof AggregateError) return codeOf(error.errors[0]) ?? codeOf(error);
  return codeOf(error);
}

/** One sentence about the database `shown`: what failed and what to do. */
export function explain(error: unknown, shown: string): Error {
  if (error instanceof UsageError || error instanceof RunError) return error;
  if (isServerError(error)) return explainServer(error as ServerError, shown);
  const code = connectionCode(error);
  const message = messageOf(error);
  if (code === "ENOTFOUND")
    return new UnavailableError(`${shown} cannot be reached: no such host is known. Check the address and the network`);
  if (code === "ECONNREFUSED" || code === "ENOENT")
    return new UnavailableError(
      `${shown} cannot be reached: nothing listens there. Start the server, or check the address`,
    );
  if (/does not support SSL/i.test(message))
    return new UsageError(`${shown} has no TLS: set sslmode=disable, or turn it on in the server`);
  if (/certificate|altnames|CERT_|SELF_SIGNED/i.test(`${message} ${code ?? ""}`))
    return new UsageError(
      `${shown} shows a certificate that is not trusted (${message}): set PGSSLROOTCERT to its authority's`,
    );
  if (isLost(error))
    return new UnavailableError(
      `${shown} does not answer: the connection was lost or not made in time (${code ?? message})`,
    );
  return new RunError(`${shown} failed: ${message}`);
}

function explainServer(error: ServerError, shown: string): Error {
  const said = error.detail === undefined ? error.message : `${error.message}: ${error.detail}`;
  const where = [error.table, error.column].filter((name) => name !== undefined).join(".");
  switch (error.code) {
    case "28P01":
    case "28000":
      return new UsageError(
        `${shown} does not let this user in (${error.message}): check user and password (PGPASSWORD), and sslmode`,
      );
    case "3D000":
      return new UsageError(`${shown} does not exist on that server: create it with createdb, or check the address`);
    case "3F000":
      return new UsageError(
        `${shown} has no such schema (${error.message}): create it with CREATE SCHEMA, or check schema=`,
      );
    case "42501":
      return new RunError(
        `${shown} does not permit this user what is needed (${error.message}): GRANT it, or use another`,
      );
    case "25006":
      return new RunError(`${shown} is read-only, as a standby is: write to the primary server`);
    case "40001":
    case "40P01":
      return new UnavailableError(`${shown} gave way to another transaction (${error.message}): try again`);
    case "55P03":
      return new UnavailableError(
        `${shown} has rows or tables locked by another program for too long: try again, or raise lock_timeout=`,
      );
    case "57014":
      return new UnavailableError(
        `${shown} cancelled a statement that took too long or that somebody cancelled: try again, or raise statement_timeout=`,
      );
    case "25P03":
      return new UnavailableError(
        `${shown} ended a transaction that waited for rows too long: raise idle_in_transaction_session_timeout in the server`,
      );
    case "53100":
      return new UnavailableError(`${shown} could not be written: the server's disk is full. Make room there`);
    case "53200":
      return new UnavailableError(`${shown} has no memory left (${error.message}): try again, or write less at once`);
    case "53300":
      return new UnavailableError(
        `${shown} has too many connections: close some, raise max_connections, or put a pooler before it`,
      );
    case "54000":
      return new RunError(`${shown} cannot keep a row: ${error.message}. A key must be shorter than about 2700 bytes`);
    case "57P01":
    case "57P02":
    case "57P05":
      return new UnavailableError(`${shown} ended the connection (${error.message}): try again when the server is up`);
    case "57P03":
      return new UnavailableError(`${shown} is starting or stopping (${error.message}): try again in a moment`);
    default:
  }
  if (error.code.startsWith("08") || error.code.startsWith("53"))
    return new UnavailableError(`${shown} cannot serve this now (${said}): try again`);
  if (error.code.startsWith("22") || error.code.startsWith("23")) {
    const at = where === "" ? "" : ` for ${where}`;
    return new RunError(`${shown} refused a row${at}: ${said}. Change the row in a step, or the table`);
  }
  return new RunError(`${shown} failed: ${said}${error.hint === undefined ? "" : `. ${error.hint}`}`);
}
