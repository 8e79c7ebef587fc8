import { appendFileSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import fs from "node:fs/promises";
import path from "node:path";
import { z } from "zod";
import { sqlite } from "../../io/sqlite/sqlite";
import { tableOf } from "../../schema/table";
import { lines, scene, trades } from "../../test/command-scene";
import { refuseRows } from "../../test/refusing-sink";
import { silence, type Moment } from "../../test/silent-sink";
import { Fallback } from "./fallback";

const { at, beamline, write, query } = scene();

let silentAt: Moment | null = null;
let stop = () => {};
const sink = () => {
  if (sqlite.sink === undefined) throw new Error("sqlite: has no sink");
  return sqlite.sink;
};
beforeEach(() => {
  silentAt = null;
  stop = silence(sink(), (moment) => moment === silentAt);
  write("in.ndjson", lines(...trades(0, 150), "{bad"));
});
afterEach(() => stop());

const words = (...more: string[]) => [
  ...["run", "trades-aggregate", "--from", "file:in.ndjson", "--fallback", "file:data/fallback", "--json"],
  ...more,
];
const once = ["--streaming", "--once", "--disorder", "0s"];
async function run(...more: string[]): Promise<Record<string, unknown>> {
  const { code, stdout, stderr } = await beamline(...words(...more));
  expect({ code, stderr }).toMatchObject({ code: 0 });
  return JSON.parse(stdout) as Record<string, unknown>;
}
const deliver = (...more: string[]) =>
  beamline("replay", "trades-aggregate", "--fallback", "file:data/fallback", "--json", ...more);
const kept = () => readdirSync(at("data/fallback/trades-aggregate")).filter((name) => !name.startsWith("."));
const counted = () =>
  query("SELECT trade_count FROM trades_1min_agg ORDER BY window_start").map(({ trade_count }) => Number(trade_count));
const containing = (text: string) => expect.stringContaining(text) as string;
const both = { candles: 3, dead_letters: 1 };

describe.each<Moment>(["open", "write", "commit", "after the commit"])("a place that is silent at %s", (moment) => {
  test("gets the rows with the next run; without --fallback the run fails", async () => {
    silentAt = moment;
    expect(await beamline("run", "trades-aggregate", "--from", "file:in.ndjson")).toMatchObject({
      code: 1,
      stderr: containing("Nobody answers"),
    });
    const { code, stdout, stderr } = await beamline(...words());
    expect({ code, stderr }).toMatchObject({ code: 0 });
    expect(JSON.parse(stdout)).toMatchObject({
      ...{ state: "degraded", read: 151, dead: 1, rejected: 0 },
      ...{ written: { candles: 0, dead_letters: 0 }, waiting: both, delivered: {} },
    });
    expect(stderr).toContain("! trades-aggregate degraded after");
    expect(stderr).toContain(
      "  waiting    3 rows of candles for sqlite:data/app.db, which the next run delivers first\n",
    );
    expect(kept()).toHaveLength(1);
    silentAt = null;
    expect(await run()).toMatchObject({ state: "done", written: both, waiting: {}, delivered: both });
    expect(counted()).toEqual([60, 60, 30]);
    expect(kept()).toEqual([]);
    expect(existsSync(at("data/state/trades-aggregate.fallback.json"))).toBe(false);
  });

  test("gets the batches of a job in their order, each once", async () => {
    silentAt = moment;
    expect(await run(...once)).toMatchObject({ state: "degraded", waiting: { candles: 3, dead_letters: 1 } });
    appendFileSync(at("in.ndjson"), lines(...trades(150, 200), "{bad too"));
    // A place that fails late answers again here, but the second batch must not overtake the first one.
    if (moment !== "open") silentAt = null;
    const second = await run(...once);
    if (moment === "open")
      expect(second).toMatchObject({ state: "degraded", waiting: { candles: 5, dead_letters: 2 } });
    else expect(second).toMatchObject({ state: "done", delivered: { candles: 3, dead_letters: 1 }, waiting: {} });
    silentAt = null;
    appendFileSync(at("in.ndjson"), lines(...trades(200, 210)));
    expect(await run(...once)).toMatchObject({ state: "done", waiting: {} });
    expect(counted()).toEqual([60, 60, 60, 30]);
    expect(query("SELECT count(*) AS n FROM dead_letters")).toEqual([{ n: 2 }]);
  });
});

test("a place that answers again in the midst of a run gets nothing before what waits", async () => {
  silentAt = "commit";
  await run(...once);
  silentAt = null;
  appendFileSync(at("in.ndjson"), lines(...trades(150, 160)));
  let asked = 0;
  const stopCounting = silence(sink(), (moment) => moment === "open" && (asked += 1) === 1);
  expect(await run(...once)).toMatchObject({ state: "degraded", waiting: { candles: 4 } });
  stopCounting();
  expect(asked).toBe(1);
  expect(kept()).toHaveLength(2);
  expect(await run(...once)).toMatchObject({ state: "done", delivered: { candles: 4 } });
  expect(counted()).toEqual([60, 60, 40]);
});

test("a job goes on while its place is silent, and delivers by itself when it answers", async () => {
  silentAt = "commit";
  let asked = 0;
  const stopCounting = silence(sink(), (moment) => {
    // Behind some batches, the place answers again.
    if (moment === "open" && (asked += 1) === 4) silentAt = null;
    return false;
  });
  const adding = setInterval(() => appendFileSync(at("in.ndjson"), lines(...trades(150 + asked, 151 + asked))), 100);
  const stopping = setInterval(() => {
    if (silentAt === null && kept().length === 0) process.emit("SIGTERM");
  }, 100);
  const { code, stdout } = await beamline(...words("--streaming", "--batch-interval", "50ms"));
  for (const timer of [adding, stopping]) clearInterval(timer);
  stopCounting();
  expect(code).toBe(130);
  const report = JSON.parse(stdout) as { delivered: Record<string, number>; batches: number };
  expect(report).toMatchObject({ state: "interrupted", waiting: {} });
  expect(report.delivered["dead_letters"]).toBe(1);
  expect(report.batches).toBeGreaterThan(1);
  expect(counted().slice(0, 2)).toEqual([60, 60]);
});

test("a batch that is run again, since a crash came before the job's own commit, waits once", async () => {
  const open = await Fallback.open("file:fallback", "j", { stateDirectory: at("state") });
  const output = { name: "rows", table: tableOf("rows", z.object({ id: z.int() }), { key: ["id"] }) };
  const batch = { job: "j", pipeline: "p", id: "b", plan: "b", ranges: [], replays: [], turn: { number: 1, epoch: 1 } };
  const address = { scheme: "sqlite", path: at("x.db"), options: {} };
  for (let time = 0; time < 2; time += 1) {
    const spool = await open.spool([output], address, batch, { version: "1", letters: null });
    await spool.add("rows", [{ id: 1 }, { id: 2 }]);
    await spool.keep("nobody answers");
  }
  expect(open.waiting()).toEqual({ rows: 2 });
  const other = await open.spool([output], address, { ...batch, plan: "c" }, { version: "1", letters: null });
  await other.keep("nobody answers");
  expect(readdirSync(at("fallback/j")).filter((name) => !name.startsWith("."))).toEqual(["000000001-b"]);
  open.close();
});

test("while one process has what waits, no other one does", async () => {
  const open = await Fallback.open("file:data/fallback", "trades-aggregate", { stateDirectory: at("data/state") });
  for (const outcome of [await beamline(...words()), await deliver()])
    expect(outcome).toMatchObject({ code: 1, stderr: containing("Another process has the rows of trades-aggregate") });
  open.close();
});

test("--strict makes a degraded run one that fails", async () => {
  silentAt = "open";
  expect(await beamline(...words("--strict"))).toMatchObject({ code: 1, stdout: containing('"state":"degraded"') });
  expect(await beamline("run", "--strict")).toMatchObject({
    code: 2,
    stderr: containing("--strict goes with --fallback only"),
  });
});

test("replay --fallback delivers what waits and reads nothing; that is all it does", async () => {
  silentAt = "open";
  await run();
  expect(await deliver()).toMatchObject({ code: 1, stderr: containing("3 rows of candles go on waiting\n") });
  silentAt = null;
  const { code, stdout, stderr } = await deliver();
  expect({ code, stderr }).toMatchObject({
    code: 0,
    stderr: containing("3 rows of candles delivered\n1 row of dead_letters delivered\n"),
  });
  expect(JSON.parse(stdout)).toEqual({
    ...{ pipeline: "trades-aggregate", job: "trades-aggregate", state: "done" },
    ...{ delivered: both, waiting: {} },
  });
  expect(counted()).toEqual([60, 60, 30]);
  expect(await deliver()).toMatchObject({ code: 0, stderr: "No rows wait\n" });
});

test("replay --fallback delivers to another place when it is told to", async () => {
  silentAt = "open";
  await run();
  silentAt = null;
  expect(await deliver("--to", "candles=sqlite:else.db")).toMatchObject({
    code: 2,
    stderr: containing("Rows of candles and dead_letters wait together"),
  });
  expect(await deliver("--to", "sqlite:else.db")).toMatchObject({ code: 0 });
  expect(query("SELECT count(*) AS n FROM trades_1min_agg", "else.db")).toEqual([{ n: 3 }]);
  expect(existsSync(at("data/app.db"))).toBe(false);
});

test("no run goes on before what waits, nor to another place, nor beside another one", async () => {
  silentAt = "open";
  await run(...once);
  silentAt = null;
  for (const more of [[], ["--fallback", "file:elsewhere"], [...once]])
    expect(await beamline("run", "trades-aggregate", "--from", "file:in.ndjson", ...more)).toMatchObject({
      code: 2,
      stderr: containing(
        "4 rows of trades-aggregate wait in data/fallback/trades-aggregate and must go first: run with --fallback file:data/fallback, or deliver them by replay --fallback file:data/fallback",
      ),
    });
  expect(await beamline(...words("--to", "sqlite:else.db"))).toMatchObject({
    code: 2,
    stderr: containing("for sqlite:data/app.db, but this run writes them to sqlite:else.db: deliver them first"),
  });
  expect((await beamline("status")).stdout).toContain("  waiting    3 rows of candles\n");
  for (const wrong of ["sqlite:x", "file:", "file:x?format=csv"])
    expect(await beamline(...words().map((word) => (word === "file:data/fallback" ? wrong : word)))).toMatchObject({
      code: 2,
      stderr: containing("it must be a directory on this machine"),
    });
});

describe("what lies there and is not as it was written", () => {
  const [rows, manifest] = ["0.rows", "manifest.json"];
  const file = (name: string) => path.join(at("data/fallback/trades-aggregate"), kept()[0] ?? "", name);
  const edit = (name: string, change: (text: string) => string) =>
    writeFileSync(file(name), change(readFileSync(file(name), "utf8")));
  beforeEach(async () => {
    silentAt = "open";
    await run();
    silentAt = null;
  });

  test.each<[string, () => void | Promise<void>, string]>([
    ["rows that were changed", () => edit(rows, (text) => text.replace("60", "61")), "its checksum is another one"],
    ["rows that are missing", () => edit(rows, (text) => text.slice(text.indexOf("\n") + 1)), "it has 2 rows, not 3"],
    ["rows that are cut", () => edit(rows, (text) => text.slice(0, -20)), "it has 2 rows, not 3"],
    ["a line that is none", () => edit(rows, (text) => text.replace("[", "{")), "is not as it was written ("],
    ["a file that is gone", () => fs.rm(file(rows)), "no such file or directory"],
    ["a manifest that is none", () => edit(manifest, () => "{"), "its manifest is none; move it away"],
    [
      "a manifest of another format",
      () => edit(manifest, (text) => text.replace('"format":1', '"format":9')),
      "its manifest is none",
    ],
    [
      "another job's",
      () => edit(manifest, (text) => text.replace('"job":"trades-aggregate"', '"job":"x"')),
      "it is of the job x",
    ],
    ["a path in it", () => edit(manifest, (text) => text.replace("0.rows", "../../x")), "its manifest is none"],
    ["something foreign", () => mkdirSync(file("../zzz")), "ENOENT"],
  ])("%s: a sentence, and nothing is written", async (_what, spoil, says) => {
    await spoil();
    for (const outcome of [await beamline(...words()), await deliver()])
      expect(outcome).toMatchObject({ code: 2, stderr: containing(says) });
    expect(existsSync(at("data/app.db")) && counted().length > 0).toBe(false);
  });
});

test("rows that the place refuses when it gets them become dead letters", async () => {
  silentAt = "open";
  await run();
  silentAt = null;
  const stopRefusing = refuseRows(sink(), (output, row) =>
    output === "candles" && row["trade_count"] === 30 ? "too few" : null,
  );
  const { stderr } = await deliver();
  stopRefusing();
  expect(stderr).toContain("2 rows of dead_letters delivered\n");
  expect(counted()).toEqual([60, 60]);
  expect(query("SELECT source, reason, version FROM dead_letters ORDER BY source")).toEqual([
    { source: "in.ndjson", reason: "not JSON", version: "1" },
    { source: "output:candles", reason: "not mapped", version: "1" },
  ]);
  expect(kept()).toEqual([]);
});

test("a disk that is full while rows are kept: the run fails, and nothing is half there", async () => {
  silentAt = "commit";
  const full = Object.assign(new Error("ENOSPC: no space left on device"), { code: "ENOSPC" });
  const handle = await fs.open(at("in.ndjson"));
  const prototype = Object.getPrototypeOf(handle) as typeof handle;
  await handle.close();
  jest.spyOn(prototype, "sync").mockRejectedValue(full);
  expect(await beamline(...words())).toMatchObject({
    code: 1,
    stderr: containing("until their place has them: the disk is full"),
  });
  jest.restoreAllMocks();
  expect(kept()).toEqual([]);
  silentAt = null;
  expect(await run()).toMatchObject({ state: "done", written: both, delivered: {} });
});

test("only the place that is silent waits; the others have their rows", async () => {
  silentAt = "commit";
  expect(await run("--to", "dead_letters=file:dead.ndjson")).toMatchObject({
    ...{ state: "degraded", written: { candles: 0, dead_letters: 1 }, waiting: { candles: 3 } },
  });
  expect(readFileSync(at("dead.ndjson"), "utf8")).toContain("not JSON");
});
