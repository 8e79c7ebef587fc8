// beamline as a package: packed, installed elsewhere, and a first pipeline by `init` that runs and is tested there.
import { execFileSync } from "node:child_process";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { catalog } from "../pipelines/catalog";

const root = path.resolve(__dirname, "..");
const npm = process.platform === "win32" ? "npm.cmd" : "npm";
const npx = process.platform === "win32" ? "npx.cmd" : "npx";
let directory: string;

/** Runs a command there, and gives what it printed. Fails with all that it said. */
function run(command: string, args: string[], cwd = directory): { stdout: string; code: number } {
  // Of the outer npm nothing may leak into the inner one: it would take our package.json for the user's.
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith("npm_")));
  try {
    const options = { cwd, env, encoding: "utf8", stdio: "pipe", shell: process.platform === "win32" } as const;
    return { stdout: execFileSync(command, args, options), code: 0 };
  } catch (error) {
    const { stdout, stderr, status } = error as { stdout: string; stderr: string; status: number };
    return { stdout: `${stdout}${stderr}`, code: status };
  }
}

beforeAll(() => {
  // A space, as in many people's home directories.
  directory = path.join(fs.mkdtempSync(path.join(fs.realpathSync(os.tmpdir()), "beamline ")), "my-app");
  fs.mkdirSync(directory);
  const packed = run(npm, ["pack", "--pack-destination", path.dirname(directory)], root);
  expect(packed).toMatchObject({ code: 0 });
  const [tarball = ""] = fs.readdirSync(path.dirname(directory)).filter((file) => file.endsWith(".tgz"));
  expect(run(npm, ["install", path.join(path.dirname(directory), tarball)])).toMatchObject({ code: 0 });
  expect(run(npx, ["beamline", "init"])).toMatchObject({ code: 0 });
});

afterAll(() => fs.rmSync(path.dirname(directory), { recursive: true, force: true }));

test("the package holds what it needs and nothing else", () => {
  const files = fs.readdirSync(path.join(directory, "node_modules/beamline"));
  expect(files.sort()).toEqual(["CHANGELOG.md", "LICENSE", "README.md", "dist", "docs", "jest", "package.json"]);
  expect(fs.existsSync(path.join(directory, "node_modules/beamline/dist/pipelines/trades/sample/trades.ndjson"))).toBe(
    true,
  );
});

test("the new pipeline's test passes there", () => {
  const { stdout, code } = run(npm, ["test"]);
  expect({ code, stdout }).toMatchObject({ code: 0 });
});

test("the new pipeline compiles there", () => {
  expect(run(process.execPath, ["node_modules/typescript/bin/tsc", "-p", "."])).toEqual({ code: 0, stdout: "" });
});

test("the new pipeline runs there", () => {
  const { stdout, code } = run(npx, ["beamline", "run", "my-pipeline", "--runner=direct", "--json"]);
  expect({ code, stdout }).toMatchObject({ code: 0 });
  expect(JSON.parse(stdout)).toMatchObject({
    pipeline: "my-pipeline",
    state: "done",
    read: 7,
    ok: 6,
    dead: 1,
    duplicate: 1,
    written: { orders_per_hour: 4, dead_letters: 1 },
  });
  expect(fs.existsSync(path.join(directory, "data/app.db"))).toBe(true);
});

test("list shows it beside those that come with beamline, which run on their bundled samples", () => {
  const listed = JSON.parse(run(npx, ["beamline", "list", "--json"]).stdout) as { name: string; summary: string }[];
  expect(listed[0]).toEqual({ name: "my-pipeline", summary: "Orders per customer and hour" });
  expect(listed.slice(1).map(({ name }) => name)).toEqual(catalog.map(({ name }) => name));
  for (const { name } of catalog)
    expect({ name, ...run(npx, ["beamline", "run", name]) }).toMatchObject({ name, code: 0 });
});

test("a connector of the user's own package", () => {
  fs.writeFileSync(
    path.join(directory, "pipelines/shout.ts"),
    `import { addConnector, type Connector } from "beamline";
const shout: Connector = {
  name: "shout",
  about: { summary: "Says it loud", examples: ["shout:"], readOptions: [], writeOptions: [], settings: [], killTests: [] },
  sink: {
    deliveryClass: "append",
    delivery: "said again",
    wants: "final",
    place: () => "",
    check: async () => [{ state: "fine", text: "can be heard" }],
    open: async () => ({
      write: async (output, rows) => {
        for (const row of rows) console.error(\`\${output.toUpperCase()}: \${Object.keys(row).length} columns\`);
        return { written: rows.length };
      },
      commit: async () => {},
      abort: async () => {},
    }),
  },
};
addConnector(shout);
`,
  );
  expect(run(process.execPath, ["node_modules/typescript/bin/tsc", "-p", "."])).toEqual({ code: 0, stdout: "" });
  const said = run("sh", ["-c", "npx beamline run my-pipeline --to shout: 2>&1"]);
  expect(said).toMatchObject({ code: 0 });
  expect(said.stdout.match(/^ORDERS_PER_HOUR: \d+ columns$/gm)).toHaveLength(4);
});

test("init leaves alone what is there", () => {
  const file = path.join(directory, "pipelines/my-pipeline.ts");
  const before = fs.readFileSync(file, "utf8");
  fs.writeFileSync(file, `${before}// mine\n`);
  expect(run(npx, ["beamline", "init", "--no-install"])).toMatchObject({ code: 0 });
  expect(fs.readFileSync(file, "utf8")).toBe(`${before}// mine\n`);
});

test("a pipeline that cannot be loaded is one sentence", () => {
  fs.writeFileSync(path.join(directory, "pipelines/broken.ts"), "import './not-there';\n");
  const { stdout, code } = run(npx, ["beamline", "list"]);
  expect(code).toBe(1);
  expect(stdout).toContain("Failed: pipelines/broken.ts could not be loaded: Cannot find module './not-there'");
  expect(stdout).not.toContain("    at ");
});
