// What a search cluster's answers and lost connections mean to the person who runs a pipeline.
import { messageOf, RunError, UnavailableError, UsageError } from "../../schema/errors";
import { type SearchSettings } from "./options";

/** What a cluster says in its answer: an object since long, a plain text where nothing knows the request. */
export interface Said {
  readonly type: string;
  readonly reason: string;
}

export function saidIn(body: unknown): Said {
  const error = (body as { error?: unknown } | null)?.error;
  if (typeof error === "string") return { type: "", reason: error };
  const { type, reason, caused_by: cause } = (error ?? {}) as ItemError;
  if (type === undefined && reason === undefined)
    return { type: "", reason: typeof body === "string" ? body.trim().slice(0, 200) : "" };
  return { type: type ?? "", reason: reasonOf({ type, reason, caused_by: cause }) };
}

export interface ItemError {
  readonly type?: string;
  readonly reason?: string;
  readonly caused_by?: ItemError;
}

/** What was wrong, with its cause: the first alone often only says that something was. */
export function reasonOf({ type, reason, caused_by: cause }: ItemError): string {
  const [inner = ""] = (cause?.reason ?? "").split("\n at ");
  const outer = reason ?? type ?? "";
  return inner === "" || outer.includes(inner) ? outer : `${outer}: ${inner}`;
}

/** Full or nearly full disks make indices read-only, and so does somebody who wants them so. */
export const isBlocked = (type: string): boolean => type === "cluster_block_exception";

/** Whether an answer is about now, and not about the request. */
export const mayPass = (status: number): boolean => status === 429 || status === 408 || status >= 500;

type Shown = Pick<SearchSettings, "shown" | "kind" | "access">;

/** A request that was never answered, or not to its end. */
export function explainLost(error: unknown, { shown, kind }: Shown): Error {
  if (error instanceof RunError || error instanceof UsageError) return error;
  const message = messageOf(error);
  const name = error instanceof Error ? error.name : "";
  if (name === "DeserializationError")
    return new UsageError(`${shown} does not answer as a search cluster does: check the address`);
  if (name === "TimeoutError") return new UnavailableError(`${shown} does not answer in time (timeout=)`);
  if (/self.signed|certificate|altnames|unable to verify|issuer/i.test(message))
    return new UsageError(
      `${shown} shows a certificate that is not trusted (${message}): set ${kind.toUpperCase()}_TLS_CA to its authority's`,
    );
  if (/SSL routines|wrong version number|EPROTO/i.test(message))
    return new UsageError(`${shown} has no TLS: leave out tls=true, or turn it on in the server`);
  if (/ENOTFOUND|EAI_AGAIN/.test(message))
    return new UnavailableError(`${shown} cannot be reached: no such host is known. Check the address and the network`);
  if (message.includes("ECONNREFUSED"))
    return new UnavailableError(
      `${shown} cannot be reached: nothing listens there. Start the server, or check the address`,
    );
  if (message.includes("before secure TLS connection"))
    return new UnavailableError(
      `${shown} broke the TLS connection off: check that it is up, and whether it has TLS at all (else leave out tls=true)`,
    );
  return new UnavailableError(
    `${shown} broke the connection off (${message}): check that it is up, and whether it wants TLS (tls=true)`,
  );
}

/** An answer that is a refusal. */
export function explainAnswer(status: number, body: unknown, { shown, kind, access }: Shown): Error {
  const { type, reason } = saidIn(body);
  const said = reason === "" ? `it answers ${status}` : reason;
  const prefix = kind.toUpperCase();
  if (isBlocked(type)) return blocked(shown, reason);
  if (status === 401)
    return new UsageError(
      access.user === null && access.apiKey === null
        ? `${shown} wants to know who asks: set ${prefix}_USERNAME and ${prefix}_PASSWORD or ${prefix}_PASSWORD_FILE`
        : `${shown} does not let this user in: check ${access.apiKey === null ? `${prefix}_USERNAME and ${prefix}_PASSWORD` : `${prefix}_API_KEY`}`,
    );
  if (status === 403)
    return new RunError(`${shown} does not permit this user what is needed (${said}): grant it, or use another`);
  if (status === 429)
    return new UnavailableError(`${shown} has too much to do (${said}): try again, or write less at once`);
  if (mayPass(status)) return new UnavailableError(`${shown} cannot serve this now (${said}): try again`);
  return new RunError(`${shown} refused a request: ${said}`);
}

export function blocked(shown: string, reason: string): Error {
  if (/read.only.*allow.delete|flood.stage|disk usage/i.test(reason))
    return new UnavailableError(
      `${shown} takes no rows because its disks are nearly full (${reason}): make room there, and where it stays so, set index.blocks.read_only_allow_delete of the index to null`,
    );
  // Until a cluster has found its master, say.
  if (/SERVICE_UNAVAILABLE/.test(reason)) return new UnavailableError(`${shown} is not ready (${reason}): try again`);
  return new RunError(`${shown} takes no rows, since somebody has set a block (${reason}): take it away`);
}
