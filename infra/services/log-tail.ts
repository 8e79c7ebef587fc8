// The end of a log file, for the message that a start failed.
import { open } from "node:fs/promises";

const READ_AT_MOST = 64 * 1024;

/** The last lines of a file that may be large or missing. */
export async function logTail(file: string, lines = 20): Promise<string> {
  const handle = await open(file).catch(() => null);
  if (handle === null) return "";
  try {
    const { size } = await handle.stat();
    const start = Math.max(0, size - READ_AT_MOST);
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(size - start), 0, size - start, start);
    const all = buffer.toString("utf8", 0, bytesRead).trimEnd().split(/\r?\n/);
    // Where the reading did not start at the file's start, the first line is a piece.
    return (start > 0 ? all.slice(1) : all).slice(-lines).join("\n");
  } finally {
    await handle.close();
  }
}
