// Which format a file has, by its name.
import { UsageError } from "../../schema/errors";

/** Packings that a name tells and that are not read here: better said at once than a million dead letters later. */
const OTHER_PACKINGS = /\.(zip|zst|bz2|xz|7z|lz4|br|avro|orc|xlsx?)$/i;

export type FileFormat = "ndjson" | "csv" | "parquet";

/** The format by the file's name: Parquet or CSV when it says so, else NDJSON. */
export function formatOfName(name: string): FileFormat {
  const packing = OTHER_PACKINGS.exec(name)?.[1];
  if (packing !== undefined) {
    throw new UsageError(
      `${name} is a .${packing} file: files are NDJSON or CSV, plain or gzip, or Parquet (or say ?format=ndjson)`,
    );
  }
  if (/\.parquet$/i.test(name)) return "parquet";
  return /\.csv(\.gz)?$/i.test(name) ? "csv" : "ndjson";
}
