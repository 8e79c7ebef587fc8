// Jobs that go on on Flink, from a real Kafka into a real PostgreSQL: what the command shows of them, how they are ended and gone on
// with, and what is said of wrong input.
import { readFileSync } from "node:fs";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { scene } from "./command-scene";
import { jobProcesses, until } from "./job-scene";
import { oldTrade, streamScene, WINDOW, type ShownJob } from "./stream-scene";

const { at, beamline, files } = scene();
const startJob = jobProcesses();
const stream = streamScene();

const there = () => ["--flink-master", stream.flink.url];

async function shown(job = "trades-aggregate"): Promise<ShownJob[]> {
  const { code, stdout, stderr } = await beamline("status", job, ...there(), "--json");
  if (code === 2) return [];
  expect(stderr).toBe("");
  return JSON.parse(stdout) as ShownJob[];
}

const running = async (): Promise<ShownJob | undefined> => (await shown()).find(({ state }) => state === "RUNNING");

interface Stopped {
  readonly state: string;
  readonly savepoint: string;
  readonly late: number;
  readonly read: number;
}

test("it is followed, kept and stopped; from its savepoint it goes on with more parts; what is late is the runner's count", async () => {
  const sending = await stream.begin("followed", 1);
  const first = startJob(at(), stream.words(sending, ...stream.onCluster("--parallelism=2", "--json")));
  await first.until(() => stream.candles(sending), stream.isAll(sending));
  expect(first.lines).toContainEqual(
    expect.stringMatching(/^Flink: job [0-9a-f]{32}, trades-aggregate-[0-9a-f]{8}, on 127\.0\.0\.1:\d+$/),
  );

  // Each part has one reader: of several it would wait for each in turn, and a busy partition would fall behind.
  const readers = ["taskmanager-1", "taskmanager-2"].flatMap((part) =>
    readFileSync(path.join(stream.directory, "flink", `${part}.log`), "utf8")
      .split("\n")
      .flatMap((line) => /read trades from followed .* is reading from sources: \[(.*)\]/.exec(line)?.[1] ?? []),
  );
  expect(readers.map((found) => found.split(", ").length)).toEqual([1, 1]);

  // Trades go on coming, and those of a minute ago are late. A window that is over has its counts.
  for (let n = 0; n < 30; n += 1) {
    await stream.send(sending, 20);
    await sleep(400);
  }
  await stream.broker.send(
    sending.topic,
    [1, 2, 3].map((n) => oldTrade(9_000_000 + n, 60_000)),
  );
  const job = await first.until(running, (one) => one?.view?.counters["late"] === 3);
  expect(job?.view).toMatchObject({ restarts: 0, checkpoints: { failed: expect.any(Number) as number } });
  expect(job?.view?.checkpoints.done).toBeGreaterThan(0);
  expect(job?.view?.watermark).toBeGreaterThan(Date.now() - 60_000);
  // In the end each row that came in is aggregated, a duplicate or late.
  const counted = await first.until(
    async () => (await running())?.view?.counters ?? {},
    ({ "to aggregate": all = 0, aggregated = 0, duplicate = 0, late = 0 }) =>
      all > 0 && all === aggregated + duplicate + late,
  );
  expect(counted).toMatchObject({ dead: 0, dropped: 0, read: counted["ok"], late: 3 });
  expect(counted["duplicate"]).toBeGreaterThan(10);
  expect(await stream.candles(sending)).toEqual(sending.ledger.expected(WINDOW));

  const kept = await beamline("savepoint", "trades-aggregate", ...there(), "--json");
  expect(kept).toMatchObject({ code: 0, stderr: expect.stringMatching(/^Kept .*--from-savepoint file:/) as string });
  expect((await running())?.id).toBe(job?.id);
  const { code, stdout, stderr } = await first.end("SIGINT");
  const stopped = JSON.parse(stdout) as Stopped;
  expect({ code, ...stopped }).toMatchObject({ code: 130, state: "interrupted", late: 3, read: counted["read"] });
  expect(stderr).toContain(`It can go on: --from-savepoint ${stopped.savepoint}`);
  expect(await running()).toBeUndefined();

  await stream.send(sending, 300);
  const more = stream.onCluster("--parallelism=4", "--from-savepoint", stopped.savepoint);
  const second = startJob(at(), stream.words(sending, ...more));
  await stream.send(sending, 100);
  await second.until(() => stream.candles(sending), stream.isAll(sending));
  expect(await beamline("stop", "trades-aggregate", ...there())).toMatchObject({
    code: 0,
    stderr: expect.stringMatching(/^Ended trades-aggregate-.*: run it again with --from-savepoint file:/) as string,
  });
  expect(await second.ended).toMatchObject({
    code: 1,
    stderr: expect.stringMatching(/was ended there by somebody else: it is CANCELED$/m) as string,
  });

  // Windows that are defined otherwise have nothing to go on from.
  const other = stream.words(sending, ...more, "--window=10s");
  expect(await startJob(at(), other).ended).toMatchObject({
    code: 2,
    stderr: expect.stringMatching(/^file:.*savepoint-.* does not fit this pipeline: /m) as string,
  });
  const missing = stream.words(sending, ...stream.onCluster("--from-savepoint=/nowhere"));
  expect(await startJob(at(), missing).ended).toMatchObject({
    code: 2,
    stderr: expect.stringContaining("there is no savepoint at /nowhere, as the cluster sees it") as string,
  });
});

