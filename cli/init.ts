// `init`: writes a first pipeline, its sample and its test into a directory, and what a package needs to run them.
// What is there already stays as it is.
import { spawn } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import { messageOf, RunError, UsageError } from "../schema/errors";
import { print } from "./screen";

/** Tools of the apache-beam package that nothing at run time needs: 200 MB of every install. */
const EMPTY = "npm:empty-npm-package@1.0.0";
const unusedBySdk = [
  "@google-cloud/pubsub",
  "@protobuf-ts/plugin",
  "chai",
  "date-fns",
  "ts-closure-transform",
  "ttypescript",
];

interface PackageJson {
  name?: string;
  version?: string;
  private?: boolean;
  scripts?: Record<string, string>;
  dependencies?: Record<string, string>;
  devDependencies?: Record<string, string>;
  overrides?: Record<string, unknown>;
  jest?: unknown;
  beamline?: unknown;
}

export async function init(directory: string, names: readonly string[], install: boolean): Promise<void> {
  const [name = "my-pipeline", extra] = names;
  if (extra !== undefined) throw new UsageError(`“${extra}” is too much: init takes one name`);
  if (!/^[a-z][a-z0-9]*(-[a-z0-9]+)*$/.test(name)) {
    throw new UsageError(`“${name}” is no name for a pipeline: write it like my-pipeline`);
  }
  const packageJson = readPackage(directory);
  const packageName = (packageJson.name ??= packageNameOf(directory));
  const exportName = name.replace(/-([a-z0-9])/g, (_, letter: string) => letter.toUpperCase());
  const fill = (template: string) =>
    fs
      .readFileSync(path.join(__dirname, "template", template), "utf8")
      .replaceAll("__NAME__", name)
      .replaceAll("__EXPORT__", exportName)
      .replaceAll("__PACKAGE__", packageName);

  const write = (file: string, text: string) => {
    const target = path.join(directory, file);
    if (fs.existsSync(target)) {
      print(`  kept     ${file}`);
      return;
    }
    fs.mkdirSync(path.dirname(target), { recursive: true });
    fs.writeFileSync(target, text);
    print(`  written  ${file}`);
  };
  write(`pipelines/${name}.ts`, fill("pipeline.txt"));
  write(`pipelines/${name}.test.ts`, fill("pipeline-test.txt"));
  write(`pipelines/sample/${name}.ndjson`, fill("sample.ndjson"));
  write("tsconfig.json", `${JSON.stringify(tsconfig, null, 2)}\n`);
  write(".gitignore", "node_modules/\ndata/\n");
  fs.writeFileSync(path.join(directory, "package.json"), `${JSON.stringify(complete(packageJson), null, 2)}\n`);
  print("  written  package.json: scripts, test tools, and overrides that keep the install small");
  if (install) await npmInstall(directory);
  print("");
  print(`  npx beamline run ${name}   runs it on its sample`);
  print("  npm test                   runs its test");
}

function readPackage(directory: string): PackageJson {
  const file = path.join(directory, "package.json");
  if (!fs.existsSync(file)) return { version: "0.0.0", private: true };
  try {
    return JSON.parse(fs.readFileSync(file, "utf8")) as PackageJson;
  } catch (error) {
    throw new UsageError(`${file} is not valid JSON: ${messageOf(error)}`);
  }
}

/** npm allows fewer names than file systems do. */
function packageNameOf(directory: string): string {
  const plain = path
    .basename(path.resolve(directory))
    .toLowerCase()
    .replace(/[^a-z0-9._-]+/g, "-")
    .replace(/^[._-]+/, "");
  return plain === "" ? "my-pipelines" : plain;
}

/** Adds what is missing; what the user has said wins. */
function complete(packageJson: PackageJson): PackageJson {
  const own = ownPackage();
  const overrides = Object.fromEntries(unusedBySdk.map((unused) => [unused, EMPTY]));
  return {
    ...packageJson,
    scripts: {
      ...withoutEmptyTest(packageJson.scripts),
      ...missing(packageJson.scripts, { test: "jest", pipeline: "beamline" }),
    },
    dependencies: {
      ...missing(packageJson.dependencies, { beamline: `^${own.version}`, zod: own.zod }),
      ...packageJson.dependencies,
    },
    devDependencies: { ...own.tools, ...packageJson.devDependencies },
    overrides: { "apache-beam": overrides, ...packageJson.overrides },
    jest: packageJson.jest ?? { preset: "beamline" },
    beamline: packageJson.beamline ?? { pipelines: "pipelines/*.ts" },
  };
}

/** `npm init` writes a test script that only fails. */
function withoutEmptyTest(scripts: Record<string, string> = {}): Record<string, string> {
  return Object.fromEntries(
    Object.entries(scripts).filter(([name, script]) => !(name === "test" && script.includes("no test specified"))),
  );
}

function missing(there: Record<string, string> | undefined, wanted: Record<string, string>): Record<string, string> {
  const kept = withoutEmptyTest(there);
  return Object.fromEntries(Object.entries(wanted).filter(([name]) => !(name in kept)));
}

/** The versions that this package itself is tested with. */
function ownPackage(): { version: string; zod: string; tools: Record<string, string> } {
  const file = [path.join(__dirname, "../package.json"), path.join(__dirname, "../../package.json")].find((candidate) =>
    fs.existsSync(candidate),
  );
  const own = JSON.parse(fs.readFileSync(file ?? "", "utf8")) as Required<PackageJson>;
  const tools = ["@types/jest", "@types/node", "jest", "typescript"].map((tool) => [
    tool,
    own.devDependencies[tool] ?? "*",
  ]);
  return {
    version: own.version ?? "*",
    zod: own.dependencies["zod"] ?? "*",
    tools: Object.fromEntries(tools) as Record<string, string>,
  };
}

const tsconfig = {
  compilerOptions: {
    target: "ES2022",
    module: "node16",
    moduleResolution: "node16",
    strict: true,
    skipLibCheck: true,
    noEmit: true,
    types: ["node", "jest"],
  },
  include: ["pipelines"],
};

async function npmInstall(directory: string): Promise<void> {
  print("");
  print("  npm install …");
  // npm is a script of the shell's on Windows, which spawn does not find without one.
  const npm = spawn("npm install --no-fund --no-audit", {
    cwd: directory,
    stdio: ["ignore", "ignore", "inherit"],
    shell: true,
  });
  const code = await new Promise<number | null>((resolve, reject) => npm.on("exit", resolve).on("error", reject));
  if (code !== 0)
    throw new RunError(`npm install failed (${code}); the files are written, so repair that and run npm install again`);
}
