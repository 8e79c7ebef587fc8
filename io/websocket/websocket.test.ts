// The source as a runner uses it, against a server of the test's own, which is kind, broken or hostile.
import { once } from "node:events";
import { setImmediate as nextTurn, setTimeout as pause } from "node:timers/promises";
import { type SourceRecord } from "../../schema/record";
import { socketServer, type Caller } from "../../test/socket-server";
import { webServer } from "../../test/web-server";
import { parseAddress } from "../address";
import { EVERYTHING, type FlowNews } from "../connector";
import { sourceOf } from "../registry";
import { NO_ACCESS } from "../web-access";
import { streamedOf } from "./options";
import { stream, type StreamSettings } from "./stream";

const web = webServer();
const sockets = socketServer(web);
const at = (path: string) => parseAddress(`ws://${web.host}${path}`);
const quick = { first: 1, longest: 4 };

/** What a stream gives until `isEnough`, or until it ends. */
async function streamed(
  path: string,
  isEnough: (records: readonly SourceRecord[], news: readonly FlowNews[]) => boolean = () => false,
  settings: Partial<StreamSettings> = {},
) {
  const stop = new AbortController();
  const news: FlowNews[] = [];
  const records: SourceRecord[] = [];
  const check = () => isEnough(records, news) && stop.abort();
  const tell = (one: FlowNews) => {
    news.push(one);
    check();
  };
  const talk = { note: () => undefined, tell };
  const given = { access: NO_ACCESS, signal: stop.signal, talk, isBounded: false, backoff: quick, ...settings };
  for await (const some of stream(streamedOf(at(path)), given)) {
    records.push(...some);
    check();
  }
  return { records, news, values: records.map(({ value }) => value), kinds: news.map(({ kind }) => kind) };
}

const many = (wanted: number) => (records: readonly SourceRecord[]) => records.length >= wanted;

it("each message is a record, as it came", async () => {
  sockets.greet(({ client }) => {
    client.send('{"p": 0.10}');
    client.send(Buffer.from("text all the same"));
    client.send(Buffer.from([0xff, 0x00]));
    client.send("");
  });
  const before = Date.now();
  const { records, news, values } = await streamed("/x?token=s3cret&s=a@b", many(4));
  expect(values).toEqual(['{"p": 0.10}', "text all the same", new Uint8Array([0xff, 0x00]), ""]);
  expect(records.map(({ position }) => position)).toEqual([0, 1, 2, 3]);
  expect(records[0]).toMatchObject({ source: `ws://${web.host}/x?token=***&s=a@b`, key: null, headers: null });
  expect(records[0]?.timestamp).toBeGreaterThanOrEqual(before);
  expect(news).toEqual([]);
  expect(sockets.callers[0]?.request.url).toBe("/x?token=s3cret&s=a@b");
});

it("a text that is no UTF-8 becomes bytes, and ends nothing", async () => {
  sockets.greet(({ client, socket }) => {
    socket.write(Buffer.from([0x81, 0x02, 0xff, 0xfe]));
    client.send("next");
  });
  const { values, news } = await streamed("/", many(2));
  expect([values, news]).toEqual([[new Uint8Array([0xff, 0xfe]), "next"], []]);
});

it("takes the record out of what it is wrapped in, and counts what is wrapped otherwise", async () => {
  sockets.greet(({ client }) => {
    client.send('{"stream":"a","data":{"p": 0.10000000000000000001}}');
    client.send('{"stream":"a"}');
    client.send("not JSON");
    client.send(Buffer.from([0xff]));
  });
  const { values, news } = await streamed("/#unwrap=data", many(4));
  expect(values).toEqual(['{"p": 0.10000000000000000001}', '{"stream":"a"}', "not JSON", new Uint8Array([0xff])]);
  expect(news.map(({ kind, count }) => [kind, count])).toEqual([["garbage", 3]]);
});

