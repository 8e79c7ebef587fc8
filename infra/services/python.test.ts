// Scripts stand in for Python: PATH holds nothing but what a test puts there.
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { scratchDirectory } from "../../test/scratch";
import { messageOf, UsageError } from "../../schema/errors";
import { findPythonEnvironment, type PythonEnvironment } from "./python";

const scratch = scratchDirectory();
const environment = () => ({ PATH: `${scratch("bin")}:/usr/bin:/bin`, XDG_CACHE_HOME: scratch("cache") });

/** A Python that says its version, makes environments with a copy of itself, and whose pip does what `pip` says. */
function python(version: string, { name = "python3", modules = "", pip = "" } = {}): void {
  mkdirSync(scratch("bin"), { recursive: true });
  const lines = [
    "#!/bin/sh",
    `[ "$2" = -c ] && { echo "${version} $0"; ${modules || ":"}; exit; }`,
    `[ "$3" = venv ] && { mkdir -p "$4/bin"; cp "$0" "$4/bin/python"; exit; }`,
    pip,
  ];
  writeFileSync(scratch("bin", name), `${lines.join("\n")}\n`);
  chmodSync(scratch("bin", name), 0o755);
}

function find(pins = "a==1\n", PATH = scratch("bin")): Promise<PythonEnvironment> {
  writeFileSync(scratch("requirements.txt"), pins);
  const packages = { name: "moto", title: "moto", otherwise: "or do without", megabytes: 5 };
  return findPythonEnvironment({ ...packages, requirements: scratch("requirements.txt") }, { ...environment(), PATH });
}

const missing = (): Promise<unknown> =>
  find().then(
    () => null,
    (error: unknown) => error,
  );

test("without Python", async () => {
  const error = await missing();
  expect(error).toBeInstanceOf(UsageError);
  expect(messageOf(error)).toBe(
    "moto needs Python 3.11 or newer, and python3 was not found: install it (Debian: apt-get install python3-venv, macOS: brew install python), or do without",
  );
});

test("with one that is too old, does not work, or cannot make environments", async () => {
  python("3 9 18");
  expect(messageOf(await missing())).toMatch(/, and \/.*\/bin\/python3 is Python 3\.9: install it \(Debian/);
  python("no such version of Python", { modules: "exit 1" });
  expect(messageOf(await missing())).toMatch(/, and \/.*\/bin\/python3 does not work: install it \(Debian/);
  python("3 12 1", { modules: "echo No module named ensurepip; exit 1" });
  expect(messageOf(await missing())).toMatch(
    /, and \/.*\/bin\/python3 has no module venv: install it \(Debian: apt-get install python3-venv\), or do without$/,
  );
});

test("a newer one beside one that is too old", async () => {
  python("3 9 18");
  python("3 13 0", { name: "python3.13" });
  expect(await missing()).toBeNull();
});

test("other pins and another Python are another directory", async () => {
  python("3 12 1");
  const { directory } = await find("a==1\n");
  expect(path.dirname(directory)).toBe(scratch("cache/beamline"));
  expect(path.basename(directory)).toMatch(/^python-moto-[0-9a-f]{8}$/);
  expect((await find("a==1\n")).directory).toBe(directory);
  expect((await find("a==2\n")).directory).not.toBe(directory);
  python("3 12 2");
  expect((await find("a==1\n")).directory).not.toBe(directory);
});

test("an environment is made once, of nothing but the pinned packages", async () => {
  python("3 12 1", { pip: `echo "$*" >> '${scratch("pip.txt")}'` });
  const said: string[] = [];
  const { directory, python: own, make } = await find("# Two.\na==1\nb==2\n", environment().PATH);
  expect(existsSync(directory)).toBe(false);
  await make((text) => said.push(text));
  await make((text) => said.push(text));
  expect(existsSync(own)).toBe(true);
  expect(said).toEqual(["fetching the Python packages of moto, about 5 MB, once", `2 packages in ${directory}`]);
  expect(readFileSync(scratch("pip.txt"), "utf8")).toBe(
    `-I -m pip install --no-input --disable-pip-version-check --no-deps --only-binary=:all: --progress-bar=off -r ${scratch("requirements.txt")}\n`,
  );
});

test("one that could not be made leaves nothing, and says what pip said", async () => {
  python("3 12 1", { pip: "echo Collecting a; echo 'ERROR: No matching distribution found for a==1'; exit 1" });
  const { make } = await find("a==1\n", environment().PATH);
  await expect(make(() => undefined)).rejects.toThrow(
    "The Python packages of moto could not be installed:\nERROR: No matching distribution found for a==1",
  );
  expect(readdirSync(scratch("cache/beamline"))).toEqual([]);
});

test.each(["gcs", "s3", "bigquery", "parquet-reader"])("%s: every package is pinned", (name) => {
  const lines = readFileSync(path.join(__dirname, name, "requirements.txt"), "utf8")
    .trim()
    .split("\n");
  expect(lines.filter((line) => !/^(#.*|[A-Za-z0-9._-]+==[0-9][A-Za-z0-9.]*)$/.test(line))).toEqual([]);
});
