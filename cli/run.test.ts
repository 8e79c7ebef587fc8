// Runs from end to end, in this process: what lands in the tables, what is printed, what a failure leaves behind.
import fs from "node:fs";
import { gzipSync } from "node:zlib";
import { SqliteTarget } from "../io/sqlite/target";
import { asOrdinaryUser } from "../test/scratch";
import { importOfBeamline, importOfZod, lines, scene, trade, trades } from "../test/command-scene";

const { at, beamline, write, files, dump, query } = scene();

const CONTROL = /[\u0000-\u0009\u000b-\u001f\u007f-\u009f]/; // eslint-disable-line no-control-regex -- none may be printed

/** Runs, and gives the object that --json prints. */
async function run(...args: string[]): Promise<Record<string, unknown>> {
  const { code, stdout, stderr } = await beamline("run", "trades-aggregate", "--json", ...args);
  expect({ code, stderr }).toMatchObject({ code: 0 });
  expect(stdout.split("\n")).toHaveLength(2);
  return JSON.parse(stdout) as Record<string, unknown>;
}

const candles = (file?: string) => query('SELECT * FROM trades_1min_agg ORDER BY "symbol", "window_start"', file);
const letters = (file?: string) => query("SELECT * FROM dead_letters ORDER BY job, source, position", file);

describe("the bundled sample", () => {
  test("goes into data/app.db, all of it counted", async () => {
    const { code, stdout, stderr } = await beamline();
    expect({ code, stdout }).toEqual({ code: 0, stdout: "" });
    expect(candles()).toHaveLength(20);
    expect(letters()).toHaveLength(6);
    expect(files()).toEqual(["data/app.db"]);
    const steady = stderr.replace(/done in .*/, "done").split("\n");
    expect(steady.slice(0, 5)).toEqual([
      "✓ trades-aggregate done",
      "",
      "  read       1,991 records",
      "  duplicate  27 records, counted once",
      "  dead       6 records",
    ]);
    expect(stderr).toContain("  written    20 rows of candles to sqlite:data/app.db\n");
    expect(stderr).toContain("3 × invalid — sample:trades, 556: p: ");
    expect(stderr).toContain('sqlite3 "data/app.db" "select * from trades_1min_agg limit 10"\n');
    expect(stderr).not.toMatch(CONTROL);
  });

  test("--json is one object on stdout, the summary goes to stderr", async () => {
    const { code, stdout, stderr } = await beamline("--json");
    expect(code).toBe(0);
    expect(stderr).toContain("done in");
    const object = JSON.parse(stdout) as Record<string, unknown>;
    expect(stdout).toBe(`${JSON.stringify(object)}\n`);
    expect(object).toEqual({
      pipeline: "trades-aggregate",
      runner: "direct",
      state: "done",
      read: 1991,
      ok: 1985,
      dead: 6,
      dropped: 0,
      duplicate: 27,
      late: 0,
      written: { candles: 20, dead_letters: 6 },
      rejected: 0,
      seconds: expect.any(Number) as unknown,
      recordsPerSecond: expect.any(Number) as unknown,
      job: "trades-aggregate",
      batch: expect.stringMatching(/^[0-9a-f]{12}$/) as unknown,
    });
    const counted = candles().reduce((sum, { trade_count }) => sum + Number(trade_count), 0);
    expect(counted).toBe(1985 - 27);
  });

  test("twice leaves the same tables, and the same batch", async () => {
    const first = await run();
    const before = dump();
    const second = await run();
    expect(dump()).toBe(before);
    expect(second["batch"]).toBe(first["batch"]);
  });

  test("another job has letters of its own, and replaces only these", async () => {
    await run();
    await run("--job", "other");
    await run("--job", "other");
    const jobs = letters().map(({ job }) => String(job));
    expect(jobs).toEqual([...Array<string>(6).fill("other"), ...Array<string>(6).fill("trades-aggregate")]);
    expect(candles()).toHaveLength(20);
  });
});