test("on a small cluster of its own, it ends with what it started and goes on from there", async () => {
  const sending = await stream.begin("small", 2);
  const first = startJob(at(), stream.words(sending, "--json", "--parallelism=2"));
  await first.until(() => stream.candles(sending), stream.isAll(sending));
  const { code, stdout } = await first.end("SIGINT");
  const { savepoint, ...stopped } = JSON.parse(stdout) as Stopped;
  expect({ code, ...stopped }).toMatchObject({ code: 130, state: "interrupted", late: 0 });
  expect(savepoint).toContain("/data/state/flink/trades-aggregate/savepoints/");
  expect(files().every((name) => name.startsWith("data/state/flink/"))).toBe(true);
  await stream.send(sending, 100);
  const second = startJob(at(), stream.words(sending, "--json", "--from-savepoint", savepoint));
  await second.until(() => stream.candles(sending), stream.isAll(sending));
  expect((await second.end("SIGINT")).code).toBe(130);
});

test("rows whose time is not that of their record end it by a sentence with the remedy", async () => {
  const sending = await stream.begin("apart", 3);
  const job = startJob(at(), stream.words(sending, ...stream.onCluster()));
  await job.until(() => stream.candles(sending), stream.isAll(sending));
  await stream.broker.send(sending.topic, [{ ...oldTrade(1, 60_000), time: Date.now() }]);
  expect(await job.ended).toMatchObject({
    code: 1,
    stderr: expect.stringMatching(/^Failed: time is .* more than --disorder \(5s\).*raise --disorder$/m) as string,
  });
  expect(
    (
      await until(
        () => shown(),
        ([one]) => one?.state !== "CANCELLING",
      )
    )[0]?.state,
  ).toMatch(/CANCELED|FAILED/);
});

test("what is wrong is told before anything is begun", async () => {
  const sending = await stream.begin("wrong", 4);
  const told = async (...more: string[]) => {
    const { code, stderr } = await beamline("run", ...stream.words(sending, ...stream.onCluster(...more)));
    return `${code}: ${stderr.trim()}`;
  };
  await stream.broker.createTopic("silent", 3);
  await stream.broker.send(
    "silent",
    [0, 2].map((partition) => ({ ...oldTrade(partition, 0), partition })),
  );
  const host = new URL(stream.broker.uri("x")).host;
  expect(await told(`--from=${stream.broker.uri("silent")}`)).toMatch(
    /^2: silent\/1 has no record, and on a cluster no window ends /,
  );
  expect(await told(`--from=${stream.broker.uri("none")}`)).toMatch(/^2: There is no topic “none” at /);
  expect(await told("--from=kafka://127.0.0.1:4/wrong")).toMatch(
    /^1: Failed: No Kafka broker answers at 127\.0\.0\.1:4 /,
  );
  expect(await told(`--from=kafka://${host}/wrong?registry=http://127.0.0.1:4`)).toMatch(/^2: .*has a schema registry/);
  expect(await told("--from=sample:")).toMatch(
    /^2: --streaming on Flink reads topics of Kafka, and trades is read from file: /,
  );
  expect(await told("--to=sqlite:out.db")).toMatch(
    /^2: --streaming: the rows of candles go to sqlite:, which many workers /,
  );
  expect(await told("--once")).toMatch(/^2: --once is not for a job that goes on on Flink/);
  expect(await told("--workers=here")).toMatch(/^2: A job that goes on on a cluster has its code there: /);
  expect(await told("--parallelism=9")).toMatch(/^1: Failed: The job needs 9 slots, and the cluster at /);
  expect(await told("--since=2026-01-05T09:30:01Z")).toMatch(/^2: --since .* lies inside of a window /);
  expect(files()).toEqual([]);
});
