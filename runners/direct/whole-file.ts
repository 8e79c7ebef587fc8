// Small files that are there whole or not at all, whatever happens in between.
import { open, rename } from "node:fs/promises";
import path from "node:path";
import { makeDirectory } from "../../io/local-path";
import { syncDirectory } from "../../io/sync-directory";

/** Writes a file, in place of the one before; it is on the disk when this comes back. */
export async function writeWhole(file: string, text: string): Promise<void> {
  await makeDirectory(path.dirname(file));
  const temporary = `${file}.tmp`;
  const handle = await open(temporary, "w");
  try {
    await handle.writeFile(text);
    await handle.sync();
  } finally {
    await handle.close();
  }
  await rename(temporary, file);
  await syncDirectory(path.dirname(file));
}
