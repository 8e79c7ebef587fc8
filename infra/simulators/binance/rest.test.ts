import { startBinance, type BinanceSimulator } from "./binance";
import { type Ticker } from "./ticker";

jest.setTimeout(30_000);

const START = "2026-01-05T23:58:00.000Z";
let simulator: BinanceSimulator;

/** Trading of five minutes, which is over at once. */
async function start(options: Parameters<typeof startBinance>[0] = {}): Promise<BinanceSimulator> {
  simulator = await startBinance({ start: START, speed: 100_000, tradingFor: "5m", rate: 5, ...options });
  await untilOver();
  return simulator;
}

async function untilOver(): Promise<void> {
  const end = Date.parse(START) + 300_000;
  for (;;) {
    const { serverTime } = (await (await fetch(`${simulator.url}/api/v3/time`)).json()) as { serverTime: number };
    if (serverTime >= end) return;
  }
}

afterEach(() => simulator.close());

async function get(path: string, headers: Record<string, string> = {}) {
  const answer = await fetch(`${simulator.url}${path}`, { headers });
  const text = await answer.text();
  return { status: answer.status, headers: answer.headers, json: text === "" ? null : (JSON.parse(text) as unknown) };
}

const btc = () => simulator.ledger.entries("trade").filter(({ symbol }) => symbol === "BTCUSDT");

test("ping, time and what is traded", async () => {
  await start();
  expect((await get("/api/v3/ping")).json).toEqual({});
  expect((await get("/api/v3/time")).json).toEqual({ serverTime: Date.parse("2026-01-06T00:03:00.000Z") });
  expect((await get("/api/v3/exchangeInfo")).json).toMatchObject({
    timezone: "UTC",
    rateLimits: [{ rateLimitType: "REQUEST_WEIGHT", interval: "MINUTE", intervalNum: 1, limit: 6000 }],
    symbols: [
      { symbol: "BTCUSDT", status: "TRADING", baseAsset: "BTC", quoteAsset: "USDT" },
      { symbol: "ETHUSDT", status: "TRADING", baseAsset: "ETH", quoteAsset: "USDT" },
    ],
  });
  expect((await get("/api/v3/exchangeInfo?symbol=ETHUSDT")).json).toMatchObject({ symbols: [{ symbol: "ETHUSDT" }] });
});

test("the history, page by page, is the ledger", async () => {
  await start({ faults: { gaps: 0.2 } });
  const [first] = btc();
  const pages: unknown[] = [];
  for (let id = first?.id ?? 0; ;) {
    const { json } = await get(`/api/v3/historicalTrades?symbol=BTCUSDT&fromId=${id}&limit=1000`);
    const page = json as { id: number }[];
    if (page.length === 0) break;
    pages.push(...page);
    id = (page.at(-1)?.id ?? 0) + 1;
  }
  expect(pages).toEqual(
    btc().map(({ id, price, quantity, time, isBuyerMaker }) => ({
      id,
      price,
      qty: quantity,
      quoteQty: expect.stringMatching(/^\d+\.\d{8}$/) as unknown,
      time,
      isBuyerMaker,
      isBestMatch: true,
    })),
  );
  // Trades that no socket got are there too.
  expect(btc().filter(({ isGap }) => isGap).length).toBeGreaterThan(50);
});

test("which trades, and how many", async () => {
  await start();
  const ids = async (path: string) => ((await get(path)).json as { id: number }[]).map(({ id }) => id);
  const all = btc().map(({ id }) => id);
  expect(all.length).toBeGreaterThan(1200);
  expect(await ids("/api/v3/trades?symbol=BTCUSDT&limit=3")).toEqual(all.slice(-3));
  expect(await ids("/api/v3/trades?symbol=BTCUSDT")).toEqual(all.slice(-500));
  expect(await ids("/api/v3/historicalTrades?symbol=BTCUSDT&limit=99999")).toEqual(all.slice(-1000));
  expect(await ids(`/api/v3/historicalTrades?symbol=BTCUSDT&fromId=${all[7]}&limit=2`)).toEqual(all.slice(7, 9));
  expect(await ids("/api/v3/historicalTrades?symbol=BTCUSDT&fromId=0&limit=2")).toEqual(all.slice(0, 2));
  expect(await ids(`/api/v3/historicalTrades?symbol=BTCUSDT&fromId=${(all.at(-1) ?? 0) + 1}`)).toEqual([]);
});

