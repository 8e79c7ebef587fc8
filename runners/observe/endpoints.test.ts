import http from "node:http";
import net from "node:net";
import { RunError, UsageError } from "../../schema/errors";
import { startEndpoints, type Endpoints, type EndpointsRequest } from "./endpoints";
import { Metrics } from "./metrics";
import { Readiness } from "./readiness";

let endpoints: Endpoints;
let readiness: Readiness;

async function start(options: Partial<EndpointsRequest> = {}): Promise<Endpoints> {
  const metrics = new Metrics({ job: "a", pipeline: "trades", version: "1" });
  endpoints = await startEndpoints({ listen: "0", metrics, readiness, ...options });
  return endpoints;
}

beforeEach(() => {
  readiness = new Readiness({ sources: ["trades", "quotes"], sinks: ["candles"] });
});
afterEach(() => endpoints.close());

interface Got {
  readonly status: number | undefined;
  readonly type: string | undefined;
  readonly headers: http.IncomingHttpHeaders;
  readonly body: string;
}

function get(path: string, method = "GET"): Promise<Got> {
  return new Promise((resolve, reject) => {
    const request = http.request(endpoints.url + path, { method, agent: false }, (response) => {
      let body = "";
      response.setEncoding("utf8").on("data", (piece: string) => (body += piece));
      response.on("end", () =>
        resolve({
          status: response.statusCode,
          type: response.headers["content-type"],
          headers: response.headers,
          body,
        }),
      );
    });
    request.on("error", reject).end();
  });
}

/** Everything that the server says to these bytes, until it closes the connection. */
function raw(bytes: string, whenConnected: () => void = () => {}): Promise<string> {
  return new Promise((resolve) => {
    let said = "";
    const socket = net.connect(endpoints.address.port, endpoints.address.host, () => {
      socket.write(bytes);
      whenConnected();
    });
    socket.on("data", (piece) => (said += piece.toString("latin1")));
    socket.on("error", () => {});
    socket.on("close", () => resolve(said));
  });
}

describe("the endpoints", () => {
  it("say pong as soon as they listen", async () => {
    await start();
    expect(await get("/ping")).toMatchObject({ status: 200, body: "pong" });
    expect(await get("/ping?x=1")).toMatchObject({ status: 200, body: "pong" });
  });

  it("say what is missing until the job is ready, and the error after a batch failed", async () => {
    await start();
    const ready = async () => {
      const { status, type, body } = await get("/ready");
      expect(type).toBe("application/json");
      return { status, ...(JSON.parse(body) as object) };
    };
    expect(await ready()).toEqual({
      status: 503,
      ready: false,
      missing: { sources: ["quotes", "trades"], sinks: ["candles"] },
      error: null,
    });
    readiness.sources.connected("quotes");
    readiness.sinks.connected("candles");
    expect(await ready()).toMatchObject({ status: 503, missing: { sources: ["trades"], sinks: [] } });
    readiness.sources.connected("trades");
    expect(await ready()).toEqual({ status: 200, ready: true, missing: { sources: [], sinks: [] }, error: null });
    readiness.batchFailed(new Error("cannot write to postgres://u:secret@db/x"));
    expect(await ready()).toMatchObject({ status: 503, error: "cannot write to postgres://u:***@db/x" });
    readiness.batchCommitted();
    expect(await ready()).toMatchObject({ status: 200, error: null });
    readiness.sources.lost("trades");
    expect(await ready()).toMatchObject({ status: 503, missing: { sources: ["trades"], sinks: [] } });
  });

  it("give the metrics in Prometheus' text form", async () => {
    await start();
    const { status, type, body } = await get("/metrics");
    expect({ status, type }).toEqual({ status: 200, type: "text/plain; version=0.0.4; charset=utf-8" });
    expect(body).toContain('beamline_records_read_total{job="a",pipeline="trades"} 0\n');
    expect(body.endsWith("\n")).toBe(true);
  });

  it("answer HEAD as GET, without the body", async () => {
    await start();
    for (const path of ["/ping", "/metrics"]) {
      const { status, body, headers } = await get(path, "HEAD");
      expect({ status, body }).toEqual({ status: 200, body: "" });
      expect(Number(headers["content-length"])).toBeGreaterThan(3);
    }
  });

  it("list what there is at another path, and refuse other methods", async () => {
    await start();
    for (const path of ["/", "/x", "/ping/", "/__proto__", "/constructor", "//ping"]) {
      expect(await get(path)).toMatchObject({
        status: 404,
        body: "There is nothing here. There is: /ping, /ready, /metrics\n",
      });
    }
    for (const method of ["POST", "PUT", "DELETE", "OPTIONS"]) {
      expect(await get("/ready", method)).toMatchObject({ status: 405, headers: { allow: "GET, HEAD" } });
    }
  });

  it("answer 500 with a masked sentence when the metrics cannot be made", async () => {
    const metrics = { contentType: "text/plain", text: () => Promise.reject(new Error("no: pg://u:secret@h/x")) };
    await start({ metrics: metrics as unknown as Metrics });
    expect(await get("/metrics")).toMatchObject({ status: 500, body: "no: pg://u:***@h/x\n" });
    expect(await get("/ping")).toMatchObject({ status: 200 });
  });
});

