/**
 * # 4. A whole system: trades
 *
 * This chapter is a test: everything in it ran.
 *
 * ```text
 *   exchange                 trades-ingest           trades-aggregate
 *   WebSocket <symbol>@trade ──▶ inbox ──▶ raw_trades (Kafka) ──▶ trades_1min_agg (PostgreSQL)
 *   REST history ─────────────┘  gaps are filled     one candle a minute and symbol
 * ```
 *
 * ```sh
 * npm run system -- up trades                    # the exchange, over the internet
 * npm run system -- up trades --simulate --for 60s
 * npm run pipeline -- status CryptoAnalytics --max-age 5m --state-dir .systems/trades/state
 * npm run system -- down trades --data
 * ```
 *
 * A WebSocket gives each trade once. What was missed, because a connection broke or the process was killed, is seen by
 * the trades' ids, which have no gaps, and asked for from the exchange's history. The same path with every process killed
 * on the way is test/trades-system.integration.ts: every trade that was made counts exactly once.
 *
 * Candles straight from a WebSocket (`trades-aggregate --streaming --from wss://…`) begin with the first minute that is whole:
 * the one that the start has cut is not written but named, and so is one of which trades are lost for good.
 */
import fs from "node:fs";
import { lines, scene, trade } from "../../test/command-scene";

const { at, beamline, query } = scene();
const T0 = Date.UTC(2026, 0, 5, 9, 30);
const tradeAt = (id: number, seconds: number, symbol = "BTCUSDT") =>
  trade(id, { s: symbol, T: T0 + seconds * 1000, E: T0 + seconds * 1000 });

describe("4. A whole system: trades", () => {
  /**
   * ## What is passed on
   *
   * Each trade as it came. In a topic its message is keyed by the symbol, so that the trades of one symbol stay in order,
   * and its time is that of the trade. What no consumer could take is a dead letter already here.
   */
  test("trades-ingest passes trades on as they came", async () => {
    fs.writeFileSync(at("socket.ndjson"), lines(tradeAt(1, 1), '{"result":null,"id":1}', tradeAt(2, 2)));
    const outcome = await beamline("trades-ingest", "--from", "file:socket.ndjson", "--to", "trades=file:raw.ndjson");
    expect(outcome).toMatchObject({ code: 0 });
    expect(fs.readFileSync(at("raw.ndjson"), "utf8")).toBe(lines(tradeAt(1, 1), tradeAt(2, 2)));
  });

  /**
   * ## Candles that grow, and a monitor
   *
   * The job has the name that its dashboards know: `--job CryptoAnalytics`. Every batch writes the candles that it
   * changed. `status --max-age` is what a monitor calls every five minutes: it fails when the job does not run, or when
   * its newest window is older than that.
   */
  test("trades-aggregate goes on as CryptoAnalytics, and a monitor sees that it does not run", async () => {
    const words = ["--streaming", "--once", "--job", "CryptoAnalytics", "--from", "file:raw.ndjson"];
    fs.writeFileSync(at("raw.ndjson"), lines(tradeAt(1, 1), tradeAt(2, 2), tradeAt(1, 3, "ETHUSDT")));
    await beamline("trades-aggregate", ...words);
    fs.appendFileSync(at("raw.ndjson"), lines(tradeAt(3, 59), tradeAt(2, 2), tradeAt(4, 61)));
    await beamline("trades-aggregate", ...words);
    expect(query("SELECT symbol, window_start, trade_count FROM trades_1min_agg ORDER BY 1, 2")).toEqual([
      { symbol: "BTCUSDT", window_start: "2026-01-05T09:30:00.000Z", trade_count: 3 },
      { symbol: "BTCUSDT", window_start: "2026-01-05T09:31:00.000Z", trade_count: 1 },
      { symbol: "ETHUSDT", window_start: "2026-01-05T09:30:00.000Z", trade_count: 1 },
    ]);
    const { code, stderr } = await beamline("status", "CryptoAnalytics", "--max-age", "5m");
    expect(code).toBe(1);
    expect(stderr).toContain("The job CryptoAnalytics does not run");
  });
});
