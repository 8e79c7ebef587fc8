import { spawnSync } from "node:child_process";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { FakeRunner, encodeValues } from "./testing/fake-runner";
import { startWorker } from "./worker-entrypoint";
import { type Worker } from "apache-beam/worker/worker";
import { quietSdkLogs } from "../quiet";

let runner: FakeRunner;
let projectDir: string;

beforeAll(() => {
  quietSdkLogs();
  projectDir = fs.mkdtempSync(path.join(os.tmpdir(), "worker-entrypoint-"));
  const write = (file: string, text: string) => fs.writeFileSync(path.join(projectDir, file), text);
  write("package.json", JSON.stringify({ name: "prices", exports: { "./*": "./*" } }));
  write("functions.js", "globalThis.loaded = [...(globalThis.loaded ?? []), 'functions'];");
  write("modern.mjs", "globalThis.loaded = [...(globalThis.loaded ?? []), 'modern'];");
});

afterAll(() => fs.rmSync(projectDir, { recursive: true }));

beforeEach(async () => {
  runner = await FakeRunner.start();
});

afterEach(() => runner.stop());

const start = (modules: string[] = []) =>
  startWorker({ id: "1", controlEndpoint: runner.address, modules, projectDir });

const loaded = () => (globalThis as { loaded?: string[] }).loaded;

const ELEVEN_DAYS = 1e9;

/** Whether the SDK's worker still waits once its runner has hung up. */
async function waitsOn(worker: Worker): Promise<boolean> {
  const real = globalThis.setTimeout;
  let timer: NodeJS.Timeout | undefined;
  jest.spyOn(globalThis, "setTimeout").mockImplementation(((what: () => void, ms: number) => {
    const started = real(what, ms);
    if (ms === ELEVEN_DAYS) timer = started;
    return started;
  }) as typeof setTimeout);
  const ended = new Promise((resolve) => worker.controlChannel.on("end", resolve));
  let waits = true;
  void worker.wait().then(() => (waits = false));
  await runner.hangUp();
  await ended;
  await new Promise((resolve) => setImmediate(resolve));
  jest.restoreAllMocks();
  clearTimeout(timer);
  return waits;
}

describe("without the fix", () => {
  test("a worker waits on when its runner hangs up", async () => {
    expect(await waitsOn(runner.connectWorker())).toBe(true);
  });

  test("a project's modules are not found", () => {
    const options = JSON.stringify({ registered_node_modules: ["prices/functions.js"] });
    const main = require.resolve("apache-beam/worker/worker_main");
    // Without this the SDK's entrypoint does not get as far as that on Node 24.
    const compat = ["--require", require.resolve("tsx/cjs"), "--require", require.resolve("../node-compat")];
    const args = [...compat, main, "--id=1", `--control_endpoint=${runner.address}`, `--options=${options}`];
    const { status, stderr } = spawnSync(process.execPath, args, { cwd: projectDir, encoding: "utf8" });
    expect(status).toBe(1);
    expect(stderr).toContain("Unable to require module 'prices/functions.js'");
  });
});

describe("with the fix", () => {
  test("a worker works, and ends when its runner hangs up", async () => {
    runner.describe();
    const worker = start(["prices/functions.js"]);
    const answer = runner.process("1");
    await runner.send("1", encodeValues("a", "b"), true);
    expect((await answer).error).toBe("");
    await runner.ended("1");
    expect(runner.output("1")).toEqual(["a", "b"]);
    await runner.hangUp();
    await expect(worker).resolves.toBeUndefined();
    expect(loaded()).toEqual(["functions"]);
  });

  test("it ends when its runner dies", async () => {
    const worker = start();
    await runner.control.promise;
    runner.stop();
    await expect(worker).resolves.toBeUndefined();
  });

  test("it says when there is no runner", async () => {
    runner.stop();
    await expect(start()).rejects.toThrow(`The worker cannot reach its runner at ${runner.address}`);
  });

  test("it says which module it cannot load", async () => {
    await expect(start(["prices/nothing.js"])).rejects.toThrow(
      `The worker cannot load prices/nothing.js from ${projectDir}`,
    );
  });

  test("a module of the other kind is loaded too", () => {
    const entrypoint = JSON.stringify(require.resolve("./worker-entrypoint"));
    const work = { id: "1", controlEndpoint: "127.0.0.1:1", modules: ["prices/modern.mjs"], projectDir };
    const script = `require(${entrypoint}).startWorker(${JSON.stringify(work)}).catch(() => console.log(globalThis.loaded))`;
    const args = ["--require", require.resolve("tsx/cjs"), "--eval", script];
    expect(spawnSync(process.execPath, args, { encoding: "utf8" }).stdout).toBe("[ 'modern' ]\n");
  });

  test("the SDK's own modules are this SDK's", async () => {
    const worker = start(["apache-beam", "apache-beam/coders/js_coders"]);
    await runner.hangUp();
    await expect(worker).resolves.toBeUndefined();
  });
});
