import { RawTrade } from "../../../pipelines/trades/schemas";
import { connect, until } from "../scene";
import { startBinance, type BinanceSimulator } from "./binance";

jest.setTimeout(30_000);

let simulator: BinanceSimulator;

async function start(options: Parameters<typeof startBinance>[0] = {}): Promise<BinanceSimulator> {
  simulator = await startBinance({ rate: 100, ...options });
  return simulator;
}

afterEach(() => simulator.close());

const trades = (frames: readonly Record<string, unknown>[]) =>
  frames.filter((frame) => RawTrade.safeParse(frame).success);
const SUBSCRIBE = (id: unknown, ...params: unknown[]) => ({ method: "SUBSCRIBE", params, id });

test("a raw stream: the trades of one symbol, one after the other, as the ledger has them", async () => {
  const { wsUrl, ledger } = await start();
  const client = await connect(`${wsUrl}/ws/btcusdt@trade`);
  await until(() => client.frames.length > 20);
  simulator.trade(false);
  const last = ledger.entries("trade").findLast(({ symbol }) => symbol === "BTCUSDT");
  await until(() => client.json().at(-1)?.["t"] === last?.id);
  const events = client.json();
  const byId = new Map(ledger.entries("trade").map((entry) => [`${entry.symbol} ${entry.id}`, entry]));
  expect(events).toEqual(
    events.map((event, at) => {
      const entry = byId.get(`BTCUSDT ${Number(events[0]?.["t"]) + at}`);
      return {
        e: "trade",
        E: entry?.eventTime,
        s: "BTCUSDT",
        t: entry?.id,
        p: entry?.price,
        q: entry?.quantity,
        T: entry?.time,
        m: entry?.isBuyerMaker,
        M: true,
      };
    }),
  );
  expect(trades(events)).toHaveLength(events.length);
});

test("combined streams are wrapped, and lie in one connection", async () => {
  const { wsUrl } = await start();
  const client = await connect(`${wsUrl}/stream?streams=btcusdt@trade/ethusdt@trade`);
  await until(() => new Set(client.json().map(({ stream }) => stream)).size === 2);
  for (const { stream, data } of client.json()) expect(stream).toBe(`${(data as { s: string }).s.toLowerCase()}@trade`);
  expect(trades(client.json().map(({ data }) => data as Record<string, unknown>))).toHaveLength(client.frames.length);
});

test("several raw streams by the path, and names nobody trades under, which stay silent", async () => {
  const { wsUrl } = await start();
  const two = await connect(`${wsUrl}/ws/btcusdt@trade/ethusdt%40trade`);
  const silent = await connect(`${wsUrl}/ws/BTCUSDT@trade/nosuch@trade/btcusdt@depth`);
  await until(() => new Set(two.json().map(({ s }) => s)).size === 2);
  await until(() => two.frames.length > 50);
  expect(silent.frames).toEqual([]);
});

test("what is subscribed to changes by messages", async () => {
  const { wsUrl } = await start();
  const client = await connect(`${wsUrl}/ws`);
  expect(await client.ask(SUBSCRIBE(1, "btcusdt@trade"))).toEqual({ result: null, id: 1 });
  await until(() => trades(client.json()).length > 3);
  expect(await client.ask({ method: "UNSUBSCRIBE", params: ["btcusdt@trade"], id: "two" })).toEqual({
    result: null,
    id: "two",
  });
  const before = client.frames.length;
  expect(await client.ask(SUBSCRIBE(null, "ethusdt@trade"))).toEqual({ result: null, id: null });
  expect(await client.ask({ method: "LIST_SUBSCRIPTIONS", id: 3 })).toEqual({ result: ["ethusdt@trade"], id: 3 });
  await until(() => trades(client.json()).length > before + 5);
  expect(new Set(trades(client.json().slice(before)).map(({ s }) => s))).toEqual(new Set(["ETHUSDT"]));
});

