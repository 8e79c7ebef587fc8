// Kafka's answer to a fetch of one partition, from its bytes (versions 4 to 11 of the protocol).
import { RunError } from "../../schema/errors";

/** A transaction that was taken back: its records from `firstOffset` on count as not written. */
export interface AbortedTransaction {
  readonly producerId: bigint;
  readonly firstOffset: number;
}

export interface FetchedPartition {
  /** Of the protocol; 0 when all is well. */
  readonly errorCode: number;
  readonly lastStableOffset: number;
  readonly aborted: readonly AbortedTransaction[];
  /** Record batches as they lie in the log; the last one may be cut off. */
  readonly records: Buffer;
}

/** The one partition of an answer. Null when there is none in it, as from a broker that slows a client down. */
export function parseFetch(bytes: Buffer, version: number): FetchedPartition | null {
  try {
    return parse(bytes, version);
  } catch (error) {
    if (isOutOfRange(error)) throw new RunError("Kafka's answer to a fetch is cut off or damaged");
    throw error;
  }
}

/** Thrown by a read behind the end of bytes. By its name: in a context of its own, as in jest, code has another class. */
export function isOutOfRange(error: unknown): boolean {
  return (error as { name?: unknown } | null)?.name === "RangeError";
}

function parse(bytes: Buffer, version: number): FetchedPartition | null {
  let at = 4; // how long this client should wait
  const int16 = (): number => bytes.readInt16BE((at += 2) - 2);
  const int32 = (): number => bytes.readInt32BE((at += 4) - 4);
  const int64 = (): bigint => bytes.readBigInt64BE((at += 8) - 8);
  let errorCode = 0;
  if (version >= 7) {
    errorCode = int16();
    at += 4; // session
  }
  const topics = int32();
  if (errorCode !== 0) return { errorCode, lastStableOffset: -1, aborted: [], records: Buffer.alloc(0) };
  if (topics <= 0) return null;
  const nameLength = int16();
  at += nameLength;
  if (int32() <= 0) return null;
  at += 4; // the partition's number
  errorCode = int16();
  at += 8; // high watermark
  const lastStableOffset = Number(int64());
  if (version >= 5) at += 8; // log start
  const aborted: AbortedTransaction[] = [];
  for (let left = int32(); left > 0; left -= 1) {
    aborted.push({ producerId: int64(), firstOffset: Number(int64()) });
  }
  if (version >= 11) at += 4; // preferred replica
  const length = int32();
  if (length > bytes.length - at) throw new RangeError("records are cut off");
  return { errorCode, lastStableOffset, aborted, records: bytes.subarray(at, at + Math.max(0, length)) };
}
