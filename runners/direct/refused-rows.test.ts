import { appendFileSync, readdirSync } from "node:fs";
import { z } from "zod";
import { sqlite } from "../../io/sqlite/sqlite";
import { type Batch, type Output } from "../../io/connector";
import { sinkOf } from "../../io/registry";
import { decimal, tableOf, timestamp, type Row } from "../../schema/table";
import { deadLettersTable } from "../../transforms";
import { lines, scene, trade, trades } from "../../test/command-scene";
import { refuseRows, type Refuses } from "../../test/refusing-sink";
import { OpenOutputs } from "./open-outputs";
import { letterOf, RefusedRows } from "./refused-rows";

const { at, beamline, write, query, files } = scene();

let refuses: Refuses = () => null;
let stopRefusing = () => {};
beforeEach(() => {
  refuses = () => null;
  const { sink } = sqlite;
  if (sink === undefined) throw new Error("sqlite: has no sink");
  stopRefusing = refuseRows(sink, (output, row) => refuses(output, row));
});
afterEach(() => stopRefusing());

const minute = (n: number) => Date.UTC(2026, 0, 5, 9, 30 + n);
/** Refuses the candle of a minute. */
const refuseMinute = (n: number) =>
  (refuses = (output, row) =>
    output === "candles" && row["window_start"] === minute(n) ? "no such field: volume" : null);
const refuseNothing = () => (refuses = () => null);
const counted = () =>
  query("SELECT trade_count FROM trades_1min_agg ORDER BY window_start").map(({ trade_count }) => Number(trade_count));
const letters = () => query("SELECT * FROM dead_letters ORDER BY source, position");
const words = (...more: string[]) => ["run", "trades-aggregate", "--from", "file:in.ndjson", "--json", ...more];
async function run(...more: string[]): Promise<Record<string, unknown>> {
  const { code, stdout, stderr } = await beamline(...words(...more));
  expect({ code, stderr }).toMatchObject({ code: 0 });
  return JSON.parse(stdout) as Record<string, unknown>;
}

describe("the letter of a refused row", () => {
  const table = tableOf("t", z.object({ id: z.string(), at: timestamp(), price: decimal(), big: z.int() }), {
    key: ["id", "at"],
  });
  const output: Output = { name: "rows", table };
  const row = { id: "ä", at: 0, price: "1.50", big: 1 };
  const letter = (more: Partial<Row> = {}, of = output) =>
    letterOf(
      of,
      { row: { ...row, ...more }, reason: "r", error: "e" },
      {
        ...{ job: "j", pipeline: "p", version: "3", batch: "b", attempt: 1 },
      },
    );

  test("has the row as JSON, and its key", () => {
    expect(letter()).toEqual({
      job: "j",
      source: "output:rows",
      position: expect.any(Number) as number,
      step: "write rows",
      reason: "r",
      error: "e",
      value: '{"id":"ä","at":"1970-01-01T00:00:00.000Z","price":"1.5","big":1}',
      key: '["ä","1970-01-01T00:00:00.000Z"]',
      timestamp: null,
      headers: null,
      fields: null,
      pipeline: "p",
      version: "3",
      batch: "b",
      attempt: 1,
    });
    const byId = { name: "rows", table: { ...table, key: ["id"] } };
    expect(letter({}, byId).key).toBe("ä");
  });

  test("has one position for a key, whatever else is in the row, which every store can hold", () => {
    expect(letter({ price: "2" }).position).toBe(letter().position);
    expect(letter({ at: 1 }).position).not.toBe(letter().position);
    const positions = Array.from({ length: 1000 }, (_, n) => letter({ at: n }).position);
    expect(new Set(positions).size).toBe(1000);
    expect(Math.max(...positions)).toBeLessThan(2 ** 48);
  });

  test("is made of a row too that does not fit its table", () => {
    const odd = letter({ at: "never", big: 2n ** 70n });
    expect(odd.key).toBe('["ä","never"]');
    expect(JSON.parse(String(odd.value))).toMatchObject({ at: "never", big: "1180591620717411303424" });
  });
});

