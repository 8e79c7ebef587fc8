// Which format a file has, by its name or by what the address says.
import { UsageError } from "../../schema/errors";
import { suggestion } from "../address";
import { type Address } from "../connector";

const FORMATS = ["ndjson", "csv"] as const;
export type Format = (typeof FORMATS)[number];

/** Packings that a name tells and that are not read here: better said at once than a million dead letters later. */
const OTHER_PACKINGS = /\.(zip|zst|bz2|xz|7z|lz4|br|parquet|avro|orc|xlsx?)$/i;

/** The format that the address asks for; null when it leaves that to the name. */
export function formatOption(address: Address): Format | null {
  for (const name of Object.keys(address.options)) {
    if (name !== "format") {
      throw new UsageError(`“file:${address.path}” has the option “${name}”: ${suggestion(name, ["format"])}`);
    }
  }
  const wanted = address.options["format"];
  if (wanted === undefined) return null;
  const format = FORMATS.find((known) => known === wanted);
  if (format === undefined) {
    throw new UsageError(`“${wanted}” is not a format of “file:${address.path}”: ${suggestion(wanted, FORMATS)}`);
  }
  return format;
}

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
