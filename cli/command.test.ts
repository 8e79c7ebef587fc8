import fc from "fast-check";
import { catalog } from "../pipelines/catalog";
import { scene } from "../test/command-scene";
import { verbs } from "./help";

const { beamline, write, files } = scene();

test.each([
  [["lst"], "There is no verb or pipeline “lst”: did you mean “list”?"],
  [["trades-agregate"], "There is no verb or pipeline “trades-agregate”: did you mean “trades-aggregate”?"],
  [["run", "trades-agregate"], "There is no pipeline “trades-agregate”: did you mean “trades-aggregate”?"],
  [["describe", "trades"], "There is no pipeline “trades”; npx beamline list shows all"],
  [["describe"], "describe what? npx beamline describe trades-aggregate"],
  [["something"], "There is no verb or pipeline “something”; npx beamline list shows all"],
  [[""], "There is no verb or pipeline “”; npx beamline list shows all"],
  [["--widnow", "5m"], "There is no flag --widnow: did you mean --window?"],
  [["run", "--form=file:x"], "There is no flag --form: did you mean --from?"],
  [["list", "--window", "5m"], "There is no flag --window; --help lists all"],
  [["-from", "x"], "“-from” is not a flag: flags have two hyphens, such as --from"],
  [["--window"], "--window needs a value: --window duration"],
  [["--window", "--json"], "--window needs a value: --window duration"],
  [["--window", "5"], "--window 5: not a duration: write 250ms, 90s, 5m, 1h30m or 7d"],
  [["--window", "0s"], "--window 0s: must be longer than 0"],
  [["--lateness=-1m"], "--lateness -1m: not a duration: write 250ms, 90s, 5m, 1h30m or 7d"],
  [["--window", "5m", "--window=6m"], "--window is given 2 times"],
  [["--runner", "dirct"], "--runner dirct: did you mean “direct”?"],
  [["--runner", "spark"], "--runner spark: it must be one of direct, flink"],
  [["--from", "smaple:"], "“smaple:” is not a known kind of address; did you mean “sample:”?"],
  [["--from", "sample:trade"], "There is no sample “trade”: did you mean “trades”?"],
  [["--from", "fiel:x"], "“fiel:” is not a known kind of address; did you mean “file:”?"],
  [
    ["--from", "trades.ndjson"],
    "“trades.ndjson” is not a connector URI: it needs a scheme, such as file:trades.ndjson",
  ],
  [["--from", "stdout:"], "“stdout:” can be written to, but not read from"],
  [["--from", "trade=file:x"], "trades-aggregate has no input “trade”: did you mean “trades”?"],
  [["--from", "file:nowhere"], "nowhere does not exist"],
  [["--from", "file:no/*.csv"], "No file matches no/*.csv"],
  [["--to", "sqlight:x.db"], "“sqlight:” is not a known kind of address; did you mean “sqlite:”?"],
  [["--to", "candle=sqlite:x.db"], "trades-aggregate has no output “candle”: did you mean “candles”?"],
  [["--to", "file:a", "--to", "file:b"], "--to is given twice (file:a, file:b): say which output, --to candles=file:b"],
  [
    ["--to", "dead_letters=file:a", "--to", "dead_letters=file:b"],
    "--to dead_letters=… is given twice: dead letters have one place, where they are replayed from",
  ],
  [["run", "trades-aggregate", "too", "much"], "“too” is too much: npx beamline run [pipeline] [flags]"],
  [["trades-aggregate", "list"], "“list” is too much: npx beamline run [pipeline] [flags]"],
  [["list", "more"], "“more” is too much: npx beamline list [--json]"],
  [["describe", "trades-aggregate", "x"], "“x” is too much: npx beamline describe <pipeline> [--json]"],
  [["list", "--json=yes"], "--json stands alone: it takes no value"],
  [["--debug=1"], "--debug stands alone: it takes no value"],
])("%j: exit code 2 and %s", async (args, sentence) => {
  expect(await beamline(...args)).toEqual({ code: 2, stdout: "", stderr: `${sentence}\n` });
  expect(files()).toEqual([]);
});

