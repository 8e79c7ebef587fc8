// Spark's program: compiled by Maven, with its jars, once for each version of its source, and how it is started.
import { createHash, randomUUID } from "node:crypto";
import fs from "node:fs";
import path from "node:path";
import { findJava, findMaven } from "../../infra/services/java";
import { runProgram } from "../../infra/services/programs";

const SOURCE = path.join(__dirname, "spark");
const FILES = ["pom.xml", "src/main/java/TradesStream.java", "src/main/resources/log4j2.properties"];
const DATA = path.join(__dirname, "..", "data");

/** What Spark's own launcher gives Java 17. */
const OPENED = [
  ...[
    "lang",
    "lang.invoke",
    "lang.reflect",
    "io",
    "net",
    "nio",
    "util",
    "util.concurrent",
    "util.concurrent.atomic",
  ].map((name) => `java.base/java.${name}`),
  ...["jdk.internal.ref", "sun.nio.ch", "sun.nio.cs", "sun.security.action", "sun.util.calendar"].map(
    (name) => `java.base/${name}`,
  ),
  "java.security.jgss/sun.security.krb5",
];

/** Who asks for Java and Maven. */
const spark = { title: "Spark", otherwise: "or leave Spark out: --contenders beamline" };

export interface SparkProgram {
  readonly java: string;
  /** Everything of java's command line before the program's own words. */
  readonly args: readonly string[];
}

/** Builds the program when it is not there yet: about 280 MB in bench/data. */
export async function buildSparkProgram(say: (text: string) => void): Promise<SparkProgram> {
  const java = await findJava(spark, process.env);
  const hash = createHash("sha256");
  for (const file of FILES) hash.update(fs.readFileSync(path.join(SOURCE, file)));
  const directory = path.join(DATA, `spark-${hash.digest("hex").slice(0, 8)}`);
  if (!fs.existsSync(directory)) await build(directory, say);
  const classPath = [path.join(directory, "target", "classes"), path.join(directory, "lib", "*")].join(path.delimiter);
  const opened = OPENED.flatMap((name) => ["--add-opens", `${name}=ALL-UNNAMED`]);
  const memory = ["-Xmx2g", "-Djdk.reflect.useDirectMethodHandle=false", "-Dio.netty.tryReflectionSetAccessible=true"];
  return { java, args: [...memory, ...opened, "-cp", classPath, "TradesStream"] };
}

async function build(directory: string, say: (text: string) => void): Promise<void> {
  say("building Spark's program; the first time Maven fetches 280 MB");
  const incoming = `${directory}.${randomUUID()}`;
  const goals = ["compile", "dependency:copy-dependencies", "-DincludeScope=runtime"];
  const places = [`-Dbench.directory=${incoming}/target`, `-DoutputDirectory=${incoming}/lib`];
  try {
    const { code, output } = await runProgram(findMaven(spark, process.env), [
      ...["-B", "-q", "--strict-checksums", "-f", path.join(SOURCE, "pom.xml")],
      ...goals,
      ...places,
    ]);
    if (code !== 0) throw new Error(`Maven could not build Spark's program:\n${output.slice(-3_000)}`);
    fs.renameSync(incoming, directory);
  } finally {
    fs.rmSync(incoming, { recursive: true, force: true });
  }
}
