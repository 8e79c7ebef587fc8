// trades-ingest on the bundled sample: what is passed on is what came, and trades-aggregate makes the same candles of it.
import fs from "node:fs";
import path from "node:path";
import { parseAddress } from "../../io/address";
import { outputAddresses } from "../../runners/addresses";
import { scene } from "../../test/command-scene";
import { RawTrade } from "./schemas";
import { tradesIngest } from "./trades-ingest";

const { at, beamline, query } = scene();
const sample = path.join(__dirname, "sample/trades.ndjson");

/** What consumers know a trade by; nothing for a line that is no JSON. */
function tradeOf(line: string): object[] {
  try {
    const { e, E, s, t, p, q, T, m } = JSON.parse(line) as RawTrade;
    return [{ e, E, s, t, p, q, T, m }];
  } catch {
    return [];
  }
}
const isGood = (trade: object) => RawTrade.safeParse(trade).success;

test("what is passed on is each trade as it came; what no consumer could take is a dead letter", async () => {
  const { code, stdout } = await beamline("trades-ingest", "--to", "trades=file:out.ndjson", "--json");
  expect(code).toBe(0);
  expect(JSON.parse(stdout)).toMatchObject({ read: 1991, ok: 1986, dead: 5 });
  const tradesOf = (file: string) => fs.readFileSync(file, "utf8").trim().split("\n").flatMap(tradeOf);
  expect(tradesOf(at("out.ndjson"))).toEqual(tradesOf(sample).filter((trade) => isGood(trade)));
});

test("without a word it runs too: its trades go into a file, since e and E are one column for a database", async () => {
  expect(await beamline("trades-ingest")).toMatchObject({ code: 0 });
  expect(fs.existsSync(at("data/raw_trades.ndjson"))).toBe(true);
  expect(await beamline("trades-ingest", "--to", "sqlite:x.db")).toMatchObject({
    code: 2,
    stderr: expect.stringContaining("has the column “E” twice for SQLite") as string,
  });
});

test("trades-aggregate makes the same candles of it", async () => {
  await beamline("trades-ingest", "--to", "trades=file:raw.ndjson", "--to", "sqlite:data/ingest.db");
  await beamline("trades-aggregate", "--from", "file:raw.ndjson");
  await beamline("trades-aggregate", "--to", "sqlite:data/direct.db");
  const candles = "SELECT * FROM trades_1min_agg ORDER BY symbol, window_start";
  expect(query(candles)).toEqual(query(candles, "data/direct.db"));
});

test("--from live: and --to live: are the exchange and the broker, by the parameters", () => {
  const params = tradesIngest.params.parse({ symbols: "btcusdt,ETHUSDT", stream_url: "wss://h:1", topic: "t" });
  expect(tradesIngest.inputs["trades"]?.live?.(params as never)).toBe(
    "wss://h:1/stream?streams=btcusdt@trade/ethusdt@trade#protocol=binance&variable=BINANCE_STREAM_URL",
  );
  const outputs = outputAddresses(tradesIngest, ["live:"], params);
  expect(outputs["trades"]).toEqual(parseAddress("kafka://localhost:29092/t"));
  expect(outputs["dead_letters"]).toEqual(parseAddress("sqlite:data/app.db"));
});

test("symbols that are none: a sentence", async () => {
  expect(await beamline("trades-ingest", "--symbols", "BTC USDT")).toMatchObject({
    code: 2,
    stderr: expect.stringContaining("write symbols as BTCUSDT,ETHUSDT") as string,
  });
});
