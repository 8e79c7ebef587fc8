// A run that a cluster goes on with when the command has ended: its workers write the rows, the verbs tell of it and end it, and
// what is lost in the midst is repaired by the same run again.
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, realpathSync, rmSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { freePort } from "../infra/services/ports";
import { startServices, stopServices, type RunningService } from "../infra/services/services";
import { type ClusterJob } from "../runners/flink/cluster";
import { type Detached } from "../runners/flink/detach";
import { scene, type Outcome } from "./command-scene";
import { candlesInPostgres, inPostgres, jobProcesses, until } from "./job-scene";
import { tradesInFiles } from "./ledger";

const { at, beamline, write, files } = scene();
const startJob = jobProcesses();
const directory = mkdtempSync(path.join(realpathSync(os.tmpdir()), "beamline-test-"));
const options = { directory };
let flink: RunningService;
let postgres: RunningService;

beforeAll(async () => {
  execFileSync("chmod", ["755", directory]);
  const ports = { flink: await freePort(), postgres: await freePort() };
  ({ flink, postgres } = await startServices(["flink", "postgres"], { ...options, ports }));
});

afterAll(async () => {
  await stopServices(["flink", "postgres"], { ...options, data: true });
  rmSync(directory, { recursive: true, force: true });
});

const there = () => ["--runner=flink", "--flink-master", flink.url];

const writeTrades = (seed: number, thousands: number) => tradesInFiles(write, seed, thousands);

/** Words of a detached run into a schema of its own, which is made. */
async function detachedInto(schema: string, from = "file:in/*.ndjson"): Promise<string[]> {
  await inPostgres(postgres.url, `create schema ${schema}`);
  const where = ["--from", from, "--to", `${postgres.url}?schema=${schema}`];
  return ["run", "trades-aggregate", ...where, ...there(), "--workers=process", "--detach", "--json"];
}

async function jobsOf(...words: string[]): Promise<readonly ClusterJob[]> {
  const { stdout, stderr } = await beamline("status", ...words, "--flink-master", flink.url, "--json");
  expect(stderr).toBe("");
  return JSON.parse(stdout) as ClusterJob[];
}

async function ended(name: string): Promise<ClusterJob> {
  const [job] = await until(
    () => jobsOf(name),
    ([one]) => one !== undefined && /^(FINISHED|FAILED|CANCELED)$/.test(one.state),
  );
  return job as ClusterJob;
}

function started({ code, stdout, stderr }: Outcome): Detached {
  expect({ code, stderr }).toMatchObject({ code: 0 });
  return JSON.parse(stdout) as Detached;
}
const pidOf = (name: string): number => Number(readFileSync(path.join(directory, "flink", `${name}.pid`), "utf8"));

test("it goes on without the command, and every trade is in its table once", async () => {
  const ledger = writeTrades(51, 12);
  const words = await detachedInto("whole");
  const command = await startJob(at(), [...words, "--parallelism=4"]).ended;
  expect(command.code).toBe(0);
  const { job, id, state } = started(command);
  expect({ state, job }).toEqual({
    state: "detached",
    job: expect.stringMatching(/^trades-aggregate-[0-9a-f]{8}$/) as string,
  });
  expect(command.stderr).toContain(`Flink has it: job ${id}, ${job}, on ${flink.url.replace("http://", "")}`);
  expect(await ended(job)).toMatchObject({ id, state: "FINISHED", error: null });
  expect(await candlesInPostgres(postgres.url, "whole")).toEqual(ledger.expected());
  // Nothing of it was in the directory where the command ran.
  expect(files().filter((name) => !name.startsWith("in/"))).toEqual([]);
});

test("TaskManagers that are killed in the midst take nothing of it with them, and give nothing twice", async () => {
  const ledger = writeTrades(52, 40);
  const { job } = started(await beamline(...(await detachedInto("killed"))));
  await until(
    () => jobsOf(job),
    ([one]) => one?.state === "RUNNING",
  );
  for (const name of ["taskmanager-1", "taskmanager-2"]) process.kill(pidOf(name), "SIGKILL");
  const error = expect.stringContaining("TaskManager") as string;
  expect(await ended(job)).toMatchObject({ state: "FINISHED", error });
  expect(await beamline("status", job, "--flink-master", flink.url)).toMatchObject({
    code: 0,
    stdout: expect.stringMatching(/: FINISHED\n.*\n {2}last error .*TaskManager/s) as string,
  });
  expect(await candlesInPostgres(postgres.url, "killed")).toEqual(ledger.expected());
});

test("what fails every time ends it, and status tells of it in its own words", async () => {
  write("bad.ndjson", "garbage\n".repeat(300));
  const { job } = started(await beamline(...(await detachedInto("bad", "file:bad.ndjson"))));
  const { state, error } = await ended(job);
  expect(state).toBe("FAILED");
  expect(error).toMatch(/^Stopped at “clean: decode, toTrade”: 100 of 100 records /);
  expect((await beamline("status", job, "--flink-master", flink.url)).code).toBe(1);
});

test("dead letters of what is read again are replaced", async () => {
  write("in.ndjson", 'garbage\n{"symbol":"BTCUSDT"}\n');
  const words = await detachedInto("letters", "file:in.ndjson");
  const letters = () =>
    inPostgres<{ value: string }>(
      postgres.url,
      "select convert_from(value, 'UTF8') as value from letters.dead_letters order by position",
    );
  expect((await ended(started(await beamline(...words)).job)).state).toBe("FINISHED");
  expect((await letters()).map(({ value }) => value)).toEqual(["garbage", '{"symbol":"BTCUSDT"}']);
  write("in.ndjson", '{"symbol":"ETHUSDT"}\n');
  expect((await ended(started(await beamline(...words)).job)).state).toBe("FINISHED");
  expect((await letters()).map(({ value }) => value)).toEqual(['{"symbol":"ETHUSDT"}']);
});

test("cancel ends it, and names what there is when there is no such job", async () => {
  writeTrades(53, 60);
  const { job, id } = started(await beamline(...(await detachedInto("cancelled"))));
  const cancel = (...words: string[]) => beamline("cancel", ...words, "--flink-master", flink.url);
  expect(await cancel("trades-aggregate", "--json")).toMatchObject({
    code: 0,
    stdout: expect.stringContaining(id) as string,
  });
  expect((await ended(job)).state).toBe("CANCELED");
  const again = await cancel(job);
  expect(again).toMatchObject({ code: 2, stderr: expect.stringContaining(`No job ${job} runs on `) as string });
  expect(await beamline("status", "nothing", "--flink-master", flink.url)).toMatchObject({
    code: 2,
    stderr: expect.stringContaining("There is no job nothing on ") as string,
  });
});

test("a place that does not answer is told before anything is submitted", async () => {
  writeTrades(54, 1);
  const to = ["--to", "postgres://postgres@127.0.0.1:4/postgres"];
  const words = ["run", "trades-aggregate", "--from", "file:in/*.ndjson", ...to, ...there()];
  const before = await jobsOf();
  expect(await beamline(...words, "--workers=process", "--detach")).toMatchObject({
    code: 1,
    stderr: expect.stringMatching(/^Failed: postgres.*127\.0\.0\.1:4/m) as string,
  });
  expect(await jobsOf()).toHaveLength(before.length);
});