test.each([
  ["/api/v3/trades", -1102],
  ["/api/v3/trades?symbol=", -1102],
  ["/api/v3/trades?symbol=NOPE", -1121],
  ["/api/v3/trades?symbol=btcusdt", -1121],
  ["/api/v3/historicalTrades?symbol=BTCUSDT&fromId=-1", -1100],
  ["/api/v3/historicalTrades?symbol=BTCUSDT&limit=", -1102],
  ["/api/v3/historicalTrades?symbol=BTCUSDT&limit=0", -1130],
  ["/api/v3/ticker/24hr?symbol=NOPE", -1121],
  ["/api/v3/ticker/24hr?symbol=BTCUSDT&symbols=%5B%22BTCUSDT%22%5D", -1128],
  ["/api/v3/ticker/24hr?symbols=BTCUSDT", -1100],
  ["/api/v3/ticker/24hr?symbols=%5B%5D", -1100],
  ["/api/v3/ticker/24hr?symbols=%5B%22BTCUSDT%22,%22BTCUSDT%22%5D", -1151],
  ["/api/v3/ticker/24hr?symbol=BTCUSDT&type=MAXI", -1139],
])("%s is refused with %d", async (path, code) => {
  await start({ tradingFor: "5m", rate: 0.1 });
  expect(await get(path)).toMatchObject({ status: 400, json: { code, msg: expect.any(String) as unknown } });
});

test("other places and methods are none", async () => {
  await start({ rate: 0.1 });
  expect((await get("/api/v3/klines?symbol=BTCUSDT")).status).toBe(404);
  expect((await fetch(`${simulator.url}/api/v3/ping`, { method: "POST" })).status).toBe(405);
  expect((await fetch(`${simulator.url}/api/v3/ping`, { method: "HEAD" })).status).toBe(200);
});

test("the ticker: one, several, all, and a small one", async () => {
  await start();
  const { json } = await get("/api/v3/ticker/24hr?symbol=BTCUSDT");
  const trades = btc();
  expect(Object.keys(json as Ticker)).toEqual([
    ..."symbol priceChange priceChangePercent weightedAvgPrice prevClosePrice lastPrice lastQty".split(" "),
    ..."bidPrice bidQty askPrice askQty openPrice highPrice lowPrice volume quoteVolume".split(" "),
    ..."openTime closeTime firstId lastId count".split(" "),
  ]);
  expect(json).toMatchObject({
    closeTime: Date.parse(START) + 300_000,
    openTime: Date.parse(START) + 300_000 - 86_400_000,
    lastPrice: trades.at(-1)?.price,
    openPrice: trades[0]?.price,
    firstId: trades[0]?.id,
    lastId: trades.at(-1)?.id,
    count: trades.length,
  });
  const names = async (path: string) => ((await get(path)).json as Ticker[]).map(({ symbol }) => symbol);
  expect(await names('/api/v3/ticker/24hr?symbols=["ETHUSDT","BTCUSDT"]')).toEqual(["ETHUSDT", "BTCUSDT"]);
  expect(await names("/api/v3/ticker/24hr")).toEqual(["BTCUSDT", "ETHUSDT"]);
  const mini = (await get("/api/v3/ticker/24hr?symbol=BTCUSDT&type=MINI")).json as object;
  expect(Object.keys(mini)).toHaveLength(12);
  expect(json).toMatchObject(mini);
  // However often they were asked for.
  expect(simulator.ledger.entries("ticker")).toEqual([
    { kind: "ticker", ...(json as Ticker) },
    expect.objectContaining({ kind: "ticker", symbol: "ETHUSDT" }),
  ]);
});

test("the ticker stands still for a while, and each closeTime has one price", async () => {
  simulator = await startBinance({ start: START, speed: 200, rate: 5, tickerEvery: "2s" });
  const byCloseTime = new Map<number, Ticker>();
  while (byCloseTime.size < 5) {
    const ticker = (await get("/api/v3/ticker/24hr?symbol=BTCUSDT")).json as Ticker;
    expect((ticker.closeTime - Date.parse(START)) % 2000).toBe(0);
    expect(ticker).toEqual(byCloseTime.get(ticker.closeTime) ?? ticker);
    byCloseTime.set(ticker.closeTime, ticker);
  }
  simulator.trade(false);
  expect(simulator.ledger.entries("ticker")).toEqual(
    [...byCloseTime.values()].map((ticker) => ({ kind: "ticker", ...ticker })),
  );
  for (const { closeTime, lastPrice } of byCloseTime.values())
    expect(lastPrice).toBe(btc().findLast(({ eventTime }) => eventTime <= closeTime)?.price);
});

