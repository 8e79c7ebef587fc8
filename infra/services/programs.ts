// Finding programs and running them to their end.
import { spawn } from "node:child_process";
import { accessSync, constants, statSync } from "node:fs";
import path from "node:path";
import { messageOf } from "../../schema/errors";

/** The environment that programs are looked for in: a test gives its own. */
export type Environment = Readonly<Record<string, string | undefined>>;

/** The directories of PATH, in order. */
export function pathDirectories(environment: Environment): string[] {
  return (environment["PATH"] ?? "").split(path.delimiter).filter((directory) => directory !== "");
}

/** The first of `directories` in which there is such a program, as the program's path. */
export function findProgram(name: string, directories: readonly string[]): string | null {
  return directories.map((directory) => path.join(directory, name)).find(isProgram) ?? null;
}

function isProgram(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return statSync(file).isFile();
  } catch {
    return false;
  }
}

export interface RunSettings {
  readonly cwd?: string;
  readonly environment?: Environment;
  readonly user?: User | null;
  readonly input?: string;
  /** Called with each piece of output, for progress. */
  readonly onOutput?: (text: string) => void;
}

/** Another user, as whom root runs what refuses to run as root. */
export interface User {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
}

/** What a finished program left: `code` is null when it could not be started or was killed. */
export interface Finished {
  readonly code: number | null;
  readonly output: string;
}

/** Runs a program to its end. Never throws: a program that cannot be started has no code, and the reason as its output. */
export function runProgram(program: string, args: readonly string[], settings: RunSettings = {}): Promise<Finished> {
  const { cwd, environment = process.env, user, input = "", onOutput } = settings;
  return new Promise((resolve) => {
    let output = "";
    const child = spawn(program, args, {
      cwd,
      env: environment,
      ...(user == null ? {} : { uid: user.uid, gid: user.gid }),
    });
    const take = (chunk: Buffer) => {
      output += chunk.toString();
      onOutput?.(chunk.toString());
    };
    child.stdout.on("data", take);
    child.stderr.on("data", take);
    // A program that ends before it has read its input is judged by its exit code.
    child.stdin.on("error", () => undefined);
    child.stdin.end(input);
    child.on("error", (error) => resolve({ code: null, output: messageOf(error) }));
    child.on("close", (code) => resolve({ code, output }));
  });
}
