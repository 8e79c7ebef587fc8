// What is known of a server between two commands: a small file beside its data.
import { readFile, rename, writeFile } from "node:fs/promises";
import path from "node:path";
import { z } from "zod";
import { codeOf, RunError } from "../../schema/errors";

const ServiceRecord = z.object({
  port: z.int().min(1).max(65_535),
  /** Null after a clean stop; a process that is not running any more has crashed. */
  process: z.object({ pid: z.int().positive(), started: z.string() }).nullable(),
});
export type ServiceRecord = z.infer<typeof ServiceRecord>;

const fileOf = (directory: string): string => path.join(directory, "service.json");

export async function readRecord(directory: string): Promise<ServiceRecord | null> {
  const file = fileOf(directory);
  try {
    return ServiceRecord.parse(JSON.parse(await readFile(file, "utf8")));
  } catch (error) {
    if (codeOf(error) === "ENOENT") return null;
    // Without it a running server could not be told from a stranger, so nothing is guessed.
    throw new RunError(`${file} is damaged: end the server in it by hand if it runs, then delete that file`);
  }
}

export async function writeRecord(directory: string, record: ServiceRecord): Promise<void> {
  const file = fileOf(directory);
  // Renamed into place, so that nobody ever reads half of it.
  await writeFile(`${file}.new`, `${JSON.stringify(record, null, 2)}\n`);
  await rename(`${file}.new`, file);
}
