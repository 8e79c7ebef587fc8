// `file:` addresses: files of this machine, read and written.
import { type Connector } from "../connector";
import { lakeOptions } from "../lake/options";
import { parquetType } from "../lake/parquet-schema";
import { jsonType } from "../row-text";
import { fileSink } from "./sink";
import { fileReadOptions, fileSource } from "./source";

export const file: Connector = {
  name: "file",
  about: {
    summary:
      "Files on this machine: NDJSON, CSV or Parquet by their names, packed where they end in .gz; one, all that match a pattern, or a directory to write to",
    examples: [
      "file:trades.ndjson",
      "file:trades/**/*.csv.gz",
      "file:out/",
      "file:lake/?format=parquet&partition=day(window_start)",
    ],
    readOptions: fileReadOptions,
    writeOptions: lakeOptions(null),
    settings: [],
    typeOf: (type) => `${jsonType(type)}; in Parquet ${parquetType(type)}`,
    provenAgainst: "disks",
    killTests: ["test/lake-kill.integration.ts"],
  },
  source: fileSource,
  sink: fileSink,
};