describe("files", () => {
  const rows = [...trades(1, 150), trade(7), "{bad", trade(150, { p: "-1" })];

  test("a repaired input takes its letters away", async () => {
    write("in.ndjson", lines(...rows));
    expect(await run("--from", "file:in.ndjson")).toMatchObject({ read: 152, dead: 2, duplicate: 1 });
    expect(letters().map(({ source, position, reason }) => [source, Number(position), reason])).toEqual([
      ["in.ndjson", 151, "not JSON"],
      ["in.ndjson", 152, "invalid"],
    ]);
    write("in.ndjson", lines(...rows.slice(0, 150), trade(151), trade(150)));
    expect(await run("--from", "file:in.ndjson")).toMatchObject({ read: 152, dead: 0 });
    expect(letters()).toEqual([]);
  });

  test("a renamed file gives the same rows; letters tell where they came from", async () => {
    write("a.ndjson", lines(...rows));
    await run("--from", "file:a.ndjson");
    const before = candles();
    fs.renameSync(at("a.ndjson"), at("b.ndjson"));
    await run("--from", "file:b.ndjson");
    expect(candles()).toEqual(before);
    expect(letters().map(({ source }) => source)).toEqual(["a.ndjson", "a.ndjson", "b.ndjson", "b.ndjson"]);
  });

  test("however records are spread over files, with duplicates across them, packed or as CSV: the same rows", async () => {
    write("one.ndjson", lines(...trades(1, 150)));
    await run("--from", "file:one.ndjson", "--to", "sqlite:one.db");
    write("in/1.ndjson", lines(...trades(100, 150)));
    write("in/2.ndjson", lines(...trades(1, 120)));
    write("in/3.ndjson.gz", gzipSync(trades(1, 10).join("\r\n")));
    const header = Object.keys(JSON.parse(trade(1)) as object);
    const csv = trades(40, 60).map((text) => Object.values(JSON.parse(text) as object).join(","));
    write("in/4.csv", lines(header.join(","), ...csv));
    const counts = await run("--from", "file:in/*", "--to", "sqlite:many.db");
    expect(counts).toMatchObject({ read: 198, ok: 198, duplicate: 49, written: { candles: 3, dead_letters: 0 } });
    expect(candles("many.db")).toEqual(candles("one.db"));
  });

  test("hostile records are printed harmless", async () => {
    const evil = `\u001b]0;owned\u0007\u001b[2J\u009b31m{"s":"\u202e`;
    write("evil\u001b[31m.ndjson", lines(...trades(1, 120), evil, trade(121, { s: "\u001b[31mRED" })));
    const { code, stdout, stderr } = await beamline("run", "--from", "file:evil*", "--json");
    expect({ code, stderr }).toMatchObject({ code: 0 });
    expect(stderr + stdout).not.toMatch(CONTROL);
    expect(stderr).toContain("·[31mRED");
    expect(letters()[0]?.["value"]).toBe(evil);
    // The sentence of a failed run quotes a record too.
    const failed = await beamline("run", "--from", "file:evil*", "--dead-letter-share", "0", "--json");
    expect(failed.code).toBe(1);
    expect(failed.stderr + failed.stdout).not.toMatch(CONTROL);
  });

  test("an empty file is a run of nothing", async () => {
    write("empty.ndjson", "");
    expect(await run("--from", "file:empty.ndjson")).toMatchObject({
      read: 0,
      written: { candles: 0, dead_letters: 0 },
    });
    expect(candles()).toEqual([]);
  });
});

