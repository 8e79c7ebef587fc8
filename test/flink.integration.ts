// Bounded runs with --runner=flink, on the small cluster that is started for them: the same rows as on the direct runner,
// the same sentences when something is wrong, and nothing left behind.
import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { watchCounts } from "../beam";
import { freePort } from "../infra/services/ports";
import { catalog } from "../pipelines/catalog";
import { scene } from "./command-scene";
import { Ledger } from "./ledger";

const { at, beamline, write, files, query } = scene();
const AT = ["--batch-time", "2026-01-06T00:00:00Z"];

interface Summary {
  readonly runner: string;
  readonly state: string;
  readonly [counter: string]: unknown;
}

/** What it says of a run, without what follows from where and when it ran. */
function summaryOf(stdout: string) {
  const { runner, seconds: _, recordsPerSecond: __, ...counts } = JSON.parse(stdout) as Summary;
  return { runner, counts };
}

/** All rows of each file, in an order of their own: a cluster gives them in none. */
const rowsIn = (directory: string) =>
  Object.fromEntries(
    readdirSync(at(directory))
      .sort()
      .map((file) => [file, readFileSync(at(directory, file), "utf8").split("\n").sort()]),
  );

/** Job servers that this process has started: a shell each, and Java below it. */
function jobServers(): number[] {
  const all = execFileSync("ps", ["-eo", "pid=,ppid=,args="], { encoding: "utf8" })
    .trim()
    .split("\n")
    .map((line) => /^\s*(\d+)\s+(\d+)\s+(.*)$/.exec(line)?.slice(1) ?? []);
  const shells = all.filter(([, parent]) => parent === String(process.pid)).map(([pid]) => pid);
  return all
    .filter(([, parent, args]) => shells.includes(parent) && args?.includes("FlinkJobServerDriver"))
    .map(([pid]) => Number(pid));
}

afterEach(() => expect(jobServers()).toEqual([]));

test.each(catalog.map(({ name }) => name))(
  "%s gives the rows of the direct runner, and counts the same",
  async (name) => {
    const there = await beamline("run", name, "--runner=flink", "--to", "file:flink/", "--json", ...AT);
    expect(there).toMatchObject({ code: 0 });
    const here = await beamline("run", name, "--to", "file:direct/", "--json", ...AT);
    expect(rowsIn("flink")).toEqual(rowsIn("direct"));
    const [flink, direct] = [summaryOf(there.stdout), summaryOf(here.stdout)];
    expect(flink.runner).toBe("flink");
    expect(flink.counts).toEqual(direct.counts);
  },
);

test("several files, in parallel: every trade once, those that come twice counted so", async () => {
  const ledger = new Ledger(21);
  const parts = Array.from({ length: 5 }, () => ledger.take(2_000).map(({ value }) => `${value}\n`));
  parts.forEach((lines, index) => write(`in/${index}.ndjson`, lines.join("")));
  write("in/again.ndjson", (parts[2] ?? []).join(""));
  const words = ["--from", "file:in/*.ndjson", "--json"];
  const flink = ["--runner=flink", "--parallelism=2", "--to", "sqlite:out.db"];
  const there = await beamline("run", "trades-aggregate", ...flink, ...words);
  expect(there).toMatchObject({ code: 0 });
  const here = await beamline("run", "trades-aggregate", "--to", "sqlite:direct.db", ...words);
  expect(summaryOf(there.stdout).counts).toEqual(summaryOf(here.stdout).counts);
  const columns = "symbol, window_start, trade_count, volume";
  expect(query(`SELECT ${columns} FROM trades_1min_agg ORDER BY symbol, window_start`, "out.db")).toEqual(
    ledger.expected(),
  );
});

test("what fails in a step is told in the step's own words, and nothing is kept", async () => {
  write("bad.ndjson", "garbage\n".repeat(300));
  const { code, stderr } = await beamline("run", "trades-aggregate", "--runner=flink", "--from", "file:bad.ndjson");
  expect(code).toBe(1);
  expect(stderr).toMatch(/^Failed: Stopped at “clean: decode, toTrade”: 100 of 100 records .*--dead-letter-run$/m);
  expect(stderr).not.toMatch(/SDK harness|\bat \w+\.java|org\.apache/);
  expect(files()).toEqual(["bad.ndjson"]);
});

test("a job server that is killed in mid-run ends the run by a sentence, and nothing is kept", async () => {
  const ledger = new Ledger(22);
  const lines = Array.from({ length: 50 }, () =>
    ledger
      .take(2_000)
      .map(({ value }) => `${value}\n`)
      .join(""),
  );
  write("in.ndjson", lines.join(""));
  const running = beamline("run", "trades-aggregate", "--runner=flink", "--from", "file:in.ndjson");
  let killed = false;
  const stopWatching = watchCounts((name) => {
    if (killed || name !== "read") return;
    killed = true;
    for (const pid of jobServers()) process.kill(pid, "SIGKILL");
  });
  const { code, stderr } = await running.finally(stopWatching);
  expect({ code, killed }).toEqual({ code: 1, killed: true });
  expect(stderr).toMatch(/^Failed: Flink's job server ended in the midst of the run:/m);
  expect(files()).toEqual(["in.ndjson"]);
});

test.each([
  [
    ["--streaming"],
    /--streaming on Flink reads topics of Kafka, and trades is read from file: .* or use --runner=direct/,
  ],
  [["--parallelism=0"], /--parallelism/],
  [["--workers=process"], /--workers goes with --flink-master only/],
  [["--worker-host=10.0.0.1"], /--worker-host goes with --flink-master only/],
  [
    ["--flink-master=127.0.0.1:4", "--workers=pool"],
    /--workers is "pool": it is here, process, or host:port of a pool/,
  ],
])("wrong words are told before anything is started: %j", async (words, sentence) => {
  const { code, stderr } = await beamline("run", "trades-aggregate", "--runner=flink", ...words);
  expect(code).toBe(2);
  expect(stderr).toMatch(sentence);
});

test("a source that is not there is told in the words of the direct runner, and Flink is not started for it", async () => {
  const from = `kafka://127.0.0.1:${await freePort()}/trades`;
  const { code, stderr } = await beamline("run", "trades-aggregate", "--runner=flink", "--from", from);
  expect(code).toBe(1);
  expect(stderr).toMatch(/^Failed: No Kafka broker answers at 127\.0\.0\.1:\d+ \(connection refused\): start it/m);
  expect(files()).toEqual([]);
});
