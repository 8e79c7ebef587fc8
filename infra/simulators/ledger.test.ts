import fs from "node:fs";
import { scratchDirectory } from "../../test/scratch";
import { UsageError } from "../../schema/errors";
import { Ledger, type LedgerOptions, type TradeEntry } from "./ledger";

const scratch = scratchDirectory();

const trade = (id: number, isGap = false): TradeEntry => ({
  kind: "trade",
  symbol: "BTCUSDT",
  id,
  price: "1.00000000",
  quantity: "2.00000000",
  time: id,
  eventTime: id + 1,
  isBuyerMaker: false,
  isGap,
});

const options: LedgerOptions = { settings: { seed: 1, start: 1000 }, said: ["seed"], remember: 100 };

test("it tells what happened, and counts it", () => {
  const ledger = new Ledger(options);
  ledger.record(trade(1), trade(2, true));
  ledger.fault("garbage", "BTCUSDT 1");
  ledger.count("connection");
  expect(ledger.entries("trade").map(({ id }) => id)).toEqual([1, 2]);
  expect(ledger.entries("fault")).toEqual([{ kind: "fault", fault: "garbage", about: "BTCUSDT 1" }]);
  expect(ledger.entries()).toHaveLength(3);
  expect(ledger.counts).toEqual({ trade: 2, gap: 1, garbage: 1, connection: 1 });
});

test("memory is bounded, counts are not", () => {
  const ledger = new Ledger({ ...options, remember: 10 });
  for (let id = 0; id < 1000; id += 1) ledger.record(trade(id));
  const kept = ledger.entries("trade");
  expect(kept.length).toBeGreaterThanOrEqual(10);
  expect(kept.length).toBeLessThan(20);
  expect(kept.at(-1)?.id).toBe(999);
  expect(ledger.forgotten + kept.length).toBe(1000);
  expect(ledger.counts["trade"]).toBe(1000);
  ledger.record({ ...trade(1), symbol: "ETHUSDT" });
  for (let id = 1000; id < 1100; id += 1) ledger.record(trade(id));
  expect([ledger.last("trade", "ETHUSDT")?.id, ledger.last("trade", "BTCUSDT")?.id]).toEqual([1, 1099]);
  expect(ledger.last("trade", "BNBUSDT")).toBeUndefined();
  expect([ledger.last("trade")?.id, ledger.last("ticker")]).toEqual([1099, undefined]);
});

test("a line is in the file as soon as it is recorded", () => {
  const ledger = new Ledger({ ...options, file: scratch("ledger.ndjson") });
  ledger.record(trade(1));
  const lines = fs.readFileSync(scratch("ledger.ndjson"), "utf8").split("\n");
  expect(lines.map((line) => (line === "" ? null : (JSON.parse(line) as unknown)))).toEqual([
    { kind: "settings", seed: 1, start: 1000 },
    trade(1),
    null,
  ]);
  ledger.close();
  // What a timer still says after the end goes nowhere.
  ledger.record(trade(2));
  expect(fs.readFileSync(scratch("ledger.ndjson"), "utf8").split("\n")).toHaveLength(3);
});

test("a file is gone on with, without the line that a killed process left half written", () => {
  const file = scratch("ledger.ndjson");
  const first = new Ledger({ ...options, file });
  first.record(trade(1), trade(2, true));
  first.fault("duplicate", "é");
  first.close();
  fs.appendFileSync(file, '{"kind":"trade","symbol":"BTC');
  const second = new Ledger({ ...options, file, settings: { seed: 1, start: 5000 } });
  // What was not said is the file's.
  expect(second.settings).toEqual({ seed: 1, start: 1000 });
  expect(second.entries()).toEqual(first.entries());
  expect(second.counts).toEqual({ trade: 2, gap: 1, duplicate: 1 });
  second.record(trade(3));
  second.close();
  const third = new Ledger({ ...options, file });
  expect(third.entries("trade")).toEqual([trade(1), trade(2, true), trade(3)]);
  third.close();
});

test("a process killed before its first line was whole leaves nothing to go on with", () => {
  fs.writeFileSync(scratch("ledger.ndjson"), '{"kind":"settings","se');
  const ledger = new Ledger({ ...options, file: scratch("ledger.ndjson") });
  ledger.close();
  expect(fs.readFileSync(scratch("ledger.ndjson"), "utf8")).toBe('{"kind":"settings","seed":1,"start":1000}\n');
});

test("other settings, other files and no place are told in a sentence", () => {
  const file = scratch("ledger.ndjson");
  new Ledger({ ...options, file }).close();
  const reopen = (more: Partial<LedgerOptions>) => () => new Ledger({ ...options, file, ...more });
  expect(reopen({ settings: { seed: 2, start: 1000 } })).toThrow(
    `--ledger ${file} was kept with seed 1, not 2: say the same, or give the name of another file`,
  );
  expect(reopen({ settings: { seed: 1, start: 1000, rate: 3 } })).toThrow("with rate unsaid, not 3");
  expect(reopen({ file: scratch("no", "where.ndjson") })).toThrow(UsageError);
  expect(reopen({ file: scratch() })).toThrow("cannot be read: it is not a file");
  expect(reopen({ file: "/dev/zero" })).toThrow(process.platform === "win32" ? "cannot be" : "it is not a file");
  fs.writeFileSync(scratch("notes.txt"), "buy milk\n");
  expect(reopen({ file: scratch("notes.txt") })).toThrow("is not a ledger, see its line 1");
  fs.writeFileSync(scratch("notes.txt"), "buy milk");
  expect(reopen({ file: scratch("notes.txt") })).toThrow("is not a ledger");
  expect(fs.readFileSync(scratch("notes.txt"), "utf8")).toBe("buy milk");
  fs.appendFileSync(file, '{"kind":"trade"}\nnot JSON\n');
  expect(reopen({})).toThrow("is not a ledger, see its line 3");
});
