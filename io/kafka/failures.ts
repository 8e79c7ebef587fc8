// What kafkajs throws, as one sentence for a person; and whether the same again may go well.
import { codeOf, messageOf, RunError, UnavailableError, UsageError } from "../../schema/errors";

/** The errors under an error, the outermost first. */
function* chain(error: unknown): Generator<Error> {
  for (let depth = 0; error instanceof Error && depth < 8; depth += 1) {
    yield error;
    error = error.cause;
  }
}

/** The protocol's name for what went wrong, such as NOT_LEADER_FOR_PARTITION. */
export function typeOf(error: unknown): string | null {
  for (const one of chain(error)) {
    const type = (one as { type?: unknown }).type;
    if (typeof type === "string") return type;
  }
  return null;
}

const OUTSIDE = new Set([
  "KafkaJSConnectionError",
  "KafkaJSConnectionClosedError",
  "KafkaJSRequestTimeoutError",
  "KafkaJSBrokerNotFound",
  "KafkaJSLockTimeout",
  "KafkaJSTimeout",
  "KafkaJSMetadataNotLoaded",
  "KafkaJSTopicMetadataNotLoaded",
]);

/** Of a file that is not a certificate, or one that nobody trusts: no waiting helps. */
const TLS_CODE = /^(ERR_SSL|ERR_TLS|ERR_OSSL|CERT_|DEPTH_ZERO|SELF_SIGNED|UNABLE_TO_(VERIFY|GET_ISSUER))/;

/** Whether the connection, a broker or a leader is away for now. */
export function mayPass(error: unknown): boolean {
  if (error instanceof UnavailableError) return true;
  if (error instanceof UsageError || error instanceof RunError || isRefusal(error)) return false;
  if (isHalfConnected(error)) return true;
  for (const one of chain(error)) {
    if (OUTSIDE.has(one.name)) return true;
    if (one.name === "KafkaJSProtocolError" && (one as { retriable?: unknown }).retriable === true) return true;
  }
  return false;
}

/** kafkajs counts a broker as connected while it has not yet said which versions it speaks. */
function isHalfConnected(error: unknown): boolean {
  for (const one of chain(error)) if (one.message === "Broker not connected") return true;
  return false;
}

/** The login that is configured is none that the listener knows, or it wants none. */
const SASL_TYPES = ["ILLEGAL_SASL_STATE", "UNSUPPORTED_SASL_MECHANISM"];

/** Credentials or certificates that the other side, or this one, does not take. */
function isRefusal(error: unknown): boolean {
  for (const one of chain(error)) {
    if (one.name === "KafkaJSSASLAuthenticationError" || TLS_CODE.test(codeOf(one) ?? "")) return true;
  }
  const type = typeOf(error);
  return (
    type !== null &&
    (type.endsWith("AUTHORIZATION_FAILED") || type === "SASL_AUTHENTICATION_FAILED" || SASL_TYPES.includes(type))
  );
}

/** One sentence about `what` (“Topic trades at localhost:9092”). */
export function explain(error: unknown, what: string): Error {
  if (error instanceof UsageError || error instanceof RunError) return error;
  const at = what.replace(/^.* at /, "");
  for (const one of chain(error)) {
    const code = codeOf(one) ?? "";
    if (one.name === "KafkaJSSASLAuthenticationError")
      return new UsageError(
        `Kafka at ${at} does not take the user and password: check KAFKA_SASL_MECHANISM, KAFKA_SASL_USERNAME and KAFKA_SASL_PASSWORD`,
      );
    if (TLS_CODE.test(code))
      return new UsageError(
        `The TLS connection to Kafka at ${at} failed (${code}): check KAFKA_TLS, KAFKA_TLS_CA, KAFKA_TLS_CERT and KAFKA_TLS_KEY`,
      );
  }
  const type = typeOf(error);
  if (type !== null && SASL_TYPES.includes(type))
    return new UsageError(
      `Kafka at ${at} takes no login of this kind (${type}): check KAFKA_SASL_MECHANISM, and the port, since each has its own`,
    );
  if (type?.endsWith("AUTHORIZATION_FAILED") === true)
    return new UsageError(
      `${what} is not allowed for this user (${type}): ask for the rights, or log in as another user`,
    );
  if (type === "UNKNOWN_TOPIC_OR_PARTITION") return new RunError(`${what} is not there any more: it was deleted`);
  if (!mayPass(error)) return new RunError(`${what} failed: ${sentenceOf(error)}`);
  const codes = [...chain(error)].map((one) => codeOf(one));
  if (codes.includes("ECONNREFUSED"))
    return new UnavailableError(
      `No Kafka broker answers at ${at} (connection refused): start it, or correct the address`,
    );
  if (codes.includes("ENOTFOUND") || codes.includes("EAI_AGAIN"))
    return new UnavailableError(`The host of ${at} is not known here: correct the address, or the name service`);
  if (type !== null) return new UnavailableError(`${what} is not available now: ${sentenceOf(error)}`);
  return new UnavailableError(
    `Kafka at ${at} does not answer (${sentenceOf(error)}): check that it runs, and whether it wants TLS or a login (KAFKA_TLS, KAFKA_SASL_MECHANISM)`,
  );
}

/** The innermost message: the outer ones say only that something was tried several times. */
function sentenceOf(error: unknown): string {
  const inner = [...chain(error)].pop();
  return messageOf(inner ?? error).replace(/\.?\s*$/, "");
}
