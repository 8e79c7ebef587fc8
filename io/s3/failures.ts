// What Amazon's client throws, as one sentence for a person; and whether the same again may go well.
import { codeOf, messageOf, RunError, UnavailableError, UsageError } from "../../schema/errors";

const NETWORK = ["ECONNREFUSED", "ECONNRESET", "EPIPE", "ETIMEDOUT", "ENOTFOUND", "EAI_AGAIN", "ENETUNREACH"];
const PASSES = [
  "SlowDown",
  "RequestTimeout",
  "InternalError",
  "ServiceUnavailable",
  "OperationAborted",
  "ThrottlingException",
];
const NO_LOGIN = [
  "InvalidAccessKeyId",
  "SignatureDoesNotMatch",
  "ExpiredToken",
  "InvalidToken",
  "TokenRefreshRequired",
];

export function statusOf(error: unknown): number | null {
  const status = (error as { $metadata?: { httpStatusCode?: unknown } } | null)?.$metadata?.httpStatusCode;
  return typeof status === "number" ? status : null;
}

/** The service's name for what went wrong, such as NoSuchBucket. */
export const nameOf = (error: unknown): string => (error instanceof Error ? error.name : "");

/** One sentence about `what` (“s3://bucket/lake/x.parquet”). */
export function explain(error: unknown, bucket: string, what: string): Error {
  if (error instanceof UsageError || error instanceof RunError) return error;
  const name = nameOf(error);
  const message = messageOf(error)
    .replace(/\s+/g, " ")
    .replace(/\.?\s*$/, "")
    .slice(0, 300);
  const status = statusOf(error);
  if (name === "CredentialsProviderError" || /could not load credentials/i.test(message))
    return new UsageError(
      `There are no credentials for S3 (${message}): set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE`,
    );
  if (/region is missing/i.test(message))
    return new UsageError(`No region is set for ${what}: set AWS_REGION to that of the bucket ${bucket}`);
  if (NO_LOGIN.includes(name))
    return new UsageError(
      `S3 does not take the credentials for ${what} (${name}): check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN`,
    );
  if (name === "PermanentRedirect" || name === "AuthorizationHeaderMalformed" || status === 301)
    return new UsageError(`The bucket ${bucket} lies in another region (${message}): set AWS_REGION to that one`);
  if (name === "NoSuchBucket")
    return new UsageError(`There is no bucket ${bucket} in S3: make it, or correct the address`);
  if (name === "QuotaExceeded" || status === 507)
    return new RunError(`${what} is beyond the room or quota of its bucket (${message}): make room, or ask for more`);
  if (PASSES.includes(name) || status === 429 || status === 408 || (status !== null && status >= 500))
    return new UnavailableError(`S3 cannot answer for ${what} now (${name}: ${message})`);
  if (status === 403)
    return new RunError(
      `${what} is not allowed for this user (${name}): ask for s3:ListBucket on the bucket ${bucket}, and s3:GetObject, s3:PutObject and s3:DeleteObject on what is in it`,
    );
  if (status === 404) return new RunError(`${what} is not there any more: it was deleted`);
  const network = NETWORK.find((code) => codeOf(error) === code || message.includes(code));
  if (network !== undefined || name === "TimeoutError" || /socket hang up|aborted|timeout/i.test(message))
    return new UnavailableError(`S3 is not reached for ${what} (${network ?? message})`);
  return new RunError(`${what} failed: ${message || name}`);
}