it("sends what it is to send after each connecting", async () => {
  sockets.greet((caller) => {
    caller.client.on("message", () => {
      if (caller.said.length < 2) return;
      caller.client.send(`hello ${caller.number}`);
      caller.client.close();
    });
  });
  const send = encodeURIComponent('[{"method":"SUBSCRIBE","params":["a@trade"]}, "plain"]');
  const { values } = await streamed(`/#send=${send}`, many(2));
  expect(values).toEqual(["hello 1", "hello 2"]);
  expect(sockets.callers[1]?.said).toEqual(['{"method":"SUBSCRIBE","params":["a@trade"]}', "plain"]);
  expect(streamedOf(parseAddress("ws://h#send=SUB a")).send).toEqual(["SUB a"]);
  expect(streamedOf(parseAddress("ws://h")).send).toEqual([]);
});

describe("a connection", () => {
  it.each<[string, (caller: Caller) => void, RegExp]>([
    [
      "that the server ends",
      ({ client }) => client.close(1001, "going down"),
      /the server ended it with 1001, “going down”$/,
    ],
    ["that breaks", ({ socket }) => socket.resetAndDestroy(), /it broke off$/],
  ])("%s is made anew", async (_name, end, why) => {
    sockets.greet((caller) => caller.client.send(String(caller.number), () => end(caller)));
    const { values, news } = await streamed("/", many(3));
    expect(values.slice(0, 3)).toEqual(["1", "2", "3"]);
    expect(news.slice(0, 2).map(({ kind, count }) => [kind, count])).toEqual([
      ["reconnect", 1],
      ["reconnect", 1],
    ]);
    expect(news[0]?.text).toMatch(why);
  });

  it.each<[string, Buffer]>([
    ["is no WebSocket", Buffer.from([0xf1, 0x80, 0x00])],
    ["is too large", Buffer.concat([Buffer.from([0x82, 0x7e, 0x04, 0x00]), Buffer.alloc(1024)])],
    [
      "is said to be larger than there are bytes in the world",
      Buffer.from([0x82, 0x7f, ...Array<number>(8).fill(0xff)]),
    ],
  ])("over which comes what %s is made anew, and that is told", async (_name, bytes) => {
    sockets.greet(({ client, socket, number }) => {
      if (number === 1) socket.write(bytes);
      else client.send("after");
    });
    const { values, kinds, news } = await streamed("/#max-bytes=1000", many(1));
    expect(values).toEqual(["after"]);
    expect(kinds).toEqual(["garbage", "reconnect"]);
    expect(news[0]?.text).toMatch(/sent what cannot be taken: /);
  });

  it("over which nothing comes any more is made anew", async () => {
    sockets.greet(({ client, socket, number }) => {
      client.send(String(number));
      // Also no answer to a ping.
      if (number === 1) socket.pause();
    });
    const { values, news } = await streamed("/#heartbeat=200ms", many(2));
    expect(values).toEqual(["1", "2"]);
    expect(news[0]?.text).toMatch(/nothing came over it any more$/);
  });

  it("over which only answers to its pings come is alive", async () => {
    let pings = 0;
    sockets.greet(({ client }) => {
      client.on("ping", () => {
        if ((pings += 1) === 5) client.send("enough");
      });
    });
    const { values, news } = await streamed("/#heartbeat=1s", many(1));
    expect([values, news]).toEqual([["enough"], []]);
  });

  it("that says nothing but pings gets its answers", async () => {
    sockets.greet(({ client }) => {
      client.ping("1");
      client.on("pong", (payload) => client.send(`pong ${payload.toString()}`));
    });
    expect((await streamed("/", many(1))).values).toEqual(["pong 1"]);
  });

  it("is replaced before the server ends it, and nothing is missed", async () => {
    const events: string[] = [];
    let next = 0;
    const ready = new Set<Caller>();
    const ticking = setInterval(() => {
      next += 1;
      for (const { client } of ready) if (client.readyState === client.OPEN) client.send(String(next));
    }, 5);
    sockets.greet((caller) => {
      const { client, number } = caller;
      events.push(`open ${number}`);
      // It takes a while until a server gives anything.
      setTimeout(() => ready.add(caller), 30);
      client.on("close", (code) => events.push(`close ${number} ${code}`));
    });
    const { values, news } = await streamed("/#renew=80ms", () => sockets.callers.length >= 4);
    clearInterval(ticking);
    const numbers = [...new Set(values.map(Number))].sort((left, right) => left - right);
    expect(numbers).toEqual(Array.from(numbers, (_, index) => (numbers[0] ?? 0) + index));
    expect(events.indexOf("open 2")).toBeLessThan(events.indexOf("close 1 1000"));
    expect(news[0]).toMatchObject({
      kind: "reconnect",
      text: expect.stringMatching(/before the server ends it$/) as string,
    });
  });

  it("takes the headers along that are for its host", async () => {
    sockets.greet(({ client }) => client.send("x"));
    await streamed("/", many(1), { access: () => ({ "x-api-key": "k3y" }) });
    await streamed("/", many(1), { access: NO_ACCESS });
    expect(sockets.callers.map(({ request }) => request.headers["x-api-key"])).toEqual(["k3y", undefined]);
  });
});

