// Dead letters tried again: each counts exactly once in the window it belongs to, also in one that was closed, whatever
// happens in between; and what cannot be repaired stays where it lies, with one attempt more.
import fs from "node:fs";
import { parseAddress } from "../../io/address";
import { openDatabase } from "../../io/sqlite/database";
import { tradesAggregate } from "../../pipelines/trades/trades-aggregate";
import { readParameters } from "../../cli/parameters";
import { lines, scene, trade } from "../../test/command-scene";
import { RunOptions } from "../run-options";
import { JobState } from "./job-state";
import { replay } from "./replay";
import { replayLetters, runContinuous, type JobRequest, type Point } from "./run-continuous";

const { at, beamline, write, query, dump } = scene();

const MINUTE = 60_000;
const T0 = Date.UTC(2026, 0, 5, 9, 30);
const JOB = ["--streaming", "--once", "--from", "file:in.ndjson"];
const ANY = { reasons: [], since: null };

const tradeAt = (id: number, seconds: number, more: object = {}) =>
  trade(id, { T: T0 + seconds * 1000, E: T0 + seconds * 1000, ...more });
/** A trade whose price is no number; the repaired one has it. */
const broken = (id: number, seconds: number, more: object = {}) => tradeAt(id, seconds, { p: "dear", ...more });
const append = (...texts: string[]) => fs.appendFileSync(at("in.ndjson"), lines(...texts));
const repair = () => change("UPDATE dead_letters SET value = replace(value, 'dear', '100.5')");
const candles = () => query("SELECT window_start, trade_count, volume FROM trades_1min_agg ORDER BY 1");
const letters = () => query("SELECT position, reason, attempt FROM dead_letters ORDER BY position");
const countsOf = () => candles().map((row) => row["trade_count"]);

function change(sql: string): void {
  const database = openDatabase(at("data/app.db"));
  database.exec(sql);
  database.close();
}

function request(flags: Record<string, string[]> = {}, more: Partial<JobRequest> = {}): JobRequest {
  const said = new Map(Object.entries({ streaming: ["true"], once: ["true"], "dead-letter-share": ["1"], ...flags }));
  return {
    pipeline: tradesAggregate,
    params: { window: MINUTE, lateness: 0 },
    options: readParameters(RunOptions, said, {}),
    inputs: { trades: parseAddress("file:in.ndjson") },
    outputs: { candles: parseAddress("sqlite:data/app.db"), dead_letters: parseAddress("sqlite:data/app.db") },
    ...more,
  };
}

const total = () =>
  JSON.parse(
    String(query("SELECT value FROM meta WHERE name = 'totals'", "data/state/trades-aggregate.db")[0]?.["value"]),
  ) as object;

jest.setTimeout(60_000);
beforeEach(() => write("in.ndjson", ""));

