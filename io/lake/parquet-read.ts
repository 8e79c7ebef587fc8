// Reads Parquet files, of whatever writer: which row groups there are, and the rows of one, each as a JSON text.
// In memory are the pages of a row group as they are packed, and of each column one page unpacked; a column of lists or
// other nested values is unpacked as a whole.
import { brotliDecompressSync, gunzipSync } from "node:zlib";
import type { ColumnMetaData, FileMetaData, SchemaElement, SchemaTree } from "hyparquet" with {
  "resolution-mode": "import",
};
import { messageOf, RunError, UsageError } from "../../schema/errors";
import { parquetLibrary, type ParquetLibrary } from "./parquet-library";
import { valueReaderOf, type JsonValue } from "./parquet-values";
import { type FileBytes } from "./row-file";

export interface ParquetGroup {
  readonly rows: number;
  /** Of its pages, as they are packed. */
  readonly bytes: number;
}

/** Rows that are given together. */
const ROWS_TOGETHER = 1000;
/** A row group of up to so many bytes is read at once, a larger one column by column. */
const READ_AT_ONCE = 64 * 1024 * 1024;
/** A file's end has a few kilobytes for each row group. */
const LARGEST_END = 256 * 1024 * 1024;

/** The row groups of a file. */
export async function parquetGroups(bytes: FileBytes, signal?: AbortSignal): Promise<readonly ParquetGroup[]> {
  const { row_groups } = await metadataOf(bytes, signal);
  return row_groups.map((group) => ({
    rows: Number(group.num_rows),
    bytes: group.columns.reduce((sum, { meta_data }) => sum + Number(meta_data?.total_compressed_size ?? 0), 0),
  }));
}

/** The rows of a row group from the one on that has the number `from` in it, each a JSON object in one text. */
export async function* readParquetGroup(
  bytes: FileBytes,
  number: number,
  from = 0,
  signal?: AbortSignal,
): AsyncGenerator<string[]> {
  const metadata = await metadataOf(bytes, signal);
  const group = metadata.row_groups[number];
  if (group === undefined) throw changed(bytes);
  const library = await parquetLibrary();
  const rows = Number(group.num_rows);
  const places = group.columns.map((column) => {
    const { meta_data, file_path } = column;
    if (file_path) throw new UsageError(`${bytes.name} has its pages in other files, which cannot be read`);
    if (column.crypto_metadata !== undefined || meta_data === undefined) throw encrypted(bytes);
    return placeOf(bytes, meta_data);
  });
  const pages = await pagesOf(bytes, places, signal);
  try {
    const tree = library.parquetSchema(metadata);
    const columns = tree.children.map((node) => {
      const leaves = places.flatMap(({ chunk }, at) =>
        chunk.path_in_schema[0] === node.element.name ? [leafOf(library, tree, chunk, pages[at] as Uint8Array)] : [],
      );
      return new ColumnTexts(`${JSON.stringify(node.element.name)}:`, textsOf(library, node, leaves, rows, from));
    });
    for (let at = from; at < rows;) {
      signal?.throwIfAborted();
      const together = columns.reduce((least, column) => Math.min(least, column.ready()), ROWS_TOGETHER);
      const count = Math.min(together, rows - at);
      if (count === 0) throw new Error(`it has fewer rows than the ${rows} that its end tells of`);
      yield rowTexts(columns, count);
      at += count;
    }
  } catch (error) {
    signal?.throwIfAborted();
    if (error instanceof RunError || error instanceof UsageError) throw error;
    throw new RunError(`${bytes.name} is damaged: row group ${number + 1} cannot be read (${messageOf(error)})`);
  }
}

function rowTexts(columns: readonly ColumnTexts[], count: number): string[] {
  const texts: string[] = [];
  for (let at = 0; at < count; at += 1) {
    let text = "{";
    for (const column of columns) text += (text === "{" ? "" : ",") + column.next();
    texts.push(`${text}}`);
  }
  return texts;
}

/** What is ready of a column: the JSON of the values of a page. */
class ColumnTexts {
  private texts: readonly string[] = [];
  private at = 0;

  constructor(
    private readonly name: string,
    private readonly pages: Iterator<readonly string[]>,
  ) {}

  /** How many values can be taken; 0 at the end. */
  ready(): number {
    while (this.at === this.texts.length) {
      const page = this.pages.next();
      if (page.done === true) return 0;
      this.texts = page.value;
      this.at = 0;
    }
    return this.texts.length - this.at;
  }

  next(): string {
    const text = this.name + (this.texts[this.at] ?? "null");
    this.at += 1;
    return text;
  }
}

interface Place {
  readonly chunk: ColumnMetaData;
  readonly from: number;
  readonly to: number;
}