test("whether events are wrapped is a property", async () => {
  const { wsUrl } = await start();
  const client = await connect(`${wsUrl}/stream?streams=btcusdt@trade`);
  expect(await client.ask({ method: "GET_PROPERTY", params: ["combined"], id: 1 })).toEqual({ result: true, id: 1 });
  expect(await client.ask({ method: "SET_PROPERTY", params: ["combined", false], id: 2 })).toEqual({
    result: null,
    id: 2,
  });
  const before = client.json().length;
  await until(() => trades(client.json().slice(before)).length > 2);
});

test.each<[unknown, Record<string, unknown>]>([
  ["no JSON", { code: 3, msg: expect.stringContaining("Invalid JSON") as unknown }],
  ["null", { code: 2, msg: expect.stringContaining("missing field `method`") as unknown }],
  [{ id: 1 }, { code: 2, msg: expect.stringContaining("missing field `method`") as unknown }],
  [
    { method: "SUBSCRIBE", params: ["a@trade"] },
    { code: 2, msg: expect.stringContaining("request ID") as unknown },
  ],
  [SUBSCRIBE(1.5, "a@trade"), { code: 2, msg: expect.stringContaining("request ID") as unknown }],
  [SUBSCRIBE(1, 7), { code: 2, msg: expect.stringContaining("list of stream names") as unknown }],
  [
    { method: "SUBSCRIBE", params: "a@trade", id: 1 },
    { code: 2, msg: expect.stringContaining("list") as unknown },
  ],
  [
    { method: "SHOUT", id: 1 },
    { code: 2, msg: expect.stringContaining('unknown variant "SHOUT"') as unknown },
  ],
  [
    { method: "GET_PROPERTY", params: ["size"], id: 4 },
    { code: 0, msg: "Unknown property", id: 4 },
  ],
  [
    { method: "GET_PROPERTY", params: [1], id: 4 },
    { code: 2, msg: expect.stringContaining("be a string") as unknown },
  ],
  [
    { method: "SET_PROPERTY", params: ["combined", "yes"], id: 4 },
    { code: 1, msg: "Invalid value type: expected Boolean" },
  ],
  [
    SUBSCRIBE(1, ...Array.from({ length: 1025 }, (_, at) => `s${at}@trade`)),
    { code: 2, msg: expect.stringContaining("too many streams") as unknown },
  ],
])("a wrong message gets an error: %j", async (message, error) => {
  const { wsUrl } = await start();
  const client = await connect(`${wsUrl}/ws`);
  expect(await client.ask(message)).toEqual(error);
});

test("a place that is none is answered 404", async () => {
  const { wsUrl } = await start();
  await expect(connect(`${wsUrl}/wss/btcusdt@trade`)).rejects.toThrow("Unexpected server response: 404");
  await expect(connect(`${wsUrl}/`)).rejects.toThrow("404");
});

test("more than five messages in a second end the connection", async () => {
  const { wsUrl, ledger } = await start();
  const client = await connect(`${wsUrl}/ws`);
  for (let n = 0; n < 6; n += 1) client.socket.send(JSON.stringify(SUBSCRIBE(n, "btcusdt@trade")));
  expect(await client.closed).toEqual([1008, "Too many requests"]);
  expect(ledger.counts["too many messages"]).toBe(1);
});

