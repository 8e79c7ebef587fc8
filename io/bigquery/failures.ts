// What BigQuery's answers and lost connections mean to the person who runs a pipeline.
import { codeOf, messageOf, RunError, UnavailableError, UsageError } from "../../schema/errors";
import { shownPlace, type BigQuerySettings } from "./settings";

export const NOT_FOUND = 404;
export const CONFLICT = 409;
/** The reason of a failure before anything was asked: nobody knows as whom. */
export const CREDENTIALS = "credentials";

/** What BigQuery said of a request or a job, or what became of the connection. */
export class BigQueryFailure extends Error {
  override readonly name = "BigQueryFailure";
  constructor(
    message: string,
    /** Of HTTP; null where there was no answer, and for jobs that failed. */
    readonly status: number | null,
    /** BigQuery's word for it, such as rateLimitExceeded; or the code of a lost connection. */
    readonly reason: string,
    /** A job that was begun failed, and not the request. */
    readonly isJob = false,
  ) {
    super(message.replaceAll(/\s+/g, " ").trim());
  }
}

/** What was thrown on the way to an answer, or by another of Google's clients, which have numbers for codes. */
export function failureOf(error: unknown): BigQueryFailure {
  if (error instanceof BigQueryFailure) return error;
  const { code, cause, name } = (error ?? {}) as { code?: unknown; cause?: unknown; name?: string };
  if (typeof code === "number") return new BigQueryFailure(messageOf(error), code, "");
  if (name === "TimeoutError") return new BigQueryFailure("no answer came in time", null, "ETIMEDOUT");
  // fetch says only that it failed; why, it has from the connection, or from each of several that were tried.
  const first = cause instanceof AggregateError ? ((cause.errors[0] as unknown) ?? cause) : cause;
  if (first !== undefined) return new BigQueryFailure(messageOf(first), null, codeOf(first) ?? "");
  return new BigQueryFailure(messageOf(error), null, codeOf(error) ?? "");
}

/** How a job says why it failed. */
export interface JobError {
  readonly reason?: string;
  readonly message?: string;
  readonly location?: string;
}

export function failureOfJob(error: JobError): BigQueryFailure {
  return new BigQueryFailure(error.message ?? "without a word", null, error.reason ?? "", true);
}

const PASSING = new Set([
  "backendError",
  "internalError",
  "jobBackendError",
  "jobInternalError",
  "jobRateLimitExceeded",
  "quotaExceeded",
  "rateLimitExceeded",
  "tableUnavailable",
  "timeout",
]);

const NO_CONNECTION = new Set([
  ...["ECONNREFUSED", "ECONNRESET", "ECONNABORTED", "EPIPE", "ETIMEDOUT", "ESOCKETTIMEDOUT", "ENOTFOUND", "EAI_AGAIN"],
  ...["EHOSTUNREACH", "ENETUNREACH", "ERR_STREAM_PREMATURE_CLOSE", "UND_ERR_SOCKET", "UND_ERR_CONNECT_TIMEOUT"],
]);

/** Another transaction or job was at the same rows. */
const IN_THE_WAY = /aborted due to concurrent|concurrent update|could not serialize access/i;
const LOST = /socket hang up|other side closed|terminated|premature close|ECONNRESET|ECONNREFUSED/i;

/** Whether the same again may go well. */
export function mayPass(failure: BigQueryFailure): boolean {
  const { status, reason, message } = failure;
  if (isBilling(failure)) return false;
  if (PASSING.has(reason) || IN_THE_WAY.test(message)) return true;
  if (status !== null) return status === 408 || status === 429 || status >= 500;
  return !failure.isJob && isLost(failure);
}

/** Whether there was no answer. */
export const isLost = ({ reason, message }: BigQueryFailure): boolean =>
  NO_CONNECTION.has(reason) || LOST.test(message);

const isBilling = ({ reason, message }: BigQueryFailure): boolean =>
  reason === "billingNotEnabled" || /billing has not been enabled|free tier|BigQuery sandbox/i.test(message);

/** By the roles that Google gives people, the least that has the permission. */
const ROLES: readonly (readonly [RegExp, string])[] = [
  [/^bigquery\.jobs\.create$/, "roles/bigquery.jobUser"],
  [/^bigquery\.datasets\.create$/, "roles/bigquery.user"],
  [/^bigquery\.(tables\.(get|getData|list)|datasets\.get)$/, "roles/bigquery.dataViewer"],
  [/^bigquery\.readsessions\./, "roles/bigquery.readSessionUser"],
  [/^bigquery\.tables\./, "roles/bigquery.dataEditor"],
  [/^storage\.objects\./, "roles/storage.objectAdmin"],
];

