import fs from "node:fs";
import path from "node:path";
import { RunError } from "../../schema/errors";
import { EVENTS, eventsTable, type EventFields } from "./events";
import { Log, type LogForm, type LogOptions } from "./log";
import { jsonLine, jsonValue } from "./log-value";

const START = Date.UTC(2026, 0, 5, 9, 30);

function logged(form: LogForm, more: Partial<LogOptions> = {}) {
  const lines: string[] = [];
  const timers = new Set<{ at: number; action: () => void }>();
  const clock = { now: START };
  const log = new Log({
    job: "trades-live",
    pipeline: "trades",
    form,
    out: { write: (line) => lines.push(line) },
    now: () => clock.now,
    later: (milliseconds, action) => {
      const timer = { at: clock.now + milliseconds, action };
      timers.add(timer);
      return () => timers.delete(timer);
    },
    ...more,
  });
  const pass = (milliseconds: number) => {
    clock.now += milliseconds;
    for (const timer of [...timers]) {
      if (timer.at > clock.now) continue;
      timers.delete(timer);
      timer.action();
    }
  };
  return { log, lines, pass, timers, clock };
}

const batch = (number: number, more: Partial<EventFields<"batch committed">> = {}): EventFields<"batch committed"> => ({
  batch: number,
  read: 1_000,
  ok: 990,
  dead: 10,
  dropped: 0,
  duplicate: 0,
  late: 0,
  written: { candles: 20, dead_letters: 10 },
  seconds: 0.1,
  ...more,
});
const EMPTY = { read: 0, ok: 0, dead: 0, written: { candles: 0 } };

describe("the catalogue of events", () => {
  it("is what the docs have", () => {
    const page = fs.readFileSync(path.join(__dirname, "../../docs/reference/observability.md"), "utf8");
    const documented = [...page.split("## Log")[1]!.matchAll(/^\| `([^`]+)`/gm)].map(([, name]) => name);
    expect(documented).toEqual(Object.keys(EVENTS));
    expect(eventsTable().map(([name]) => name)).toEqual(Object.keys(EVENTS).map((name) => `\`${name}\``));
  });

  it("has no field with a name that every line has, or that would be masked", () => {
    for (const { fields } of Object.values(EVENTS)) {
      for (const field of Object.keys(fields)) {
        expect(field).toMatch(/^(?!(time|level|event|job|pipeline)$)[a-z_]+$/);
      }
    }
  });

  it("is what compiles", () => {
    const { log, lines } = logged("human");
    // @ts-expect-error There is no such event.
    log.event("batch comitted", {});
    // @ts-expect-error A field is missing.
    log.event("source idle", { input: "trades", source: "trades/0" });
    // @ts-expect-error A field of another kind.
    log.event("retrying", { what: "look", attempt: "first" });
    // @ts-expect-error A field that is not there.
    log.event("retrying", { what: "look", attempt: 1, next: 5 });
    log.event("retrying", { what: "look", attempt: 1 });
    // The wrong event alone has no line; it threw nothing either.
    expect(lines).toHaveLength(4);
  });
});

describe("for people", () => {
  it("an event is a line with its time, words and what is not nothing", () => {
    const { log, lines } = logged("human");
    log.event("job started", { version: "2", next_batch: 12, inputs: "kafka://a:9092/my trades", outputs: undefined });
    log.event("checkpoint verified", { batch: 11, watermark: START - 500, open_windows: 0 });
    log.event("gap found", { input: "trades", source: "trades/0", from: 1_000_000n, to: 1_012_345n, lost: 12_345n });
    log.event("source idle", { input: "trades", source: "trades/0", idle: 90.2 });
    log.event("batch failed", { batch: 12, attempt: 2, next_in: 2.5, error: new Error("pg://u:secret@h is\ndown") });
    expect(lines).toEqual([
      '2026-01-05T09:30:00Z job started version=2 next_batch=12 inputs="kafka://a:9092/my trades"\n',
      "2026-01-05T09:30:00Z checkpoint verified batch=11 watermark=2026-01-05T09:29:59.500Z\n",
      "2026-01-05T09:30:00Z warning: gap found input=trades source=trades/0 from=1000000 to=1012345 lost=12,345\n",
      "2026-01-05T09:30:00Z source idle input=trades source=trades/0 idle=1m30s\n",
      "2026-01-05T09:30:00Z error: batch failed batch=12 attempt=2 next_in=2.5s — pg://u:***@h is down\n",
    ]);
  });

  it("a value can be neither another field, nor another line, nor a command to the terminal", () => {
    const { log, lines } = logged("human");
    const source = 'x" lost=0\nerror: \u001b[2J\u202e';
    log.event("partition new", { input: "trades", source, from: 0 });
    expect(lines).toEqual([
      '2026-01-05T09:30:00Z partition new input=trades source="x\\" lost=0·error: ·[2J·" from=0\n',
    ]);
    log.event("partition new", { input: "trades", source: "s".repeat(10_000), from: 0 });
    expect(lines[1]?.length).toBeLessThan(350);
  });

  it("there is colour on a terminal only", () => {
    const { log, lines } = logged("human");
    log.event("job failed", { error: "x" });
    expect(lines.join("")).not.toContain("\u001b");
  });

  it("plans are not told", () => {
    const { log, lines } = logged("human");
    log.event("plan made", { batch: 1, ranges: 1, records: 5 });
    expect(lines).toEqual([]);
  });
});

