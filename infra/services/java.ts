// The Java that runs servers, and the Maven that fetches them.
import path from "node:path";
import { UsageError } from "../../schema/errors";
import { findProgram, pathDirectories, runProgram, type Environment } from "./programs";

const OLDEST_JAVA = 17;

/** For whom a program is looked for, as a message says it: what needs it, and how that can be had otherwise. */
export interface Asker {
  readonly title: string;
  readonly otherwise: string;
}

/** What of Java is not good for everything. */
export interface JavaWishes {
  /** Where it does not run on every newer Java. */
  readonly newest?: number;
  /** Where it is compiled when it starts, for which a JRE is not enough. */
  readonly compiler?: boolean;
}

/** The path of a Java that is new enough. */
export async function findJava(
  { title, otherwise }: Asker,
  environment: Environment,
  { newest = Infinity, compiler = false }: JavaWishes = {},
): Promise<string> {
  const needed = `Java ${OLDEST_JAVA} ${newest === Infinity ? "or newer" : `to ${newest}`}${compiler ? " with its compiler" : ""}`;
  const debian = `openjdk-17-${compiler ? "jdk" : "jre"}-headless`;
  const macos = newest === Infinity ? "openjdk" : `openjdk@${OLDEST_JAVA}`;
  const install = `install it (Debian: apt-get install ${debian}, macOS: brew install ${macos})`;
  const missing = (what: string): UsageError =>
    new UsageError(
      `${title} needs ${needed}, and ${what}: ${install}${newest === Infinity ? "" : " and set JAVA_HOME"}, ${otherwise}`,
    );
  const home = environment["JAVA_HOME"];
  const directories = [...(home ? [path.join(home, "bin")] : []), ...pathDirectories(environment)];
  const java = findProgram("java", directories);
  if (java === null) throw missing("java was not found");
  // macOS has a java that only says that there is no Java, hence a run and not a look.
  const { code, output } = await runProgram(java, ["-version"], { environment });
  const version = javaVersion(output);
  if (code !== 0 || version === null) throw missing(`${java} -version does not work`);
  if (version < OLDEST_JAVA || version > newest) throw missing(`${java} is Java ${version}`);
  if (compiler && !(await runProgram(java, ["--list-modules"], { environment })).output.includes("jdk.compiler"))
    throw missing(`${java} has none`);
  return java;
}

/** The path of Maven. */
export function findMaven(asker: Asker, environment: Environment): string {
  const maven = findProgram("mvn", pathDirectories(environment));
  if (maven !== null) return maven;
  throw new UsageError(
    `${asker.title} is fetched by Maven, and mvn was not found: install it (Debian: apt-get install maven, macOS: brew install maven), ${asker.otherwise}`,
  );
}

/** 17 of `openjdk version "17.0.15"`, 8 of `java version "1.8.0_402"`. */
export function javaVersion(text: string): number | null {
  const match = /version "(?:1\.)?(\d+)/.exec(text);
  return match === null ? null : Number(match[1]);
}
