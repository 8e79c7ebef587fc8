// The command as a process of its own, where a process is what matters: pipes, a terminal, signals, a kill.
import { spawn } from "node:child_process";
import fs from "node:fs";
import { asProcess, beamlineProcess, importOfBeamline, importOfZod, lines, scene } from "../test/command-scene";

const { at, write, files, query, dump } = scene();

const quoted = (words: readonly string[]) => words.map((word) => `'${word.replaceAll("'", "'\\''")}'`).join(" ");

/** A pipeline of the user's that copies numbers, and sends itself at the fifth the signal that stands in the file `signal`. */
function ownPipeline(): void {
  write("package.json", '{"beamline": {"pipelines": "mine.ts"}}');
  write(
    "mine.ts",
    `import fs from "node:fs";
     import { clean, dead, deadLetters, decode, definePipeline, input, ok, register, table } from ${importOfBeamline};
     import { z } from ${importOfZod};
     const Numbers = z.object({ id: z.int(), text: z.string() });
     export function look(row: z.infer<typeof Numbers>) {
       if (row.id === 5 && fs.existsSync("signal")) process.kill(process.pid, fs.readFileSync("signal", "utf8") as "SIGINT");
       return row.id % 10 === 0 ? dead("a ten") : ok(row);
     }
     register("mine", { Numbers, look });
     export const mine = definePipeline({
       name: "mine", summary: "copies numbers",
       inputs: { numbers: input(Numbers, { sample: "numbers.ndjson" }) },
       outputs: { numbers: table(Numbers, { name: "numbers", key: ["id"] }), dead_letters: deadLetters },
       params: z.object({}),
       build({ numbers }, outputs) {
         const { good, bad } = numbers.apply(clean(decode(Numbers), look));
         good.apply(outputs.numbers);
         bad.apply(outputs.dead_letters);
       },
     });`,
  );
}

/** Enough that it is read in several pieces: a signal is heard between two of them. */
const numbers = (text: string) => {
  const pad = text.repeat(50);
  write("numbers.ndjson", lines(...Array.from({ length: 6_000 }, (_, id) => JSON.stringify({ id, text: pad }))));
};

test.each([["SIGINT"], ["SIGKILL"]])("%s in mid-run leaves what was there, and the next run is right", (signal) => {
  ownPipeline();
  numbers("old");
  expect(beamlineProcess(at(), "run")).toMatchObject({ code: 0 });
  const before = dump();
  numbers("new");
  write("signal", signal);
  const stopped = beamlineProcess(at(), "run", "--json");
  expect(dump()).toBe(before);
  expect(query("SELECT count(*) AS n FROM numbers")).toEqual([{ n: 5_400 }]);
  if (signal === "SIGINT") {
    expect(stopped).toMatchObject({ code: 130, signal: null, stderr: "Interrupted: nothing of this run was kept\n" });
    expect(JSON.parse(stopped.stdout)).toMatchObject({ state: "interrupted", error: "Interrupted by SIGINT" });
    return;
  }
  expect(stopped).toMatchObject({ signal, stdout: "" });
  fs.rmSync(at("signal"));
  expect(beamlineProcess(at(), "run")).toMatchObject({ code: 0 });
  expect(query("SELECT count(*) AS n FROM numbers WHERE text LIKE 'new%'")).toEqual([{ n: 5_400 }]);
});

test("in a pipe there are no control characters, and a reader that leaves early is no failure", async () => {
  const [node = "", ...words] = asProcess;
  const child = spawn(node, [...words, "run", "--to", "stdout:", "--json"], { cwd: at() });
  child.stdout.destroy();
  let stderr = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => (stderr += text));
  const code = await new Promise((resolve) => child.on("close", resolve));
  expect(stderr).toContain("✓ trades-aggregate done in ");
  // eslint-disable-next-line no-control-regex -- none of them may be there
  expect(stderr).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f]/);
  expect(stderr).not.toContain("EPIPE");
  expect(code).toBe(0);
});

test("what a module of the user's leaves running does not keep the process, and all that was printed arrives", async () => {
  ownPipeline();
  fs.appendFileSync(at("mine.ts"), "\nsetInterval(() => {}, 1000);\n");
  numbers("much");
  const [node = "", ...words] = asProcess;
  // Only where it does not end by itself is it ended.
  const child = spawn(node, [...words, "run", "--to", "numbers=stdout:"], { cwd: at(), timeout: 60_000 });
  let stdout = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => (stdout += text));
  expect(await new Promise((resolve) => child.on("close", resolve))).toBe(0);
  expect(stdout.split("\n")).toHaveLength(5_401);
}, 90_000);

const onLinux = process.platform === "linux" && fs.existsSync("/usr/bin/script") ? test : test.skip;

onLinux("on a terminal there is a progress line, which is wiped out before the summary", async () => {
  const options = { cwd: at(), env: { ...process.env, TERM: "xterm", NO_COLOR: undefined, CI: undefined } };
  const child = spawn("script", ["-qec", quoted([...asProcess, "run"]), "/dev/null"], { ...options, stdio: "pipe" });
  child.stdin.end();
  let text = "";
  child.stdout.setEncoding("utf8").on("data", (piece: string) => (text += piece));
  const code = await new Promise((resolve) => child.on("close", resolve));
  expect({ code, text }).toMatchObject({ code: 0 });
  const wipe = "\r\u001b[2K";
  const progress = text.indexOf(`${wipe}\u001b[2m`);
  expect(progress).toBeGreaterThanOrEqual(0);
  expect(text.slice(progress)).toMatch(/[\d,]+ read {2}·.*\d duplicate/);
  expect(text.lastIndexOf(wipe)).toBeLessThan(text.indexOf("✓"));
  expect(text.lastIndexOf(wipe)).toBeGreaterThan(progress);
  expect(files()).toEqual(["data/app.db"]);
});