/** One sentence about the dataset: what failed and what to do. */
export function explain(error: unknown, settings: BigQuerySettings): Error {
  if (error instanceof UsageError || error instanceof RunError) return error;
  const shown = shownPlace(settings);
  if (!(error instanceof BigQueryFailure)) {
    const failure = failureOf(error);
    // A mistake of ours, and not of the service's.
    if (failure.status === null && !isLost(failure)) return error as Error;
    return explain(failure, settings);
  }
  const { status, reason, message } = error;
  if (isOfCredentials(error)) return credentials(error, shown);
  if (isBilling(error))
    return new RunError(
      `${shown} is in BigQuery's sandbox, where rows can be neither merged nor streamed: enable billing for the project ` +
        `${settings.project} (${message})`,
    );
  if (reason === "accessNotConfigured" || /has not been used in project|API .* is disabled/i.test(message))
    return new RunError(
      `${shown} cannot be used before the BigQuery API is enabled for the project ${settings.project} (${message})`,
    );
  if (reason === "quotaExceeded")
    return new UnavailableError(
      `${shown} has used up a quota (${message}): try again when it is renewed, or ask Google to raise it`,
    );
  if (reason === "rateLimitExceeded" || reason === "jobRateLimitExceeded" || status === 429)
    return new UnavailableError(`${shown} is asked too often (${message}): try again in a moment, or run less at once`);
  if (status === 403 || reason === "accessDenied") return denied(error, shown);
  if (status === NOT_FOUND || reason === "notFound") return notFound(error, settings, shown);
  if (IN_THE_WAY.test(message))
    return new UnavailableError(`${shown} gave way to another writer of the same tables (${message}): try again`);
  if (reason === "stopped") return new UnavailableError(`${shown}: somebody stopped the job (${message}): try again`);
  if (/too many partitions/i.test(message))
    return new RunError(
      `${shown} cannot take so many days at once (${message}): write less at once, or make the table with partition=none`,
    );
  if (status === null && !error.isJob && isLost(error))
    return new UnavailableError(
      `${settings.emulator === null ? shown : `${shown} at ${settings.emulator}`} does not answer ` +
        `(${NO_CONNECTION.has(reason) ? reason : message}): check the network, and the address of an emulator`,
    );
  if (mayPass(error)) return new UnavailableError(`${shown} cannot serve this now (${message}): try again`);
  return new RunError(`${shown} failed: ${message}`);
}

const isOfCredentials = ({ status, reason }: BigQueryFailure): boolean => status === 401 || reason === CREDENTIALS;

function credentials({ status, message }: BigQueryFailure, shown: string): UsageError {
  if (/ENOENT|does not exist, or it is not a file/i.test(message))
    return new UsageError(`${shown}: GOOGLE_APPLICATION_CREDENTIALS names a file that is not there (${message})`);
  if (/could not load the default credentials/i.test(message))
    return new UsageError(
      `${shown} needs credentials, and there are none: set GOOGLE_APPLICATION_CREDENTIALS to the key file of a service ` +
        `account, or log in with gcloud auth application-default login`,
    );
  return new UsageError(
    `${shown} does not accept the credentials (${status ?? "not given out"}: ${message}): log in again, or check ` +
      `GOOGLE_APPLICATION_CREDENTIALS`,
  );
}

function denied({ message }: BigQueryFailure, shown: string): RunError {
  const permission = /\b((?:bigquery|storage)\.[\w.]+\w)\b/.exec(message)?.[1];
  const role = ROLES.find(([form]) => form.test(permission ?? ""))?.[1];
  const what =
    permission === undefined
      ? "grant it what it needs, such as the role roles/bigquery.dataEditor and roles/bigquery.jobUser"
      : `grant it the permission ${permission}${role === undefined ? "" : `, such as by the role ${role}`}`;
  return new RunError(`${shown} does not permit this account what is needed (${message}): ${what}`);
}

function notFound({ message }: BigQueryFailure, settings: BigQuerySettings, shown: string): Error {
  if (/dataset \S+ was not found in location/i.test(message))
    return new UsageError(
      `${shown} is not where it was looked for (${message}): name its location (?location=…), or leave that out`,
    );
  if (/not found: project \S+$/i.test(message))
    return new UsageError(`${shown} cannot be found, since there is no project ${settings.project}: check the address`);
  return new RunError(`${shown} has not what is needed (${message}): another program may have taken it away`);
}
