// Buckets: what a connector of them brings, and what an address says of one.
import { UsageError } from "../../schema/errors";
import { type About } from "../about";
import { type Address } from "../connector";
import { type Store, type Stored } from "./store";

/** What is read of an object at once. */
const BLOCK_BYTES = 4 * 1024 * 1024;

/** A bucket as a store: besides what every store does, it can be asked what is allowed. */
export interface BucketStore extends Store {
  /** What this user may not do of what writing takes; nothing where the service does not tell without trying. */
  missingRights(): Promise<readonly string[]>;
}

export interface Buckets {
  readonly scheme: "gs" | "s3";
  readonly about: Pick<About, "summary" | "settings" | "killTests" | "provenAgainst">;
  /** Changes nothing and asks nobody. */
  readonly open: (bucket: string) => BucketStore;
}

/** The bucket, and what stands behind it. */
export function placeOf({ scheme, path: written }: Address): { bucket: string; path: string } {
  const [, bucket = "", path = ""] = /^\/\/([^/]*)\/?(.*)$/s.exec(written) ?? [];
  if (!/^[a-z0-9][a-z0-9._-]*[a-z0-9]$/.test(bucket))
    throw new UsageError(
      `“${scheme}:${written}” names no bucket: write ${scheme}://bucket/folder/, the bucket in small letters and digits`,
    );
  return { bucket, path };
}

/** The bytes of an object, some at a time. */
export async function* blocksOf(
  store: Store,
  stored: Pick<Stored, "name" | "version" | "bytes">,
  signal?: AbortSignal,
): AsyncGenerator<Buffer> {
  for (let from = 0; from < stored.bytes; from += BLOCK_BYTES) {
    const block = await store.read(stored, from, Math.min(stored.bytes, from + BLOCK_BYTES), signal);
    yield Buffer.from(block.buffer, block.byteOffset, block.byteLength);
  }
}
