import fs from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { RawTrade } from "../../../pipelines/trades/schemas";
import { scratchDirectory } from "../../../test/scratch";
import { type TradeEntry } from "../ledger";
import { connect, until } from "../scene";
import { startBinance, type BinanceSimulator } from "./binance";

jest.setTimeout(30_000);

const scratch = scratchDirectory();
const START = "2026-01-05T09:30:00.000Z";
const running: BinanceSimulator[] = [];

async function start(options: Parameters<typeof startBinance>[0] = {}): Promise<BinanceSimulator> {
  const simulator = await startBinance({ start: START, ...options });
  running.push(simulator);
  return simulator;
}

afterEach(async () => {
  jest.restoreAllMocks();
  await Promise.all(running.splice(0).map((simulator) => simulator.close()));
});

const trades = ({ ledger }: BinanceSimulator) => ledger.entries("trade");
const inFile = (file: string) =>
  fs
    .readFileSync(file, "utf8")
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line) as { kind: string; symbol?: string; id?: number });

test("the same seed and start: the same trades, at any speed and whoever looks on", async () => {
  const options = { tradingFor: "2m", rate: 10, seed: 4 } as const;
  const fast = await start({ ...options, speed: 100_000 });
  const slow = await start({
    ...options,
    speed: 1000,
    faults: { disorder: "5s", duplicates: 0.5, disconnectEvery: 50 },
  });
  let isOver = false;
  const watching = (async () => {
    while (!isOver) await (await connect(`${slow.wsUrl}/ws/btcusdt@trade`)).closed;
  })().catch(() => undefined);
  await until(() => trades(slow).length > 2300 && trades(slow).length === trades(fast).length);
  isOver = true;
  expect(trades(slow)).toEqual(trades(fast));
  await slow.close();
  await watching;
});

test("trading stops by itself; what was held back for disorder is sent all the same", async () => {
  const simulator = await start({ tradingFor: "10m", speed: 5000, rate: 2, faults: { disorder: "5m" } });
  // Nothing is sent before the client is there.
  simulator.trade(false);
  const client = await connect(`${simulator.wsUrl}/ws/btcusdt@trade`);
  const before = trades(simulator).length;
  simulator.trade(true);
  const end = Date.parse(START) + 600_000;
  for (let time = 0; time < end;)
    ({ serverTime: time } = (await (await fetch(`${simulator.url}/api/v3/time`)).json()) as { serverTime: number });
  const made = trades(simulator).filter(({ symbol }, at) => symbol === "BTCUSDT" && at >= before);
  expect(made.length).toBeGreaterThan(500);
  await until(() => client.frames.length >= made.length);
  const ids = client.json().map(({ t }) => Number(t));
  const inOrder = [...ids].sort((a, b) => a - b);
  expect(ids).not.toEqual(inOrder);
  expect(inOrder).toEqual(made.map(({ id }) => id));
});

