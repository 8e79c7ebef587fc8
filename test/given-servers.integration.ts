// A system on servers that are there already: `npm run system -- up … --kafka … --postgres …` uses them, and starts and ends
// none of its own. What is wrong with one of them is told before anything is started.
import { chmodSync, existsSync, mkdtempSync, readFileSync, realpathSync, rmSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { freePort } from "../infra/services/ports";
import { serviceStatus, startServices, stopServices, type RunningService } from "../infra/services/services";
import { type SystemRecord } from "../infra/systems/running-system";
import { parseAddress } from "../io/address";
import { EVERYTHING } from "../io/connector";
import { readRange } from "../io/kafka/read";
import { planTopic } from "../io/kafka/source";
import { scene } from "./command-scene";
import { candlesInPostgres, inPostgres, jsonFromPostgres } from "./job-scene";
import { MINUTE } from "./ledger";
import { systemScene, type SystemScene } from "./system-scene";

const { beamline, query } = scene();
const trades = systemScene("trades");
const ticker = systemScene("ticker");
const directory = mkdtempSync(path.join(realpathSync(os.tmpdir()), "beamline-given-"));
// The server may run as another user.
chmodSync(directory, 0o755);
const options = { directory };
const names = ["kafka", "postgres"] as const;
let services: Record<(typeof names)[number], RunningService>;
let broker: string;
let nobody: string;

beforeAll(async () => {
  const ports = { kafka: await freePort(), postgres: await freePort() };
  services = await startServices(names, { ...options, ports });
  broker = new URL(services.kafka.url).host;
  nobody = `127.0.0.1:${await freePort()}`;
});

afterAll(async () => {
  await stopServices(names, { ...options, data: true });
  rmSync(directory, { recursive: true, force: true });
});

/** A schema of its own for a system. */
async function schema(name: string): Promise<string> {
  await inPostgres(services.postgres.url, `create schema ${name}`);
  return `${services.postgres.url}?schema=${name}`;
}

/** The system has no servers of its own, and those that it was given outlive it. */
async function expectGivenOnly({ at, system }: SystemScene, name: string): Promise<void> {
  const record = JSON.parse(readFileSync(at("systems", name, "system.json"), "utf8")) as SystemRecord;
  expect(record).toMatchObject({ services: [], places: { brokers: broker } });
  expect(existsSync(at("services"))).toBe(false);
  expect(await system("down", name, "--data")).toMatchObject({ code: 0 });
  expect((await serviceStatus(names, options)).map(({ state }) => state)).toEqual(["ready", "ready"]);
}

async function published<T>(topic: string): Promise<T[]> {
  const found: T[] = [];
  for (const range of await planTopic(parseAddress(`kafka://${broker}/${topic}`), EVERYTHING))
    for await (const records of readRange(range))
      for (const { value } of records) found.push(JSON.parse(String(value)) as T);
  return found;
}

test("trades: its candles are in the database that it was given, of trades in the broker that it was given", async () => {
  const postgres = await schema("given_trades");
  const fault = ["--fault", `ledger=${trades.at("ledger.ndjson")}`, "--fault", "rate=40"];
  const up = ["up", "trades", "--simulate", "--kafka", broker, "--postgres", postgres, ...fault, "--for", "8s"];
  const { code, stderr } = await trades.system(...up);
  expect({ code, stderr }).toMatchObject({ code: 0 });
  expect(stderr).toContain("given_trades.trades_1min_agg");

  const made = new Set(
    trades.ledger().flatMap((entry) => (entry.kind === "trade" ? [`${entry.symbol} ${entry.id}`] : [])),
  );
  const came = new Map(
    (await published<{ s: string; t: number; T: number }>("raw_trades")).map((one) => [`${one.s} ${one.t}`, one]),
  );
  expect(came.size).toBeGreaterThan(100);
  for (const trade of came.keys()) expect(made).toContain(trade);
  const counts = new Map<string, number>();
  for (const { s, T } of came.values()) {
    const place = `${s} ${new Date(Math.floor(T / MINUTE) * MINUTE).toISOString()}`;
    counts.set(place, (counts.get(place) ?? 0) + 1);
  }
  const candles = await candlesInPostgres(services.postgres.url, "given_trades");
  expect(new Map(candles.map((candle) => [`${candle.symbol} ${candle.window_start}`, candle.trade_count]))).toEqual(
    counts,
  );
  await expectGivenOnly(trades, "trades");
});

test("ticker: its tables are in the database that it was given, and say what they would in SQLite", async () => {
  const postgres = await schema("given_ticker");
  const fault = ["--fault", `ledger=${ticker.at("ledger.ndjson")}`, "--fault", "ticker-every=500ms"];
  const up = ["up", "ticker", "--simulate", "--kafka", `kafka://${broker}/`, "--postgres", postgres, ...fault];
  const { code, stderr } = await ticker.system(...up, "--for", "9s");
  expect({ code, stderr }).toMatchObject({ code: 0 });
  expect(stderr).toContain("given_ticker.daily_summary");
  expect(existsSync(ticker.at("systems/ticker/app.db"))).toBe(false);

  const from = `kafka://${broker}/ticker_raw`;
  expect(await beamline("ticker-clean", "--from", from)).toMatchObject({ code: 0 });
  expect(await beamline("ticker-daily", "--from", "sqlite:data/app.db?table=events&time=event_time")).toMatchObject({
    code: 0,
  });
  const events = "select event_id, symbol, price, event_time, source from";
  const days = "select day, symbol, avg_price, min_price, max_price, n_records from";
  const inSqlite = query(`${events} events order by 1`);
  expect(await jsonFromPostgres(services.postgres.url, `${events} given_ticker.events order by 1`)).toEqual(inSqlite);
  expect(await jsonFromPostgres(services.postgres.url, `${days} given_ticker.daily_summary order by 1`)).toEqual(
    query(`${days} daily_summary order by 1`),
  );
  const given = ticker
    .ledger()
    .flatMap((entry) => (entry.kind === "ticker" ? [`${entry.symbol}:${entry.closeTime}`] : []));
  expect(inSqlite.length).toBeGreaterThan(2);
  expect(given).toEqual(expect.arrayContaining(inSqlite.map((row) => row["event_id"])));
  await expectGivenOnly(ticker, "ticker");
});

describe("what is wrong with a server that is given is told in a sentence, and nothing is started", () => {
  const matching = (text: RegExp) => expect.stringMatching(text) as string;

  test.each([
    [
      "a broker that is not there",
      () => ["--kafka", nobody],
      1,
      /^Failed: No Kafka broker answers at 127.* \(connection refused\): start it.*\n$/,
    ],
    [
      "a database that is not there",
      () => ["--postgres", `postgres://x@${nobody}/y`],
      1,
      /^Failed: .* cannot be reached: nothing listens there.*\n$/,
    ],
    [
      "a database that does not exist",
      () => ["--postgres", services.postgres.url.replace(/[^/]+$/, "missing")],
      2,
      /^.*missing.*\n$/,
    ],
    [
      "a broker with a topic",
      () => ["--kafka", `kafka://${broker}/trades`],
      2,
      /^--kafka needs a broker without a topic: .*\n$/,
    ],
    ["no broker", () => ["--kafka", "a b"], 2, /^“a b” is not a Kafka broker: .*\n$/],
    ["a database of another kind", () => ["--postgres", "sqlite:x.db"], 2, /^--postgres needs a database: .*\n$/],
    [
      "a password in an address",
      () => ["--postgres", `postgres://x:s3cret@${nobody}/y`],
      2,
      /^(?!.*s3cret).*password.*\n$/,
    ],
  ] as const)("%s", async (_what, words, code, said) => {
    const kafka = words().includes("--kafka") ? [] : ["--kafka", broker];
    expect(await trades.system("up", "trades", "--simulate", ...kafka, ...words())).toMatchObject({
      code,
      stderr: matching(said),
    });
    expect([existsSync(trades.at("services")), existsSync(trades.at("systems/trades"))]).toEqual([false, false]);
  });
});