describe("a run whose place refuses rows", () => {
  beforeEach(() => write("in.ndjson", lines(...trades(0, 180), "{bad")));

  test("writes the others, and the refused ones are dead letters, counted and told", async () => {
    refuseMinute(1);
    const { code, stdout, stderr } = await beamline(...words());
    expect({ code, stderr }).toMatchObject({ code: 0 });
    expect(JSON.parse(stdout)).toMatchObject({ dead: 1, rejected: 1, written: { candles: 2, dead_letters: 2 } });
    expect(stderr).toContain("  rejected   1 row, which are dead letters now\n");
    expect(stderr).toContain("1 × not mapped — output:candles, ");
    expect(counted()).toEqual([60, 60]);
    expect(letters()).toMatchObject([
      { source: "in.ndjson", step: "decode" },
      { source: "output:candles", step: "write candles", reason: "not mapped", error: "no such field: volume" },
    ]);
    expect(JSON.parse(String(letters()[1]?.["value"]))).toMatchObject({ symbol: "BTCUSDT", trade_count: 60 });
  });

  test("again leaves the same letter; written after all, its letter is gone with the run behind it", async () => {
    refuseMinute(1);
    await run();
    const before = letters();
    await run();
    expect(letters()).toEqual(before);
    refuseNothing();
    expect(await run()).toMatchObject({ rejected: 0, written: { candles: 3 } });
    expect(counted()).toEqual([60, 60, 60]);
    await run();
    expect(letters()).toMatchObject([{ source: "in.ndjson" }]);
    expect(readdirSync(at("data/state"))).toEqual([]);
  });

  test("a row that is refused again while its letter was to be taken out keeps it", async () => {
    refuseMinute(1);
    await run();
    refuseNothing();
    await run();
    refuseMinute(1);
    await run();
    expect(letters().map(({ source }) => source)).toEqual(["in.ndjson", "output:candles"]);
    await run();
    expect(letters()).toHaveLength(2);
  });

  test("fails when nearly everything is refused, and nothing is committed", async () => {
    refuses = (output) => (output === "candles" ? "no" : null);
    const failed = await beamline(...words("--dead-letter-sample", "3"));
    expect(failed).toMatchObject({
      code: 1,
      stderr: expect.stringContaining(
        "Stopped at “write candles”: 3 of 3 rows (the limit is 50 %) could not be used, so nothing of this run was kept. The last one: not mapped (no).",
      ) as string,
    });
    expect(
      (await beamline(...words("--dead-letter-run", "1", "--dead-letter-share", "1", "--dead-letter-sample", "0")))
        .stderr,
    ).toContain("2 rows in a row (the limit is 1)");
    expect(files()).toEqual(["in.ndjson"]);
  });

  test("fails when the letters are refused too", async () => {
    refuses = (output) => (output === "dead_letters" ? "no room" : null);
    expect(await beamline(...words())).toMatchObject({
      code: 1,
      stderr: expect.stringContaining(
        "A dead letter was refused where dead_letters are written: not mapped (no room)",
      ) as string,
    });
  });
});