test("what did not change is not sent again", async () => {
  await start();
  const first = await get("/api/v3/ticker/24hr?symbol=BTCUSDT");
  const tag = first.headers.get("etag") ?? "";
  expect(tag).toMatch(/^W\/".+"$/);
  const second = await get("/api/v3/ticker/24hr?symbol=BTCUSDT", { "if-none-match": tag });
  expect([second.status, second.json, second.headers.get("etag")]).toEqual([304, null, tag]);
  const third = await get("/api/v3/ticker/24hr?symbol=BTCUSDT", { "if-none-match": `"x", ${tag}` });
  expect(third.status).toBe(304);
  const other = await get("/api/v3/ticker/24hr?symbol=ETHUSDT", { "if-none-match": tag });
  expect(other.status).toBe(200);
});

test("requests have a weight, and a limit", async () => {
  await start({ rate: 0.1, weightLimit: 1000, faults: {} });
  const used = async (path: string) => Number((await get(path)).headers.get("x-mbx-used-weight-1m"));
  const weights: number[] = [];
  for (const path of ["ping", "ticker/24hr?symbol=BTCUSDT", "ticker/24hr", "trades?symbol=BTCUSDT", "exchangeInfo"]) {
    const before = await used("/api/v3/ping");
    const after = await used(`/api/v3/${path}`);
    // Unless a new minute began in between.
    weights.push(after > before ? after - before : Number.NaN);
  }
  expect([1, 2, 80, 25, 20].map((weight, at) => (Number.isNaN(weights[at]) ? Number.NaN : weight))).toEqual(weights);
  let answer = await get("/api/v3/ticker/24hr");
  while (answer.status === 200) answer = await get("/api/v3/ticker/24hr");
  expect(answer).toMatchObject({ status: 429, json: { code: -1003 } });
  expect(Number(answer.headers.get("retry-after"))).toBeGreaterThan(0);
  expect(simulator.ledger.counts).toMatchObject({ "too much weight": 1 });
});

describe("faults", () => {
  test("429 with Retry-After, also for those who do not wait", async () => {
    await start({ rate: 0.1 });
    const { faults, ledger } = simulator;
    faults.change({ answer429: 1, retryAfter: "1500ms" });
    const first = await get("/api/v3/ping");
    expect([first.status, first.headers.get("retry-after")]).toEqual([429, "2"]);
    expect(first.headers.get("x-mbx-used-weight-1m")).toMatch(/^\d+$/);
    faults.change({ answer429: 0 });
    expect((await get("/api/v3/ping")).status).toBe(429);
    expect(ledger.counts).toMatchObject({ "429": 1, "too soon": 1 });
  });

  test("418, and then all is well again", async () => {
    await start({ rate: 0.1 });
    simulator.faults.change({ answer418: 1, retryAfter: "1s" });
    const banned = await get("/api/v3/ping");
    expect([banned.status, banned.headers.get("retry-after")]).toEqual([418, "1"]);
    simulator.faults.change({ answer418: 0 });
    while ((await get("/api/v3/ping")).status !== 200);
    expect(simulator.ledger.counts["418"]).toBe(1);
  });

  test("5xx, answers that break off, garbage, and answers that never come", async () => {
    await start({ rate: 0.1 });
    const { faults, ledger, url } = simulator;
    const ticker = `${url}/api/v3/ticker/24hr?symbol=BTCUSDT`;
    faults.change({ answer5xx: 1 });
    const statuses = new Set<number>();
    while (statuses.size < 4) statuses.add((await fetch(ticker)).status);
    expect(statuses).toEqual(new Set([500, 502, 503, 504]));

    faults.change({ answer5xx: 0, cut: 1 });
    await expect(fetch(ticker).then((answer) => answer.text())).rejects.toThrow();

    faults.change({ cut: 0, garbageAnswers: 1 });
    const bodies = new Set<string>();
    while (bodies.size < 4) {
      const answer = await fetch(ticker);
      expect(answer.status).toBe(200);
      bodies.add(await answer.text());
    }
    for (const body of bodies) expect(body).not.toMatch(/"lastPrice".*\}$/);

    faults.change({ garbageAnswers: 0, hanging: 1 });
    await expect(fetch(ticker, { signal: AbortSignal.timeout(100) })).rejects.toMatchObject({ name: "TimeoutError" });

    // Nobody got a ticker so far.
    expect(ledger.entries("ticker")).toEqual([]);
    faults.change({ hanging: 0 });
    expect((await fetch(ticker)).status).toBe(200);
    expect(ledger.entries("ticker")).toHaveLength(1);
    expect(ledger.counts).toMatchObject({ cut: 1, hanging: 1 });
  });

  test("slow answers come, and one whom nobody waits for is not in the ledger", async () => {
    await start({ rate: 0.1 });
    const { faults, ledger, url } = simulator;
    faults.change({ slow: 150 });
    const ticker = `${url}/api/v3/ticker/24hr?symbol=BTCUSDT`;
    await expect(fetch(ticker, { signal: AbortSignal.timeout(30) })).rejects.toThrow();
    expect((await fetch(`${url}/api/v3/ping`)).status).toBe(200);
    expect(ledger.entries("ticker")).toEqual([]);
    expect((await fetch(ticker)).status).toBe(200);
    expect(ledger.entries("ticker")).toHaveLength(1);
  });

  test("a share is a share", async () => {
    await start({ rate: 0.1, seed: 5 });
    simulator.faults.change({ answer5xx: 0.3 });
    let bad = 0;
    for (let n = 0; n < 200; n += 1) if ((await fetch(`${simulator.url}/api/v3/ping`)).status >= 500) bad += 1;
    expect(bad / 200).toBeCloseTo(0.3, 0);
    expect(bad).toBeGreaterThan(30);
    expect(simulator.ledger.counts["5xx"]).toBe(bad);
  });
});

