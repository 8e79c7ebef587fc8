// Which format a file has, by its name.
import { UsageError } from "../../schema/errors";
import { type Format } from "../format";

/** Packings that a name tells and that are not read here: better said at once than a million dead letters later. */
const OTHER_PACKINGS = /\.(zip|zst|bz2|xz|7z|lz4|br|parquet|avro|orc|xlsx?)$/i;

/** The format by the file's name: CSV when it says so, else NDJSON. */
export function formatOfName(name: string): Format {
  const packing = OTHER_PACKINGS.exec(name)?.[1];
  if (packing !== undefined) {
    throw new UsageError(
      `${name} is a .${packing} file: files are NDJSON or CSV, plain or gzip (or say ?format=ndjson)`,
    );
  }
  return /\.csv(\.gz)?$/i.test(name) ? "csv" : "ndjson";
}