describe("pings", () => {
  test("come with a payload; who answers stays", async () => {
    const { wsUrl, ledger } = await start({ pingInterval: 20, pongTimeout: 1000 });
    const client = await connect(`${wsUrl}/ws`);
    const payloads: string[] = [];
    client.socket.on("ping", (payload: Buffer) => payloads.push(payload.toString()));
    // More pongs than a client may send messages, and more time than a pong has.
    await until(() => payloads.length > 60);
    expect(new Set(payloads).size).toBe(payloads.length);
    expect(client.socket.readyState).toBe(client.socket.OPEN);
    expect(ledger.counts["no pong"]).toBeUndefined();
  });

  test("who does not answer is disconnected", async () => {
    const { wsUrl, ledger } = await start({ pingInterval: 20, pongTimeout: 50 });
    const client = await connect(`${wsUrl}/ws`, { autoPong: false });
    expect(await client.closed).toEqual([1008, "Pong timeout"]);
    expect(ledger.counts["no pong"]).toBe(1);
  });

  test("a pong that answers no ping does not help", async () => {
    const { wsUrl } = await start({ pingInterval: 300, pongTimeout: 500 });
    const client = await connect(`${wsUrl}/ws`, { autoPong: false });
    client.socket.on("ping", () => client.socket.pong("something else"));
    expect(await client.closed).toEqual([1008, "Pong timeout"]);
  });

  test("one late pong answers all pings before it", async () => {
    const { wsUrl } = await start({ pingInterval: 20, pongTimeout: 1000 });
    const client = await connect(`${wsUrl}/ws`, { autoPong: false });
    let pings = 0;
    client.socket.on("ping", (payload) => {
      pings += 1;
      if (pings % 8 === 0) client.socket.pong(payload);
    });
    await until(() => pings > 60);
    expect(client.socket.readyState).toBe(client.socket.OPEN);
  });

  test("a peer that is dead altogether is cut off", async () => {
    const { wsUrl, ledger } = await start({ pingInterval: 20, pongTimeout: 50 });
    const client = await connect(`${wsUrl}/ws`);
    client.socket.pause();
    await until(() => ledger.counts["no pong"] === 1);
    // Its side of the goodbye never comes; the simulator closes all the same.
    await simulator.close();
    client.socket.terminate();
  });
});

test("a connection ends after its life, and a new one is taken", async () => {
  const { wsUrl, ledger } = await start({ connectionLifetime: "100ms" });
  const client = await connect(`${wsUrl}/ws/btcusdt@trade`);
  expect((await client.closed)[0]).toBe(1001);
  expect(ledger.counts["end of life"]).toBe(1);
  const next = await connect(`${wsUrl}/ws/btcusdt@trade`);
  await until(() => next.frames.length > 0);
});

test("before the end comes a goodbye", async () => {
  await start();
  const [raw, combined] = [await connect(`${simulator.wsUrl}/ws`), await connect(`${simulator.wsUrl}/stream`)];
  await simulator.close();
  expect((await raw.closed)[0]).toBe(1001);
  const event = { e: "serverShutdown", E: expect.any(Number) as unknown };
  expect(raw.json()).toEqual([event]);
  expect(combined.json()).toEqual([{ stream: "!serverShutdown", data: event }]);
});

