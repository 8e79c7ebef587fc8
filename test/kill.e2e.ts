// A job that goes on, killed with SIGKILL again and again while its file grows: every number of the ledger counts exactly
// once. And the same job built wrong on purpose must fail this, or the test would prove nothing.
import fs from "node:fs";
import { openDatabase } from "../io/sqlite/database";
import { POINTS, type Point } from "../runners/direct/run-continuous";
import { type DyingJob } from "./dying-job";
import { runDying } from "./run-dying";
import { Ledger, type Expected } from "./ledger";
import { scratchDirectory } from "./scratch";

const at = scratchDirectory();
const run = (job: Partial<DyingJob>, killAfter?: number) =>
  runDying(
    at(),
    {
      from: `file:${at("in.ndjson")}`,
      to: `sqlite:${at("out.db")}`,
      ...job,
      flags: { "state-dir": at("state"), "max-batch": "150", once: "true", ...job.flags },
    },
    killAfter,
  );

function candles(): Expected[] {
  const database = openDatabase(at("out.db"));
  try {
    return database
      .prepare("SELECT symbol, window_start, trade_count, volume FROM trades_1min_agg ORDER BY symbol, window_start")
      .all([]) as unknown as Expected[];
  } finally {
    database.close();
  }
}

const append = (ledger: Ledger, count: number) =>
  fs.appendFileSync(
    at("in.ndjson"),
    ledger
      .take(count)
      .map(({ value }) => `${value}\n`)
      .join(""),
  );

test("killed at each point of a batch: exactly once", async () => {
  const ledger = new Ledger(1);
  append(ledger, 300);
  for (const point of POINTS) {
    for (const nth of [1, 2]) {
      append(ledger, 600);
      expect(await run({ die: { point, nth } })).toBe("killed");
    }
  }
  expect(await run({})).toBe("done");
  expect(candles()).toEqual(ledger.expected());
});

test("killed twenty times at random moments, while it reads: exactly once", async () => {
  const ledger = new Ledger(2);
  append(ledger, 100);
  let killed = 0;
  while (killed < 20) {
    const going = run({ flags: { once: "false", "batch-interval": "20ms" } }, 350 + Math.random() * 500);
    for (let n = 0; n < 8; n += 1) {
      append(ledger, 100);
      await new Promise((resolve) => setTimeout(resolve, 60));
    }
    if ((await going) === "killed") killed += 1;
  }
  expect(await run({})).toBe("done");
  expect(candles()).toEqual(ledger.expected());
});

test("dead letters that are repaired and tried again, killed at each point and at random: exactly once", async () => {
  const ledger = new Ledger(5);
  const query = (sql: string) => {
    const database = openDatabase(at("out.db"));
    try {
      return database.prepare(sql).all([]);
    } finally {
      database.close();
    }
  };
  let killed = 0;
  for (let n = 0; n < 16; n += 1) {
    // One of four is broken at first.
    const texts = ledger
      .take(200)
      .map(({ value }, index) => (index % 4 === 0 ? value.replace('"p":"', '"p":"?') : value));
    fs.appendFileSync(at("in.ndjson"), texts.map((text) => `${text}\n`).join(""));
    expect(await run({})).toBe("done");
    query(`UPDATE dead_letters SET value = replace(value, '"p":"?', '"p":"')`);
    const point = POINTS[n % (2 * POINTS.length)];
    const ending =
      point === undefined
        ? await run({ replays: true }, 300 + Math.random() * 400)
        : await run({ replays: true, die: { point, nth: 1 } });
    if (ending === "killed") killed += 1;
    if (point !== undefined) expect(ending).toBe("killed");
  }
  expect(killed).toBeGreaterThan(7);
  expect(await run({ replays: true })).toBe("done");
  expect(query("SELECT * FROM dead_letters")).toEqual([]);
  expect(candles()).toEqual(ledger.expected());
});

// Rows that were not written are written by the next batch that touches their windows, so none may follow; sums that were
// not kept are missed by the next batch only, so one must.
test.each([
  ["positions before targets", 0],
  ["accumulators apart", 100],
] as const)("built wrong (%s), it does not count exactly once", async (wrong, following) => {
  const ledger = new Ledger(3);
  append(ledger, 100);
  expect(await run({})).toBe("done");
  append(ledger, 100);
  expect(await run({ wrong })).toBe("killed");
  append(ledger, following);
  expect(await run({})).toBe("done");
  expect(candles()).not.toEqual(ledger.expected());
});

test.each<Point>(["target committed"])("a plan that %s before the crash is not written twice", async (point) => {
  const ledger = new Ledger(4);
  append(ledger, 100);
  expect(await run({ die: { point, nth: 1 } })).toBe("killed");
  expect(await run({})).toBe("done");
  expect(candles()).toEqual(ledger.expected());
});
