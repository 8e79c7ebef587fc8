// A Java program's jars: fetched once by Maven, then kept in the user's cache.
import { existsSync, readFileSync } from "node:fs";
import { readdir, stat } from "node:fs/promises";
import path from "node:path";
import { RunError } from "../../schema/errors";
import { cacheDirectory, fillDirectory, shortHash } from "./cache";
import { downloadProgress, megabytes } from "./download-progress";
import { findJava, findMaven, type JavaWishes } from "./java";
import { runProgram, type Environment } from "./programs";

export interface Jars {
  /** The program's name in that of its directory. */
  readonly name: string;
  /** Its name in messages. */
  readonly title: string;
  /** How the same can be had otherwise: the end of a sentence that says what to install. */
  readonly otherwise: string;
  /** The file that says what is needed; its property `<name>.version` is the program's. */
  readonly pom: string;
  /** About how much is downloaded. */
  readonly megabytes: number;
  readonly java?: JavaWishes;
}

/** What starts a program of jars. */
export interface JavaProgram {
  readonly java: string;
  readonly classPath: string;
  /** The path of the jar of that name, whatever its version. */
  readonly jar: (name: string) => Promise<string>;
  readonly isFetched: boolean;
  /** Fetches the jars when they are not there yet. */
  readonly fetch: (say: (text: string) => void) => Promise<void>;
}

/** Looks for Java, and for Maven where the jars are still to be fetched. */
export async function findJavaProgram(jars: Jars, environment: Environment): Promise<JavaProgram> {
  const java = await findJava(jars, environment, jars.java);
  const directory = jarsDirectory(jars, environment);
  const maven = existsSync(directory) ? null : findMaven(jars, environment);
  return {
    java,
    classPath: path.join(directory, "*"),
    isFetched: maven === null,
    async jar(name) {
      const file = (await readdir(directory)).find((file) => /^(.+)-\d.*\.jar$/.exec(file)?.[1] === name);
      if (file === undefined) throw new RunError(`There is no ${name} in ${directory}: delete it, and start again`);
      return path.join(directory, file);
    },
    fetch: async (say) => {
      if (maven !== null) await fetchJars(jars, maven, environment, say);
    },
  };
}

/** The directory of the jars, whether they are there or not. Another pom is another directory. */
export function jarsDirectory({ name, pom }: Jars, environment: Environment): string {
  const text = readFileSync(pom, "utf8");
  const version = new RegExp(`<${name}\\.version>(.*?)<`).exec(text)?.[1] ?? "unknown";
  return path.join(cacheDirectory(environment), `${name}-${version}-${shortHash(text)}`);
}

/** Has Maven fetch the jars. They appear in their directory all at once or not at all. */
export async function fetchJars(
  jars: Jars,
  maven: string,
  environment: Environment,
  say: (text: string) => void,
): Promise<void> {
  const directory = jarsDirectory(jars, environment);
  say(`fetching ${jars.title}'s jars, about ${jars.megabytes} MB, once`);
  await fillDirectory(directory, async (incoming) => {
    const args = ["-B", "--strict-checksums", "-f", jars.pom, "dependency:copy-dependencies"];
    const { code, output } = await runProgram(
      maven,
      [...args, "-DincludeScope=runtime", `-DoutputDirectory=${incoming}`],
      { environment, cwd: path.dirname(directory), onOutput: downloadProgress(say) },
    );
    if (code !== 0) throw new RunError(`Maven could not fetch ${jars.title}'s jars:\n${mavenErrors(output)}`);
  });
  const files = await readdir(directory);
  const sizes = await Promise.all(files.map(async (file) => (await stat(path.join(directory, file))).size));
  say(`${files.length} jars, ${megabytes(sizes.reduce((sum, size) => sum + size, 0))} in ${directory}`);
}

/** What Maven itself calls errors, without its advice to read more. */
function mavenErrors(output: string): string {
  const errors = output.split("\n").filter((line) => line.includes("ERROR") && !/\[Help|re-run Maven|-> \[/.test(line));
  return (errors.length > 0 ? errors : output.trimEnd().split("\n")).slice(-8).join("\n");
}