describe("parameters", () => {
  const starts = () => candles().length;
  beforeEach(() => write("in.ndjson", lines(...trades(0, 600))));

  test("a flag wins over the environment, that over .env, that over what is usual", async () => {
    const from = "--from=trades=file:in.ndjson";
    expect(await run(from)).toMatchObject({ written: { candles: 10 } });
    expect(starts()).toBe(10);
    write(".env", "# mine\nBEAMLINE_WINDOW=5m\nBEAMLINE_LATENESS='1h'\n");
    expect(await run(from)).toMatchObject({ written: { candles: 2 } });
    process.env["BEAMLINE_WINDOW"] = "2m";
    expect(await run(from)).toMatchObject({ written: { candles: 5 } });
    expect(await run("--window=10m", from, "--lateness", "2h")).toMatchObject({ written: { candles: 1 } });
  });

  test("where to read and write can come from the environment, with blanks in paths", async () => {
    write("my data/in put.ndjson", lines(...trades(0, 60)));
    process.env["BEAMLINE_FROM"] = "file:my data/in put.ndjson";
    process.env["BEAMLINE_TO"] = "candles=file:out put.csv dead_letters=sqlite:dead.db";
    await run();
    expect(files()).toEqual(["dead.db", "in.ndjson", "my data/in put.ndjson", "out put.csv"]);
  });

  test("a bad value in the environment or .env is exit code 2", async () => {
    write(".env", "BEAMLINE_WINDOW=soon\n");
    expect(await beamline()).toMatchObject({
      code: 2,
      stderr: "BEAMLINE_WINDOW=soon: not a duration: write 250ms, 90s, 5m, 1h30m or 7d\n",
    });
  });

  test("--batch-time is the run's clock", async () => {
    const from = "--from=file:in.ndjson";
    const { code, stderr } = await beamline("run", from, "--batch-time", "2025-01-01T00:00:00Z");
    expect(code).toBe(1);
    expect(stderr).toContain("absurd time");
  });

  test("--max-record-bytes makes longer records dead letters", async () => {
    write("in.ndjson", lines(...trades(0, 200), trade(200, { pad: "x".repeat(500) })));
    expect(await run("--from=file:in.ndjson", "--max-record-bytes", "300")).toMatchObject({ dead: 1 });
    expect(letters()[0]).toMatchObject({ reason: "too large", step: "size" });
  });
});

describe("outputs", () => {
  test("stdout takes rows, and letters go into a file", async () => {
    const { code, stdout } = await beamline("run", "--to", "stdout:");
    expect(code).toBe(0);
    const rows = stdout.trimEnd().split("\n");
    expect(rows).toHaveLength(20);
    expect(JSON.parse(rows[0] ?? "")).toMatchObject({ symbol: "BTCUSDT", window_start: "2026-01-05T09:30:00.000Z" });
    expect(files()).toEqual(["data/dead_letters.ndjson"]);
  });

  test("a directory takes a file of each, a file has the letters beside it", async () => {
    await run("--to", "file:out/");
    await run("--to", "file:rows.csv.gz");
    expect(files()).toEqual([
      "out/dead_letters.ndjson",
      "out/trades_1min_agg.ndjson",
      "rows.csv.gz",
      "rows.dead_letters.ndjson",
    ]);
  });

  test("files that lie beside those of earlier runs are told so, those that take their place are not", async () => {
    const written = async (to: string) => {
      const { code, stdout, stderr } = await beamline("run", "--to", to, "--json");
      const { beside } = JSON.parse(stdout) as { beside?: string[] };
      const isTold = /written {4}20 rows of candles to file:out\/, added to the files of earlier runs$/m.test(stderr);
      return { code, beside, isTold };
    };
    const lake = "file:out/?format=parquet";
    expect(await written(lake)).toEqual({ code: 0, beside: undefined, isTold: false });
    expect(await written(lake)).toEqual({ code: 0, beside: ["candles"], isTold: true });
    expect(await written(`${lake}&replace=true`)).toEqual({ code: 0, beside: undefined, isTold: false });
  });

  test("two outputs to one file are refused, and nothing is written", async () => {
    const { code, stderr } = await beamline("--to", "candles=file:x", "--to", "dead_letters=file:./x");
    expect({ code, stderr }).toMatchObject({
      code: 2,
      stderr: expect.stringMatching(/^x is asked for by two outputs/) as unknown,
    });
    expect(files()).toEqual([]);
  });
});

