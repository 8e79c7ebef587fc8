// Bounded runs on a cluster that is there, a JobManager and two TaskManagers: the rows of the direct runner, and whatever
// of the cluster is lost in the midst ends the run by a sentence and leaves nothing behind, neither here nor there.
import { execFileSync, spawn } from "node:child_process";
import { cpSync, mkdtempSync, readFileSync, readlinkSync, realpathSync, rmSync, symlinkSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { watchCounts } from "../beam";
import { freePort } from "../infra/services/ports";
import { killService, startServices, stopServices, type RunningService } from "../infra/services/services";
import { fromSource } from "../infra/systems/systems";
import { importOfBeamline, importOfZod, scene } from "./command-scene";
import { until } from "./job-scene";
import { tradesInFiles } from "./ledger";

const HERE = path.resolve(__dirname, "..");
const { at, beamline, write, files, query } = scene();
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

const writeTrades = (seed: number, thousands: number) => tradesInFiles(write, seed, thousands);

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

describe("workers elsewhere", () => {
  const trades = ["trades-aggregate", "--from", "file:in/*.ndjson", "--to", "sqlite:out.db"];
  const columns = "symbol, window_start, trade_count, volume";
  const rows = () => query(`SELECT ${columns} FROM trades_1min_agg ORDER BY symbol, window_start`, "out.db");

  /** The processes that run a pipeline's code for this test: other tests may have some too, in directories of theirs. */
  const workers = (): number[] =>
    execFileSync("ps", ["-eo", "pid=,stat=,args="], { encoding: "utf8" })
      .split("\n")
      .map((line) => /^\s*(\d+)\s+(\S+)\s+(.*)$/.exec(line)?.slice(1) ?? [])
      .filter(([, state = "Z", args = ""]) => !state.startsWith("Z") && args.includes("worker/work.ts"))
      .map(([pid]) => Number(pid))
      .filter((pid) => directoryOf(pid).startsWith(at()));

  const directoryOf = (pid: number): string => {
    try {
      return readlinkSync(`/proc/${pid}/cwd`);
    } catch {
      return "";
    }
  };

  /** Does it to each of them as soon as there is one. */
  async function whenWorking(action: (pid: number) => void): Promise<void> {
    const found = await until(workers, ({ length }) => length > 0);
    found.forEach(action);
  }

  /** A pool in a directory, as `npm run worker` starts it there. */
  async function startPool(
    cwd: string,
    root = HERE,
  ): Promise<{ readonly address: string; readonly stop: () => Promise<void> }> {
    const address = `127.0.0.1:${await freePort()}`;
    const { program, args } = fromSource("runners/worker/main.ts");
    const words = args.map((word) => word.replace(path.join(HERE, "runners"), path.join(root, "runners")));
    const port = address.split(":")[1] ?? "";
    const pool = spawn(program, [...words, "--port", port], { cwd, stdio: ["ignore", "pipe", "inherit"] });
    const ended = new Promise((resolve) => pool.once("exit", resolve));
    await new Promise((resolve) => pool.stdout.once("data", resolve));
    return {
      address,
      stop: async () => {
        pool.kill("SIGTERM");
        await ended;
      },
    };
  }

  afterEach(async () => {
    // They end with what they work for.
    await until(workers, ({ length }) => length === 0);
    expect(await until(overview, isFree)).toBeTruthy();
  });

  test("processes of the TaskManagers give every trade once, and what they count comes back", async () => {
    const ledger = writeTrades(41, 12);
    const { code, stdout } = await beamline(
      "run",
      ...trades,
      "--json",
      ...there("--workers=process", "--parallelism=4"),
    );
    expect(code).toBe(0);
    const { runner, read, duplicate, dead } = JSON.parse(stdout) as Record<string, number>;
    expect({ runner, dead, once: Number(read) - Number(duplicate) }).toEqual({
      runner: "flink",
      dead: 0,
      once: 12_000,
    });
    expect(rows()).toEqual(ledger.expected());
  });

  test("a pool gives the same, an error in a step is told in its own words, and it works on", async () => {
    const pool = await startPool(process.cwd());
    write("bad.ndjson", "garbage\n".repeat(300));
    const words = there(`--workers=${pool.address}`, "--parallelism=2");
    const bad = await beamline("run", "trades-aggregate", "--from", "file:bad.ndjson", ...words);
    expect(bad.code).toBe(1);
    expect(bad.stderr).toMatch(/^Failed: Stopped at “clean: decode, toTrade”: 100 of 100 records /m);
    const ledger = writeTrades(42, 6);
    expect(await beamline("run", ...trades, ...words)).toMatchObject({ code: 0 });
    expect(rows()).toEqual(ledger.expected());
    await pool.stop();
  });

  const ownPipeline = `
    import { clean, deadLetters, decode, definePipeline, input, ok, register, table } from ${importOfBeamline};
    import { z } from ${importOfZod};
    const Price = z.object({ id: z.string(), price: z.number() });
    export function double({ id, price }) { return ok({ id, price: 2 * price }); }
    export const prices = definePipeline({
      name: "prices", summary: "doubled",
      inputs: { prices: input(Price, { sample: "none" }) },
      outputs: { prices: table(Price, { name: "prices", key: ["id"] }), dead_letters: deadLetters },
      params: z.object({}),
      build({ prices }, out) {
        const { good, bad } = prices.apply(clean(decode(Price), double));
        good.apply(out.prices);
        bad.apply(out.dead_letters);
      },
    });
    register("shop/prices", { Price, double });`;

  function writeShop(): string[] {
    write("package.json", JSON.stringify({ name: "shop", beamline: { pipelines: "prices.ts" } }));
    write("prices.ts", ownPipeline);
    write("in.ndjson", '{"id":"a","price":1}\n{"id":"b","price":2.5}\n');
    return ["prices", "--from", "file:in.ndjson", "--to", "sqlite:out.db"];
  }

  test("a pipeline of a package of one's own runs unchanged in them", async () => {
    const words = writeShop();
    expect(await beamline("run", ...words, ...there("--workers=process"))).toMatchObject({ code: 0 });
    expect(query("SELECT id, price FROM prices ORDER BY id", "out.db")).toEqual([
      { id: "a", price: 2 },
      { id: "b", price: 5 },
    ]);
  });

  test("workers without the project say so, and so does a place where there are none", async () => {
    const words = writeShop();
    write("elsewhere/package.json", "{}");
    const pool = await startPool(at("elsewhere"));
    const without = await beamline("run", ...words, ...there(`--workers=${pool.address}`));
    expect(without.code).toBe(2);
    expect(without.stderr).toMatch(
      /The job needs shop\/prices, and the worker in .*elsewhere does not have it: put the same/,
    );
    await pool.stop();
    const none = await beamline("run", ...words, ...there(`--workers=${pool.address}`));
    expect(none.code).toBe(1);
    expect(none.stderr).toMatch(/^Failed: No workers are started at .*: npm run worker -- --port \d+ beside each/m);
  });

  test("workers of another version say so", async () => {
    writeTrades(45, 1);
    for (const room of ["beam", "io", "pipelines", "runners", "schema", "transforms", "infra", "index.ts"])
      cpSync(path.join(HERE, room), at("other", room), { recursive: true });
    const own = JSON.parse(readFileSync(path.join(HERE, "package.json"), "utf8")) as { version: string };
    write("other/package.json", JSON.stringify({ ...own, version: "0.0.0-other" }));
    symlinkSync(path.join(HERE, "node_modules"), at("other/node_modules"));
    const pool = await startPool(at("other"), at("other"));
    const { code, stderr } = await beamline("run", ...trades, ...there(`--workers=${pool.address}`));
    expect(code).toBe(2);
    expect(stderr).toContain(
      `was submitted by beamline ${own.version}, and the worker in ${at("other")} has 0.0.0-other: install`,
    );
    await pool.stop();
  });

  test.each(["SIGKILL", "SIGSTOP"] as const)(
    "a worker that gets %s ends the run, and nothing of it is kept",
    async (signal) => {
      writeTrades(43, 60);
      const running = beamline("run", ...trades, ...there("--workers=process", "--parallelism=2"));
      await whenWorking((pid) => process.kill(pid, signal));
      const { code, stderr } = await running;
      expect(code).toBe(1);
      expect(stderr).toMatch(/^Failed: The job failed on the runner: /m);
      expect(files().filter((name) => name.startsWith("out.db"))).toEqual([]);
    },
    120_000,
  );

  test("workers of TaskManagers that are frozen end by themselves", async () => {
    writeTrades(44, 60);
    const managers = ["taskmanager-1", "taskmanager-2"].map(pidOf);
    const running = beamline("run", ...trades, ...there("--workers=process", "--parallelism=2"));
    await whenWorking(() => managers.forEach((pid) => process.kill(pid, "SIGSTOP")));
    try {
      expect(await running).toMatchObject({ code: 1 });
      await until(workers, ({ length }) => length === 0);
    } finally {
      for (const pid of managers) process.kill(pid, "SIGKILL");
    }
    expect(files().filter((name) => name.startsWith("out.db"))).toEqual([]);
  }, 120_000);
});

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