test("a client that fills its gaps from the history has what the ledger has, whatever goes wrong", async () => {
  const simulator = await start({
    rate: 200,
    seed: 9,
    faults: {
      disconnects: 0.01,
      garbage: 0.05,
      duplicates: 0.05,
      disorder: "300ms",
      gaps: 0.05,
      answer5xx: 0.2,
      cut: 0.2,
    },
  });
  const { ledger, url, wsUrl } = simulator;
  const have = new Map<string, { p: string; q: string; T: number }>();
  let connections = 0;
  let isOver = false;
  const take = (frame: unknown) => {
    const trade = RawTrade.safeParse(frame);
    if (trade.success) have.set(`${trade.data.s} ${trade.data.t}`, trade.data);
  };
  const listen = async () => {
    while (!isOver) {
      const client = await connect(`${wsUrl}/stream?streams=btcusdt@trade/ethusdt@trade`);
      connections += 1;
      await Promise.race([client.closed, until(() => isOver)]);
      for (const { data } of client.json()) take(data);
      client.socket.terminate();
    }
  };
  const listening = listen();
  await until(() => (ledger.counts["trade"] ?? 0) > 1000 && connections > 5);
  simulator.trade(false);
  isOver = true;
  await listening;

  const missing = trades(simulator).filter(({ symbol, id }) => !have.has(`${symbol} ${id}`));
  expect(missing.filter(({ isGap }) => isGap).length).toBeGreaterThan(10);
  for (const { symbol, id } of missing) {
    if (have.has(`${symbol} ${id}`)) continue;
    const path = `${url}/api/v3/historicalTrades?symbol=${symbol}&fromId=${id}&limit=100`;
    for (;;) {
      const page = await fetch(path)
        .then((answer) => (answer.ok ? answer.json() : null))
        .catch(() => null);
      if (page === null) continue;
      for (const { id, price, qty, time } of page as { id: number; price: string; qty: string; time: number }[])
        have.set(`${symbol} ${id}`, { p: price, q: qty, T: time });
      break;
    }
  }
  const expected = trades(simulator).map(({ symbol, id, price, quantity, time }) => [
    `${symbol} ${id}`,
    { p: price, q: quantity, T: time },
  ]);
  const got = [...have].map(([name, { p, q, T }]) => [name, { p, q, T }]);
  const byName = (a: unknown[], b: unknown[]) => (String(a[0]) < String(b[0]) ? -1 : 1);
  expect(got.sort(byName)).toEqual(expected.sort(byName));
  for (const fault of ["disconnect", "garbage", "duplicate", "gap", "5xx", "cut"])
    expect([fault, ledger.counts[fault]]).toEqual([fault, expect.any(Number)]);
});

