import { RunError, UnavailableError, UsageError } from "../../schema/errors";
import { explain, isLost, isServerError } from "./failures";

const shown = "postgres://u@h:5432/d";
const server = (code: string, more = {}) => Object.assign(new Error("as said"), { code, severity: "ERROR", ...more });
const system = (code: string) => Object.assign(new Error(`connect ${code}`), { code });

it.each<[string, Error, new (message: string) => Error, RegExp]>([
  ["a wrong password", server("28P01"), UsageError, /does not let this user in \(as said\): check user and password/],
  ["no line in pg_hba.conf", server("28000"), UsageError, /and sslmode/],
  ["a missing database", server("3D000"), UsageError, /does not exist on that server/],
  ["a missing schema", server("3F000"), UsageError, /CREATE SCHEMA/],
  ["a missing permission", server("42501"), RunError, /does not permit this user.*GRANT/],
  ["a standby", server("25006"), RunError, /is read-only/],
  ["a full disk", server("53100"), UnavailableError, /disk is full/],
  ["too many connections", server("53300"), UnavailableError, /too many connections: close some/],
  ["no memory", server("53200"), UnavailableError, /no memory left/],
  ["a statement that takes too long", server("57014"), UnavailableError, /raise statement_timeout=/],
  ["a lock", server("55P03"), UnavailableError, /raise lock_timeout=/],
  ["a deadlock", server("40P01"), UnavailableError, /gave way to another transaction/],
  ["a serialization failure", server("40001"), UnavailableError, /try again/],
  ["a server that stops", server("57P01"), UnavailableError, /ended the connection/],
  ["a server that starts", server("57P03"), UnavailableError, /is starting or stopping/],
  ["a transaction that waits too long", server("25P03"), UnavailableError, /idle_in_transaction_session_timeout/],
  ["a connection failure of the server's", server("08006"), UnavailableError, /cannot serve this now/],
  ["a key that is too long", server("54000"), RunError, /A key must be shorter/],
  [
    "a constraint",
    server("23514", { table: "t", column: "c", detail: "why" }),
    RunError,
    /refused a row for t\.c: as said: why\. Change the row in a step, or the table$/,
  ],
  ["a value", server("22003"), RunError, /refused a row: as said/],
  ["anything else", server("XX000", { hint: "a hint" }), RunError, /failed: as said\. a hint$/],
  ["nothing that listens", system("ECONNREFUSED"), UnavailableError, /nothing listens there/],
  ["nothing at all the addresses", new AggregateError([system("ECONNREFUSED")]), UnavailableError, /nothing listens/],
  ["an unknown host", system("ENOTFOUND"), UnavailableError, /no such host is known/],
  ["a reset", system("ECONNRESET"), UnavailableError, /does not answer.*\(ECONNRESET\)/],
  ["a connection that ended", new Error("Connection terminated unexpectedly"), UnavailableError, /does not answer/],
  ["a slow connection", new Error("timeout expired"), UnavailableError, /not made in time/],
  ["no TLS", new Error("The server does not support SSL connections"), UsageError, /set sslmode=disable/],
  ["a strange certificate", system("SELF_SIGNED_CERT_IN_CHAIN"), UsageError, /set PGSSLROOTCERT/],
  ["a mistake of ours", new Error("oh"), RunError, /failed: oh$/],
])("%s", (_name, error, kind, message) => {
  const explained = explain(error, shown);
  expect(explained.constructor).toBe(kind);
  expect(explained.message).toMatch(message);
  expect(explained.message.startsWith(shown)).toBe(true);
});

it("what is explained already stays as it is", () => {
  for (const error of [new UsageError("a"), new RunError("b"), new UnavailableError("c")]) {
    expect(explain(error, shown)).toBe(error);
    expect(isLost(error)).toBe(false);
  }
});

it("a connection that is lost is told from a statement that failed", () => {
  expect([server("57P01"), server("08006"), system("EPIPE"), new Error("Connection terminated")].map(isLost)).toEqual(
    Array(4).fill(true),
  );
  expect([server("57014"), server("23505"), new Error("oh")].map(isLost)).toEqual([false, false, false]);
  expect(isServerError(server("23505"))).toBe(true);
  expect(isServerError(system("EPIPE"))).toBe(false);
});