describe("a cluster that cannot take the job", () => {
  // Without Java nothing is started.
  beforeEach(() => {
    process.env["PATH"] = at("bin");
    delete process.env["JAVA_HOME"];
  });

  test("is the end of the run, unless it may go on in this process", async () => {
    const { code, stderr } = await beamline("run", "--runner=flink");
    expect({ code, stderr }).toMatchObject({
      code: 2,
      stderr: expect.stringMatching(
        /^--runner=flink needs Java 17 or newer, and java was not found: install it/,
      ) as unknown,
    });
    expect(files()).toEqual([]);
  });

  test("is told, with --fallback-runner=direct, and the rows are those of the direct runner", async () => {
    const { code, stdout, stderr } = await beamline("run", "--runner=flink", "--fallback-runner=direct", "--json");
    expect(code).toBe(0);
    expect(stderr).toMatch(/^Flink cannot take the job, so it runs in this process: --runner=flink needs Java 17/m);
    expect(JSON.parse(stdout)).toMatchObject({ runner: "direct", read: 1991, duplicate: 27, dead: 6 });
    const rows = dump("data/app.db");
    await run("--to", "sqlite:direct.db");
    expect(rows).toBe(dump("direct.db"));
  });

  const detached = ["--runner=flink", "--flink-master=127.0.0.1:4", "--workers=process", "--detach"];
  test.each([
    [["--detach"], "--detach goes with --workers=process or host:port"],
    [[...detached, "--fallback-runner=direct"], "--fallback-runner needs this process to the end"],
    [[...detached, "--fallback=file:rows"], "--fallback needs this process to the end"],
    [detached, "the rows of candles go to sqlite:, which many workers cannot write at the same time"],
    [
      [...detached, "--to=kafka://127.0.0.1:4/rows"],
      "the rows of candles go to kafka:, which many workers cannot write",
    ],
  ])("a run with %j cannot be detached", async (words, sentence) => {
    const { code, stderr } = await beamline("trades-aggregate", ...words);
    expect({ code, stderr }).toEqual({ code: 2, stderr: expect.stringContaining(sentence) as string });
  });

  test.each([
    [["--from-savepoint=file:/kept"], "--from-savepoint goes with --runner=flink only"],
    [["--runner=flink", "--from-savepoint=file:/kept"], "--from-savepoint goes with --streaming only"],
    [["savepoint"], "savepoint what? npx beamline savepoint <job> --flink-master HOST:PORT"],
    [["stop", "trades"], "stop is for a job on a cluster: give --flink-master"],
    [["cancel"], "cancel what? npx beamline cancel <job> --flink-master HOST:PORT"],
    [["cancel", "trades"], "cancel ends a job on a cluster: give --flink-master"],
    [["cancel", "trades", "other"], "“other” is too much"],
    [["cancel", "trades", "--flink-master=cluster"], '--flink-master is "cluster": write the host:port'],
    [["status", "--max-age=1h", "--flink-master=127.0.0.1:4"], "--max-age is about jobs of this machine"],
  ])("%j is told in a sentence", async (words, sentence) => {
    const { code, stderr } = await beamline(...words);
    expect({ code, stderr }).toEqual({ code: 2, stderr: expect.stringContaining(sentence) as string });
  });

  test.each(["--parallelism=2", "--fallback-runner=direct"])("%s goes with --runner=flink only", async (word) => {
    const { code, stderr } = await beamline("run", word);
    expect(code).toBe(2);
    expect(stderr).toContain(`${word.split("=")[0]} goes with --runner=flink only`);
  });
});

