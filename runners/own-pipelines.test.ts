import { RunError, UsageError } from "../schema/errors";
import { catalog } from "../pipelines/catalog";
import { importOfBeamline, importOfZod, scene } from "../test/command-scene";
import { ownPipelines } from "./own-pipelines";

const { at, beamline, write } = scene();

const settings = (pipelines: unknown) => write("package.json", JSON.stringify({ beamline: { pipelines } }));
const pipelineModule = (name: string, params = "") => `
  import { definePipeline, deadLetters, input } from ${importOfBeamline};
  import { z } from ${importOfZod};
  export const helper: number = 1;
  export const pipeline = definePipeline({
    name: "${name}", summary: "of mine",
    inputs: { lines: input(z.object({}), { sample: "none" }) },
    outputs: { dead_letters: deadLetters }, params: z.object({ ${params} }), build() {},
  });`;

test("without a package.json, or with one that says nothing of beamline, there are none", () => {
  expect(ownPipelines(at())).toEqual([]);
  write("package.json", "{}");
  expect(ownPipelines(at())).toEqual([]);
});

test("they are found by patterns, from directories below too, without tests and types", () => {
  settings(["pipelines/*.ts", "more/b.ts"]);
  write("pipelines/a.ts", pipelineModule("a"));
  write("pipelines/a.test.ts", "throw new Error('a test')");
  write("pipelines/types.d.ts", "throw new Error('types')");
  write("pipelines/steps.ts", "export const step = null, other = undefined, number = 1;");
  write("more/b.ts", pipelineModule("b"));
  expect(ownPipelines(at("pipelines")).map(({ name }) => name)).toEqual(["b", "a"]);
});

test("a module that exports another one's pipeline again adds none", () => {
  settings("pipelines/*.ts");
  write("pipelines/a.ts", pipelineModule("a"));
  write("pipelines/index.ts", "export * from './a';");
  expect(ownPipelines(at()).map(({ name }) => name)).toEqual(["a"]);
});

test("two of one name are refused", () => {
  settings("*.ts");
  write("a.ts", pipelineModule("a"));
  write("b.ts", pipelineModule("a"));
  expect(() => ownPipelines(at())).toThrow(new UsageError("Two of the pipelines in *.ts are named a"));
});

test.each([
  ["{", "package.json could not be read as JSON: "],
  ["[]", "package.json: “beamline” must be like "],
  ['{"beamline": {"pipeline": "x"}}', 'package.json: “beamline” must be like {"pipelines": "pipelines/*.ts"}'],
])("a package.json of %s is one sentence", (text, sentence) => {
  write("package.json", text);
  const failure = failureOf(() => ownPipelines(at()));
  expect(failure).toBeInstanceOf(UsageError);
  expect(failure.message).toContain(sentence);
  expect(failure.message).not.toContain("\n");
});

test("a pattern that matches nothing, or nothing with a pipeline, is a mistake", () => {
  settings("pipelines/*.ts");
  expect(failureOf(() => ownPipelines(at()))).toEqual(
    new UsageError("package.json: “beamline.pipelines” is pipelines/*.ts, but no file matches that"),
  );
  write("pipelines/steps.ts", "export const step = 1;");
  expect(failureOf(() => ownPipelines(at()))).toEqual(
    new UsageError(
      "package.json: “beamline.pipelines” is pipelines/*.ts, but no file there exports a pipeline of definePipeline()",
    ),
  );
});

test.each([
  ["import './not-there';", /^broken\.ts could not be loaded: .*Cannot find module '\.\/not-there'/],
  ["const = 1;", /^broken\.ts could not be loaded: .*Transform failed with 1 error: .*Expected/],
  ["throw new Error('at the top\\nand more');", /^broken\.ts could not be loaded: at the top$/],
  ["throw 'a text';", /^broken\.ts could not be loaded: a text$/],
])("a module of %s is one sentence", (text, sentence) => {
  settings("broken.ts");
  write("broken.ts", text);
  const failure = failureOf(() => ownPipelines(at()));
  expect(failure).toBeInstanceOf(RunError);
  expect(failure.message).toMatch(sentence);
  expect(failure.message).not.toContain("\n");
});

test("one of the user's own takes the place of a bundled one of the same name", async () => {
  settings("*.ts");
  write("mine.ts", pipelineModule("trades-aggregate"));
  const { stdout } = await beamline("list", "--json");
  const others = catalog.slice(1).map(({ name, summary }) => ({ name, summary }));
  expect(JSON.parse(stdout)).toEqual([{ name: "trades-aggregate", summary: "of mine" }, ...others]);
});

test("one is the usual pipeline; of several, one must be named, but help needs none", async () => {
  settings("*.ts");
  write("a.ts", pipelineModule("a"));
  expect((await beamline("run", "--help")).stdout).toContain("\na: of mine\n");
  write("b.ts", pipelineModule("b"));
  expect(await beamline("run")).toEqual({ code: 2, stdout: "", stderr: "Which pipeline? a, b\n" });
  expect(await beamline("--help")).toMatchObject({ code: 0, stderr: "" });
  expect(await beamline("run", "--help")).toMatchObject({ code: 0, stderr: "" });
});

test("help and init work when they cannot be loaded, the rest says why not", async () => {
  settings("pipelines/*.ts");
  const sentence = "package.json: “beamline.pipelines” is pipelines/*.ts, but no file matches that\n";
  expect(await beamline("list")).toEqual({ code: 2, stdout: "", stderr: sentence });
  expect(await beamline("--help")).toMatchObject({ code: 0, stderr: sentence });
  expect(await beamline("init", "--no-install")).toMatchObject({ code: 0 });
});

test("a parameter that every run has already is refused", async () => {
  settings("*.ts");
  write("a.ts", pipelineModule("a", "job: z.string().default('x')"));
  const { code, stderr } = await beamline("run", "a");
  expect({ code, stderr }).toEqual({
    code: 2,
    stderr: "a has a parameter --job, but that is a flag already: rename it\n",
  });
});

test("one whose parameters have no default is described without its graph", async () => {
  settings("*.ts");
  write("a.ts", pipelineModule("a", "symbol: z.string()"));
  const { code, stdout } = await beamline("describe", "a");
  expect({ code, stdout }).toMatchObject({ code: 0 });
  expect(stdout).toContain("Graph\n  (it depends on parameters that have no default)");
  expect(await beamline("run", "a")).toEqual({ code: 2, stdout: "", stderr: "--symbol text is missing\n" });
});

function failureOf(action: () => unknown): Error {
  try {
    action();
  } catch (error) {
    return error as Error;
  }
  throw new Error("it did not fail");
}
