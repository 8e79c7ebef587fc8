// The fetch is Maven's: here a script stands in for it.
import { chmodSync, existsSync, mkdirSync, readdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import { scratchDirectory } from "../../test/scratch";
import { fetchJars, jarsDirectory, type Jars } from "./jars";

const scratch = scratchDirectory();
const environment = () => ({ ...process.env, XDG_CACHE_HOME: scratch("cache") });

function jarsOf(version: string): Jars {
  writeFileSync(scratch("pom.xml"), `<kafka.version>${version}</kafka.version>`);
  return { name: "kafka", title: "Kafka", otherwise: "or do without", pom: scratch("pom.xml"), megabytes: 45 };
}

function maven(script: string): string {
  mkdirSync(scratch("bin"), { recursive: true });
  writeFileSync(scratch("bin/mvn"), `#!/bin/sh\nfor last; do :; done\nout=\${last#-DoutputDirectory=}\n${script}\n`);
  chmodSync(scratch("bin/mvn"), 0o755);
  return scratch("bin/mvn");
}

test("another version is another directory", () => {
  const directory = jarsDirectory(jarsOf("4.3.0"), environment());
  expect(path.dirname(directory)).toBe(scratch("cache/beamline"));
  expect(path.basename(directory)).toMatch(/^kafka-4\.3\.0-[0-9a-f]{8}$/);
  expect(jarsDirectory(jarsOf("4.3.1"), environment())).not.toBe(directory);
});

test("jars appear when all are there", async () => {
  const jars = jarsOf("4.3.0");
  const directory = jarsDirectory(jars, environment());
  const said: string[] = [];
  const fake = maven('mkdir -p "$out"; head -c 1500000 /dev/zero > "$out/a.jar"; echo b > "$out/b.jar"');
  await fetchJars(jars, fake, environment(), (text) => said.push(text));
  expect(readdirSync(directory)).toEqual(["a.jar", "b.jar"]);
  expect(said).toEqual(["fetching Kafka's jars, about 45 MB, once", `2 jars, 1.5 MB in ${directory}`]);
});

test("a fetch that fails leaves nothing, and says what Maven said", async () => {
  const jars = jarsOf("4.3.0");
  const fake = maven('mkdir -p "$out"; echo a > "$out/a.jar"; echo "[INFO] x"; echo "[ERROR] no such host"; exit 1');
  await expect(fetchJars(jars, fake, environment(), () => undefined)).rejects.toThrow(
    "Maven could not fetch Kafka's jars:\n[ERROR] no such host",
  );
  expect(existsSync(jarsDirectory(jars, environment()))).toBe(false);
  expect(readdirSync(scratch("cache/beamline"))).toEqual([]);
});
