import fs from "node:fs";
import path from "node:path";
import { transformSync } from "esbuild";
import { asOrdinaryUser } from "../test/scratch";
import { scene } from "../test/command-scene";

const { at, beamline, write, files } = scene();

const read = (file: string) => fs.readFileSync(at(file), "utf8");
const packageJson = () => JSON.parse(read("package.json")) as Record<string, Record<string, string>>;
const init = (...args: string[]) => beamline("init", "--no-install", ...args);

test("init writes a pipeline, its test and its sample, and what a package needs", async () => {
  const { code, stdout, stderr } = await init();
  expect({ code, stdout }).toEqual({ code: 0, stdout: "" });
  expect(files()).toEqual([
    ".gitignore",
    "package.json",
    "pipelines/my-pipeline.test.ts",
    "pipelines/my-pipeline.ts",
    "pipelines/sample/my-pipeline.ndjson",
    "tsconfig.json",
  ]);
  expect(stderr).toContain("  written  pipelines/my-pipeline.ts\n");
  expect(stderr).toContain("  npx beamline run my-pipeline ");
  const written = packageJson();
  expect(written).toMatchObject({
    private: true,
    scripts: { test: "jest", pipeline: "beamline" },
    jest: { preset: "beamline" },
    beamline: { pipelines: "pipelines/*.ts" },
    devDependencies: { jest: expect.any(String) as string, typescript: expect.any(String) as string },
  });
  // npm allows no blanks and no capitals in it.
  expect(written["name"]).toMatch(/^beamline-test-[a-z0-9._-]+$/);
  expect(written["overrides"]?.["apache-beam"]).toHaveProperty("chai", "npm:empty-npm-package@1.0.0");
});

test.each(["orders", "class", "count", "a-2-b"])("a pipeline can be named %s", async (name) => {
  expect(await init(name)).toMatchObject({ code: 0 });
  const source = read(`pipelines/${name}.ts`);
  expect(source).toContain(`name: "${name}"`);
  expect(source).not.toMatch(/__[A-Z]+__/);
  expect(() => transformSync(source, { loader: "ts" })).not.toThrow();
});

test.each(["My", "a--b", "../x", "1a", "a b", "", "a/b"])("“%s” is no name for a pipeline", async (name) => {
  const sentence = `“${name}” is no name for a pipeline: write it like my-pipeline\n`;
  expect(await init(name)).toEqual({ code: 2, stdout: "", stderr: sentence });
  expect(files()).toEqual([]);
});

test("what the user's package says wins, what it lacks is added", async () => {
  const before = {
    name: "@them/app",
    version: "3.0.0",
    scripts: { test: "vitest", start: "node ." },
    dependencies: { zod: "^4.0.0", typescript: "~5.0.0" },
    devDependencies: { beamline: "file:../b.tgz", jest: "^29.0.0" },
    overrides: { "apache-beam": { chai: "4.0.0" }, left: "1.0.0" },
    jest: { preset: "theirs" },
    beamline: { pipelines: "src/*.ts" },
    custom: [1, 2],
  };
  write("package.json", JSON.stringify(before));
  expect(await init()).toMatchObject({ code: 0 });
  const after = packageJson();
  expect(after).toMatchObject(before);
  expect(after["scripts"]).toEqual({ test: "vitest", start: "node .", pipeline: "beamline" });
  expect(after["dependencies"]).toEqual(before.dependencies);
  expect(Object.keys(after["devDependencies"] ?? {}).sort()).toEqual([
    "@types/jest",
    "@types/node",
    "beamline",
    "jest",
  ]);
  expect(read("pipelines/my-pipeline.ts")).toContain('register("@them/app/pipelines/my-pipeline"');
});

test("the test script that npm init writes is replaced", async () => {
  write("package.json", '{"scripts": {"test": "echo \\"Error: no test specified\\" && exit 1"}}');
  await init();
  expect(packageJson()["scripts"]).toEqual({ test: "jest", pipeline: "beamline" });
});

test("beside a jest.config there is no second configuration", async () => {
  write("jest.config.js", "");
  await init();
  expect(packageJson()).not.toHaveProperty("jest");
});

test("files that are there stay as they are, and a second time changes nothing", async () => {
  write("pipelines/my-pipeline.ts", "// mine");
  write(".gitignore", "mine");
  const { stderr } = await init();
  expect(stderr).toContain("  kept     pipelines/my-pipeline.ts\n");
  expect([read("pipelines/my-pipeline.ts"), read(".gitignore")]).toEqual(["// mine", "mine"]);
  const before = read("package.json");
  await init();
  expect(read("package.json")).toBe(before);
});

test.each(["{", "", "null", "[]", '"text"'])(
  "a package.json of %j is one sentence, and nothing is written",
  async (text) => {
    write("package.json", text);
    const { code, stderr } = await init();
    expect(code).toBe(2);
    expect(stderr).toMatch(/^package\.json [^\n]+\n$/);
    expect(files()).toEqual(["package.json"]);
  },
);

test("init takes one name, no parameters, and is not for beamline itself", async () => {
  expect(await init("a", "b")).toMatchObject({ code: 2, stderr: "“b” is too much: init takes one name\n" });
  expect(await init("--window", "5m")).toMatchObject({ code: 2 });
  expect(await init("--no-instal")).toMatchObject({
    code: 2,
    stderr: "There is no flag --no-instal: did you mean --no-install?\n",
  });
  process.chdir(path.resolve(__dirname, ".."));
  expect(await init()).toMatchObject({
    code: 2,
    stderr: "This is beamline itself: run init in a directory of yours\n",
  });
});

test("a directory that may not be written is one sentence", async () => {
  fs.chmodSync(at(), 0o555);
  await asOrdinaryUser(async () => {
    fs.accessSync(at(), fs.constants.R_OK);
    const { code, stderr } = await init();
    expect({ code, stderr }).toMatchObject({ code: 1 });
    expect(stderr).toMatch(/^Failed: The first pipeline could not be written: .*EACCES[^\n]*\n$/);
  });
  fs.chmodSync(at(), 0o755);
});
