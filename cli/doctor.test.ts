// The verb doctor, in this process: what it finds, and that it leaves everything as it was.
import { chmodSync, readFileSync } from "node:fs";
import net from "node:net";
import { parseAddress } from "../io/address";
import { catalog } from "../pipelines/catalog";
import { examine, type Asked } from "../runners/doctor";
import { RunOptions } from "../runners/run-options";
import { lines, scene, trades } from "../test/command-scene";
import { webServer } from "../test/web-server";

const { at, beamline, write, files, query } = scene();
const web = webServer();

interface Said {
  readonly state: string;
  readonly findings: readonly { readonly about: string; readonly state: string; readonly text: string }[];
}
async function doctor(...words: string[]): Promise<Said & { readonly code: number }> {
  const { code, stdout } = await beamline("doctor", "trades-aggregate", "--json", ...words);
  return { code, ...(JSON.parse(stdout) as Said) };
}
function program(name: string, script: string): void {
  write(`bin/${name}`, `#!/bin/sh\n${script}\n`);
  chmodSync(at("bin", name), 0o755);
}
const wrongs = ({ findings }: Said) => findings.filter(({ state }) => state === "wrong").map(({ text }) => text);
const containing = (text: string) => expect.stringContaining(text) as string;

test("nothing is there yet: what is missing is made by the first run, and nothing is changed", async () => {
  const { code, stdout } = await beamline("doctor");
  expect(code).toBe(0);
  expect(stdout).toMatch(/^trades-aggregate\n {2}✓ Node +Node \d/);
  expect(stdout).toContain("Options, parameters and environment fit together");
  expect(stdout).toMatch(
    / {2}missing output candles, dead_letters +data\/app\.db is not there yet: the first run makes it\n/,
  );
  expect(files()).toEqual([]);
});

test("what a run has made is fine, byte by byte as it was", async () => {
  await beamline();
  const before = readFileSync(at("data/app.db"));
  const said = await doctor();
  expect(said).toMatchObject({ code: 0, pipeline: "trades-aggregate", state: "fine" });
  expect(new Set(said.findings.map(({ state }) => state))).toEqual(new Set(["fine"]));
  expect(said.findings.map(({ about }) => about)).toEqual([
    ...["Node", "settings", "disk", "input trades", "output candles, dead_letters"],
  ]);
  expect(readFileSync(at("data/app.db"))).toEqual(before);
});

test.each<[string, string[], string]>([
  ["a parameter", ["--window", "soon"], "--window soon: "],
  ["options together", ["--strict"], "--strict goes with --fallback only"],
  ["an address", ["--from", "ftp://x"], "“ftp:” is not a known kind of address"],
  ["a window", ["--since", "2026-01-01T00:00:30Z"], "lies inside of a window"],
  ["an input that is not there", ["--from", "file:none.ndjson"], "none.ndjson does not exist"],
  ["an output in no directory", ["--to", "sqlite:in.ndjson/app.db"], "cannot be written"],
  ["an output that is none", ["--to", "sqlite:in.ndjson"], "in.ndjson"],
  ["an option of an address", ["--to", "sqlite:x.db?mode=fast"], "has the option “mode”, but sqlite: takes none"],
  ["a fallback", ["--fallback", "sqlite:x"], "it must be a directory on this machine"],
  ["a source that has an end", ["--streaming", "--from", "sqlite:x.db?table=t"], "it cannot be read with --streaming"],
])("%s that is wrong: a sentence and exit code 1", async (_what, words, says) => {
  write("in.ndjson", lines(...trades(0, 10)));
  const said = await doctor(...words);
  expect({ code: said.code, state: said.state }).toEqual({ code: 1, state: "wrong" });
  expect(wrongs(said)).toEqual([containing(says)]);
  expect(files()).toEqual(["in.ndjson"]);
});

test("a table of another shape, and tables that are missing beside one that fits", async () => {
  await beamline();
  query("DROP TABLE dead_letters");
  expect((await doctor()).findings).toContainEqual({
    ...{ about: "output candles, dead_letters", state: "missing" },
    text: "The table dead_letters is not in data/app.db yet: the first run makes it",
  });
  query("ALTER TABLE trades_1min_agg RENAME COLUMN volume TO amount");
  expect(wrongs(await doctor())).toEqual([containing("has another shape: column volume is missing")]);
});

test("with --runner=flink: what of Java and Flink is there, and what is fetched by the first run", async () => {
  const flink = ({ findings }: Said) => findings.filter(({ about }) => about === "Flink");
  process.env["PATH"] = at("bin");
  process.env["XDG_CACHE_HOME"] = at("cache");
  delete process.env["JAVA_HOME"];
  const without = await doctor("--runner=flink");
  expect(without).toMatchObject({ code: 1, state: "wrong" });
  expect(flink(without)).toEqual([
    {
      about: "Flink",
      state: "wrong",
      text: containing("--runner=flink needs Java 17 or newer, and java was not found"),
    },
  ]);
  program("java", "echo 'openjdk version \"17.0.2\"' >&2");
  program("mvn", "");
  const fetching = await doctor("--runner=flink");
  expect(fetching.code).toBe(0);
  expect(flink(fetching).map(({ state, text }) => [state, text])).toEqual([
    ["fine", `Java for --runner=flink: ${at("bin/java")}`],
    ["missing", "Flink's job server is fetched by the first run, about 177 MB"],
  ]);
  expect(flink(await doctor())).toEqual([]);
});

test("flags that are not known are still wrong usage", async () => {
  expect(await beamline("doctor", "--wat")).toMatchObject({ code: 2, stderr: containing("There is no flag --wat") });
  expect(await beamline("doctor", "a", "b")).toMatchObject({ code: 2 });
});

test("a web server is asked, and what it answers is told; one connection to a WebSocket's is made", async () => {
  web.answer((_request, response) => response.end("[]"));
  expect(await doctor("--from", `http://${web.host}/`)).toMatchObject({ code: 0 });
  web.answer((_request, response) => response.writeHead(401).end());
  expect(wrongs(await doctor("--from", `http://${web.host}/`))).toEqual([containing("it wants to know who asks")]);
  expect(wrongs(await doctor("--streaming", "--from", `ws://${web.host}/`))).toEqual([containing("answers 401")]);
});

test("a server that is silent is not waited for, and the others are asked at the same time", async () => {
  const sockets: net.Socket[] = [];
  const silent = net.createServer((socket) => void sockets.push(socket));
  await new Promise<void>((resolve) => silent.listen(0, "127.0.0.1", resolve));
  const { port } = silent.address() as net.AddressInfo;
  const pipeline = catalog.find(({ name }) => name === "trades-aggregate");
  if (pipeline === undefined) throw new Error("There is no trades-aggregate");
  const asked: Asked = {
    pipeline,
    options: RunOptions.parse({}),
    params: pipeline.params.parse({}),
    inputs: { trades: parseAddress(`http://127.0.0.1:${port}/`) },
    outputs: {
      candles: parseAddress(`postgres://me@127.0.0.1:${port}/db`),
      dead_letters: parseAddress("stdout:"),
    },
  };
  const found = await examine(asked, [], 300);
  for (const socket of sockets) socket.destroy();
  silent.close();
  expect(found.slice(-3)).toEqual([
    { about: "input trades", state: "wrong", text: containing("does not answer within 0.3 s") },
    { about: "output candles", state: "wrong", text: containing("does not answer within 0.3 s") },
    { about: "output dead_letters", state: "fine", text: "Rows are printed to standard output" },
  ]);
});
