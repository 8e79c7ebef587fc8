// The Java that runs servers, and the Maven that fetches them.
import path from "node:path";
import { UsageError } from "../../schema/errors";
import { findProgram, pathDirectories, runProgram, type Environment } from "./programs";

const OLDEST_JAVA = 17;

/** For whom a program is looked for, as a message says it: what needs it, and how that can be had otherwise. */
export interface Asker {
  readonly title: string;
  readonly otherwise: string;
  /** Where it does not run on every newer Java. */
  readonly newestJava?: number;
}

/** The path of a Java that is new enough. */
export async function findJava(asker: Asker, environment: Environment): Promise<string> {
  const { title, otherwise, newestJava = Infinity } = asker;
  const [range, brew, then] =
    newestJava === Infinity
      ? ["or newer", "openjdk", ""]
      : [`to ${newestJava}`, `openjdk@${OLDEST_JAVA}`, " and set JAVA_HOME"];
  const missing = (what: string): UsageError =>
    new UsageError(
      `${title} needs Java ${OLDEST_JAVA} ${range}, and ${what}: install it (Debian: apt-get install openjdk-17-jre-headless, macOS: brew install ${brew})${then}, ${otherwise}`,
    );
  const home = environment["JAVA_HOME"];
  const directories = [...(home ? [path.join(home, "bin")] : []), ...pathDirectories(environment)];
  const java = findProgram("java", directories);
  if (java === null) throw missing("java was not found");
  // macOS has a java that only says that there is no Java, hence a run and not a look.
  const { code, output } = await runProgram(java, ["-version"], { environment });
  const version = javaVersion(output);
  if (code !== 0 || version === null) throw missing(`${java} -version does not work`);
  if (version < OLDEST_JAVA || version > newestJava) throw missing(`${java} is Java ${version}`);
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