describe("a run that fails", () => {
  /** It fails with this code and one sentence, says so as JSON too, and leaves the files as they were. */
  async function fails(code: number, sentence: RegExp, ...args: string[]): Promise<void> {
    const before = files().map((file) => [file, fs.readFileSync(at(file)).toString("base64")]);
    const outcome = await beamline("run", "--json", ...args);
    expect({ ...outcome, stdout: "" }).toEqual({
      code,
      stdout: "",
      stderr: expect.stringMatching(/^[^\n]+\n$/) as unknown,
    });
    expect(outcome.stderr).toMatch(sentence);
    expect(JSON.parse(outcome.stdout)).toEqual({
      pipeline: expect.any(String) as unknown,
      runner: "direct",
      state: "failed",
      error: expect.stringMatching(new RegExp(sentence.source.replace(/^\^(Failed: |\(Failed: \)\?)/, "^"))) as unknown,
    });
    expect(files().map((file) => [file, fs.readFileSync(at(file)).toString("base64")])).toEqual(before);
  }

  test("a file that is not there, a directory, a packing that is not read", async () => {
    await fails(2, /^nowhere\.ndjson does not exist$/m, "--from", "file:nowhere.ndjson");
    fs.mkdirSync(at("dir"));
    await fails(2, /^dir is a directory: name the files in it/, "--from", "file:dir");
    write("x.zip", "PK");
    await fails(2, /^x\.zip is a \.zip file/, "--from", "file:x.zip");
  });

  test("a file that is not what its name says", async () => {
    write("x.ndjson.gz", gzipSync("cut off in the middle").subarray(0, 25));
    await fails(1, /^Failed: x\.ndjson\.gz/, "--from", "file:x.ndjson.gz");
  });

  test("a directory that may not be written", async () => {
    write("in.ndjson", lines(...trades(0, 10)));
    fs.mkdirSync(at("locked"), { mode: 0o555 });
    fs.chmodSync(at(), 0o755);
    await asOrdinaryUser(async () => {
      const from = "--from=file:in.ndjson";
      // Whoever stepped down from root finds out only when the database is opened.
      const code = process.getuid?.() === 0 ? 1 : 2;
      await fails(
        code,
        /^(Failed: )?locked\/app\.db cannot be (opened|written): its directory/,
        from,
        "--to=sqlite:locked/app.db",
      );
      await fails(1, /^Failed: locked\/x\.csv may not be written/, from, "--to=file:locked/x.csv");
    });
  });

  test("a database that is none", async () => {
    write("data/app.db", "This is not a database, though it has its name. ".repeat(100));
    await fails(1, /^Failed: data\/app\.db is damaged or is not a SQLite database/);
  });

  test("too many dead letters: by share, in a row, and only after a sample", async () => {
    write("bad.ndjson", lines(...trades(0, 60), ...Array<string>(70).fill("bad")));
    const from = "--from=file:bad.ndjson";
    await fails(1, /^Failed: Stopped at “.*”: \d+ of \d+ records \(the limit is 50 %\).*--dead-letter-share/, from);
    await fails(
      1,
      /^Failed: Stopped at “.*”: 41 records in a row \(the limit is 40\)/,
      from,
      "--dead-letter-run=40",
      "--dead-letter-share=1",
    );
    expect(files()).toEqual(["bad.ndjson"]);
    expect(await run(from, "--dead-letter-sample", "1000")).toMatchObject({ dead: 70 });
    const before = dump();
    await beamline("run", from, "--window", "1h");
    expect(dump()).toBe(before);
    await fails(1, /^Failed: Stopped at/, from, "--to=file:out.csv");
  });

  const failing = () => {
    throw new Error("the disk is gone");
  };

  test("an output that fails at commit: no rows, no letters, no new file", async () => {
    jest.spyOn(SqliteTarget.prototype, "recordBatch" as never).mockImplementation(failing);
    await fails(1, /^Failed: data\/app\.db could not be written: .*the disk is gone/);
    expect(files()).toEqual([]);
    jest.restoreAllMocks();
    await run();
    const before = dump();
    jest.spyOn(SqliteTarget.prototype, "recordBatch" as never).mockImplementation(failing);
    expect(await beamline("run", "--window", "5m")).toMatchObject({ code: 1 });
    expect(dump()).toBe(before);
  });

  test("one of two outputs fails at commit: the sentence says what is there already", async () => {
    ownPipeline(`if (id === 5) fs.mkdirSync("out.csv");`);
    const to = ["--to=numbers=sqlite:app.db", "--to=dead_letters=file:out.csv"];
    const { code, stderr } = await beamline("run", ...to);
    expect(code).toBe(1);
    expect(stderr).toMatch(
      /^Failed: out\.csv could not be written: .*\. What was written of numbers is there; [^\n]+\n$/,
    );
    expect(files()).toEqual(["app.db", "mine.ts", "numbers.ndjson", "package.json"]);
    fs.rmdirSync(at("out.csv"));
    expect(await beamline("run", ...to)).toMatchObject({ code: 1 });
  });

  test("a sink whose count is not what it got: the run commits nothing", async () => {
    const honest = SqliteTarget.prototype.write;
    jest.spyOn(SqliteTarget.prototype, "write").mockImplementation(async function (this: SqliteTarget, name, rows) {
      const { written } = await honest.call(this, name, rows);
      return { written: name === "candles" ? written - 1 : written };
    });
    await fails(
      1,
      /^Failed: The counts do not add up: 20 rows for candles, but 19 written and rejected ones\. Nothing was kept/,
    );
    expect(files()).toEqual([]);
  });

  test("a mistake of ours says how to see where, and --debug shows it", async () => {
    ownPipeline("", `throw new TypeError("undefined is not a graph");`);
    const outcome = await beamline("run", "--json");
    expect(outcome).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(
        /^Failed: [^\n]*undefined is not a graph\nRun it again with --debug to see where, and please report it\.\n$/,
      ) as unknown,
    });
    const { stderr } = await beamline("run", "--debug");
    expect(stderr).toContain("mine.ts:");
    expect(stderr).not.toContain("please report it");
    expect(files()).toEqual(["mine.ts", "numbers.ndjson", "package.json"]);
  });
});