test("under npm run pipeline, sentences tell npm's way to call it", async () => {
  process.env["npm_lifecycle_event"] = "pipeline";
  const { stderr } = await beamline("something");
  expect(stderr).toBe("There is no verb or pipeline “something”; npm run pipeline -- list shows all\n");
});

test("--debug shows where a mistake was found", async () => {
  const { code, stderr } = await beamline("list", "more", "--debug");
  expect(code).toBe(2);
  expect(stderr).toContain("\n    at ");
});

describe("help", () => {
  test.each([
    [[], "npx beamline [verb] [pipeline] [flags]"],
    [["run"], "npx beamline run [pipeline] [flags]"],
    [["trades-aggregate"], "npx beamline run [pipeline] [flags]"],
    [["run", "trades-aggregate", "--window", "5m"], "npx beamline run [pipeline] [flags]"],
    [["list"], "npx beamline list [--json]"],
    [["describe"], "npx beamline describe <pipeline> [--json]"],
    [["describe", "trades-aggregate"], "npx beamline describe <pipeline> [--json]"],
    [["init"], "npx beamline init [name] [--no-install]"],
  ])("%j --help", async (args, usage) => {
    for (const help of ["--help", "-h"]) {
      const { code, stdout, stderr } = await beamline(...args, help);
      expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
      expect(stdout).toContain(usage);
      expect(stdout).toContain("--help");
    }
  });

  test("comes before the verb too, and does nothing else", async () => {
    expect((await beamline("--help", "init")).stdout).toContain("npx beamline init [name]");
    expect(files()).toEqual([]);
  });

  test("tells the flags, what they take and what is usual, from the models", async () => {
    const { stdout } = await beamline("run", "--help");
    expect(stdout).toMatch(/--window duration +length of a candle \[1m\]/);
    expect(stdout).toMatch(/--from URI +where to read.*\(may be repeated\)/);
    expect(stdout).toMatch(/--dead-letter-share number +.* \[0\.5\]/);
    expect(stdout).toMatch(/--runner direct\|flink +.* \[direct\]/);
  });

  test("in general lists all verbs and pipelines", async () => {
    const { stdout } = await beamline("--help");
    for (const word of [...verbs, "trades-aggregate"]) expect(stdout).toMatch(new RegExp(`^  ${word} `, "m"));
  });
});

test("list names every pipeline", async () => {
  const { stdout: text } = await beamline("list");
  expect(text.match(/^ {2}\S+ {2,}\S.*$/gm)).toHaveLength(catalog.length);
  expect(text).toContain("  trades-aggregate  Candles per symbol and minute from raw trades\n");
  const { code, stdout, stderr } = await beamline("list", "--json");
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  expect(JSON.parse(stdout)).toEqual(catalog.map(({ name, summary }) => ({ name, summary })));
});

test("describe tells where live: is, and that what gives each record once needs the direct runner", async () => {
  const { stdout } = await beamline("describe", "trades-ingest");
  expect(stdout).toMatch(/--from live: reads wss:.*, which only the direct runner can without end/);
  expect(stdout).toMatch(/--to live: writes kafka:.*: append, at least once/);
  const json = JSON.parse((await beamline("describe", "ticker-clean", "--json")).stdout) as { inputs: object[] };
  expect(json.inputs).toMatchObject([{ live: "kafka://localhost:29092/ticker_raw", runners: ["any"] }]);
});

test("describe tells inputs, outputs, parameters and the graph", async () => {
  const { code, stdout, stderr } = await beamline("describe", "trades-aggregate");
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  for (const text of [
    "trades-aggregate: Candles per symbol and minute from raw trades (version 1)",
    "Input trades\n  read from sample: unless --from says otherwise",
    "Output candles: table trades_1min_agg\n  a row replaces the row with the same symbol, window_start",
    "decimal(38, 8) or null — mean of the prices by quantity",
    "Output dead_letters: table dead_letters\n  reading the same input again replaces what it gave before",
    "--window duration",
    "Graph\n  read trades",
  ]) {
    expect(stdout).toContain(text);
  }
  // eslint-disable-next-line no-control-regex -- none of them may be there
  expect(stdout).not.toMatch(/[\u0000-\u0009\u000b-\u001f]/);
});

