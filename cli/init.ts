// `init`: writes a first pipeline, its sample and its test into a directory, and what a package needs to run them.
// What is there already stays as it is.
import { spawn } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import { ownPackageText } from "../runners/own-package";
import { codeOf, messageOf, RunError, UsageError } from "../schema/errors";
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
  if (packageJson.name === "beamline")
    throw new UsageError("This is beamline itself: run init in a directory of yours");
  const packageName = (packageJson.name ??= packageNameOf(directory));
  const camel = name.replace(/-([a-z0-9])/g, (_, letter: string) => letter.toUpperCase());
  // With this ending it is neither a word of the language (class) nor something that the template imports (count).
  const exportName = camel.endsWith("Pipeline") ? camel : `${camel}Pipeline`;
  const fill = (template: string) =>
    fs
      .readFileSync(path.join(__dirname, "template", template), "utf8")
      .replaceAll("__NAME__", name)
      .replaceAll("__EXPORT__", exportName)
      .replaceAll("__PACKAGE__", packageName);
  try {
    write(directory, `pipelines/${name}.ts`, fill("pipeline.txt"));
    write(directory, `pipelines/${name}.test.ts`, fill("pipeline-test.txt"));
    write(directory, `pipelines/sample/${name}.ndjson`, fill("sample.ndjson"));
    write(directory, "tsconfig.json", `${JSON.stringify(tsconfig, null, 2)}\n`);
    write(directory, ".gitignore", "node_modules/\ndata/\n");
    const hasJestConfig = fs.readdirSync(directory).some((file) => file.startsWith("jest.config."));
    const completed = complete(packageJson, hasJestConfig);
    fs.writeFileSync(path.join(directory, "package.json"), `${JSON.stringify(completed, null, 2)}\n`);
  } catch (error) {
    // Only what the system says: the rest would be a mistake of ours.
    if (codeOf(error) === undefined) throw error;
    throw new RunError(`The first pipeline could not be written: ${messageOf(error)}`);
  }
  print("  written  package.json: scripts, test tools, and overrides that keep the install small");
  if (install) await npmInstall(directory);
  print("");
  print(`  npx beamline run ${name}   runs it on its sample`);
  print("  npm test                   runs its test");
}

/** Writes a file, unless there is one. */
function write(directory: string, file: string, text: string): void {
  const target = path.join(directory, file);
  if (fs.existsSync(target)) {
    print(`  kept     ${file}`);
    return;
  }
  fs.mkdirSync(path.dirname(target), { recursive: true });
  fs.writeFileSync(target, text);
  print(`  written  ${file}`);
}

function readPackage(directory: string): PackageJson {
  const file = path.join(directory, "package.json");
  if (!fs.existsSync(file)) return { version: "0.0.0", private: true };
  let read: unknown;
  try {
    read = JSON.parse(fs.readFileSync(file, "utf8"));
  } catch (error) {
    throw new UsageError(`package.json could not be read as JSON: ${messageOf(error)}`);
  }
  if (typeof read !== "object" || read === null || Array.isArray(read))
    throw new UsageError("package.json must hold a JSON object");
  return read;
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
function complete(packageJson: PackageJson, hasJestConfig: boolean): PackageJson {
  const own = ownPackage();
  const scripts = withoutEmptyTest(packageJson.scripts);
  // What is a dependency of one kind must not become one of the other kind too.
  const there = { ...packageJson.dependencies, ...packageJson.devDependencies };
  const overrides = Object.fromEntries(unusedBySdk.map((unused) => [unused, EMPTY]));
  return {
    ...packageJson,
    scripts: { ...scripts, ...missing(scripts, { test: "jest", pipeline: "beamline" }) },
    dependencies: { ...missing(there, { beamline: `^${own.version}`, zod: own.zod }), ...packageJson.dependencies },
    devDependencies: { ...missing(there, own.tools), ...packageJson.devDependencies },
    overrides: { "apache-beam": overrides, ...packageJson.overrides },
    ...(hasJestConfig ? {} : { jest: packageJson.jest ?? { preset: "beamline" } }),
    beamline: packageJson.beamline ?? { pipelines: "pipelines/*.ts" },
  };
}

/** `npm init` writes a test script that only fails. */
function withoutEmptyTest(scripts: Record<string, string> = {}): Record<string, string> {
  return Object.fromEntries(
    Object.entries(scripts).filter(([name, script]) => !(name === "test" && script.includes("no test specified"))),
  );
}

function missing(there: Record<string, string>, wanted: Record<string, string>): Record<string, string> {
  return Object.fromEntries(Object.entries(wanted).filter(([name]) => !Object.hasOwn(there, name)));
}

/** The versions that this package itself is tested with. */
function ownPackage(): { version: string; zod: string; tools: Record<string, string> } {
  const own = JSON.parse(ownPackageText()) as Required<PackageJson>;
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
