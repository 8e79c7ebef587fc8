// The bytes of a file, some at a time; unpacked when they are gzip, which their first two bytes tell and no name.
import { open, type FileHandle } from "node:fs/promises";
import { pipeline, Readable } from "node:stream";
import { createGunzip } from "node:zlib";
import { codeOf, messageOf, RunError, UsageError } from "../../schema/errors";

/** Large enough that reading costs nothing; a record that is kept keeps its whole chunk of text in memory, so no larger. */
export const CHUNK_BYTES = 64 * 1024;

/** The chunks of a file, each valid until the next one is asked for. `shown` is the file's name in errors. */
export async function* chunksOf(file: string, shown: string, chunkBytes = CHUNK_BYTES): AsyncGenerator<Buffer> {
  let handle: FileHandle | undefined;
  try {
    handle = await open(file, "r");
    const before = await handle.stat();
    const magic = await start(handle);
    const isGzip = magic.length === 2 && magic[0] === 0x1f && magic[1] === 0x8b;
    yield* isGzip ? unpacked(handle, magic, chunkBytes) : stored(handle, magic, chunkBytes);
    const after = await handle.stat();
    if (before.isFile() && (before.size !== after.size || before.mtimeMs !== after.mtimeMs)) {
      throw new RunError(`${shown} changed while it was read: run again when nothing writes to it`);
    }
  } catch (error) {
    throw readError(error, shown);
  } finally {
    await handle?.close();
  }
}

/** The first two bytes, or what there is of them. All reads go on from the last one, so that pipes can be read too. */
async function start(handle: FileHandle): Promise<Buffer> {
  const bytes = Buffer.alloc(2);
  let length = 0;
  while (length < 2) {
    const { bytesRead } = await handle.read(bytes, length, 2 - length);
    if (bytesRead === 0) break;
    length += bytesRead;
  }
  return bytes.subarray(0, length);
}

/** The bytes as they lie there, in one buffer that is filled again and again. */
async function* stored(handle: FileHandle, first: Buffer, chunkBytes: number): AsyncGenerator<Buffer> {
  if (first.length > 0) yield first;
  const buffer = Buffer.allocUnsafeSlow(chunkBytes);
  for (;;) {
    const { bytesRead } = await handle.read(buffer, 0, chunkBytes);
    if (bytesRead === 0) return;
    yield buffer.subarray(0, bytesRead);
  }
}

async function* unpacked(handle: FileHandle, first: Buffer, chunkBytes: number): AsyncGenerator<Buffer> {
  const gunzip = createGunzip({ chunkSize: Math.max(64, chunkBytes) });
  // The unpacker works while the next bytes are read: it needs chunks that nobody fills again.
  const packed = Readable.from(copies(stored(handle, first, chunkBytes)), { highWaterMark: 1 });
  pipeline(packed, gunzip, () => {
    // An error of either end reaches the loop below through gunzip.
  });
  for await (const chunk of gunzip) yield chunk as Buffer;
}

async function* copies(chunks: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  for await (const chunk of chunks) yield Buffer.from(chunk);
}

/** What a person is told when reading failed. */
export function readError(error: unknown, shown: string): Error {
  if (error instanceof RunError || error instanceof UsageError) return error;
  const code = codeOf(error);
  switch (code) {
    case "ENOENT":
      return new RunError(`${shown} is not there any more: it was moved or deleted after the run was planned`);
    case "EACCES":
    case "EPERM":
      return new UsageError(`${shown} may not be read: change its permissions, or run as a user who may`);
    case "EISDIR":
      return new UsageError(`${shown} is a directory: name files in it, such as ${shown}/*.ndjson`);
    case "Z_BUF_ERROR":
      return new RunError(`${shown} is cut off: its gzip data ends too early, so copy or download it again`);
    case undefined:
      return new RunError(`${shown} could not be read: ${messageOf(error)}`);
    default:
      return code.startsWith("Z_")
        ? new RunError(`${shown} is damaged: its gzip data cannot be unpacked (${messageOf(error)})`)
        : new RunError(`${shown} could not be read: ${messageOf(error)}`);
  }
}