describe("a job whose place refuses rows", () => {
  const once = ["--streaming", "--once", "--disorder", "0s"];
  const status = async () => {
    const { stdout } = await beamline("status", "--json");
    return (JSON.parse(stdout) as Record<string, unknown>[])[0];
  };

  test("goes on; the row of the window that changed is written, and its letter goes with the next batch", async () => {
    write("in.ndjson", lines(...trades(0, 150)));
    refuseMinute(2);
    expect(await run(...once)).toMatchObject({ rejected: 1, written: { candles: 2, dead_letters: 1 } });
    expect(counted()).toEqual([60, 60]);
    expect(await status()).toMatchObject({ rejected: 1, deadLetters: 0 });
    expect((await beamline("status")).stdout).toContain("  rejected   1 row\n");
    const [letter] = letters();
    appendFileSync(at("in.ndjson"), lines(...trades(150, 160)));
    expect(await run(...once)).toMatchObject({ rejected: 1 });
    expect(letters()).toMatchObject([
      { position: letter?.["position"], value: expect.stringContaining('"trade_count":40') as string },
    ]);

    refuseNothing();
    appendFileSync(at("in.ndjson"), lines(...trades(160, 170)));
    expect(await run(...once)).toMatchObject({ rejected: 0, written: { candles: 1 } });
    expect(counted()).toEqual([60, 60, 50]);
    appendFileSync(at("in.ndjson"), lines(trade(170)));
    await run(...once);
    expect(letters()).toEqual([]);
  });

  test("replay leaves such letters where they are, and says so", async () => {
    write("in.ndjson", lines(...trades(0, 70), "{bad"));
    refuseMinute(0);
    await run(...once);
    const dry = await beamline("replay", "--dry-run", "--json");
    expect(JSON.parse(dry.stdout)).toEqual({ chosen: { "not JSON": 1 }, closed: 0, foreign: 0, rows: 1 });
    const { stdout, stderr } = await beamline("replay", "--json");
    expect(JSON.parse(stdout)).toMatchObject({ letters: 1, dead: 1, rows: 1 });
    expect(stderr).toContain("       1 stay: they are rows that an output has refused, and are written when ");
    expect(letters()).toHaveLength(2);
    const only = await beamline("replay", "--reason", "not mapped", "--json");
    expect(JSON.parse(only.stdout)).toMatchObject({ letters: 0, rows: 1 });
  });
});

describe("outputs that are open", () => {
  const rows: Output = { name: "rows", table: tableOf("rows", z.object({ id: z.int() }), { key: ["id"] }) };
  const bad: Output = { name: "bad", table: deadLettersTable };
  const batch: Batch = { job: "j", pipeline: "p", id: "b", plan: "b-1", ranges: [], replays: [], turn: null };
  const writing = {
    run: {
      ...{ job: "j", pipeline: "p", version: "1", batch: "b", attempt: 1 },
      deadLetterLimit: { share: 1, consecutive: 1e9, sample: 0 },
    },
    refused: RefusedRows.of(""),
    onRows: () => {},
    fallback: null,
  };
  const address = () => ({ scheme: "sqlite", path: at("x.db"), options: {} });
  const open = (outputs: readonly Output[]) =>
    OpenOutputs.open(outputs, Object.fromEntries(outputs.map(({ name }) => [name, address()])), batch, writing);

  test("without an output for letters, a refused row ends the run with what the place has said", async () => {
    refuses = () => "too long";
    const opened = await open([rows]);
    await expect(opened.write("rows", [{ id: 1 }])).rejects.toThrow(
      "A row of rows was refused: not mapped (too long); this pipeline has no output for dead letters",
    );
    await opened.abort();
  });

  test("calls for the output of letters never overlap, wherever the letters come from", async () => {
    let [underWay, most] = [0, 0];
    const sink = sinkOf(address());
    const before = sink.open.bind(sink);
    sink.open = async (...asked) => {
      const target = await before(...asked);
      return {
        ...{ commit: () => target.commit(), abort: () => target.abort() },
        async write(name, some) {
          if (name === "bad") most = Math.max(most, (underWay += 1));
          await new Promise((resolve) => setTimeout(resolve, 5));
          if (name === "bad") underWay -= 1;
          return target.write(name, some);
        },
      };
    };
    // Behind the delay, so that what it refuses is refused in each case.
    const stop = refuseRows(sink, (output, row) => (output === "rows" && Number(row["id"]) % 2 === 1 ? "odd" : null));
    const opened = await open([rows, bad]);
    const record = { row: { id: 0 }, reason: "r", error: "" };
    const letter = letterOf({ ...rows, name: "other" }, record, writing.run);
    await Promise.all([
      ...[1, 2, 3, 4].map((id) => opened.write("rows", [{ id }])),
      opened.write("bad", [{ ...letter }]),
    ]);
    stop();
    sink.open = before;
    expect(most).toBe(1);
    expect(Object.fromEntries(opened.written)).toEqual({ rows: 2, bad: 3 });
    expect(Object.fromEntries(opened.added)).toEqual({ bad: 2 });
    await opened.abort();
  });
});
