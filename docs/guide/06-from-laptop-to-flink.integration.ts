/**
 * # 6. From laptop to Flink
 *
 * This chapter is a test: everything in it ran, on a cluster that `npm run services` has started. A pipeline is not changed
 * to run on Flink: one more word is said, and the rows, the counts and the sentences stay the same.
 *
 * ```sh
 * npm run pipeline -- trades-aggregate                                                  # this process
 * npm run pipeline -- trades-aggregate --runner=flink                                   # Flink, for just this run
 * npm run pipeline -- trades-aggregate --runner=flink --flink-master=localhost:8081     # a cluster that is there
npm run pipeline -- trades-aggregate --runner=flink --streaming --from=kafka://…      # a topic, for ever
 * ```
 *
 * Needed are Java 17 and Maven, which fetches Flink's and Beam's jars once. For a cluster with Beam's jars on its class
 * path, as the local one has them, a JDK: its jobs then bring no jars.
 */
import { chmodSync, mkdtempSync, realpathSync, rmSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { freePort } from "../../infra/services/ports";
import { startServices, stopServices, type RunningService } from "../../infra/services/services";
import { scene, trade } from "../../test/command-scene";
import { Broker, candlesInPostgres, inPostgres, jobProcesses } from "../../test/job-scene";

const { at, beamline, dump } = scene();
const startJob = jobProcesses();
const AT = ["--batch-time", "2026-01-06T00:00:00Z"];
const directory = mkdtempSync(path.join(realpathSync(os.tmpdir()), "beamline-test-"));
const NAMES = ["flink", "kafka", "postgres"] as const;
let cluster: RunningService;
let postgres: RunningService;
let broker: Broker;

/** `npm run services -- up flink kafka postgres`: a JobManager and two TaskManagers, with two slots each; a broker; a database. */
beforeAll(async () => {
  // PostgreSQL may run as another user.
  chmodSync(directory, 0o755);
  const ports = { flink: await freePort(), kafka: await freePort(), postgres: await freePort() };
  const services = await startServices(NAMES, { directory, ports });
  ({ flink: cluster, postgres } = services);
  broker = await Broker.connect(new URL(services.kafka.url).host);
});
afterAll(async () => {
  await broker.close();
  await stopServices(NAMES, { directory, data: true });
  rmSync(directory, { recursive: true, force: true });
});

describe("6. From laptop to Flink", () => {
  /**
   * ## The same rows
   *
   * A run is all or nothing wherever it runs. While Flink reads the graph, groups and moves elements between its steps, rows
   * are written by the process of the command, which commits them when the job is done and its counts add up.
   */
  test("this process, a cluster for one run and a cluster that is there give the same table", async () => {
    await beamline("trades-aggregate", "--to", "sqlite:direct.db", ...AT);
    await beamline("trades-aggregate", "--runner=flink", "--to", "sqlite:flink.db", ...AT);
    const there = ["--runner=flink", "--flink-master", cluster.url, "--parallelism=2"];
    expect(await beamline("trades-aggregate", ...there, "--to", "sqlite:there.db", ...AT)).toMatchObject({ code: 0 });
    const direct = dump("direct.db");
    expect(direct).toContain("BTCUSDT");
    expect(dump("flink.db")).toBe(direct);
    expect(dump("there.db")).toBe(direct);
  });

  /**
   * ## Where the code runs
   *
   * At first in the process of the command, which is all that a laptop needs. With `--workers=process` every TaskManager
   * starts processes for it, from a project at the same path; with `--workers=host:port` it asks a pool beside it:
   *
   * ```sh
   * npm run worker -- --port 50000
   * ```
   *
   * Reading, parsing and aggregating are then done on the cluster, in as many parts as `--parallelism` says.
   */
  test("in processes of the TaskManagers it counts the same", async () => {
    const there = ["--runner=flink", "--flink-master", cluster.url, "--parallelism=4", "--workers=process"];
    const { code, stdout } = await beamline("trades-aggregate", ...there, "--json");
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({ runner: "flink", state: "done", read: 1991, written: { candles: 20 } });
  });

  /**
   * ## A job that goes on
   *
   * With `--streaming` the cluster reads the topic by itself, keeps the windows in its state, and has the workers write: a
   * window's row comes at once and again whenever it has grown. Three things are to be said of time:
   *
   * - `--disorder`: how far a record's own time (Kafka's) may be from its row's, and behind those before it. A row that is
   *   further away ends the job with a sentence; one that comes when its window is over is counted as late.
   * - `--checkpoint-interval`: how often the cluster keeps where the job stands. What is killed goes on from there, and each
   *   record counts once all the same.
   * - Every partition needs a record before a window can end, and one that stays behind holds all of them back.
   *
   * ```sh
   * npm run pipeline -- trades-aggregate --runner=flink --streaming --flink-master=localhost:8081 --workers=process \
   *   --from=kafka://localhost:9092/trades --to=postgres://localhost/app --checkpoint-interval=3s
   * npm run pipeline -- status trades-aggregate --flink-master=localhost:8081
   * npm run pipeline -- savepoint trades-aggregate --flink-master=localhost:8081    # keeps where it stands, and goes on
   * npm run pipeline -- stop trades-aggregate --flink-master=localhost:8081         # keeps where it stands, and ends
   * ```
   *
   * Where it stood is where it goes on, also with another `--parallelism`. A pipeline whose windows have become others does
   * not fit what was kept, and is refused.
   */
  test("it is looked at, ended, and gone on with in more parts", async () => {
    await broker.createTopic("trades", 4);
    await inPostgres(postgres.url, "create schema candles");
    let sent = 0;
    const send = async (count: number): Promise<void> => {
      const one = () => ({ value: trade((sent += 1), { T: Date.now(), E: Date.now() }), time: Date.now() });
      await broker.send(
        "trades",
        Array.from({ length: count }, (_, n) => ({ ...one(), partition: n % 4 })),
      );
    };
    const counted = async (): Promise<number> =>
      (await candlesInPostgres(postgres.url, "candles")).reduce((sum, { trade_count }) => sum + trade_count, 0);
    const there = ["--flink-master", cluster.url];
    const what = ["--from", broker.uri("trades"), "--to", `${postgres.url}?schema=candles`];
    const how = ["--streaming", "--runner=flink", "--workers=process", "--checkpoint-interval=3s", ...there];

    await send(100);
    const first = startJob(at(), ["trades-aggregate", ...what, ...how]);
    await first.until(counted, (trades) => trades === 100);
    const { stdout } = await beamline("status", "trades-aggregate", ...there);
    expect(stdout).toMatch(/trades-aggregate-[0-9a-f]{8}.*RUNNING/);
    const { stderr } = await beamline("stop", "trades-aggregate", ...there);
    const savepoint = /--from-savepoint (\S+)/.exec(stderr)?.[1] ?? "";
    expect(savepoint).toMatch(/^file:/);

    await send(50);
    const more = ["--from-savepoint", savepoint, "--parallelism=4"];
    const second = startJob(at(), ["trades-aggregate", ...what, ...how, ...more]);
    await second.until(counted, (trades) => trades === 150);
    // Ctrl-C ends it as stop does.
    expect(await second.end("SIGINT")).toMatchObject({
      code: 130,
      stderr: expect.stringContaining("It can go on: --from-savepoint") as string,
    });
  });

  /**
   * ## Before, and instead
   *
   * `doctor` with the words of the run looks at the cluster too: its version, its slots, and whether it has Beam's jars. And
   * where a cluster cannot take the job at all, `--fallback-runner direct` runs it here.
   */
  test("doctor says what a run would find, and a run can go on without a cluster", async () => {
    const { stdout } = await beamline("doctor", "trades-aggregate", "--runner=flink", "--flink-master", cluster.url);
    expect(stdout).toContain("4 slots, 4 of them free");
    const nowhere = ["--runner=flink", "--flink-master=localhost:4", "--fallback-runner=direct"];
    const { code, stderr } = await beamline("trades-aggregate", ...nowhere);
    expect(code).toBe(0);
    expect(stderr).toMatch(
      /Flink cannot take the job, so it runs in this process: No Flink cluster answers at localhost:4/,
    );
  });
});