describe("batches, for people", () => {
  it("are summed up: one line at once, then one in ten seconds", () => {
    const { log, lines, pass } = logged("human");
    log.event("batch committed", batch(1));
    expect(lines.splice(0)).toEqual([
      "2026-01-05T09:30:00Z batch committed batch=1 read=1,000 ok=990 dead=10 written=30 seconds=0.1s\n",
    ]);
    for (let number = 2; number <= 4; number++) {
      pass(3_000);
      log.event("batch committed", batch(number, { lag: 100 - number, watermark: START + number * 1_000 }));
    }
    expect(lines).toEqual([]);
    pass(1_000);
    expect(lines.splice(0)).toEqual([
      "2026-01-05T09:30:10Z batch committed ×3 batch=4 read=3,000 ok=2,970 dead=30 written=90 seconds=0.3s lag=96 watermark=2026-01-05T09:30:04Z\n",
    ]);
  });

  it("are told before what happened after them, and at the end", () => {
    const { log, lines, timers } = logged("human");
    log.event("batch committed", batch(1));
    log.event("batch committed", batch(2));
    log.event("source idle", { input: "trades", source: "trades/0", idle: 30 });
    log.event("batch committed", batch(3));
    log.close();
    expect(lines.map((line) => /Z (.*?) (batch|input)=(\S+)/.exec(line)?.slice(1))).toEqual([
      ["batch committed", "batch", "1"],
      ["batch committed", "batch", "2"],
      ["source idle", "input", "trades"],
      ["batch committed", "batch", "3"],
    ]);
    expect(timers.size).toBe(0);
    log.event("batch committed", batch(4));
    expect(lines).toHaveLength(5);
    expect(timers.size).toBe(0);
  });

  it("in which nothing happened are told only with the next in which something did", () => {
    const { log, lines, pass, timers } = logged("human");
    log.event("batch committed", batch(1, EMPTY));
    log.event("batch committed", batch(2, EMPTY));
    pass(60_000);
    log.event("source idle", { input: "trades", source: "trades/0", idle: 30 });
    expect(timers.size).toBe(0);
    expect(lines).toHaveLength(1);
    log.event("batch committed", batch(3));
    expect(lines[1]).toMatch(/batch committed ×3 batch=3 read=1,000 /);
  });

  it("are told as often as one wants, also when the clock was set back", () => {
    const { log, lines, pass, clock } = logged("human", { everyMs: 1_000 });
    log.event("batch committed", batch(1));
    pass(1_000);
    log.event("batch committed", batch(2));
    clock.now -= 3_600_000;
    log.event("batch committed", batch(3));
    expect(lines).toHaveLength(3);
  });
});

