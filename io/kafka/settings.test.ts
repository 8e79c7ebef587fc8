// What the environment says becomes what kafkajs takes. No broker with TLS or SASL is started by any test.
import { chmodSync, writeFileSync } from "node:fs";
import { scratchDirectory } from "../../test/scratch";
import { accessOf, kafkaSettings, registryAccessOf } from "./settings";

const scratch = scratchDirectory();

const file = (name: string, content: string): string => {
  const path = scratch(name);
  writeFileSync(path, content);
  chmodSync(path, 0o600);
  return path;
};

it("nothing set: a plain connection", () => {
  expect(accessOf({})).toEqual({ ssl: null, sasl: null });
  expect(accessOf({ KAFKA_TLS: "", KAFKA_SASL_MECHANISM: "" })).toEqual({ ssl: null, sasl: null });
});

it("TLS, with the system's certificates or given ones", () => {
  expect(accessOf({ KAFKA_TLS: "true" }).ssl).toEqual({});
  const [ca, cert, key] = [file("ca", "CA"), file("cert", "CERT"), file("key", "KEY")];
  expect(accessOf({ KAFKA_TLS_CA: ca }).ssl).toEqual({ ca: ["CA"] });
  expect(accessOf({ KAFKA_TLS_CA: ca, KAFKA_TLS_CERT: cert, KAFKA_TLS_KEY: key }).ssl).toEqual({
    ca: ["CA"],
    cert: "CERT",
    key: "KEY",
  });
  expect(accessOf({ KAFKA_TLS: "false", KAFKA_TLS_CA: ca }).ssl).toBeNull();
});

it.each(["plain", "scram-sha-256", "scram-sha-512", "SCRAM-SHA-512"])("SASL by %s", (mechanism) => {
  const login = { KAFKA_SASL_MECHANISM: mechanism, KAFKA_SASL_USERNAME: "ann" };
  const expected = { mechanism: mechanism.toLowerCase(), username: "ann", password: "s3cret" };
  expect(accessOf({ ...login, KAFKA_SASL_PASSWORD: "s3cret" }).sasl).toEqual(expected);
  expect(accessOf({ ...login, KAFKA_SASL_PASSWORD_FILE: file("password", "s3cret\n") }).sasl).toEqual(expected);
});

it.each<[Record<string, string>, string]>([
  [{ KAFKA_TLS: "yes" }, "KAFKA_TLS is “yes”: it must be true or false"],
  [{ KAFKA_TLS_CA: "no/such" }, "KAFKA_TLS_CA names the file no/such, which does not exist"],
  [
    { KAFKA_SASL_USERNAME: "ann" },
    "A Kafka user is set, but KAFKA_SASL_MECHANISM is not: it is one of plain, scram-sha-256, scram-sha-512",
  ],
  [{ KAFKA_SASL_MECHANISM: "scram-sha-25" }, "KAFKA_SASL_MECHANISM is “scram-sha-25”: did you mean “scram-sha-256”?"],
  [{ KAFKA_SASL_MECHANISM: "plain" }, "KAFKA_SASL_MECHANISM is set, but KAFKA_SASL_USERNAME is not"],
  [
    { KAFKA_SASL_MECHANISM: "plain", KAFKA_SASL_USERNAME: "ann" },
    "KAFKA_SASL_MECHANISM is set, but no password: set KAFKA_SASL_PASSWORD or KAFKA_SASL_PASSWORD_FILE",
  ],
])("%j is refused", (environment, message) => {
  expect(() => accessOf(environment)).toThrow(message);
});

it("half a certificate is refused", () => {
  expect(() => accessOf({ KAFKA_TLS_CERT: file("cert", "CERT") })).toThrow("belong together");
});

it("the registry's login", () => {
  expect(registryAccessOf({})).toBeNull();
  expect(registryAccessOf({ KAFKA_REGISTRY_USERNAME: "a", KAFKA_REGISTRY_PASSWORD: "b" })).toEqual({
    username: "a",
    password: "b",
  });
  expect(() => registryAccessOf({ KAFKA_REGISTRY_USERNAME: "a" })).toThrow("no password");
  expect(() => registryAccessOf({ KAFKA_REGISTRY_PASSWORD: "a" })).toThrow("KAFKA_REGISTRY_USERNAME is not");
});

it("only passwords are secrets", () => {
  expect(kafkaSettings.filter(({ secret }) => secret).map(({ name }) => name)).toEqual([
    "KAFKA_SASL_PASSWORD",
    "KAFKA_REGISTRY_PASSWORD",
  ]);
});
