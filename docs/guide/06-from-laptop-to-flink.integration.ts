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
 * ```
 *
 * Needed are Java 17 and Maven, which fetches Flink's and Beam's jars once. For a cluster with Beam's jars on its class
 * path, as the local one has them, a JDK: its jobs then bring no jars.
 */
import { mkdtempSync, realpathSync, rmSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { freePort } from "../../infra/services/ports";
import { startServices, stopServices, type RunningService } from "../../infra/services/services";
import { scene } from "../../test/command-scene";

const { beamline, dump } = scene();
const AT = ["--batch-time", "2026-01-06T00:00:00Z"];
const directory = mkdtempSync(path.join(realpathSync(os.tmpdir()), "beamline-test-"));
let cluster: RunningService;

/** `npm run services -- up flink`: a JobManager and two TaskManagers, with two slots each. */
beforeAll(async () => {
  ({ flink: cluster } = await startServices(["flink"], { directory, ports: { flink: await freePort() } }));
});
afterAll(async () => {
  await stopServices(["flink"], { directory, data: true });
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
