// What is said on a machine without Java or Maven: PATH holds nothing but what a test puts there.
import { chmodSync, mkdirSync, writeFileSync } from "node:fs";
import { scratchDirectory } from "../../test/scratch";
import { UsageError } from "../../schema/errors";
import { findJava, javaVersion } from "./java";
import { kafka } from "./kafka/kafka";

const scratch = scratchDirectory();

function program(name: string, output: string, code = 0): void {
  mkdirSync(scratch("bin"), { recursive: true });
  writeFileSync(scratch("bin", name), `#!/bin/sh\necho '${output}' >&2\nexit ${code}\n`);
  chmodSync(scratch("bin", name), 0o755);
}

const environment = () => ({ PATH: scratch("bin"), XDG_CACHE_HOME: scratch("cache") });
const find = (): Promise<unknown> =>
  kafka.find({ directory: scratch(), data: scratch("data"), say: () => undefined }, environment()).then(
    () => null,
    (error: unknown) => error,
  );

test("without Java", async () => {
  const error = await find();
  expect(error).toBeInstanceOf(UsageError);
  expect((error as Error).message).toBe(
    "Kafka needs Java 17 or newer, and java was not found: install it (Debian: apt-get install openjdk-17-jre-headless, macOS: brew install openjdk), or run it in a container: docker compose -f infra/compose.yaml up --wait kafka",
  );
});

test("with a Java that is too old, or only says that there is none", async () => {
  program("java", 'openjdk version "11.0.2" 2019-01-15');
  expect(String(await find())).toMatch(/and \/.*\/bin\/java is Java 11: install it/);
  program("java", "Unable to locate a Java Runtime", 1);
  expect(String(await find())).toMatch(/\/bin\/java -version does not work: install/);
});

test("with a Java that is too new", async () => {
  program("java", 'openjdk version "25.0.1" 2025-10-21');
  const asker = { title: "Cassandra", otherwise: "or do without" };
  const wishes = { newest: 23 };
  await expect(findJava(asker, environment(), wishes)).rejects.toThrow(
    /^Cassandra needs Java 17 to 23, and \/.*\/bin\/java is Java 25: install it \(Debian: .*, macOS: brew install openjdk@17\) and set JAVA_HOME, or do without$/,
  );
  program("java", 'openjdk version "23.0.1" 2024-10-15');
  expect(await findJava(asker, environment(), wishes)).toBe(scratch("bin/java"));
});

test("with a Java that cannot compile, where that is needed", async () => {
  program("java", 'openjdk version "17.0.15" 2025-04-15');
  const asker = { title: "OpenSearch", otherwise: "or do without" };
  expect(await findJava(asker, environment())).toBe(scratch("bin/java"));
  await expect(findJava(asker, environment(), { compiler: true })).rejects.toThrow(
    /^OpenSearch needs Java 17 or newer with its compiler, and \/.*\/bin\/java has none: install it \(Debian: apt-get install openjdk-17-jdk-headless, macOS: brew install openjdk\), or do without$/,
  );
  program("java", 'openjdk version "17.0.15" 2025-04-15 jdk.compiler@17.0.15');
  expect(await findJava(asker, environment(), { compiler: true })).toBe(scratch("bin/java"));
});

test("with Java, but neither jars nor Maven", async () => {
  program("java", 'openjdk version "17.0.15" 2025-04-15');
  const error = await find();
  expect(error).toBeInstanceOf(UsageError);
  expect((error as Error).message).toMatch(/^Kafka is fetched by Maven, and mvn was not found: install it \(Debian: /);
  program("mvn", "");
  expect(await find()).toBeNull();
});

test("JAVA_HOME goes before PATH", async () => {
  program("java", 'openjdk version "21.0.1"');
  expect(await findJava({ title: "Spark", otherwise: "" }, { PATH: "", JAVA_HOME: scratch() })).toBe(
    scratch("bin/java"),
  );
});

test("versions as Java writes them", () => {
  expect(javaVersion('openjdk version "17.0.15" 2025-04-15')).toBe(17);
  expect(javaVersion('java version "1.8.0_402"')).toBe(8);
  expect(javaVersion('openjdk version "25-ea" 2025-09-16')).toBe(25);
  expect(javaVersion("no java")).toBeNull();
});
