import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import net from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { startFaultProxy, whileCutting, type FaultProxy } from "./fault-proxy";

const HOST = "127.0.0.1";
let server: net.Server;
/** The server's side of each connection. */
let served: net.Socket[];
let proxy: FaultProxy;
let clients: net.Socket[];

beforeEach(async () => {
  served = [];
  clients = [];
  // It says goodbye only after its client did, and then with a last word.
  server = net.createServer({ allowHalfOpen: true }, (socket) => {
    served.push(socket);
    socket.on("error", () => undefined);
    socket.on("data", (bytes) => {
      if (!socket.write(bytes)) socket.pause();
    });
    socket.on("drain", () => socket.resume());
    socket.on("end", () => socket.end("bye"));
  });
  server.listen(0, HOST);
  await once(server, "listening");
  proxy = await startFaultProxy(server.address() as net.AddressInfo);
});

afterEach(async () => {
  for (const client of clients) client.destroy();
  await proxy.close();
  for (const socket of served) socket.destroy();
  await new Promise((resolve) => server.close(resolve));
});

interface Client {
  readonly socket: net.Socket;
  /** What it received so far. */
  readonly text: () => string;
  /** Waits until it has received that much in all. */
  readonly received: (text: string) => Promise<void>;
  /** How the connection ended: "ended", or an error's code. */
  readonly fate: Promise<string>;
}

