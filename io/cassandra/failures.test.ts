// What is told of a server that does not let somebody in, or is none: a double that speaks as much of the protocol as that
// needs, since the servers here ask nobody for a password.
import { once } from "node:events";
import net, { type AddressInfo, type Socket } from "node:net";
import { z } from "zod";
import { RunError, UnavailableError, UsageError } from "../../schema/errors";
import { tableOf } from "../../schema/table";
import { parseAddress } from "../address";
import { cassandra } from "./cassandra";
import { explain, refusalOf } from "./failures";
import { settingsOf } from "./options";
import { Session } from "./session";

const VERSION = 4;
const OPCODE = { error: 0x00, startup: 0x01, authenticate: 0x03, options: 0x05, supported: 0x06, response: 0x0f };

const text = (said: string): Buffer => {
  const bytes = Buffer.from(said);
  return Buffer.concat([Buffer.from([bytes.length >> 8, bytes.length & 255]), bytes]);
};
const errorOf = (code: number, said: string): Buffer => {
  const head = Buffer.alloc(4);
  head.writeInt32BE(code);
  return Buffer.concat([head, text(said)]);
};

/** A server that asks for a password and takes none. */
function answer(socket: Socket, header: Buffer): void {
  const send = (opcode: number, body: Buffer): void => {
    const head = Buffer.alloc(9);
    head.writeUInt8(0x80 | VERSION, 0);
    header.copy(head, 2, 2, 4);
    head.writeUInt8(opcode, 4);
    head.writeInt32BE(body.length, 5);
    socket.write(Buffer.concat([head, body]));
  };
  const [version = 0, opcode] = [header.readUInt8(0), header.readUInt8(4)];
  if (version > VERSION)
    send(
      OPCODE.error,
      errorOf(0x0a, `Invalid or unsupported protocol version (${version}); supported versions are (4/v4)`),
    );
  else if (opcode === OPCODE.options) send(OPCODE.supported, Buffer.from([0, 0]));
  else if (opcode === OPCODE.startup)
    send(OPCODE.authenticate, text("org.apache.cassandra.auth.PasswordAuthenticator"));
  else if (opcode === OPCODE.response)
    send(OPCODE.error, errorOf(0x0100, "Provided username me and/or password are incorrect"));
}

let server: net.Server;
const address = (query = "") =>
  parseAddress(`cassandra://127.0.0.1:${(server.address() as AddressInfo).port}/k_test${query}`);

async function listen(onData: (socket: Socket, chunk: Buffer) => void): Promise<void> {
  server = net.createServer((socket) => {
    socket.on("error", () => undefined);
    socket.on("data", (chunk) => onData(socket, chunk));
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
}
afterEach(() => server?.close());

const failure = async (query = "", environment = {}): Promise<Error> => {
  try {
    await Session.open(settingsOf(address(query), environment));
  } catch (error) {
    return error as Error;
  }
  throw new Error("nothing was thrown");
};

describe("a server", () => {
  it("that knows no such user is told with the variables to set", async () => {
    await listen((socket, chunk) => answer(socket, chunk));
    const unknown = await failure();
    expect(unknown).toBeInstanceOf(UsageError);
    expect(unknown.message).toMatch(/wants to know who asks: set CASSANDRA_USERNAME and CASSANDRA_PASSWORD or/);
    const wrong = await failure("", { CASSANDRA_USERNAME: "me", CASSANDRA_PASSWORD: "geheim" });
    expect(wrong).toBeInstanceOf(UsageError);
    expect(wrong.message).toMatch(
      /does not let this user in \(.*incorrect.*\): check CASSANDRA_USERNAME and CASSANDRA_PASSWORD/,
    );
    expect(wrong.message).not.toMatch(/geheim/);
    const output = { name: "t", table: tableOf("t", z.object({ id: z.int() }), { key: ["id"] }) };
    expect(await cassandra.sink?.check?.(address(), [output])).toEqual([{ state: "wrong", text: unknown.message }]);
  });

  it("that says nothing, or is not there, is told so", async () => {
    await listen(() => undefined);
    const silent = await failure("?timeout=300ms&connect-timeout=300ms");
    expect(silent).toBeInstanceOf(UnavailableError);
    expect(silent.message).toMatch(/does not answer in time.*Cassandra is what listens there/);
    const nowhere = Session.open(settingsOf(parseAddress("cassandra://127.0.0.1:1/k"), {}));
    await expect(nowhere).rejects.toThrow(/cannot be reached: nothing listens there/);
    const unknown = Session.open(settingsOf(parseAddress("cassandra://no-such-host.invalid/k"), {}));
    await expect(unknown).rejects.toThrow(/no such host is known/);
  });
});

/** With data_disk_usage_percentage_fail_threshold in its settings. */
const FULL = "Guardrail replica_disk_usage violated: Write request failed because disk usage exceeds failure threshold";

describe("what a server says", () => {
  const said = (code: number, message: string) => Object.assign(new Error(message), { name: "ResponseError", code });
  const packed = (error: Error) => Object.assign(new Error("All host(s) tried"), { innerErrors: { "h:9042": error } });

  it.each([
    [
      said(0x2100, "User me has no CREATE permission on <all keyspaces>"),
      RunError,
      /does not permit this user.*GRANT it/,
    ],
    [
      packed(said(0x1000, "Not enough replicas available")),
      UnavailableError,
      /has too few servers up.*lower consistency=/,
    ],
    [said(0x1100, "Server timeout during write query"), UnavailableError, /cannot serve this now/],
    [said(0x1001, "Request breached limit"), UnavailableError, /cannot serve this now/],
    [said(0x2500, "Prepared query with ID 1f is not found"), UnavailableError, /does not know a statement any more/],
    [
      packed(said(0x2200, FULL)),
      UnavailableError,
      /takes no rows because its disks are nearly full .*: make room there/,
    ],
    [said(0x2300, "Unrecognized strategy option {nodc}"), UsageError, /check replication= and its data centres/],
    [said(0x2200, "table t does not exist"), RunError, /failed: table t does not exist/],
    [new Error("something else"), RunError, /failed: something else/],
  ])("is a sentence of its kind: %s", (error, kind, message) => {
    expect(explain(error, "cassandra://h/k")).toBeInstanceOf(kind);
    expect(explain(error, "cassandra://h/k").message).toMatch(message);
  });

  it.each([
    ["Rejected an oversized mutation (9000058/8388608) for keyspace: k", "too-large"],
    ["Key length of 70000 is longer than maximum of 65535", "too-large"],
    ["Key may not be empty", "unfit-value"],
    ["table nope does not exist", null],
    [FULL, null],
    ["Undefined column name a in table t", null],
  ])("is about one row, or about all: %s", (message, reason) => {
    expect(refusalOf(packed(said(0x2200, message)))?.reason ?? null).toBe(reason);
  });
});
