// The formats of records that come as bytes: which one an address asks for, and from chunks of bytes to records of it.
import { UsageError } from "../schema/errors";
import { type SourceRecord } from "../schema/record";
import { suggestion } from "./address";
import { type AddressOption } from "./address-options";
import { type Address } from "./connector";
import { CsvRows } from "./csv";
import { LineSplitter } from "./lines";

const FORMATS = ["ndjson", "csv"] as const;
export type Format = (typeof FORMATS)[number];

/** What an address may say of the format; `usual` is what holds where it says nothing. */
export const formatOptions = (usual: Format | null): readonly AddressOption[] => [
  {
    name: "format",
    usual,
    description: `${FORMATS.join(" or ")}${usual === null ? "; else csv for names that end in .csv or .csv.gz, and ndjson for others" : ""}`,
  },
];

/** The format that the address asks for; null when it leaves that open. */
export function formatOption({ scheme, path, options }: Address): Format | null {
  const names = formatOptions(null).map(({ name }) => name);
  for (const name of Object.keys(options)) {
    if (!names.includes(name))
      throw new UsageError(`“${scheme}:${path}” has the option “${name}”: ${suggestion(name, names)}`);
  }
  const wanted = options["format"];
  if (wanted === undefined) return null;
  const format = FORMATS.find((known) => known === wanted);
  if (format === undefined) {
    throw new UsageError(`“${wanted}” is not a format of “${scheme}:${path}”: ${suggestion(wanted, FORMATS)}`);
  }
  return format;
}

/**
 * The records in chunks of bytes, each of which may be used again when the next one is asked for. When the bytes ended
 * before their end, what came of the last line is marked, so that it is not taken for a whole one.
 */
export async function* recordsOf(
  chunks: AsyncIterable<Buffer>,
  source: string,
  format: Format,
  wasCut: () => boolean = () => false,
): AsyncGenerator<SourceRecord[]> {
  const lines = linesOf(chunks, new LineSplitter({ source, exact: format === "csv" }), wasCut);
  yield* format === "csv" ? rowsOf(lines, new CsvRows(source)) : lines;
}

async function* linesOf(
  chunks: AsyncIterable<Buffer>,
  splitter: LineSplitter,
  wasCut: () => boolean,
): AsyncGenerator<SourceRecord[]> {
  for await (const chunk of chunks) yield* splitter.push(chunk);
  for (const last of splitter.end()) yield wasCut() ? last.map(cutOff) : last;
}

const cutOff = (record: SourceRecord): SourceRecord => ({
  ...record,
  headers: { ...record.headers, "cut-off": "true" },
});

async function* rowsOf(lines: AsyncIterable<SourceRecord[]>, csv: CsvRows): AsyncGenerator<SourceRecord[]> {
  for await (const batch of lines) {
    const rows = csv.push(batch);
    if (rows.length > 0) yield rows;
  }
  const rest = csv.end();
  if (rest.length > 0) yield rest;
}
