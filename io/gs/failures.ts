// What Google's client throws, as one sentence for a person; and whether the same again may go well.
import { existsSync } from "node:fs";
import { codeOf, messageOf, RunError, UnavailableError, UsageError } from "../../schema/errors";

const NETWORK = ["ECONNREFUSED", "ECONNRESET", "EPIPE", "ETIMEDOUT", "ENOTFOUND", "EAI_AGAIN", "ENETUNREACH"];

/** The answer's status, wherever the client's layers put it. */
export function statusOf(error: unknown): number | null {
  const { code, status, response } = (error ?? {}) as {
    code?: unknown;
    status?: unknown;
    response?: { status?: unknown; statusCode?: unknown };
  };
  for (const one of [code, status, response?.status, response?.statusCode]) {
    const number = Number(one);
    if (Number.isInteger(number) && number >= 100 && number < 600) return number;
  }
  return null;
}

/** One sentence about `what` (“gs://bucket/lake/x.parquet”). */
export function explain(error: unknown, bucket: string, what: string): Error {
  if (error instanceof UsageError || error instanceof RunError) return error;
  const message = messageOf(error)
    .replace(/\s+/g, " ")
    .replace(/\.?\s*$/, "")
    .slice(0, 300);
  const status = statusOf(error);
  const [reason] = ((error as { errors?: { reason?: string }[] } | null)?.errors ?? []).map((one) => one.reason ?? "");
  if (/default credentials|invalid_grant|invalid_client|private key|keyFile|incoming JSON|client_email/i.test(message))
    return noCredentials(message);
  // The client says only which part of the path is missing.
  const file = process.env["GOOGLE_APPLICATION_CREDENTIALS"] ?? "";
  if (message.includes("ENOENT") && file !== "" && !existsSync(file))
    return new UsageError(`GOOGLE_APPLICATION_CREDENTIALS names a file that is not there: ${file}`);
  if (status === 401 && /anonymous/i.test(message)) return noCredentials(message);
  if (status === 401)
    return new UsageError(
      `Google Cloud Storage does not take the credentials for ${what}: check GOOGLE_APPLICATION_CREDENTIALS`,
    );
  if (status === 403 && /quota|rate/i.test(reason ?? ""))
    return new UnavailableError(
      `${what} is beyond a quota of Google Cloud Storage (${message}): wait, or ask for more`,
    );
  if (status === 403)
    return new RunError(
      `${what} is not allowed for this user (${message}): ask for the role Storage Object User on the bucket ${bucket}`,
    );
  // Where a file may be missing, that is not a failure.
  if (status === 404)
    return new UsageError(`There is no bucket ${bucket} in Google Cloud Storage: make it, or correct the address`);
  if (status === 429) return new UnavailableError(`Google Cloud Storage wants fewer requests for ${what} (${message})`);
  if ((status !== null && status >= 500) || status === 408)
    return new UnavailableError(`Google Cloud Storage cannot answer for ${what} now (${status}: ${message})`);
  const network = NETWORK.find((code) => codeOf(error) === code || message.includes(code));
  if (network !== undefined || /socket hang up|network|premature close|aborted|timeout/i.test(message))
    return new UnavailableError(`Google Cloud Storage is not reached for ${what} (${message})`);
  if (codeOf(error) === "ENOSPC") return new RunError(`${what} could not be sent: the disk of this machine is full`);
  return new RunError(`${what} failed: ${message}`);
}

const noCredentials = (message: string): UsageError =>
  new UsageError(
    `There are no credentials for Google Cloud that work (${message}): set GOOGLE_APPLICATION_CREDENTIALS to the file of a service account's key, or log in with “gcloud auth application-default login”`,
  );
