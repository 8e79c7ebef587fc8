// Bounded runs on a cluster that is there, a JobManager and two TaskManagers: the rows of the direct runner, and whatever
// of the cluster is lost in the midst ends the run by a sentence and leaves nothing behind, neither here nor there.
import { mkdtempSync, readFileSync, realpathSync, rmSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { watchCounts } from "../beam";
import { freePort } from "../infra/services/ports";
import { killService, startServices, stopServices, type RunningService } from "../infra/services/services";
import { scene } from "./command-scene";
import { until } from "./job-scene";
import { Ledger } from "./ledger";

const { beamline, write, files, query } = scene();
const directory = mkdtempSync(path.join(realpathSync(os.tmpdir()), "beamline-test-"));
const options = { directory };
let flink: RunningService;

beforeAll(async () => {
  ({ flink } = await startServices(["flink"], { ...options, ports: { flink: await freePort() } }));
});

afterAll(async () => {
  await stopServices(["flink"], { ...options, data: true });
  rmSync(directory, { recursive: true, force: true });
});

const there = (...more: string[]) => ["--runner=flink", "--flink-master", flink.url, ...more];

async function ask<T>(what: string): Promise<T> {
  return (await (await fetch(`${flink.url}${what}`)).json()) as T;
}

interface Overview {
  readonly taskmanagers: number;
  readonly "slots-available": number;
  readonly "jobs-running": number;
}

const overview = () => ask<Overview>("/overview");
const isFree = (found: Overview) => found["jobs-running"] === 0 && found["slots-available"] === 4;
const pidOf = (name: string): number => Number(readFileSync(path.join(directory, "flink", `${name}.pid`), "utf8"));

/** Does it once, when the pipeline has begun to read. */
function whenReading(action: () => void): { readonly stop: () => void; readonly isDone: () => boolean } {
  let isDone = false;
  const stop = watchCounts((name) => {
    if (isDone || name !== "read") return;
    isDone = true;
    action();
  });
  return { stop, isDone: () => isDone };
}

function writeTrades(seed: number, thousands: number): Ledger {
  const ledger = new Ledger(seed);
  const lines = Array.from({ length: thousands }, () => ledger.take(1_000).map(({ value }) => `${value}\n`));
  lines.forEach((part, index) => write(`in/${index}.ndjson`, part.join("")));
  return ledger;
}

test("four parts on two TaskManagers give every trade once, and no jar is sent", async () => {
  const ledger = writeTrades(31, 12);
  const words = ["--parallelism=4", "--from", "file:in/*.ndjson", "--to", "sqlite:out.db"];
  const { code, stderr } = await beamline("run", "trades-aggregate", ...there(...words));
  expect(code).toBe(0);
  expect(stderr).toMatch(/^Flink: job [0-9a-f]{32}, trades-aggregate-[0-9a-f]{8}, on 127\.0\.0\.1:\d+$/m);
  expect(stderr).not.toContain("MB of jars");
  const columns = "symbol, window_start, trade_count, volume";
  expect(query(`SELECT ${columns} FROM trades_1min_agg ORDER BY symbol, window_start`, "out.db")).toEqual(
    ledger.expected(),
  );
  expect(isFree(await overview())).toBe(true);
});

test("what fails in a step is told in its own words, and is not tried again", async () => {
  write("bad.ndjson", "garbage\n".repeat(300));
  const { code, stderr } = await beamline("run", "trades-aggregate", ...there("--from", "file:bad.ndjson"));
  expect(code).toBe(1);
  expect(stderr).toMatch(/^Failed: Stopped at “clean: decode, toTrade”: 100 of 100 records .*--dead-letter-run$/m);
  expect(files()).toEqual(["bad.ndjson"]);
  expect(isFree(await overview())).toBe(true);
});

test("TaskManagers that are killed end the run, and nothing of it is kept; the next one is whole", async () => {
  const ledger = writeTrades(32, 40);
  const words = ["--parallelism=4", "--from", "file:in/*.ndjson", "--to", "sqlite:out.db"];
  const kill = whenReading(() => {
    for (const name of ["taskmanager-1", "taskmanager-2"]) process.kill(pidOf(name), "SIGKILL");
  });
  const { code, stderr } = await beamline("run", "trades-aggregate", ...there(...words)).finally(kill.stop);
  expect({ code, isDone: kill.isDone() }).toEqual({ code: 1, isDone: true });
  expect(stderr).toMatch(/^Failed: The job failed on the runner: .*TaskManager/m);
  expect(files().filter((name) => name.startsWith("out.db"))).toEqual([]);
  await until(overview, isFree);
  expect(await beamline("run", "trades-aggregate", ...there(...words))).toMatchObject({ code: 0 });
  expect(query("SELECT sum(trade_count) AS n FROM trades_1min_agg", "out.db")).toEqual([
    { n: ledger.expected().reduce((sum, { trade_count }) => sum + Number(trade_count), 0) },
  ]);
});

test("an interrupted run is cancelled there", async () => {
  writeTrades(33, 40);
  const interrupt = whenReading(() => process.emit("SIGINT"));
  const words = ["--from", "file:in/*.ndjson", "--to", "sqlite:out.db"];
  const { code } = await beamline("run", "trades-aggregate", ...there(...words)).finally(interrupt.stop);
  expect({ code, isDone: interrupt.isDone() }).toEqual({ code: 130, isDone: true });
  expect(isFree(await overview())).toBe(true);
});

test("a cluster that is killed in mid-run ends the run, whoever could have waited for it for ever", async () => {
  writeTrades(34, 40);
  const kill = whenReading(() => void killService("flink", options));
  const words = ["--from", "file:in/*.ndjson", "--to", "sqlite:out.db"];
  const { code, stderr } = await beamline("run", "trades-aggregate", ...there(...words)).finally(kill.stop);
  expect({ code, isDone: kill.isDone() }).toEqual({ code: 1, isDone: true });
  expect(stderr).toMatch(/^Failed: The cluster does not answer any more: .*ECONNREFUSED/m);
  expect(files().filter((name) => name.startsWith("out.db"))).toEqual([]);
  ({ flink } = await startServices(["flink"], { ...options, ports: { flink: flink.port } }));
}, 90_000);

test.each([
  [["--parallelism=5"], 1, /The job needs 5 slots, and the cluster at .* has 4 slots, 4 of them free: start more/],
  [["--flink-master", "127.0.0.1:4"], 1, /No Flink cluster answers at 127\.0\.0\.1:4: .*ECONNREFUSED/],
  [["--flink-master", "nowhere.invalid:8081"], 1, /No Flink cluster answers at nowhere\.invalid:8081: .*ENOTFOUND/],
  [["--flink-master", "cluster"], 2, /--flink-master is "cluster": write the host:port/],
])("what cannot be is told in a sentence: %j", async (words, expected, sentence) => {
  const cluster = words[0] === "--flink-master" ? [] : ["--flink-master", flink.url];
  const { code, stderr } = await beamline("run", "trades-aggregate", "--runner=flink", ...cluster, ...words);
  expect(code).toBe(expected);
  expect(stderr).toMatch(sentence);
});

test("doctor tells of the cluster, and --fallback-runner goes on without one", async () => {
  const { code, stdout } = await beamline("doctor", "trades-aggregate", ...there());
  expect(stdout).toMatch(/Flink 1\.19\.\d at 127\.0\.0\.1:\d+: 4 slots, 4 of them free/);
  expect(stdout).toContain("Beam's jars are on its class path");
  expect(code).toBe(0);
  const nowhere = ["--runner=flink", "--flink-master=127.0.0.1:4", "--fallback-runner=direct", "--json"];
  const fallen = await beamline("run", "trades-aggregate", ...nowhere, "--to", "file:out/");
  expect(JSON.parse(fallen.stdout)).toMatchObject({ runner: "direct", state: "done" });
});