describe("a repaired record", () => {
  test("counts in its window, and its letter is gone", async () => {
    append(tradeAt(1, 0), broken(2, 1), tradeAt(3, 2));
    await runContinuous(request());
    expect(countsOf()).toEqual([2]);
    repair();
    expect(await replay(request(), ANY)).toEqual({
      letters: 1,
      ok: 1,
      dropped: 0,
      dead: 0,
      closed: 0,
      foreign: 0,
      rows: 0,
      by: "replay",
    });
    expect(countsOf()).toEqual([3]);
    expect(letters()).toEqual([]);
    expect(total()).toMatchObject({ read: 3, ok: 3, dead: 0 });
  });

  test("is no longer among those that wait, as every batch tells with the size of the state", async () => {
    const told: { waiting: number; bytes: number }[] = [];
    const onEvent: JobRequest["onEvent"] = (event) => {
      if (event.kind === "committed") told.push({ waiting: event.lettersWaiting, bytes: event.stateBytes });
    };
    append(tradeAt(1, 0), broken(2, 1), broken(3, 2));
    await runContinuous(request({}, { onEvent }));
    change(
      "UPDATE dead_letters SET value = replace(value, 'dear', '100.5') WHERE position = (SELECT min(position) FROM dead_letters)",
    );
    await replayLetters(request({}, { onEvent }), ANY);
    expect(told.map(({ waiting }) => waiting)).toEqual([2, 1]);
    for (const { bytes } of told) expect(bytes).toBeGreaterThan(4096);
  });

  test("counts in a window that was closed long ago, and what came since is as it was", async () => {
    append(tradeAt(1, 0), broken(2, 1), tradeAt(3, 600), tradeAt(4, 601));
    await runContinuous(request());
    append(tradeAt(5, 1200));
    await runContinuous(request());
    repair();
    await replay(request(), ANY);
    expect(countsOf()).toEqual([2, 2, 1]);
    append(tradeAt(6, 1201));
    await runContinuous(request());
    expect(countsOf()).toEqual([2, 2, 2]);
  });

  test("is known as a duplicate of one that counted already", async () => {
    append(tradeAt(1, 0), broken(1, 0), tradeAt(3, 600));
    await runContinuous(request());
    repair();
    await replay(request(), ANY);
    expect(countsOf()).toEqual([1, 1]);
    expect(letters()).toEqual([]);
  });

  test("says nothing of how far its source is: what comes after it is not late", async () => {
    append(tradeAt(1, 0), broken(2, 3000));
    await runContinuous(request());
    repair();
    await replay(request(), ANY);
    append(tradeAt(3, 1));
    expect(await runContinuous(request())).toMatchObject({ late: 0 });
  });

  test("keeps its key, its time, its headers and its bytes", async () => {
    const record = {
      value: new Uint8Array([0xff, 0, 1]),
      key: "k\u0000",
      source: "s",
      position: 7,
      timestamp: 5,
      headers: { "content-type": "x" },
      fields: { a: "1" },
      attempt: 3,
    };
    const state = await JobState.open(at("state"), "j");
    state.putLetter({ id: { source: "s", position: 7, step: "x" }, input: "i", record });
    state.beginReplay({ batch: 1, batchTime: 0, parts: [], kind: "replay", cuts: [], lost: 0 }, 10);
    expect(state.lettersOf(1)).toEqual([{ id: { source: "s", position: 7, step: "x" }, input: "i", record }]);
    state.close();
  });

  test("older than what is kept, it stays with the reason, and is not tried again", async () => {
    append(tradeAt(1, 0), broken(2, 1), tradeAt(3, 7200));
    await runContinuous(request({ retain: ["1h"] }));
    repair();
    expect(await replay(request({ retain: ["1h"] }), ANY)).toMatchObject({ letters: 1, ok: 0, dead: 1 });
    expect(letters()).toMatchObject([{ reason: "window-closed", attempt: 2 }]);
    expect(query("SELECT error FROM dead_letters")).toEqual([
      { error: expect.stringContaining("--since 2026-01-05T09:30:00.000Z --until 2026-01-05T09:31:00.000Z") as string },
    ]);
    expect(await replay(request(), ANY)).toMatchObject({ letters: 0, closed: 1 });
    expect(countsOf()).toEqual([1, 1]);
  });
});

test("what is still bad stays, with one attempt more; other reasons are left alone", async () => {
  append(broken(1, 0), "{", broken(2, 1));
  await runContinuous(request());
  const [first] = letters();
  expect(await replay(request(), { reasons: [String(first?.["reason"])], since: null })).toMatchObject({
    letters: 2,
    dead: 2,
  });
  expect(letters().map(({ attempt }) => attempt)).toEqual([2, 1, 2]);
  // All of them bad is no reason to stop here.
  expect(await replay(request({ "dead-letter-share": ["0"], "dead-letter-sample": ["0"] }), ANY)).toMatchObject({
    dead: 3,
  });
  expect(letters().map(({ attempt }) => attempt)).toEqual([3, 2, 3]);
});

describe("a crash", () => {
  test.each<Point>(["planned", "run", "target committed", "committed"])(
    "at “%s”: the letters count exactly once, though they are gone from the table",
    async (point) => {
      append(...Array.from({ length: 40 }, (_, n) => (n % 2 === 0 ? tradeAt(n, n) : broken(n, n))));
      await runContinuous(request());
      repair();
      let died = false;
      const onPoint = (reached: Point) => {
        if (reached !== point || died) return;
        died = true;
        throw new Error("the power is gone");
      };
      await expect(replayLetters(request({}, { onPoint }), ANY)).rejects.toThrow("the power is gone");
      append(tradeAt(50, 41));
      await runContinuous(request());
      await replay(request(), ANY);
      expect(countsOf()).toEqual([41]);
      expect(letters()).toEqual([]);
      expect(total()).toMatchObject({ read: 41, ok: 41, dead: 0 });
    },
  );
});

