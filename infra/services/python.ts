// Servers and tools that are Python packages: each set of them has a virtual environment in the user's cache, made once.
import { existsSync, readFileSync } from "node:fs";
import path from "node:path";
import { RunError, UsageError } from "../../schema/errors";
import { cacheDirectory, fillDirectory, shortHash } from "./cache";
import { downloadProgress } from "./download-progress";
import { findProgram, pathDirectories, runProgram, type Environment } from "./programs";

/** What the newest of the pinned packages ask for. */
const OLDEST_PYTHON = { major: 3, minor: 11 };
/** Where a system's own Python is older, a newer one beside it has its version in its name. */
const names = ["python3", "python", "python3.14", "python3.13", "python3.12", "python3.11"];

export interface PythonPackages {
  /** The first part of the directory's name. */
  readonly name: string;
  /** What they are together, in messages. */
  readonly title: string;
  /** The end of a sentence that says what to install: how else it can be had. */
  readonly otherwise: string;
  /** A file that pins every package, those that others need too: nothing else is installed. */
  readonly requirements: string;
  /** About how much is downloaded. */
  readonly megabytes: number;
}

/** A virtual environment, whether it is there yet or not. */
export interface PythonEnvironment {
  readonly directory: string;
  /** Its Python. */
  readonly python: string;
  /** Makes it when it is not there yet. */
  readonly make: (say: (text: string) => void) => Promise<void>;
}

/** Looks for a Python that can make the environment. */
export async function findPythonEnvironment(
  packages: PythonPackages,
  environment: Environment,
): Promise<PythonEnvironment> {
  const base = await findPython(packages, environment);
  const pins = readFileSync(packages.requirements, "utf8");
  // A Python that was replaced by a newer one at the same place would not find the packages any more.
  const key = shortHash(`${base.program} ${base.version}\n${pins}`);
  const directory = path.join(cacheDirectory(environment), `python-${packages.name}-${key}`);
  const make = async (say: (text: string) => void): Promise<void> => {
    if (existsSync(directory)) return;
    say(`fetching the Python packages of ${packages.title}, about ${packages.megabytes} MB, once`);
    await fillDirectory(directory, async (incoming) => {
      const run = async (program: string, args: readonly string[]): Promise<void> => {
        const settings = { environment, cwd: path.dirname(directory), onOutput: downloadProgress(say) };
        const { code, output } = await runProgram(program, ["-I", "-m", ...args], settings);
        if (code !== 0)
          throw new RunError(`The Python packages of ${packages.title} could not be installed:\n${pipErrors(output)}`);
      };
      await run(base.program, ["venv", incoming]);
      // Packages come as they are: none is built here, which would run its code and need compilers.
      const pip = ["pip", "install", "--no-input", "--disable-pip-version-check", "--no-deps", "--only-binary=:all:"];
      await run(pythonOf(incoming), [...pip, "--progress-bar=off", "-r", packages.requirements]);
    });
    say(`${pins.split("\n").filter((line) => line.includes("==")).length} packages in ${directory}`);
  };
  return { directory, python: pythonOf(directory), make };
}

const pythonOf = (directory: string): string => path.join(directory, "bin", "python");

/** The first Python on PATH that is new enough and can make virtual environments. */
async function findPython(
  { title, otherwise }: PythonPackages,
  environment: Environment,
): Promise<{ readonly program: string; readonly version: string }> {
  const { major, minor } = OLDEST_PYTHON;
  const missing = (what: string, install: string): UsageError =>
    new UsageError(
      `${title} needs Python ${major}.${minor} or newer, and ${what}: install it (${install}), ${otherwise}`,
    );
  const python = "Debian: apt-get install python3-venv, macOS: brew install python";
  let why = missing("python3 was not found", python);
  for (const name of names) {
    const found = findProgram(name, pathDirectories(environment));
    if (found === null) continue;
    // What answers to the name may be a script that chooses among several: its own word is where Python really is.
    const script = "import sys; print(*sys.version_info[:3], sys.executable); import venv, ensurepip";
    const { code, output } = await runProgram(found, ["-I", "-c", script], { environment });
    const [, is = "", sub = "", patch = "", program = ""] = /^(\d+) (\d+) (\d+) (.+)$/m.exec(output) ?? [];
    if (program === "") why = missing(`${found} does not work`, python);
    else if (Number(is) !== major || Number(sub) < minor) why = missing(`${found} is Python ${is}.${sub}`, python);
    else if (code !== 0) why = missing(`${found} has no module venv`, "Debian: apt-get install python3-venv");
    else return { program, version: `${is}.${sub}.${patch}` };
  }
  throw why;
}

/** What pip itself calls errors. */
function pipErrors(output: string): string {
  const errors = output.split("\n").filter((line) => line.startsWith("ERROR:"));
  return (errors.length > 0 ? errors : output.trimEnd().split("\n")).slice(-8).join("\n");
}
