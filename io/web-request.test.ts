// One request against a server of the test's own, which is kind, broken or hostile.
import net, { type AddressInfo } from "node:net";
import { once } from "node:events";
import zlib from "node:zlib";
import { inTurn, status, text, webServer } from "../test/web-server";
import { accessOf, NO_ACCESS } from "./web-access";
import { ask, redirected, type WebRequest } from "./web-request";

const web = webServer();
const get = (path = "/", more: Partial<WebRequest> = {}) =>
  ask({ url: new URL(`http://${web.host}${path}`), access: NO_ACCESS, timeout: 5_000, mostBytes: 1000, ...more });

it("gives the answer as it is, with the time that the server says", async () => {
  const at = Date.now() - 3_600_000;
  web.answer(text("hällo", { date: new Date(at).toUTCString(), etag: '"7"' }));
  const answer = await get("/x?a=b@c");
  expect(answer).toMatchObject({ status: 200, at: at - (at % 1000), headers: { etag: '"7"' } });
  expect(answer.body.toString()).toBe("hällo");
  expect(web.requests[0]?.url).toBe("/x?a=b@c");
});

it("uses its connection again", async () => {
  web.answer(inTurn(text("a"), status(304), text("b")));
  for (let times = 0; times < 4; times += 1) await get();
  expect(web.connections).toBe(1);
});

it.each(["not a date", new Date(0).toUTCString(), "Fri, 31 Dec 9999 23:59:59 GMT"])(
  "where the server's time is %s, takes its own",
  async (date) => {
    web.answer(text("", { date }));
    const before = Date.now();
    const { at } = await get();
    expect(at).toBeGreaterThanOrEqual(before);
    expect(at).toBeLessThanOrEqual(Date.now());
  },
);

it("unpacks", async () => {
  web.answer(inTurn(text(zlib.gzipSync("hello"), { "content-encoding": "gzip" })));
  expect((await get()).body.toString()).toBe("hello");
  web.answer(text(zlib.brotliCompressSync("hello"), { "content-encoding": "br" }));
  expect((await get()).body.toString()).toBe("hello");
});

it.each<[string, string, Buffer]>([
  ["is packed and not whole", "gzip", zlib.gzipSync("hello").subarray(0, 12)],
  ["is said to be packed", "gzip", Buffer.from("hello")],
  ["is said to be packed by another way", "br", Buffer.from("hello")],
])("an answer that %s may pass", async (_name, encoding, body) => {
  web.answer(text(body, { "content-encoding": encoding }));
  await expect(get()).rejects.toMatchObject({ name: "UnavailableError", message: /did not answer as HTTP wants it/ });
});

it("an unknown way of packing is told", async () => {
  web.answer(text("x", { "content-encoding": "zstd" }));
  await expect(get()).rejects.toThrow(/packs its answer by “zstd”/);
});

describe("a body", () => {
  it("that is too long ends the request", async () => {
    web.answer(text("x".repeat(1001)));
    await expect(get()).rejects.toThrow(/answers with more than 1000 bytes: raise max-bytes/);
  });

  it("that never ends, ends the request", async () => {
    let isBroken = false;
    web.answer((_request, response) => {
      const writing = setInterval(() => response.write("x".repeat(400)), 1);
      response.on("close", () => {
        isBroken = true;
        clearInterval(writing);
      });
    });
    await expect(get()).rejects.toThrow(/more than 1000 bytes/);
    while (!isBroken) await new Promise((resolve) => setImmediate(resolve));
  });

  it("that is a bomb is counted as it is unpacked", async () => {
    web.answer(text(zlib.gzipSync(Buffer.alloc(100_000_000)), { "content-encoding": "gzip" }));
    await expect(get("/", { mostBytes: 200_000 })).rejects.toThrow(/more than 200000 bytes/);
  });

  it("that comes a byte at a time ends with the patience", async () => {
    web.answer((_request, response) => {
      const writing = setInterval(() => response.write("x"), 5);
      response.on("close", () => clearInterval(writing));
    });
    await expect(get("/", { timeout: 100 })).rejects.toMatchObject({
      name: "UnavailableError",
      message: `${web.host} has not answered to the end within 0.1 s`,
    });
  });

  it("that is shorter than was said may pass", async () => {
    web.answer((_request, response) => {
      response.writeHead(200, { "content-length": "100" });
      response.write("short", () => response.destroy());
    });
    await expect(get()).rejects.toMatchObject({ name: "UnavailableError", message: /broke the connection off/ });
  });

  it("of a refusal is not read", async () => {
    web.answer((_request, response) => void response.writeHead(500).write("x".repeat(5000)));
    expect((await get()).status).toBe(500);
  });
});

