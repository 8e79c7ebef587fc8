// The broker's jars: fetched once by Maven, then kept in the user's cache for every checkout.
import { createHash, randomUUID } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { readdir, rename, rm, stat } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { makeDirectory } from "../../../io/local-path";
import { RunError } from "../../../schema/errors";
import { runProgram, type Environment } from "../programs";

const pom = path.join(__dirname, "pom.xml");

/** The directory of the jars, whether they are there or not. Another pom is another directory. */
export function jarsDirectory(environment: Environment): string {
  const text = readFileSync(pom, "utf8");
  const version = /<kafka\.version>(.*?)</.exec(text)?.[1] ?? "unknown";
  const hash = createHash("sha256").update(text).digest("hex").slice(0, 8);
  return path.join(cacheDirectory(environment), `kafka-${version}-${hash}`);
}

export const hasJars = (directory: string): boolean => existsSync(directory);

function cacheDirectory(environment: Environment, platform = process.platform): string {
  const given = environment["XDG_CACHE_HOME"];
  if (given) return path.join(given, "beamline");
  const home = os.homedir();
  return platform === "darwin"
    ? path.join(home, "Library", "Caches", "beamline")
    : path.join(home, ".cache", "beamline");
}

/** Has Maven fetch the jars. They appear in `directory` all at once or not at all. */
export async function fetchJars(
  maven: string,
  directory: string,
  environment: Environment,
  say: (text: string) => void,
): Promise<void> {
  const incoming = `${directory}.${randomUUID()}`;
  await makeDirectory(path.dirname(directory));
  const progress = downloadProgress(say);
  say("fetching Kafka's jars, about 45 MB, once");
  try {
    const args = ["-B", "--strict-checksums", "-f", pom, "dependency:copy-dependencies"];
    const { code, output } = await runProgram(
      maven,
      [...args, "-DincludeScope=runtime", `-DoutputDirectory=${incoming}`],
      { environment, cwd: path.dirname(directory), onOutput: progress },
    );
    if (code !== 0) throw new RunError(`Maven could not fetch Kafka's jars:\n${mavenErrors(output)}`);
    const jars = await readdir(incoming);
    const sizes = await Promise.all(jars.map(async (jar) => (await stat(path.join(incoming, jar))).size));
    await rename(incoming, directory).catch((error: unknown) => {
      // Another process was faster: its jars are as good.
      if (!hasJars(directory)) throw error;
    });
    say(`${jars.length} jars, ${megabytes(sizes.reduce((sum, size) => sum + size, 0))} in ${directory}`);
  } finally {
    await rm(incoming, { recursive: true, force: true });
  }
}

/** Reads Maven's output as it comes, and says at most once a second how much was downloaded. */
export function downloadProgress(say: (text: string) => void, now: () => number = Date.now): (text: string) => void {
  let rest = "";
  let files = 0;
  let bytes = 0;
  let last = now();
  return (text) => {
    const lines = (rest + text).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) {
      const match = /Downloaded from .*\((\d+(?:\.\d+)?) (B|kB|MB|GB)\b/.exec(line);
      if (match === null) continue;
      files += 1;
      bytes += Number(match[1]) * { B: 1, kB: 1e3, MB: 1e6, GB: 1e9 }[match[2] as "B" | "kB" | "MB" | "GB"];
    }
    if (files === 0 || now() - last < 1000) return;
    last = now();
    say(`fetched ${files} files, ${megabytes(bytes)}`);
  };
}

const megabytes = (bytes: number): string => `${(bytes / 1e6).toFixed(1)} MB`;

/** What Maven itself calls errors, without its advice to read more. */
function mavenErrors(output: string): string {
  const errors = output.split("\n").filter((line) => line.includes("ERROR") && !/\[Help|re-run Maven|-> \[/.test(line));
  return (errors.length > 0 ? errors : output.trimEnd().split("\n")).slice(-8).join("\n");
}