describe("faults", () => {
  test("a connection breaks after so many frames, without a goodbye", async () => {
    const { wsUrl, ledger } = await start({ faults: { disconnectEvery: 10 } });
    for (let n = 1; n <= 3; n += 1) {
      const client = await connect(`${wsUrl}/ws/btcusdt@trade`);
      expect((await client.closed)[0]).toBe(1006);
      expect(client.frames.length).toBeLessThanOrEqual(10);
      expect(ledger.counts["disconnect"]).toBe(n);
    }
  });

  test("or at random", async () => {
    const { wsUrl, ledger } = await start({ rate: 1000, faults: { disconnects: 0.1 } });
    const lengths = new Set<string>();
    while (lengths.size < 3) {
      await (
        await connect(`${wsUrl}/ws/btcusdt@trade`)
      ).closed;
      lengths.add(ledger.last("fault")?.about.split("after ")[1] ?? "");
    }
  });

  test("or by order", async () => {
    const { wsUrl, ledger, url } = await start();
    const clients = [await connect(`${wsUrl}/ws`), await connect(`${wsUrl}/stream`)];
    expect(simulator.disconnect()).toBe(2);
    expect((await Promise.all(clients.map(({ closed }) => closed))).map(([code]) => code)).toEqual([1006, 1006]);
    const again = await connect(`${wsUrl}/ws`);
    const answer = await fetch(`${url}/_simulator/disconnect`, { method: "POST" });
    expect(await answer.json()).toEqual({ disconnected: 1 });
    expect((await again.closed)[0]).toBe(1006);
    expect(ledger.counts["disconnect"]).toBe(3);
  });

  test("garbage and duplicates are in the ledger when they were sent, and only then", async () => {
    const { wsUrl, ledger } = await start({ rate: 500, faults: { garbage: 0.3, duplicates: 0.3 } });
    await until(() => (ledger.counts["trade"] ?? 0) > 100);
    expect(ledger.counts["garbage"]).toBeUndefined();
    const client = await connect(`${wsUrl}/stream?streams=btcusdt@trade`);
    await until(() => client.frames.length > 300);
    simulator.trade(false);
    const { garbage = 0, duplicate = 0 } = ledger.counts;
    const goods = () =>
      client.json().flatMap(({ data }) => (RawTrade.safeParse(data).success ? [data as RawTrade] : []));
    const last = ledger.last("trade", "BTCUSDT");
    await until(() => goods().at(-1)?.t === last?.id && client.frames.length === goods().length + garbage);
    expect(goods().length - new Set(goods().map(({ t }) => t)).size).toBe(duplicate);
    expect([garbage, duplicate].every((count) => count > 30)).toBe(true);
  });

  test("faults change while it runs", async () => {
    const { wsUrl, url, ledger } = await start({ rate: 500 });
    const client = await connect(`${wsUrl}/ws/btcusdt@trade`);
    await until(() => client.frames.length > 10);
    expect(ledger.counts["garbage"]).toBeUndefined();
    const answer = await fetch(`${url}/_simulator/faults`, { method: "POST", body: '{"garbage":1,"slow":"20ms"}' });
    expect(await answer.json()).toMatchObject({ garbage: 1, slow: 20, duplicates: 0 });
    await until(() => (ledger.counts["garbage"] ?? 0) > 10);
    simulator.faults.change({ garbage: 0 });
    expect(await (await fetch(`${url}/_simulator/faults`)).json()).toMatchObject({ garbage: 0, slow: 20 });
  });

  test("451 and 403 for all, refusals, and outages", async () => {
    const { wsUrl, url, faults, ledger } = await start({ faults: { answer451: true } });
    await expect(connect(`${wsUrl}/ws/btcusdt@trade`)).rejects.toThrow("Unexpected server response: 451");
    expect((await fetch(`${url}/api/v3/ping`)).status).toBe(451);
    faults.change({ answer451: false, answer403: true });
    await expect(connect(`${wsUrl}/ws/btcusdt@trade`)).rejects.toThrow("403");
    faults.change({ answer403: false, refuse: true });
    await expect(connect(`${wsUrl}/ws/btcusdt@trade`)).rejects.toMatchObject({ code: "ECONNRESET" });
    await expect(fetch(`${url}/api/v3/ping`)).rejects.toThrow();
    faults.change({ refuse: false });
    const client = await connect(`${wsUrl}/ws/btcusdt@trade`);
    const answer = await fetch(`${url}/_simulator/outage`, { method: "POST", body: '{"for":"200ms"}' });
    expect(await answer.json()).toEqual({ outage: 200 });
    expect((await client.closed)[0]).toBe(1006);
    await expect(connect(`${wsUrl}/ws/btcusdt@trade`)).rejects.toMatchObject({ code: "ECONNREFUSED" });
    for (let isBack = false; !isBack;)
      isBack = await connect(`${wsUrl}/ws/btcusdt@trade`).then(
        () => true,
        () => false,
      );
    expect(ledger.counts).toMatchObject({ "451": 2, "403": 1, refused: 2, outage: 1 });
  });

  test("a client that never reads is let go before its frames fill the memory", async () => {
    const { wsUrl, ledger } = await start({ rate: 20_000 });
    const client = await connect(`${wsUrl}/stream?streams=btcusdt@trade/ethusdt@trade`);
    client.socket.pause();
    await until(() => ledger.counts["slow reader"] === 1);
    client.socket.terminate();
  });
});