describe("a raw server", () => {
  const answering = async (answer: string | null, use: (url: URL) => Promise<unknown>) => {
    const raw = net.createServer((socket) => {
      socket.on("error", () => undefined);
      if (answer === null) socket.destroy();
      else socket.end(answer);
    });
    await once(raw.listen(0, "127.0.0.1"), "listening");
    try {
      await use(new URL(`http://127.0.0.1:${(raw.address() as AddressInfo).port}/`));
    } finally {
      raw.close();
    }
  };
  const asking = (url: URL) => ask({ url, access: NO_ACCESS, timeout: 5_000, mostBytes: 1000 });

  it("a body that is longer than was said is cut there", async () => {
    await answering("HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nabcdefgh", async (url) =>
      expect((await asking(url)).body.toString()).toBe("abc"),
    );
  });

  it.each([
    ["speaks no HTTP", "SSH-2.0-OpenSSH\r\n", /did not answer as HTTP wants it/],
    ["says two lengths", "HTTP/1.1 200 OK\r\ncontent-length: 3\r\ncontent-length: 4\r\n\r\nabc", /as HTTP wants it/],
    ["has endless headers", `HTTP/1.1 200 OK\r\n${"a: b\r\n".repeat(20_000)}`, /as HTTP wants it/],
    ["hangs up", null, /broke the connection off/],
    ["breaks off in a chunk", "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nab", /broke/],
  ])("a server that %s may be better later", async (_name, answer, message) => {
    await answering(answer, async (url) =>
      expect(asking(url)).rejects.toMatchObject({
        name: "UnavailableError",
        message: expect.stringMatching(message) as string,
      }),
    );
  });

  it("nobody listens", async () => {
    let closed = new URL("http://h/");
    await answering("", async (url) => void (closed = url));
    await expect(asking(closed)).rejects.toMatchObject({
      name: "UnavailableError",
      message: `No server answers at ${closed.host} (connection refused): start it, or correct the address`,
    });
  });
});

describe("redirects", () => {
  it("are followed, a few", async () => {
    web.answer(inTurn(status(302, { location: "/b?x" }), status(308, { location: `http://${web.host}/c` }), text("c")));
    const answer = await get("/a");
    expect(answer.url.pathname).toBe("/c");
    expect(web.requests.map(({ url }) => url)).toEqual(["/a", "/b?x", "/c"]);
  });

  it("that lead in a circle end", async () => {
    web.answer(status(302, { location: "/" }));
    await expect(get()).rejects.toThrow(/sends from one address to the next more than 5 times/);
    expect(web.requests).toHaveLength(6);
  });

  it.each(["file:///etc/passwd", "ftp://h/x", "http://"])("to %s are refused", async (location) => {
    web.answer(status(302, { location }));
    await expect(get()).rejects.toThrow(/sends to an address that is none of the web/);
  });

  it("lead to an encrypted server, but never away from one", () => {
    expect(redirected(new URL("http://h/"), "https://h/").href).toBe("https://h/");
    expect(redirected(new URL("https://h/a"), "//other/b").href).toBe("https://other/b");
    expect(() => redirected(new URL("https://h/a?key=s3cret"), "http://h/a")).toThrow(
      "https://h/a?key=*** sends to http://h/a, which is not encrypted: it is not followed; name it yourself if it is meant",
    );
  });

  it("take no secret to another server", async () => {
    const { hostname } = new URL(`http://${web.host}`);
    web.answer(inTurn(status(302, { location: `http://localhost:${new URL(`http://${web.host}`).port}/b` }), text("")));
    const access = accessOf({ BEAMLINE_HTTP_AUTHORIZATION: "Bearer s3cret", BEAMLINE_HTTP_HOSTS: hostname });
    await get("/a", { access });
    expect(web.requests.map(({ headers }) => headers.authorization)).toEqual(["Bearer s3cret", undefined]);
  });
});

it("ends when the signal says so, with its reason", async () => {
  const stop = new AbortController();
  web.answer(() => stop.abort(new Error("enough")));
  await expect(get("/", { signal: stop.signal })).rejects.toThrow("enough");
  await expect(get("/", { signal: stop.signal })).rejects.toThrow("enough");
  expect(web.requests).toHaveLength(1);
});