describe("what nobody has heard", () => {
  /** Where records are said to be missing until so many came; the first has the position 5. */
  async function missed(path: string, wanted: number) {
    const places: number[] = [];
    let upToThen: number[] = [];
    const isEnough = (records: readonly SourceRecord[]) => {
      upToThen = [...places];
      return records.length >= wanted;
    };
    await streamed(path, isEnough, { from: 5, talk: { missed: (before) => places.push(before) } });
    return upToThen;
  }

  it("was sent before the first connection, and between two", async () => {
    sockets.greet(({ client, number }) => {
      client.send(`${number} a`);
      client.send(`${number} b`);
      if (number < 3) client.close();
    });
    expect(await missed("/", 6)).toEqual([5, 7, 9]);
  });

  it("is told as soon as nobody listens", async () => {
    const places: number[] = [];
    sockets.greet(({ client, number }) => {
      client.send("a");
      client.close();
      if (number === 1) web.server.removeAllListeners("upgrade").on("upgrade", (_request, socket) => socket.destroy());
    });
    const talk = { missed: (before: number) => places.push(before) };
    await expect(streamed("/#give-up=50ms", undefined, { talk })).rejects.toThrow();
    expect(places).toEqual([0, 1]);
  });

  it("is nothing where a connection takes the place of another in time", async () => {
    sockets.greet(({ client, number }) => client.send(String(number)));
    expect(await missed("/#renew=20ms", 4)).toEqual([5]);
  });
});

describe("a server that does not take the connection", () => {
  const refusing = (code: number, headers: Record<string, string> = {}) => {
    let asked = 0;
    web.server.removeAllListeners("upgrade");
    web.server.on("upgrade", (_request, socket) => {
      asked += 1;
      const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
      socket.end(`HTTP/1.1 ${code} x\r\n${lines.join("")}content-length: 0\r\n\r\n`);
    });
    return () => asked;
  };

  it.each([
    [451, /answers 451 .*; choose another address by BINANCE_STREAM_URL$/],
    [403, /answers 403 .*; choose another address by BINANCE_STREAM_URL$/],
    [401, /set BEAMLINE_HTTP_AUTHORIZATION/],
    [404, /correct the address by BINANCE_STREAM_URL/],
    [301, /answers 301 Moved Permanently to ws:\/\/other\/, where it is not followed/],
  ])("by %i is not asked again", async (code, message) => {
    const asked = refusing(code, { location: "ws://other/" });
    await expect(streamed("/#variable=BINANCE_STREAM_URL")).rejects.toMatchObject({
      name: "UsageError",
      message: expect.stringMatching(message) as string,
    });
    expect(asked()).toBe(1);
  });

  it("is asked again where it may change, until that is too long", async () => {
    const asked = refusing(503);
    await expect(streamed("/#give-up=50ms")).rejects.toMatchObject({
      name: "UnavailableError",
      message: expect.stringMatching(/answers 503 .*; given up after \d+ attempts$/) as string,
    });
    expect(asked()).toBeGreaterThan(2);
  });

  it("is left alone as it wants", async () => {
    const asked = refusing(429, { "retry-after": "3600" });
    const { kinds } = await streamed("/", (_records, news) => news.length > 0);
    expect([asked(), kinds]).toEqual([1, ["wait"]]);
    refusing(418, { "retry-after": "99999999999" });
    await expect(streamed("/")).rejects.toThrow(/wants to be left alone for 99999999999 s: that is too long/);
  });

  it("and that ends every connection at once, is given up", async () => {
    sockets.greet(({ client }) => client.close(1013, "later"));
    await expect(streamed("/#give-up=50ms")).rejects.toMatchObject({
      name: "UnavailableError",
      message: expect.stringMatching(
        /ends every connection at once: the server ended it with 1013, “later”; given up/,
      ) as string,
    });
  });

  it("and that says nothing at all, is given up", async () => {
    web.server.removeAllListeners("upgrade");
    web.server.on("upgrade", () => undefined);
    await expect(streamed("/#timeout=30ms&give-up=20ms")).rejects.toThrow(/has not answered to the end within 0.03 s/);
  });

  it("is no failure of a job that was told to end meanwhile", async () => {
    refusing(503);
    expect(await streamed("/", (_records, news) => news.length === 2)).toMatchObject({ records: [] });
  });
});

