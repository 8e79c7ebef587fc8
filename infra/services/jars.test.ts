// The fetch is Maven's: here a script stands in for it.
import { chmodSync, existsSync, mkdirSync, readdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import { scratchDirectory } from "../../../test/scratch";
import { downloadProgress, fetchJars, jarsDirectory } from "./jars";

const scratch = scratchDirectory();
const environment = () => ({ ...process.env, XDG_CACHE_HOME: scratch("cache") });

function maven(script: string): string {
  mkdirSync(scratch("bin"), { recursive: true });
  writeFileSync(scratch("bin/mvn"), `#!/bin/sh\nfor last; do :; done\nout=\${last#-DoutputDirectory=}\n${script}\n`);
  chmodSync(scratch("bin/mvn"), 0o755);
  return scratch("bin/mvn");
}

test("jars appear when all are there", async () => {
  const directory = jarsDirectory(environment());
  expect(path.dirname(directory)).toBe(scratch("cache/beamline"));
  const said: string[] = [];
  const fake = maven('mkdir -p "$out"; head -c 1500000 /dev/zero > "$out/a.jar"; echo b > "$out/b.jar"');
  await fetchJars(fake, directory, environment(), (text) => said.push(text));
  expect(readdirSync(directory)).toEqual(["a.jar", "b.jar"]);
  expect(said).toEqual(["fetching Kafka's jars, about 45 MB, once", `2 jars, 1.5 MB in ${directory}`]);
});

test("a fetch that fails leaves nothing, and says what Maven said", async () => {
  const directory = jarsDirectory(environment());
  const fake = maven('mkdir -p "$out"; echo a > "$out/a.jar"; echo "[INFO] x"; echo "[ERROR] no such host"; exit 1');
  await expect(fetchJars(fake, directory, environment(), () => undefined)).rejects.toThrow(
    "Maven could not fetch Kafka's jars:\n[ERROR] no such host",
  );
  expect(existsSync(directory)).toBe(false);
  expect(readdirSync(scratch("cache/beamline"))).toEqual([]);
});

test("progress once a second, from lines that come in pieces", () => {
  const said: string[] = [];
  let now = 0;
  const take = downloadProgress(
    (text) => said.push(text),
    () => now,
  );
  take("[INFO] Downloaded from central: a.jar (6.7 MB at 34 MB/s)\n[INFO] Downlo");
  now = 1500;
  take("aded from central: b.jar (300 kB at 1 MB/s)\n");
  take("Downloaded from central: c.jar (1 B at 1 B/s)\n");
  expect(said).toEqual(["fetched 2 files, 7.0 MB"]);
});