async function connect(): Promise<Client> {
  const socket = net.connect({ port: proxy.port, host: HOST, allowHalfOpen: true });
  clients.push(socket);
  let text = "";
  socket.on("data", (bytes: Buffer) => (text += bytes.toString()));
  const fate = new Promise<string>((resolve) => {
    socket.on("error", (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
    socket.on("end", () => resolve("ended"));
  });
  await once(socket, "connect");
  const received = async (wanted: string): Promise<void> => {
    await until(() => text.length >= wanted.length);
    expect(text).toBe(wanted);
  };
  return { socket, text: () => text, received, fate };
}

async function until(holds: () => boolean): Promise<void> {
  const end = Date.now() + 4000;
  while (!holds()) {
    if (Date.now() > end) throw new Error(`never came true: ${String(holds)}`);
    await sleep(2);
  }
}

test("bytes pass both ways, on several connections", async () => {
  const [one, two] = [await connect(), await connect()];
  one.socket.write("one");
  two.socket.write("two");
  await one.received("one");
  await two.received("two");
  expect(proxy.connections).toEqual({ accepted: 2, open: 2, cut: 0, interrupted: 0, unreachable: 0 });
});

test("big payloads arrive whole, with and without delay", async () => {
  for (const delay of [0, 5]) {
    proxy.delay(delay);
    const payload = randomBytes(24 * 1024 * 1024);
    const socket = net.connect(proxy.port, HOST);
    clients.push(socket);
    const hash = createHash("sha256");
    socket.end(payload);
    for await (const bytes of socket) hash.update(bytes as Buffer);
    expect(hash.digest("hex")).toBe(createHash("sha256").update(payload).update("bye").digest("hex"));
  }
});

test("a side that has said its last word still hears the other", async () => {
  const client = await connect();
  client.socket.end("last");
  await client.received("lastbye");
  expect(await client.fate).toBe("ended");
  await until(() => proxy.connections.open === 0);
});

test("cut: both sides see a reset at once, and can connect again", async () => {
  const [one, two] = [await connect(), await connect()];
  one.socket.write("a");
  two.socket.write("b");
  await one.received("a");
  await two.received("b");
  const fates = served.map((socket) => once(socket, "error") as Promise<[NodeJS.ErrnoException]>);
  expect(proxy.cut()).toBe(2);
  expect(await Promise.all([one.fate, two.fate])).toEqual(["ECONNRESET", "ECONNRESET"]);
  expect((await Promise.all(fates)).map(([{ code }]) => code)).toEqual(["ECONNRESET", "ECONNRESET"]);
  expect(proxy.connections).toMatchObject({ open: 0, cut: 2 });
  expect(proxy.cut()).toBe(0);

  const again = await connect();
  again.socket.write("c");
  await again.received("c");
  expect(proxy.connections).toEqual({ accepted: 3, open: 1, cut: 2, interrupted: 0, unreachable: 0 });
});

test("what was asked and not yet answered when its connection is cut is counted", async () => {
  const [answered, silent, waiting] = [await connect(), await connect(), await connect()];
  answered.socket.write("a");
  await answered.received("a");
  proxy.delay(10_000);
  waiting.socket.write("b");
  await sleep(50);
  expect(silent.text()).toBe("");
  expect(proxy.cut()).toBe(3);
  expect(proxy.connections.interrupted).toBe(1);
});

test("cutting while something is under way lets it through at last, on a machine of any speed", async () => {
  const slow = async () => {
    for (let attempt = 1; ; attempt += 1) {
      const client = await connect();
      client.socket.write("x");
      // It takes its time, as on a busy machine, and is lost with its connection.
      if ((await Promise.race([client.fate, sleep(150, "done")])) === "done") return attempt;
    }
  };
  expect(await whileCutting(proxy, slow)).toBeGreaterThan(2);
  const failing = whileCutting(proxy, () => Promise.reject(new Error("it is wrong")));
  await expect(failing).rejects.toThrow("it is wrong");
});

test("cut drops what is still held back", async () => {
  proxy.delay(100);
  const client = await connect();
  client.socket.write("lost");
  await sleep(20);
  proxy.cut();
  expect(await client.fate).toBe("ECONNRESET");
  await sleep(200);
  expect(client.text()).toBe("");
  expect(served.map((socket) => socket.bytesRead)).toEqual([0]);
});

test("delay holds each direction back and keeps the order, even when it gets shorter", async () => {
  const client = await connect();
  proxy.delay(1000);
  const begin = performance.now();
  client.socket.write("1");
  await client.received("1");
  // There and back.
  expect(performance.now() - begin).toBeGreaterThanOrEqual(1998);

  client.socket.write("2");
  await sleep(10);
  proxy.delay(0);
  for (const digit of ["3", "4", "5"]) {
    client.socket.write(digit);
    await sleep(1);
  }
  await client.received("12345");
  const quick = performance.now();
  client.socket.write("6");
  await client.received("123456");
  expect(performance.now() - quick).toBeLessThan(1998);
});

test("the end of a direction is delayed like its bytes", async () => {
  proxy.delay(50);
  const client = await connect();
  const begin = performance.now();
  client.socket.end("x");
  await client.received("xbye");
  expect(await client.fate).toBe("ended");
  expect(performance.now() - begin).toBeGreaterThanOrEqual(98);
});

test("stall: connections stay and are taken, nothing passes; resume: all of it does", async () => {
  const old = await connect();
  old.socket.write("1");
  await old.received("1");
  proxy.stall(true);
  const fresh = await connect();
  old.socket.write("2");
  served[0]?.write("from the server");
  fresh.socket.write("hello");
  await sleep(80);
  expect([old.text(), fresh.text()]).toEqual(["1", ""]);
  expect(served.map((socket) => socket.bytesRead)).toEqual([1, 0]);
  expect(proxy.connections).toMatchObject({ accepted: 2, open: 2 });

  proxy.stall(false);
  await old.received("1from the server2");
  await fresh.received("hello");
});

test("stall: a sender is made to wait in the end", async () => {
  const client = await connect();
  proxy.stall(true);
  // More than the kernel's buffers take.
  const payload = Buffer.alloc(32 * 1024 * 1024, "a");
  let isSent = false;
  client.socket.write(payload, () => (isSent = true));
  await sleep(150);
  expect(isSent).toBe(false);
  proxy.stall(false);
  await until(() => client.text().length === payload.length);
  expect(isSent).toBe(true);
});

test("cut ends stalled connections too", async () => {
  proxy.stall(true);
  const client = await connect();
  await until(() => served.length === 1);
  expect(proxy.cut()).toBe(1);
  expect(await client.fate).toBe("ECONNRESET");
});

test("refuse: nobody listens, what is open goes on; then the same port takes connections again", async () => {
  const client = await connect();
  await proxy.refuse(true);
  await proxy.refuse(true);
  await expect(connect()).rejects.toMatchObject({ code: "ECONNREFUSED" });
  client.socket.write("still here");
  await client.received("still here");
  expect(proxy.connections).toMatchObject({ accepted: 1, open: 1 });

  await proxy.refuse(false);
  await proxy.refuse(false);
  const again = await connect();
  again.socket.write("x");
  await again.received("x");
});

test("one side broken breaks the other, by a reset", async () => {
  const client = await connect();
  client.socket.write("x");
  await client.received("x");
  served[0]?.resetAndDestroy();
  expect(await client.fate).toBe("ECONNRESET");

  const other = await connect();
  await until(() => served.length === 2);
  const fate = once(served[1] as net.Socket, "error") as Promise<[NodeJS.ErrnoException]>;
  other.socket.resetAndDestroy();
  expect((await fate)[0].code).toBe("ECONNRESET");
  await until(() => proxy.connections.open === 0);
  expect(proxy.connections).toMatchObject({ accepted: 2, cut: 0 });
});

test("a server that is not there", async () => {
  const gone = await startFaultProxy({ port: proxy.port });
  await proxy.refuse(true);
  const socket = net.connect(gone.port, HOST);
  clients.push(socket);
  const [error] = (await once(socket, "error")) as [NodeJS.ErrnoException];
  expect(error.code).toBe("ECONNRESET");
  await until(() => gone.connections.open === 0);
  expect(gone.connections).toEqual({ accepted: 1, open: 0, cut: 0, interrupted: 0, unreachable: 1 });
  await gone.close();
});

test("close leaves nothing open, whatever state connections are in", async () => {
  const [idle, ended] = [await connect(), await connect()];
  ended.socket.end();
  await ended.received("bye");
  proxy.delay(10_000);
  idle.socket.write("held back for long");
  proxy.stall(true);
  const stalled = await connect();
  await until(() => served.length === 3);
  await proxy.close();
  await proxy.close();
  expect(proxy.connections.open).toBe(0);
  expect(await Promise.all([idle.fate, stalled.fate])).toEqual(["ECONNRESET", "ECONNRESET"]);
  await until(() => served.every((socket) => socket.destroyed));
  await expect(connect()).rejects.toMatchObject({ code: "ECONNREFUSED" });
});