function placeOf(bytes: FileBytes, chunk: ColumnMetaData): Place {
  const dictionary = Number(chunk.dictionary_page_offset ?? 0);
  const data = Number(chunk.data_page_offset);
  const from = dictionary > 0 && dictionary < data ? dictionary : data;
  const to = from + Number(chunk.total_compressed_size);
  if (!(from >= 4 && to >= from && to <= bytes.size))
    throw new RunError(`${bytes.name} is damaged: its end tells of pages that are not in it`);
  return { chunk, from, to };
}

/** The packed pages of each column. */
async function pagesOf(bytes: FileBytes, places: readonly Place[], signal?: AbortSignal): Promise<Uint8Array[]> {
  const first = Math.min(...places.map(({ from }) => from));
  const last = Math.max(...places.map(({ to }) => to));
  if (last - first <= READ_AT_ONCE) {
    const all = places.length === 0 ? new Uint8Array() : await exactly(bytes, first, last, signal);
    return places.map(({ from, to }) => all.subarray(from - first, to - first));
  }
  const pages: Uint8Array[] = [];
  for (const { from, to } of places) pages.push(await exactly(bytes, from, to, signal));
  return pages;
}

async function exactly(bytes: FileBytes, from: number, to: number, signal?: AbortSignal): Promise<Uint8Array> {
  const read = await bytes.read(from, to, signal);
  if (read.length !== to - from) throw changed(bytes);
  return read;
}

const changed = (bytes: FileBytes): RunError =>
  new RunError(`${bytes.name} changed while it was read: run again when nothing writes to it`);

type Decoder = Parameters<ParquetLibrary["readPage"]>[2];

/** A column that has values, of which a nested one has several. */
interface LeafPages {
  readonly path: string;
  readonly element: SchemaElement;
  readonly decoder: Decoder;
  readonly isFlat: boolean;
  readonly pages: Uint8Array;
}

function leafOf(library: ParquetLibrary, tree: SchemaTree, chunk: ColumnMetaData, pages: Uint8Array): LeafPages {
  const schemaPath = library.getTreePath(tree, chunk.path_in_schema);
  const { element } = schemaPath[schemaPath.length - 1] as SchemaTree;
  const { name, type, type_length, repetition_type } = element;
  return {
    path: chunk.path_in_schema.join("."),
    element,
    isFlat: library.isFlatColumn(schemaPath),
    pages,
    decoder: {
      pathInSchema: chunk.path_in_schema,
      type: chunk.type,
      // Without its meaning: hyparquet gives the values as they are stored, since it makes floats of decimals.
      element: { name, type, type_length, repetition_type },
      schemaPath,
      codec: chunk.codec,
      compressors: { ...library.compressors, GZIP: unpackGzip, BROTLI: unpackBrotli },
      parsers: { ...library.parsers, timestampFromNanoseconds: (nanoseconds: bigint) => nanoseconds },
      utf8: false,
    },
  };
}

const unpackGzip = (packed: Uint8Array, length: number): Uint8Array =>
  gunzipSync(packed, { maxOutputLength: length + 1 });
const unpackBrotli = (packed: Uint8Array, length: number): Uint8Array =>
  brotliDecompressSync(packed, { maxOutputLength: length + 1 });

/** The JSON of a column's values, some at a time. */
function textsOf(
  library: ParquetLibrary,
  node: SchemaTree,
  leaves: readonly LeafPages[],
  rows: number,
  from: number,
): Iterator<readonly string[]> {
  const [leaf] = leaves;
  if (leaf === undefined) throw new Error(`there are no pages of the column ${node.element.name}`);
  return leaf.isFlat ? flatTexts(library, leaf, rows, from) : nestedTexts(library, node, leaves, rows, from);
}

/** Page after page. */
function* flatTexts(
  library: ParquetLibrary,
  { element, decoder, pages }: LeafPages,
  rows: number,
  from: number,
): Generator<readonly string[]> {
  const { textOf } = valueReaderOf(element);
  const textOrNull = (value: unknown): string => (value === null || value === undefined ? "null" : textOf(value));
  const reader = { view: new DataView(pages.buffer, pages.byteOffset, pages.byteLength), offset: 0 };
  let dictionary: string[] | undefined;
  for (let row = 0; row < rows && reader.offset < reader.view.byteLength;) {
    const header = library.parquetHeader(reader);
    if (header.type === "DICTIONARY_PAGE") {
      const { data } = library.readPage(reader, header, decoder, undefined, undefined, 0);
      dictionary = Array.from(library.convert(data ?? [], decoder), textOrNull);
      continue;
    }
    const inPage = header.data_page_header?.num_values ?? header.data_page_header_v2?.num_rows ?? 0;
    const encoding = header.data_page_header?.encoding ?? header.data_page_header_v2?.encoding ?? "PLAIN";
    row += inPage;
    if (row <= from) {
      reader.offset += header.compressed_page_size;
      continue;
    }
    const { data = [] } = library.readPage(reader, header, decoder, dictionary, undefined, 0);
    const texts = encoding.endsWith("_DICTIONARY")
      ? Array.from(data as (string | null)[], (text) => text ?? "null")
      : Array.from(data as unknown[], textOrNull);
    if (texts.length !== inPage) throw new Error(`a page of the column ${element.name} has not the values it tells of`);
    yield row - inPage < from ? texts.slice(from - (row - inPage)) : texts;
  }
}