test("the process that runs the job does it when it is asked", async () => {
  append(tradeAt(1, 0), broken(2, 1));
  const stop = new AbortController();
  let isUp: () => void = () => undefined;
  const up = new Promise<void>((resolve) => (isUp = resolve));
  const running = runContinuous(
    request({ once: ["false"] }, { signal: stop.signal, onEvent: ({ kind }) => kind === "committed" && isUp() }),
  );
  await up;
  repair();
  expect(await replay(request(), ANY)).toMatchObject({ letters: 1, ok: 1, by: "job" });
  expect(countsOf()).toEqual([2]);
  stop.abort(new Error("enough"));
  await running;
  expect(query("SELECT * FROM request", "data/state/trades-aggregate.db")).toEqual([]);
});

test("letters in a directory of files: what is done with is gone, and what is bad again has one attempt more", async () => {
  const outputs = { candles: parseAddress("sqlite:data/app.db"), dead_letters: parseAddress("file:dead/") };
  append(tradeAt(1, 0), broken(2, 1), broken(3, 2), "base64:!");
  await runContinuous(request({}, { outputs }));
  const [file = ""] = fs.readdirSync(at("dead"));
  const text = fs.readFileSync(at("dead", file), "utf8");
  fs.writeFileSync(at("dead", file), text.replace("dear", "100.5"));
  expect(await replay(request({}, { outputs }), ANY)).toMatchObject({ letters: 3, ok: 1, dead: 2 });
  expect(await replay(request({}, { outputs }), ANY)).toMatchObject({ letters: 2, ok: 0, dead: 2 });
  const said = fs.readdirSync(at("dead")).map((name) => fs.readFileSync(at("dead", name), "utf8"));
  expect(said.join("")).toContain('"attempt":3');
  expect(countsOf()).toEqual([2]);
});

describe("the command", () => {
  const open = async () => {
    append(tradeAt(1, 0), broken(2, 1), "{");
    expect(await beamline(...JOB, "--window", "5m", "--dead-letter-share", "1")).toMatchObject({ code: 0 });
  };

  test("goes by what the job was last run with, shows what it would do, and does it", async () => {
    await open();
    repair();
    const before = dump();
    const dry = await beamline("replay", "--dry-run", "--json");
    expect(JSON.parse(dry.stdout)).toMatchObject({ closed: 0, foreign: 0, rows: 0 });
    expect(Object.values((JSON.parse(dry.stdout) as { chosen: Record<string, number> }).chosen)).toEqual([1, 1]);
    expect((await beamline("replay", "trades-aggregate", "--dry-run")).stderr).toContain(
      "2 dead letters would be tried again",
    );
    expect(dump()).toEqual(before);
    const outcome = await beamline("replay", "--json");
    expect(outcome).toMatchObject({
      code: 0,
      stderr: expect.stringContaining("2 dead letters tried again: 1 good now, 1 dead again") as string,
    });
    expect(JSON.parse(outcome.stdout)).toMatchObject({
      job: "trades-aggregate",
      state: "done",
      letters: 2,
      ok: 1,
      dead: 1,
      by: "replay",
    });
    expect(countsOf()).toEqual([2]);
    expect((await beamline("status")).stdout).toContain("1 record");
  });

  test("says in a sentence what is wrong", async () => {
    expect(await beamline("replay")).toMatchObject({
      code: 2,
      stderr: expect.stringContaining("There is no job trades-aggregate") as string,
    });
    await open();
    expect(await beamline("replay", "--since", "yesterday")).toMatchObject({ code: 2 });
    expect(await beamline("replay", "--window", "1m")).toMatchObject({
      code: 2,
      stderr: expect.stringContaining("the window of") as string,
    });
    expect(await beamline("replay", "--to", "dead_letters=stdout:")).toMatchObject({
      code: 2,
      stderr: expect.stringContaining("cannot be read back") as string,
    });
    change(`UPDATE dead_letters SET headers = '{' WHERE step = (SELECT min(step) FROM dead_letters)`);
    expect(await beamline("replay")).toMatchObject({
      code: 2,
      stderr: expect.stringContaining("headers that are no JSON") as string,
    });
  });
});
