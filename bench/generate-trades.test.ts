import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { ensureTradesFile, tradeLines, type TradesLedger } from "./generate-trades";
import { aggregateTrades } from "./hand-loop";

function generate(records: number, seed: number): { lines: string[]; ledger: TradesLedger } {
  const lines: string[] = [];
  const generator = tradeLines(records, seed);
  for (;;) {
    const next = generator.next();
    if (next.done) return { lines, ledger: next.value };
    lines.push(next.value);
  }
}

describe("tradeLines", () => {
  const { lines, ledger } = generate(20_000, 7);

  it("makes the same lines from the same seed and others from another", () => {
    expect(generate(20_000, 7)).toEqual({ lines, ledger });
    expect(generate(20_000, 8).lines).not.toEqual(lines);
  });

  it("makes exactly as many lines as asked, with every kind of fault among them", () => {
    expect(lines).toHaveLength(20_000);
    expect(ledger.read).toBe(20_000);
    expect(ledger.ok + ledger.dead).toBe(20_000);
    expect(Object.values(ledger.bad).every((count) => count > 0)).toBe(true);
    expect(Object.values(ledger.bad).reduce((sum, count) => sum + count, 0)).toBe(ledger.dead);
  });

  it("repeats a trade byte for byte, and only ever later", () => {
    const repeated = lines.length - new Set(lines).size;
    expect(repeated).toBe(ledger.duplicate);
  });

  it("keeps disorder within its bounds and ids contiguous per symbol", () => {
    const seen = new Set<string>();
    const ids = new Map<string, number[]>();
    let latest = 0;
    for (const line of lines) {
      if (seen.has(line)) continue;
      seen.add(line);
      const trade = parse(line);
      if (typeof trade?.s !== "string" || typeof trade.t !== "number" || typeof trade.T !== "number") continue;
      ids.set(trade.s, [...(ids.get(trade.s) ?? []), trade.t]);
      if (Math.abs(trade.T - Date.UTC(2026, 0, 5, 9, 30)) > 3_600_000) continue;
      expect(latest - trade.T).toBeLessThan(2_000);
      latest = Math.max(latest, trade.T);
    }
    const issued = [...ids.values()].reduce((sum, of) => sum + Math.max(...of) - Math.min(...of) + 1, 0);
    const received = [...ids.values()].reduce((sum, of) => sum + of.length, 0);
    // What is missing are spoilt trades whose line no longer says which one it was.
    expect(issued - received).toBeGreaterThanOrEqual(0);
    expect(issued - received).toBeLessThanOrEqual(ledger.dead);
  });
});

describe("the hand loop", () => {
  it("finds what the ledger says", () => {
    const directory = fs.mkdtempSync(path.join(os.tmpdir(), "bench-test-"));
    try {
      const file = ensureTradesFile(directory, 5_000, 3);
      const rowsFile = path.join(directory, "rows.ndjson");
      const summary = aggregateTrades(file.path, rowsFile, path.join(directory, "dead.ndjson"));
      const { read, ok, dead, duplicate } = file.ledger;
      expect(summary).toEqual({ read, ok, dead, duplicate, rows: summary.rows });
      const rows = fs.readFileSync(rowsFile, "utf8").trimEnd().split("\n");
      expect(rows).toHaveLength(summary.rows);
      const trades = rows.map((row) => (JSON.parse(row) as { trade_count: number }).trade_count);
      expect(trades.reduce((sum, count) => sum + count, 0)).toBe(ok - duplicate);
    } finally {
      fs.rmSync(directory, { recursive: true });
    }
  });

  it("computes a candle exactly", () => {
    const directory = fs.mkdtempSync(path.join(os.tmpdir(), "bench-test-"));
    try {
      const at = Date.UTC(2026, 0, 1);
      const trade = (t: number, T: number, p: string, q: string): string =>
        JSON.stringify({ e: "trade", E: T, s: "BTCUSDT", t, p, q, T, m: true });
      const input = path.join(directory, "in.ndjson");
      const lines = [
        trade(2, at + 5, "0.30000000", "0.2"),
        trade(1, at + 5, "0.1", "3"),
        trade(3, at + 59_999, "0.00000002", "0.00000001"),
        trade(1, at + 5, "0.1", "3"),
        trade(4, at + 60_000, "7", "1.50"),
        trade(5, at, "1e3", "1"),
      ];
      // No line end at the end: the last line counts too.
      fs.writeFileSync(input, lines.join("\n"));
      const rowsFile = path.join(directory, "rows.ndjson");
      const summary = aggregateTrades(input, rowsFile, path.join(directory, "dead.ndjson"));
      expect(summary).toEqual({ read: 6, ok: 5, dead: 1, duplicate: 1, rows: 2 });
      expect(JSON.parse(fs.readFileSync(rowsFile, "utf8").split("\n")[0] ?? "")).toEqual({
        window_start: "2026-01-01T00:00:00.000Z",
        window_end: "2026-01-01T00:01:00.000Z",
        symbol: "BTCUSDT",
        trade_count: 3,
        volume: "3.20000001",
        quote_volume: "0.3600000000000002",
        open: "0.1",
        high: "0.3",
        low: "0.00000002",
        close: "0.00000002",
        avg_price: "0.13333334",
        vwap: "0.1125",
      });
    } finally {
      fs.rmSync(directory, { recursive: true });
    }
  });
});

function parse(line: string): Record<string, unknown> | undefined {
  try {
    return JSON.parse(line) as Record<string, unknown>;
  } catch {
    return undefined;
  }
}
