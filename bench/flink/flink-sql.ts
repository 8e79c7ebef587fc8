// Flink SQL: its program, compiled by Maven with its jars once for each version of its source, and how it is submitted.
import { createHash, randomUUID } from "node:crypto";
import fs from "node:fs";
import path from "node:path";
import { pathToFileURL } from "node:url";
import { findJava, findMaven } from "../../infra/services/java";
import { runProgram } from "../../infra/services/programs";
import { createCandleTables } from "../streaming/candle-table";
import { jdbcUrl } from "../streaming/contenders";
import { type Contender } from "./contenders";

const SOURCE = path.join(__dirname, "peers", "sql");
const FILES = ["pom.xml", "src/main/java/TradesSql.java"];
const DATA = path.join(__dirname, "..", "data");

/** What of its jars the cluster does not have. */
const BROUGHT = /^(bench-flink-sql|flink-connector|flink-table-(runtime|api|common)|kafka-clients|postgresql)-.*\.jar$/;

/** What Flink's own scripts open to it. */
const OPENED = ["lang", "lang.reflect", "io", "net", "nio", "text", "time", "util", "util.concurrent"].map(
  (name) => `--add-opens=java.base/java.${name}=ALL-UNNAMED`,
);

const asker = { title: "Flink SQL", otherwise: "or leave it out: --contenders beamline,beam-python" };

export async function flinkSql(say: (text: string) => void): Promise<Contender> {
  const java = await findJava(asker, process.env);
  const hash = createHash("sha256");
  for (const file of FILES) hash.update(fs.readFileSync(path.join(SOURCE, file)));
  const directory = path.join(DATA, `flink-sql-${hash.digest("hex").slice(0, 8)}`);
  if (!fs.existsSync(directory)) await build(directory, say);
  const brought = fs.readdirSync(directory).filter((name) => BROUGHT.test(name));
  const jars = brought.map((name) => pathToFileURL(path.join(directory, name)).href).join(";");
  return {
    name: "flink-sql",
    prepare: ({ database }) => createCandleTables(database),
    command: ({ kafka, topic, database, flink, parallelism, unique }) => ({
      program: java,
      args: [
        ...["-Xmx512m", "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", ...OPENED],
        ...["-cp", path.join(directory, "*"), "TradesSql", "--kafka", kafka, "--topic", topic, "--flink", flink],
        ...["--jdbc", jdbcUrl(database), "--parallelism", String(parallelism), "--unique", unique ? "yes" : "no"],
        ...["--jars", jars],
      ],
      directory,
    }),
    close: () => Promise.resolve(),
  };
}

async function build(directory: string, say: (text: string) => void): Promise<void> {
  say("building Flink SQL's program; the first time Maven fetches 135 MB");
  const incoming = `${directory}.${randomUUID()}`;
  const goals = ["package", "dependency:copy-dependencies", "-DincludeScope=runtime"];
  const places = [`-Dbench.directory=${incoming}/target`, `-DoutputDirectory=${incoming}/lib`];
  try {
    const { code, output } = await runProgram(findMaven(asker, process.env), [
      ...["-B", "-q", "--strict-checksums", "-f", path.join(SOURCE, "pom.xml")],
      ...goals,
      ...places,
    ]);
    if (code !== 0) throw new Error(`Maven could not build Flink SQL's program:\n${output.slice(-3_000)}`);
    const lib = path.join(incoming, "lib");
    fs.renameSync(path.join(incoming, "target", "bench-flink-sql-1.jar"), path.join(lib, "bench-flink-sql-1.jar"));
    fs.renameSync(lib, directory);
  } finally {
    fs.rmSync(incoming, { recursive: true, force: true });
  }
}
