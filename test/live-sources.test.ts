// The HTTP and the WebSocket source against the simulators, with everything going wrong that can: what the ledger says
// happened is what comes.
import { startBinance, type BinanceSimulator } from "../infra/simulators/binance/binance";
import { type LedgerEntry } from "../infra/simulators/ledger";
import { startRandomUser } from "../infra/simulators/randomuser/randomuser";
import { parseAddress } from "../io/address";
import { type FlowNews } from "../io/connector";
import { sourceOf } from "../io/registry";
import { type SourceRecord } from "../schema/record";

async function flow(uri: string, isEnough: (records: readonly SourceRecord[]) => boolean = () => false) {
  const stop = new AbortController();
  const news: FlowNews[] = [];
  const records: SourceRecord[] = [];
  const address = parseAddress(uri);
  const talk = { tell: (one: FlowNews) => void news.push(one), note: () => undefined };
  for await (const some of sourceOf(address).flow?.(address, stop.signal, talk) ?? []) {
    records.push(...some);
    if (isEnough(records)) stop.abort();
  }
  const count = (kind: FlowNews["kind"]) => news.reduce((sum, one) => sum + (one.kind === kind ? one.count : 0), 0);
  return { records, news, count };
}

interface Trade {
  readonly s: string;
  readonly t: number;
}

const tradesIn = (records: readonly SourceRecord[]): (Trade & { readonly json: string })[] =>
  records.flatMap(({ value }) => {
    try {
      const trade = JSON.parse(String(value)) as Trade;
      return Number.isSafeInteger(trade.t) ? [{ ...trade, json: String(value) }] : [];
    } catch {
      return [];
    }
  });

const made = ({ ledger }: BinanceSimulator) =>
  ledger.entries().flatMap((entry: LedgerEntry) => (entry.kind === "trade" ? [entry] : []));

it("trades: whatever breaks, each that was made after the first one comes, and is as it was made", async () => {
  const exchange = await startBinance({
    rate: 200,
    tradingFor: "2s",
    faults: { disconnects: 0.005, garbage: 0.05, duplicates: 0.05, disorder: "100ms", gaps: 0.05 },
  });
  try {
    const { records, count, news } = await flow(
      `${exchange.wsUrl}/stream?streams=btcusdt@trade/ethusdt@trade#protocol=binance&grace=300ms&for=4s`,
    );
    const trades = tradesIn(records);
    for (const symbol of ["BTCUSDT", "ETHUSDT"]) {
      const came = new Map(trades.filter(({ s }) => s === symbol).map((trade) => [trade.t, trade.json]));
      const first = trades.find(({ s }) => s === symbol)?.t ?? 0;
      const all = made(exchange).filter((entry) => entry.symbol === symbol);
      // A trade that was left out behind the last one that came is missed by nobody.
      const last = Math.max(...came.keys());
      const due = all.filter(({ id }) => id >= first && id <= last);
      expect(due.filter(({ id }) => !came.has(id))).toEqual([]);
      for (const { id, price, quantity, time, isBuyerMaker } of due)
        expect(JSON.parse(came.get(id) ?? "")).toMatchObject({
          p: price,
          q: quantity,
          T: time,
          m: isBuyerMaker,
          t: id,
        });
    }
    expect([count("filled") > 0, count("reconnect") > 0, count("garbage") > 0, count("lost")]).toEqual([
      true,
      true,
      true,
      0,
    ]);
    const filled = records.filter(({ headers }) => headers?.["filled-from"] !== undefined);
    expect(filled).toHaveLength(count("filled"));
    expect(news.filter(({ kind }) => kind === "wait")).toEqual([]);
  } finally {
    await exchange.close();
  }
}, 30_000);

it("the ticker: each closeTime that was given comes, as it was given", async () => {
  const exchange = await startBinance({
    rate: 50,
    tickerEvery: "20ms",
    faults: { answer429: 0.02, answer5xx: 0.1, cut: 0.05, retryAfter: "1s" },
  });
  try {
    const { records, count } = await flow(
      `${exchange.url}/api/v3/ticker/24hr?symbol=BTCUSDT#every=20ms`,
      (some) => some.length >= 40,
    );
    const given = exchange.ledger
      .entries()
      .flatMap((entry) => (entry.kind === "ticker" ? [String(entry.closeTime)] : []));
    const came = records.map(({ value }) => (JSON.parse(String(value)) as { closeTime: number }).closeTime);
    // What was cut off on its way was given too, and something newer came instead.
    for (const closeTime of came) expect(given).toContain(String(closeTime));
    expect(count("retry") + count("wait")).toBeGreaterThan(0);
  } finally {
    await exchange.close();
  }
}, 30_000);

it("an exchange that does not serve this machine: one sentence that says what to do", async () => {
  const exchange = await startBinance({ faults: { answer451: true } });
  try {
    const ticker = flow(`${exchange.url}/api/v3/ticker/24hr?symbol=BTCUSDT#variable=API_URL`);
    await expect(ticker).rejects.toThrow(/answers 451 .*; choose another address by API_URL$/);
    const trades = flow(`${exchange.wsUrl}/ws/btcusdt@trade#variable=BINANCE_STREAM_URL`);
    await expect(trades).rejects.toThrow(/answers 451 .*; choose another address by BINANCE_STREAM_URL$/);
  } finally {
    await exchange.close();
  }
});

it("users: each of an answer is a record", async () => {
  const people = await startRandomUser({});
  try {
    const { records } = await flow(`${people.url}/api/?results=5#items=results&every=10ms&times=3`);
    expect(records).toHaveLength(15);
    const ids = records.map(({ value }) => (JSON.parse(String(value)) as { login: { uuid: string } }).login.uuid);
    const given = people.ledger.entries().flatMap((entry) => (entry.kind === "user" ? [entry.user.login.uuid] : []));
    expect(ids.sort()).toEqual(given.sort());
  } finally {
    await people.close();
  }
});
