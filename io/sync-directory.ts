// Bringing a new name to the disk.
import { open } from "node:fs/promises";

/** A new name must be on the disk too. Not every system can sync a directory; those that cannot do without. */
export async function syncDirectory(directory: string): Promise<void> {
  try {
    const handle = await open(directory, "r");
    await handle.sync().finally(() => handle.close());
  } catch {
    // See above.
  }
}