test("describe --json is one object", async () => {
  const described = JSON.parse((await beamline("describe", "trades-aggregate", "--json")).stdout) as unknown;
  expect(described).toMatchObject({
    name: "trades-aggregate",
    version: "1",
    inputs: [
      {
        name: "trades",
        from: "sample:",
        fields: expect.arrayContaining([{ name: "s", description: "symbol" }]) as unknown,
      },
    ],
    outputs: [{ name: "candles", table: "trades_1min_agg" }, { name: "dead_letters" }],
    parameters: [{ flag: "window", environment: "BEAMLINE_WINDOW", usual: "1m" }, { flag: "lateness" }],
    graph: expect.arrayContaining(["read trades"]) as string[],
  });
});

test("the options of a web address in .env are not taken for a comment", async () => {
  const address = "https://h/x?a=b#evry=30s";
  for (const line of [`BEAMLINE_FROM=${address}`, `export BEAMLINE_FROM = trades=${address}`]) {
    write(".env", `A=1 # see https://h/#top\n${line}\n`);
    const { code, stderr } = await beamline("trades-aggregate");
    expect([code, stderr]).toEqual([
      2,
      ".env: behind the “#” in BEAMLINE_FROM all is a comment: put quotes around the whole value\n",
    ]);
  }
  write(".env", `# A=https://h/#top\nBEAMLINE_FROM="${address}"\n`);
  expect((await beamline("trades-aggregate")).stderr).toMatch(/has the option “evry”: did you mean “every”\?/);
});

test(".env that cannot be read is one sentence", async () => {
  write(".env/file", "");
  const { code, stderr } = await beamline("run");
  expect(code).toBe(2);
  expect(stderr).toMatch(/^\.env cannot be read: [^\n]+\n$/);
});

describe("whatever the arguments", () => {
  const word = fc.oneof(
    fc.string({ unit: "binary", maxLength: 12 }),
    fc.constantFrom(
      "--",
      "--help",
      "-h",
      "--json",
      "--from",
      "--to=x",
      "--window",
      "trades-aggregate",
      "run",
      "__proto__",
    ),
    fc.constantFrom(
      "constructor",
      "--constructor",
      "--__proto__=1",
      "--to",
      "toString:x",
      "file:\0",
      "--job",
      "--job=",
    ),
  );
  const exitCode = async (args: readonly string[]) => {
    const { code, stderr } = await beamline(...args);
    expect([0, 1, 2, 130]).toContain(code);
    expect(stderr).not.toContain("please report it");
    return code;
  };

  test("verbs that change nothing answer with an exit code, and no mistake of ours", async () => {
    await fc.assert(
      fc.asyncProperty(fc.constantFrom("list", "describe"), fc.array(word, { maxLength: 4 }), async (verb, args) => {
        expect(await exitCode([verb, ...args])).not.toBe(1);
      }),
      { numRuns: 100 },
    );
  });

  test("so does a run that has nothing to read", async () => {
    const flag = fc.constantFrom("--from", "--to", "--window", "--job", "--batch-time", "--dead-letter-run", "--x");
    const value = fc.oneof(
      word,
      fc.webUrl(),
      fc.string({ unit: "binary" }).map((text) => `file:${text}`),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(fc.tuple(flag, value), { maxLength: 3 }), async (said) => {
        const args = said.map(([name, text]) => `${name}=${text}`);
        await exitCode(["run", "--from=trades=file:nowhere/*", ...args]);
      }),
      { numRuns: 100 },
    );
    expect(files()).toEqual([]);
  });
});