/** All of it, since the parts of a value lie in several columns whose pages end at different rows. */
function* nestedTexts(
  library: ParquetLibrary,
  node: SchemaTree,
  leaves: readonly LeafPages[],
  rows: number,
  from: number,
): Generator<readonly string[]> {
  const { name } = node.element;
  if (node.element.logical_type?.type === "VARIANT")
    throw new UsageError(`The column ${name} is a VARIANT, which cannot be read: write it as JSON`);
  const parts = new Map<string, unknown[]>();
  for (const { path, element, decoder, pages } of leaves) {
    const reader = { view: new DataView(pages.buffer, pages.byteOffset, pages.byteLength), offset: 0 };
    const { data } = library.readColumn(
      reader,
      { groupStart: 0, groupRows: rows, selectStart: 0, selectEnd: rows },
      decoder,
    );
    const { valueOf } = valueReaderOf(element);
    parts.set(
      path,
      data.flatMap((page) => Array.from(page as unknown[], (value) => deeply(value, valueOf))),
    );
  }
  library.assembleNested(parts, node, library.parsers);
  const values = parts.get(name) ?? [];
  if (values.length !== rows) throw new Error(`the column ${name} has not the rows that the file's end tells of`);
  for (let at = from; at < rows; at += ROWS_TOGETHER)
    yield values.slice(at, at + ROWS_TOGETHER).map((value) => JSON.stringify(value ?? null, nullForNothing));
}

/** The values in lists within lists. */
function deeply(value: unknown, valueOf: (stored: unknown) => JsonValue | object): unknown {
  if (value === null || value === undefined) return null;
  return Array.isArray(value) ? value.map((item) => deeply(item, valueOf)) : valueOf(value);
}

const nullForNothing = (_key: string, value: unknown): unknown => value ?? null;

/** The ends of files that are being read: for each row group the same is asked for. */
const known = new WeakMap<FileBytes, Promise<FileMetaData>>();

function metadataOf(bytes: FileBytes, signal?: AbortSignal): Promise<FileMetaData> {
  let metadata = known.get(bytes);
  if (metadata === undefined) {
    metadata = readMetadata(bytes, signal);
    known.set(bytes, metadata);
    // Whoever asks next tries again.
    metadata.catch(() => known.delete(bytes));
  }
  return metadata;
}

const SHORTEST = 12;

async function readMetadata(bytes: FileBytes, signal?: AbortSignal): Promise<FileMetaData> {
  const { name, size } = bytes;
  if (size === 0) throw new RunError(`${name} is empty: not even a Parquet file without rows is`);
  if (size < SHORTEST) throw notParquet(bytes);
  const last = Buffer.from(await exactly(bytes, size - 8, size, signal));
  const magic = last.toString("latin1", 4);
  if (magic === "PARE") throw encrypted(bytes);
  if (magic !== "PAR1") {
    const first = Buffer.from(await exactly(bytes, 0, 4, signal)).toString("latin1");
    throw first === "PAR1"
      ? new RunError(`${name} is cut off: it begins as a Parquet file and has no end, so copy or download it again`)
      : notParquet(bytes);
  }
  const length = last.readUInt32LE(0);
  if (length > size - SHORTEST || length > LARGEST_END)
    throw new RunError(`${name} is damaged: its end should take ${length} bytes of ${size}`);
  const end = await exactly(bytes, size - length - 8, size, signal);
  const { parquetMetadata } = await parquetLibrary();
  try {
    const metadata = parquetMetadata(end, { geoparquet: false });
    for (const element of metadata.schema) asInParquet1(element);
    return metadata;
  } catch (error) {
    throw new RunError(`${name} is damaged: its end cannot be read (${messageOf(error)})`);
  }
}

/** hyparquet goes by the older one of the two ways of saying that something is a list or a map. */
function asInParquet1(element: SchemaElement): void {
  const logical = element.logical_type?.type;
  if (logical === "LIST" || logical === "MAP") element.converted_type ??= logical;
}

const notParquet = ({ name }: FileBytes): RunError =>
  new RunError(`${name} is not a Parquet file: say what it is by format=, or take it out`);

const encrypted = ({ name }: FileBytes): UsageError =>
  new UsageError(`${name} is encrypted: decrypt it first, by the program that wrote it`);