describe("the end", () => {
  it("is a goodbye, and what came before the server's is given", async () => {
    const codes: number[] = [];
    sockets.greet(({ client, socket }) => {
      client.send("first");
      // By the time that the goodbye comes, more was sent.
      client.on("close", (code) => codes.push(code));
      socket.prependListener("data", () => client.readyState === client.OPEN && client.send("last"));
    });
    const { values } = await streamed("/", many(1));
    expect(values).toEqual(["first", "last"]);
    expect(codes).toEqual([1000]);
  });

  it("comes also where the server never says goodbye", async () => {
    sockets.greet(({ client, socket }) => client.send("only", () => socket.pause()));
    expect((await streamed("/", many(1))).values).toEqual(["only"]);
  });

  it("comes by itself where that is said", async () => {
    sockets.greet(({ client }) => client.send("x"));
    expect((await streamed("/#for=2s")).values).toEqual(["x"]);
  });

  it("of a time in which nobody was reached is a failure", async () => {
    web.server.removeAllListeners("upgrade");
    web.server.on("upgrade", (_request, socket) => socket.destroy());
    await expect(streamed("/#for=50ms")).rejects.toThrow(/could not be reached in the time that it was to be read/);
  });

  it("comes when whoever reads goes away", async () => {
    sockets.greet(({ client }) => client.send("x"));
    for await (const [record] of stream(streamedOf(at("/")), { access: NO_ACCESS, isBounded: false })) {
      expect(record?.value).toBe("x");
      break;
    }
    const [{ client }] = sockets.callers as [Caller];
    if (client.readyState !== client.CLOSED) await once(client, "close");
  });
});

