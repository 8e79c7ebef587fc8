import { RunError, UnavailableError, UsageError } from "../../schema/errors";
import { explain, mayPass } from "./failures";
import { protocolError } from "./internals";
import { patiently, within } from "./patience";

const named = (name: string, more: object = {}, message = "inner words"): Error =>
  Object.assign(new Error(message), { name, ...more });

const WHAT = "Topic trades at host:9092";

it.each<[string, Error, new (message: string) => Error, RegExp]>([
  ["credentials", named("KafkaJSSASLAuthenticationError"), UsageError, /does not take the user and password/],
  ["a certificate", named("KafkaJSConnectionError", { code: "SELF_SIGNED_CERT_IN_CHAIN" }), UsageError, /KAFKA_TLS_CA/],
  [
    "plain text where TLS is wanted",
    named("KafkaJSConnectionError", { code: "ERR_SSL_WRONG_VERSION_NUMBER" }),
    UsageError,
    /TLS/,
  ],
  ["rights", protocolError(29), UsageError, /is not allowed for this user \(TOPIC_AUTHORIZATION_FAILED\)/],
  ["a login that is not wanted", protocolError(34), UsageError, /takes no login of this kind \(ILLEGAL_SASL_STATE\)/],
  ["half a connection", new Error("Broker not connected"), UnavailableError, /does not answer/],
  ["a topic that was deleted", protocolError(3), RunError, /^Topic trades at host:9092 is not there any more/],
  ["a leader's election", protocolError(5), UnavailableError, /is not available now/],
  [
    "nobody listening",
    named("KafkaJSConnectionError", { code: "ECONNREFUSED" }),
    UnavailableError,
    /at host:9092 \(connection refused\)/,
  ],
  [
    "no such host",
    named("KafkaJSConnectionError", { code: "ENOTFOUND" }),
    UnavailableError,
    /The host of host:9092 is not known/,
  ],
  ["silence", named("KafkaJSRequestTimeoutError"), UnavailableError, /does not answer \(inner words\)/],
  ["anything else", new TypeError("x is not a function"), RunError, /failed: x is not a function$/],
])("%s", (_name, error, kind, message) => {
  for (const thrown of [error, named("KafkaJSNumberOfRetriesExceeded", { cause: error }, "outer words")]) {
    const told = explain(thrown, WHAT);
    expect(told).toBeInstanceOf(kind);
    expect(told.message).toMatch(message);
    expect(told instanceof UnavailableError).toBe(kind === UnavailableError);
  }
});

it("knows what may pass", () => {
  expect(mayPass(protocolError(6))).toBe(true);
  expect(mayPass(protocolError(29))).toBe(false);
  expect(mayPass(named("KafkaJSConnectionClosedError"))).toBe(true);
  expect(mayPass(new UsageError("x"))).toBe(false);
  expect(mayPass(new RunError("x"))).toBe(false);
  expect(mayPass(new UnavailableError("x"))).toBe(true);
});

it("tries again while it may pass, and only then", async () => {
  const away = named("KafkaJSConnectionError");
  let tries = 0;
  const third = async (): Promise<string> => {
    tries += 1;
    if (tries < 3) throw away;
    return "done";
  };
  expect(await patiently(third, { limitMs: 60_000 })).toBe("done");
  await expect(patiently(() => Promise.reject(away), { limitMs: 0 })).rejects.toBe(away);
  tries = 0;
  const wrong = async (): Promise<never> => {
    tries += 1;
    throw new UsageError("wrong");
  };
  await expect(patiently(wrong, { limitMs: 60_000 })).rejects.toThrow("wrong");
  expect(tries).toBe(1);
});

it("the signal ends a wait, and what never answers is given up", async () => {
  const stop = new AbortController();
  const never = new Promise<never>(() => undefined);
  const waiting = patiently(() => never, { limitMs: 60_000, signal: stop.signal });
  stop.abort(new Error("stopped"));
  await expect(waiting).rejects.toThrow("stopped");
  const pausing = patiently(() => Promise.reject(named("KafkaJSConnectionError")), {
    limitMs: 60_000,
    signal: AbortSignal.abort(new Error("stopped before")),
  });
  await expect(pausing).rejects.toThrow("stopped before");
  await expect(within(never, 1, "too long")).rejects.toThrow(new UnavailableError("too long"));
});
