// What an address may say of the files that are written for it.
import { UsageError } from "../../schema/errors";
import { suggestion } from "../address";
import { GivenOptions, type AddressOption } from "../address-options";
import { type Address, type Gathering } from "../connector";
import { gatheringOf, gatheringOptions } from "../gathering";
import { csvOf, ndjsonOf } from "../row-text";
import { openParquet } from "./parquet";
import { type OpenRowFile } from "./row-file";
import { TextFile } from "./text-file";

const FORMATS = ["parquet", "ndjson", "json", "csv"] as const;
const COMPRESSIONS = ["zstd", "gzip", "none"] as const;
export type Compression = (typeof COMPRESSIONS)[number];

export interface LakeOptions {
  readonly format: "parquet" | "ndjson" | "csv";
  readonly compression: Compression;
  /** As it was written. */
  readonly partition: string | null;
  readonly rowsPerFile: number;
  readonly replace: boolean;
  readonly success: boolean;
  readonly gathering: Gathering;
}

/** Memory of a row group. */
const GROUP_BYTES = 64 * 1024 * 1024;
const LEAST_GROUP_BYTES = 16 * 1024 * 1024;

const YES = ["true", "false"] as const;

/** `usual` is the format where the address says none. */
export const lakeOptions = (usual: "parquet" | null) =>
  [
    {
      name: "format",
      usual,
      description: `parquet, ndjson (or json) or csv${usual === null ? "; else by the file's name, and ndjson in a directory" : ""}`,
    },
    {
      name: "compression",
      usual: null,
      description: "zstd (usual) or gzip for parquet, gzip or none (usual) for the others",
    },
    {
      name: "partition",
      usual: null,
      description:
        "folders as Hive has them, with commas between them: columns, or year, month, day or hour of one, as in day(window_start)",
    },
    { name: "rows", usual: "1000000", description: "rows of a file at most" },
    {
      name: "replace",
      usual: "false",
      description:
        "true: the files of earlier batches are taken out of the folders that this run writes, when its own are there; else files are added",
    },
    ...gatheringOptions("5m"),
    {
      name: "success",
      usual: "false",
      description: "true: an empty file _SUCCESS when all of a run's files are there",
    },
  ] as const satisfies readonly AddressOption[];

const OF_FOLDERS = ["partition", "rows", "replace", "success"] as const;

export function lakeOptionsOf({ scheme, path, options }: Address, usual: "parquet" | null): LakeOptions {
  const shown = `“${scheme}:${path}”`;
  const given = new GivenOptions(shown, options, lakeOptions(usual));
  const text = given.text("format") ?? "ndjson";
  const said = FORMATS.find((known) => known === text);
  if (said === undefined) throw new UsageError(`“${text}” is not a format of ${shown}: ${suggestion(text, FORMATS)}`);
  const format = said === "json" ? "ndjson" : said;
  const compression = given.choice("compression", COMPRESSIONS) ?? (format === "parquet" ? "zstd" : "none");
  if (compression === "zstd" && format !== "parquet")
    throw given.refused("compression", compression, `${format} files are packed by gzip, or not at all`);
  if (compression === "none" && format === "parquet")
    throw given.refused("compression", compression, "Parquet files are packed by zstd or gzip");
  return {
    format,
    compression,
    partition: given.text("partition"),
    rowsPerFile: given.whole("rows", 1) ?? 1,
    replace: given.choice("replace", YES) === "true",
    success: given.choice("success", YES) === "true",
    gathering: gatheringOf(given),
  };
}

/** Whether the address asks for files in folders, and not for one file a table. */
export const asksForFolders = ({ options }: Address): boolean =>
  OF_FOLDERS.some((name) => Object.hasOwn(options, name));

export function endingOf({ format, compression }: Pick<LakeOptions, "format" | "compression">): string {
  return `.${format}${format !== "parquet" && compression === "gzip" ? ".gz" : ""}`;
}

/** Opens files of these options. `together`: how many may be open at once, which share the memory that there is. */
export function rowFilesOf(
  { format, compression }: Pick<LakeOptions, "format" | "compression">,
  together = 1,
): OpenRowFile {
  if (format === "parquet") {
    const groupBytes = Math.max(GROUP_BYTES / together, LEAST_GROUP_BYTES);
    const packing = compression === "gzip" ? "gzip" : "zstd";
    return (path, table) =>
      openParquet({ compression: packing, sorted: table.key.length > 0, groupBytes })(path, table);
  }
  const packing = compression === "gzip" ? "gzip" : "none";
  return (path, table) => TextFile.open(path, format === "csv" ? csvOf(table) : ndjsonOf(table), packing);
}

/** A table's name becomes a folder or a file. */
export function checkTableName(name: string, shown: string): void {
  if (!/^[\w][\w. -]*$/.test(name)) throw new UsageError(`The table “${name}” cannot be the name of a file: ${shown}`);
}