describe("the control endpoint", () => {
  const post = (path: string, body?: string, headers: Record<string, string> = {}) =>
    fetch(`${simulator.url}/_simulator/${path}`, { method: "POST", headers, ...(body === undefined ? {} : { body }) });

  test("the ledger", async () => {
    await start({ rate: 1 });
    await get("/api/v3/ping");
    const ledger = (await get("/_simulator/ledger")).json;
    expect(ledger).toEqual({
      settings: { simulator: "binance", seed: 1, symbols: "BTCUSDT,ETHUSDT", rate: 1, start: START },
      counts: { ...simulator.ledger.counts },
      forgotten: 0,
      entries: simulator.ledger.entries(),
    });
  });

  test("trading stops and goes on", async () => {
    simulator = await startBinance({ rate: 500 });
    expect(await (await post("trading", '{"on":false}')).json()).toEqual({ on: false });
    const made = simulator.ledger.counts["trade"];
    const time = (await get("/api/v3/time")).json;
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect((await get("/api/v3/time")).json).toEqual(time);
    expect(simulator.ledger.counts["trade"]).toBe(made);
    await post("trading", '{"on":true}');
    while ((simulator.ledger.counts["trade"] ?? 0) === made) await get("/api/v3/ping");
  });

  test.each<[string, string | undefined, string]>([
    ["faults", '{"garbag":1}', "There is no fault “garbag”: did you mean “garbage”?"],
    ["faults", '{"garbage":7}', "--garbage 7: it must be at most 1"],
    ["faults", "garbage=1", 'The body must be a JSON object, such as {"garbage": 0.1}'],
    ["faults", "[1]", "The body must be a JSON object"],
    ["trading", "{}", 'Trading goes on or not: {"on": false}'],
    ["outage", "{}", 'An outage has a length: {"for": "3s"}'],
    ["what", undefined, "There is no POST /_simulator/what: there is GET /_simulator/faults"],
  ])("POST %s %s is refused in a sentence", async (path, body, message) => {
    await start({ rate: 0.1 });
    const answer = await post(path, body);
    expect(answer.status).toBe(400);
    expect(((await answer.json()) as { error: string }).error).toContain(message);
  });

  test("a page in a browser cannot steer it", async () => {
    await start({ rate: 0.1 });
    expect((await post("faults", '{"refuse":true}', { origin: "https://example.com" })).status).toBe(400);
    expect(simulator.faults.now.refuse).toBe(false);
  });

  test("it works while everything else is refused", async () => {
    await start({ rate: 0.1 });
    await post("faults", '{"refuse":true,"answer451":true,"hanging":1}');
    expect((await get("/_simulator/faults")).json).toMatchObject({ refuse: true });
  });
});