describe("a signal in mid-run", () => {
  test.each(["SIGINT", "SIGTERM"])("%s ends the run with 130, and nothing of it is kept", async (signal) => {
    ownPipeline(`if (id === 5 && fs.existsSync("stop")) process.emit(${JSON.stringify(signal)});`);
    write("stop", "");
    const outcome = await beamline("run", "--json");
    expect(outcome).toMatchObject({ code: 130, stderr: "Interrupted: nothing of this run was kept\n" });
    expect(JSON.parse(outcome.stdout)).toEqual({
      pipeline: "mine",
      runner: "direct",
      state: "interrupted",
      error: `Interrupted by ${signal}`,
    });
    expect(files()).toEqual(["mine.ts", "numbers.ndjson", "package.json", "stop"]);
    fs.rmSync(at("stop"));
    expect(await beamline("run")).toMatchObject({ code: 0 });
    expect(query("SELECT count(*) AS n FROM numbers")).toEqual([{ n: 9 }]);
    expect(process.listenerCount(signal)).toBe(0);
  });
});

/** A pipeline of the user's that copies nine numbers; `onNumber` is done at each of them, `onBuild` when it is built. */
function ownPipeline(onNumber: string, onBuild = ""): void {
  const name = `t${process.pid}_${expect.getState().currentTestName?.replaceAll(/\W/g, "_")}`;
  write("package.json", '{"beamline": {"pipelines": "mine.ts"}}');
  write("numbers.ndjson", lines(...Array.from({ length: 9 }, (_, at) => JSON.stringify({ id: at + 1 }))));
  write(
    "mine.ts",
    `import fs from "node:fs";
     import path from "node:path";
     import { clean, deadLetters, decode, definePipeline, input, ok, register, table } from ${importOfBeamline};
     import { z } from ${importOfZod};
     const Numbers = z.object({ id: z.int() });
     export function look({ id }: { id: number }) { ${onNumber} return ok({ id }); }
     register(${JSON.stringify(name)}, { Numbers, look });
     export const mine = definePipeline({
       name: "mine", summary: "copies numbers",
       inputs: { numbers: input(Numbers, { sample: path.join(__dirname, "numbers.ndjson") }) },
       outputs: { numbers: table(Numbers, { name: "numbers", key: ["id"] }), dead_letters: deadLetters },
       params: z.object({}),
       build({ numbers }, outputs) {
         ${onBuild}
         const { good, bad } = numbers.apply(clean(decode(Numbers), look));
         good.apply(outputs.numbers);
         bad.apply(outputs.dead_letters);
       },
     });`,
  );
}