describe("as JSON", () => {
  const objects = (lines: readonly string[]) => lines.map((line) => JSON.parse(line) as Record<string, unknown>);

  it("an event is one object on one line, and every batch has its own", () => {
    const { log, lines } = logged("json");
    log.event("plan made", { batch: 1, ranges: 2, records: undefined });
    log.event("batch committed", batch(1, { watermark: START }));
    log.event("batch committed", batch(2, EMPTY));
    const every = { time: "2026-01-05T09:30:00.000Z", level: "info", job: "trades-live", pipeline: "trades" };
    expect(objects(lines)).toEqual([
      { ...every, event: "plan made", batch: 1, ranges: 2 },
      { ...every, event: "batch committed", ...batch(1), watermark: "2026-01-05T09:30:00.000Z" },
      { ...every, event: "batch committed", ...batch(2, EMPTY) },
    ]);
    for (const line of lines) expect(line).toMatch(/^\{.*\}\n$/);
  });

  it("says where an error came from when nobody foresaw it", () => {
    const { log, lines } = logged("json");
    log.event("job failed", { error: new RunError("the disk is full", { cause: new Error("ENOSPC") }) });
    log.event("job failed", { error: Object.assign(new TypeError("x of undefined"), { code: "ERR_X" }) });
    const [foreseen, other] = objects(lines);
    expect(foreseen?.["error"]).toEqual({ name: "RunError", message: "the disk is full: ENOSPC" });
    expect(other?.["error"]).toMatchObject({ name: "TypeError", message: "x of undefined", code: "ERR_X" });
    expect((other?.["error"] as { stack: string }).stack).toContain("log.test.ts");
  });

  it("control characters are escaped, and can be read back", () => {
    const text = "\u001b[2J\n\u009b\u202e\u2028\u{e0041}😀\ud800";
    const line = jsonLine(jsonValue({ text }) ?? null);
    expect(line).not.toMatch(/[\p{Cc}\p{Cf}\p{Cs}\p{Zl}]/u);
    expect(JSON.parse(line)).toEqual({ text });
  });
});

describe("any value", () => {
  it("survives", () => {
    const round: Record<string, unknown> = { big: 5n, huge: 2n ** 80n, none: undefined, nan: Number.NaN };
    round["itself"] = round;
    const shared = { a: 1 };
    expect(
      jsonValue([round, undefined, null, Symbol("s"), () => 1, new Date(Number.NaN), new Date(0), Buffer.from("ab")]),
    ).toEqual([
      { big: 5, huge: String(2n ** 80n), nan: "NaN", itself: "[circular]" },
      null,
      null,
      "[symbol]",
      "[function]",
      "[invalid date]",
      "1970-01-01T00:00:00.000Z",
      "[2 bytes]",
    ]);
    expect(jsonValue([shared, shared])).toEqual([{ a: 1 }, { a: 1 }]);
    expect(
      jsonValue({
        map: new Map<unknown, unknown>([
          ["a", 1],
          [{}, 2],
        ]),
        set: new Set([1]),
      }),
    ).toEqual({
      map: { a: 1, "{}": 2 },
      set: [1],
    });
  });

  it("survives when looking at it throws", () => {
    const hostile = Object.defineProperty({}, "x", {
      enumerable: true,
      get() {
        throw new Error("no");
      },
    });
    expect(jsonValue([hostile, 1])).toEqual(["[unreadable]", 1]);
    expect(jsonValue(JSON.parse('{"__proto__":{"a":1}}'))).toEqual(JSON.parse('{"__proto__":{"a":1}}'));
  });

  it("shows no credentials", () => {
    expect(jsonValue({ password: "x", deep: [{ apiKey: "x" }, "pg://u:secret@h"], "pg://u:s@h": 1 })).toEqual({
      password: "***",
      deep: [{ apiKey: "***" }, "pg://u:***@h"],
      "pg://u:***@h": 1,
    });
  });

  it("is cut when it is huge, wide or deep", () => {
    const texts = Array.from({ length: 10_000 }, () => "x".repeat(1_000_000));
    expect(JSON.stringify(jsonValue(texts)).length).toBeLessThan(20_000);
    const wide = Object.fromEntries(Array.from({ length: 1_000 }, (_, at) => [`k${at}`, at]));
    expect(jsonValue(wide)).toMatchObject({ k49: 49, "…": "950 more" });
    let deep: unknown = 1;
    for (let at = 0; at < 100_000; at++) deep = [deep];
    expect(JSON.stringify(jsonValue(deep))).toContain("[deeper]");
  });
});

test("a log that cannot be written fails nothing", () => {
  const out = {
    write() {
      throw new Error("EPIPE");
    },
  };
  for (const form of ["human", "json"] as const) {
    const { log } = logged(form, { out });
    log.event("batch committed", batch(1));
    log.event("batch committed", batch(2));
    log.event("job failed", { error: null });
    log.close();
  }
});

test("the timer for kept batches is taken back at the end", () => {
  const lines: string[] = [];
  const log = new Log({ job: "a", pipeline: "b", form: "human", out: { write: (line) => lines.push(line) } });
  log.event("batch committed", batch(1));
  log.event("batch committed", batch(2));
  log.close();
  expect(lines).toHaveLength(2);
});