describe("where nobody takes what comes", () => {
  const KILOBYTE = "x".repeat(1000);

  it("the network is held up, and all comes later, in order", async () => {
    let sent = 0;
    let isHeldUp = false;
    sockets.greet(({ client }) => {
      // Until what waits here says that the other side takes nothing.
      const write = () => {
        for (let some = 0; some < 1000; some += 1) client.send(`${(sent += 1)} ${KILOBYTE}`);
        isHeldUp = client.bufferedAmount > 32_000_000;
        if (!isHeldUp) setImmediate(write);
      };
      write();
    });
    const records: SourceRecord[] = [];
    const stop = new AbortController();
    const settings = {
      access: NO_ACCESS,
      isBounded: false,
      bounds: { items: 100, bytes: 1_000_000 },
      signal: stop.signal,
    };
    for await (const some of stream(streamedOf(at("/")), settings)) {
      if (records.length === 0) {
        while (!isHeldUp) await nextTurn();
        // Were it taken in, it would be gone by then.
        await pause(500);
        expect(sockets.callers[0]?.client.bufferedAmount).toBeGreaterThan(0);
      }
      records.push(...some);
      if (records.length === sent) stop.abort();
    }
    expect(records.map(({ value }) => parseInt(String(value), 10))).toEqual(
      Array.from({ length: sent }, (_, index) => index + 1),
    );
  });

  it("and the server ends the connection, it is made anew only when there is room", async () => {
    let isGone = false;
    sockets.greet(({ client, socket, number }) => {
      if (number > 1) return client.send("again");
      for (let some = 0; some < 50; some += 1) client.send(String(some));
      socket.on("close", () => (isGone = true));
    });
    const values: unknown[] = [];
    const stop = new AbortController();
    const bounds = { items: 10, bytes: 1_000_000 };
    const settings = { access: NO_ACCESS, isBounded: false, bounds, signal: stop.signal, backoff: quick };
    for await (const some of stream(streamedOf(at("/")), settings)) {
      values.push(...some.map(({ value }) => value));
      if (!isGone) {
        sockets.callers[0]?.client.terminate();
        while (!isGone) await nextTurn();
        await pause(50);
        expect(sockets.callers).toHaveLength(1);
      }
      if (values.includes("again")) stop.abort();
    }
    expect(values.at(-1)).toBe("again");
    expect(sockets.callers).toHaveLength(2);
  });
});

describe("a run with an end", () => {
  async function read(path: string): Promise<SourceRecord[]> {
    const address = at(path);
    const source = sourceOf(address);
    const records: SourceRecord[] = [];
    const ranges = JSON.parse(JSON.stringify(await source.plan(address, EVERYTHING))) as never[];
    for (const range of ranges) for await (const some of source.read(range)) records.push(...some);
    return records;
  }

  it("says how long it listens", async () => {
    sockets.greet(({ client }) => client.send("x"));
    expect((await read("/#for=2s")).map(({ value }) => value)).toEqual(["x"]);
    await expect(read("/")).rejects.toThrow(
      `ws://${web.host}/ has no end: run with --streaming, or say how long it is to be read, such as #for=60s`,
    );
  });

  it("flows in a job", async () => {
    sockets.greet(({ client }) => client.send("x"));
    const address = at("/#for=2s");
    const flow = sourceOf(address).flow?.(address, new AbortController().signal);
    for await (const [record] of flow ?? []) expect(record?.value).toBe("x");
    expect(sockets.callers).toHaveLength(1);
  });

  it.each([
    ["/#protcol=binance", /has the option “protcol”: did you mean “protocol”\?/],
    ["/#protocol=kraken", /has the option protocol=kraken: it must be one of plain, binance/],
    ["/#for=0", /has the option for=0/],
    ["/#unwrap=a.", /has the option unwrap=a\.: write names/],
    ["/#unwrap=data&protocol=binance", /which protocol=binance does by itself/],
    ["/#grace=1s", /has the option grace, which needs protocol=/],
    ["/#protocol=binance&history=ftp://s3cret@h", /has the option history=…: write a web address/],
  ])("%s is refused", async (path, message) => {
    await expect(read(path)).rejects.toThrow(message);
    expect(web.requests).toHaveLength(0);
  });
});

it.each([
  ["wss://stream.binance.com:9443/ws/a", "https://api.binance.com/"],
  ["wss://data-stream.binance.vision/ws/a", "https://data-api.binance.vision/"],
  ["wss://stream.testnet.binance.vision/ws/a", "https://testnet.binance.vision/"],
  ["ws://127.0.0.1:4000/ws/a", "http://127.0.0.1:4000/"],
  ["wss://notbinance.com/ws/a", "https://notbinance.com/"],
])("the history of %s is at %s", (uri, history) => {
  expect(streamedOf(parseAddress(`${uri}#protocol=binance`)).history?.href).toBe(history);
  expect(streamedOf(parseAddress(`${uri}#protocol=binance&history=none`)).history).toBeNull();
});