describe("a ledger's file", () => {
  test("has all, before anybody hears of it", async () => {
    const file = scratch("ledger.ndjson");
    const simulator = await start({ ledger: file, rate: 200, ledgerEntries: 10 });
    const client = await connect(`${simulator.wsUrl}/ws/btcusdt@trade`);
    await new Promise((resolve) => client.socket.once("message", resolve));
    // Still in the turn in which it came.
    const known = new Set(inFile(file).map(({ symbol, id }) => `${symbol} ${id}`));
    expect(client.json().filter(({ t }) => !known.has(`BTCUSDT ${String(t)}`))).toEqual([]);
    await until(() => (simulator.ledger.counts["trade"] ?? 0) > 100);
    simulator.trade(false);
    expect(simulator.ledger.forgotten).toBeGreaterThan(0);
    expect(inFile(file).filter(({ kind }) => kind === "trade")).toHaveLength(simulator.ledger.counts["trade"] ?? 0);
  });

  test("is gone on with after a crash: no trade is made twice, none is left out, and REST knows them all", async () => {
    const file = scratch("ledger.ndjson");
    const options = { ledger: file, rate: 20, speed: 20, ledgerEntries: 50 };
    const first = await start({ ...options, faults: { gaps: 0.2 } });
    await until(() => (first.ledger.counts["trade"] ?? 0) > 500);
    const { closeTime } = (await (await fetch(`${first.url}/api/v3/ticker/24hr?symbol=BTCUSDT`)).json()) as {
      closeTime: number;
    };
    await first.close();
    fs.appendFileSync(file, '{"kind":"trade","symbol":"ETHU');

    // The start is not said: the file's is meant. Speed may change.
    const second = await startBinance({ ...options, start: undefined, speed: 40 });
    running.push(second);
    const soFar = first.ledger.counts["trade"] ?? 0;
    await until(() => (second.ledger.counts["trade"] ?? 0) > soFar + 500);
    second.trade(false);
    const entries = inFile(file).filter(({ kind }) => kind === "trade") as unknown as TradeEntry[];
    const ticker = second.ledger.last("ticker");
    expect(ticker?.closeTime).toBe(closeTime);

    // One that never stopped made the very same.
    const straight = await start({ rate: 20, speed: 100_000, tradingFor: "10m" });
    await until(() => trades(straight).length > entries.length + 100);
    for (const symbol of ["BTCUSDT", "ETHUSDT"]) {
      const of = (all: readonly TradeEntry[]) =>
        all.filter((trade) => trade.symbol === symbol).map((trade) => ({ ...trade, isGap: false }));
      expect(of(entries)).toEqual(of(trades(straight)).slice(0, of(entries).length));
      const page = await fetch(`${second.url}/api/v3/historicalTrades?symbol=${symbol}&fromId=0&limit=5`);
      expect(((await page.json()) as { id: number }[]).map(({ id }) => id)).toEqual(
        of(entries)
          .slice(0, 5)
          .map(({ id }) => id),
      );
    }
  });

  test("that belongs to other settings is refused", async () => {
    const file = scratch("ledger.ndjson");
    await (await start({ ledger: file })).close();
    await expect(start({ ledger: file, seed: 2 })).rejects.toThrow("was kept with seed 1, not 2");
    await expect(start({ ledger: file, rate: 9 })).rejects.toThrow("was kept with rate 5, not 9");
    await expect(start({ ledger: file, symbols: "BTCUSDT" })).rejects.toThrow(
      "with symbols BTCUSDT,ETHUSDT, not BTCUSDT",
    );
    await expect(start({ ledger: file, start: "2026-01-06T00:00:00Z" })).rejects.toThrow("with start 2026-01-05T09:30");
  });

  test("whose trades this version would make otherwise is refused", async () => {
    const file = scratch("ledger.ndjson");
    const simulator = await start({ ledger: file, rate: 500 });
    await until(() => (simulator.ledger.counts["trade"] ?? 0) > 10);
    await simulator.close();
    fs.writeFileSync(file, fs.readFileSync(file, "utf8").replaceAll('"price":"9', '"price":"8'));
    await expect(start({ ledger: file, rate: 500 })).rejects.toThrow("than this version makes");
  });

  test("that cannot be written any more ends the simulator, before it says what no ledger has", async () => {
    const simulator = await start({ ledger: scratch("ledger.ndjson"), rate: 100 });
    const client = await connect(`${simulator.wsUrl}/ws/btcusdt@trade`);
    await until(() => client.frames.length > 3);
    jest.spyOn(fs, "writeSync").mockImplementation(() => {
      throw new Error("ENOSPC: no space left on device");
    });
    await expect(simulator.ended).rejects.toThrow(/^The ledger .* cannot be written: ENOSPC/);
    await client.closed;
    const known = new Set(trades(simulator).map(({ id }) => id));
    expect(client.json().filter(({ e, t }) => e === "trade" && !known.has(Number(t)))).toEqual([]);
  });
});

test("a port that is taken is told in a sentence, wrong values too", async () => {
  const { url } = await start();
  await expect(start({ port: Number(new URL(url).port) })).rejects.toThrow(
    /^Cannot listen on port \d+: another program listens there/,
  );
  await expect(start({ faults: { garbage: 2 } })).rejects.toThrow("--garbage 2: it must be at most 1");
  await expect(start({ pingInterval: "30d" })).rejects.toThrow("pingInterval must be at most 24d");
});

test("nothing is left open: it closes in the midst of everything, and twice", async () => {
  const simulator = await start({ rate: 500, faults: { slow: "1h" } });
  const clients = await Promise.all([1, 2, 3].map(() => connect(`${simulator.wsUrl}/ws/btcusdt@trade`)));
  const asked = fetch(`${simulator.url}/api/v3/ping`).catch((error: unknown) => error);
  await until(() => simulator.ledger.counts["request"] === 1);
  await Promise.all([simulator.close(), simulator.close()]);
  await simulator.ended;
  expect(await asked).toMatchObject({ message: "fetch failed" });
  await Promise.all(clients.map(({ closed }) => closed));
  const { counts } = simulator.ledger;
  await sleep(20);
  expect(simulator.ledger.counts).toEqual(counts);
});

test("an outage in which it is closed ends", async () => {
  const simulator = await start();
  const outage = simulator.outage(3_600_000);
  await simulator.close();
  await outage;
});