describe("a hostile client", () => {
  it.each([
    ["garbage", "\u0000\u0001\u0002 garbage\r\n\r\n", /^HTTP\/1\.1 400 /],
    ["TLS", "\u0016\u0003\u0001\u0002\u0000\u0001\r\n\r\n", /^HTTP\/1\.1 400 /],
    ["huge headers", `GET /ping HTTP/1.1\r\nHost: x\r\nX: ${"x".repeat(20_000)}\r\n\r\n`, /^HTTP\/1\.1 431 |^$/],
    ["a method that tunnels", "CONNECT h:80 HTTP/1.1\r\nHost: h\r\n\r\n", /^$|^HTTP\/1\.1 4/],
    ["a body without end", "POST /ping HTTP/1.1\r\nHost: h\r\nContent-Length: 999999999\r\n\r\nx", /^HTTP\/1\.1 405 /],
  ])("that sends %s is shown the door, and others are served", async (_what, bytes, said) => {
    await start();
    expect(await raw(bytes)).toMatch(said);
    expect(await get("/ping")).toMatchObject({ status: 200 });
  });

  it("that is slow holds nobody up, and has a time limit", async () => {
    const made = jest.spyOn(http, "createServer");
    await start();
    expect(made.mock.calls[0]?.[0]).toMatchObject({
      headersTimeout: 5_000,
      requestTimeout: 10_000,
      connectionsCheckingInterval: 1_000,
    });
    made.mockRestore();
    let connected = () => {};
    const isConnected = new Promise<void>((resolve) => (connected = resolve));
    const slow = raw("GET /ping HTTP/1.1\r\nHo", () => connected());
    await isConnected;
    expect(await get("/ping")).toMatchObject({ status: 200 });
    await endpoints.close();
    expect(await slow).toBe("");
  });
});

describe("closing", () => {
  it("ends open connections, those too that never said anything, and may be done twice", async () => {
    await start();
    let connected = () => {};
    const isConnected = new Promise<void>((resolve) => (connected = resolve));
    const silent = raw("", () => connected());
    await isConnected;
    // An answer proves that the server has taken the silent connection, which came first.
    const agent = new http.Agent({ keepAlive: true });
    const kept = await new Promise<net.Socket>((resolve) => {
      const request = http.get(`${endpoints.url}/ping`, { agent }, (response) => {
        response.resume().on("end", () => resolve(request.socket as net.Socket));
      });
    });
    const keptEnds = new Promise((resolve) => kept.on("close", resolve));
    await Promise.all([endpoints.close(), endpoints.close()]);
    expect(await silent).toBe("");
    await keptEnds;
    agent.destroy();
    await expect(get("/ping")).rejects.toThrow(/ECONNREFUSED/);
  });
});

describe("the address", () => {
  it("is only this machine's unless a host is given", async () => {
    await start();
    expect(endpoints.address.host).toBe("127.0.0.1");
    expect(endpoints.address.port).toBeGreaterThan(0);
    expect(endpoints.url).toBe(`http://127.0.0.1:${endpoints.address.port}`);
  });

  it("that is taken, or is not ours, or is none is refused in one sentence", async () => {
    await start();
    const { port } = endpoints.address;
    const refused = async (listen: string) => {
      const metrics = new Metrics({ job: "b", pipeline: "trades", version: "1" });
      const error: unknown = await startEndpoints({ listen, metrics, readiness }).catch((thrown: unknown) => thrown);
      expect(error).toBeInstanceOf(UsageError);
      return (error as UsageError).message;
    };
    expect(await refused(String(port))).toBe(
      `Cannot listen on 127.0.0.1:${port}: another process listens there; choose another port, or 0 for any that is free`,
    );
    expect(await refused("192.0.2.1:0")).toBe(
      "Cannot listen on 192.0.2.1:0: that is not an address of this machine; leave the host out for 127.0.0.1",
    );
    expect(await refused("65536")).toMatch(/^Cannot listen on “65536”: write a port/);
  });
});

it.each([
  ["ENOTFOUND", UsageError, "the host is not known; leave it out for 127.0.0.1"],
  ["EACCES", UsageError, "this user may not; choose a port of 1024 or above"],
  ["EMFILE", RunError, "too many open files"],
])("a failure to listen with %s is one sentence too", async (code, kind, why) => {
  await start();
  const listening = jest.spyOn(http.Server.prototype, "listen").mockImplementation(function (this: http.Server) {
    process.nextTick(() => this.emit("error", Object.assign(new Error("too many open files"), { code })));
    return this;
  });
  try {
    const error: unknown = await start({ listen: "h:80" }).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(kind);
    expect((error as Error).message).toBe(`Cannot listen on h:80: ${why}`);
  } finally {
    listening.mockRestore();
  }
});

test("two jobs in one process tell each its own", async () => {
  await start();
  const other = await startEndpoints({
    listen: "0",
    metrics: new Metrics({ job: "b", pipeline: "trades", version: "1" }),
    readiness: new Readiness({ sources: [], sinks: [] }),
  });
  try {
    expect((await get("/ready")).status).toBe(503);
    expect((await get("/metrics")).body).not.toContain('job="b"');
    const answer = await fetch(`${other.url}/ready`);
    expect(answer.status).toBe(200);
    expect(await (await fetch(`${other.url}/metrics`)).text()).toContain('job="b"');
  } finally {
    await other.close();
  }
});
