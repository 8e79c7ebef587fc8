// The end of a Parquet file: the columns, where their pages are, and what there is to know of them without reading them.
import { type Table } from "../../schema/table";
import { Bytes } from "./parquet-bytes";
import { Encoding, Page, type ColumnChunk, type WrittenChunk } from "./parquet-chunk";
import { LogicalMeaning, Meaning } from "./parquet-schema";
import { writeStruct, type ThriftStruct } from "./parquet-thrift";

export const MAGIC = Buffer.from("PAR1");

/**
 * Readers go by this to know the mistakes of writers. It is the version of these files, not of beamline: rows that are
 * written again after an update give the same bytes, unless this number says otherwise.
 */
const CREATED_BY = "beamline version 1";

const Repetition = { required: 0, optional: 1, repeated: 2 } as const;

export interface WrittenGroup {
  readonly rows: number;
  readonly at: number;
  readonly chunks: readonly WrittenChunk[];
}

export interface Footer {
  readonly table: Table;
  readonly columns: readonly ColumnChunk[];
  readonly groups: readonly WrittenGroup[];
  readonly codec: number;
  /** The rows of each group have the order of the table's key. */
  readonly sorted: boolean;
}

/** All that comes behind the last page. */
export function footerOf(footer: Footer): Uint8Array {
  const bytes = new Bytes();
  writeStruct(bytes, (file) => writeFile(file, footer));
  const { length } = bytes;
  bytes.room(4);
  bytes.view.setUint32(length, length, true);
  bytes.length += 4;
  bytes.append(MAGIC);
  return bytes.written();
}

function writeFile(file: ThriftStruct, footer: Footer): void {
  const { table, columns, groups } = footer;
  const rows = groups.reduce((sum, group) => sum + group.rows, 0);
  file
    .i32(1, 1)
    .structs(2, [root(columns.length), ...columns.flatMap(elementsOf)], (element, write) => write(element))
    .i64(3, rows)
    .structs(4, groups, (struct, group) => writeGroup(struct, group, footer))
    .structs(5, [{ key: "beamline.table", value: table.name }], (struct, { key, value }) =>
      struct.binary(1, key).binary(2, value),
    )
    .binary(6, CREATED_BY)
    // The least and greatest values are in the order that the type of their column has.
    .structs(7, columns, (order) => order.struct(1, () => undefined));
}

/** What writes an element of the schema: a column, or a group of the number of elements that follow it. */
type WriteElement = (element: ThriftStruct) => void;

const root =
  (columns: number): WriteElement =>
  (element) =>
    element.binary(4, "schema").i32(5, columns);

/** A list is a group that may be null, in which a group that repeats has the items; these are never null. */
function elementsOf({ column, form, path }: ColumnChunk): WriteElement[] {
  const whole = column.nullable ? Repetition.optional : Repetition.required;
  const values =
    (name: string, repetition: number): WriteElement =>
    (element) => {
      element.i32(1, form.physical);
      if (form.length !== undefined) element.i32(2, form.length);
      element.i32(3, repetition).binary(4, name);
      form.explain?.(element);
    };
  const [name, repeated, item] = path;
  if (repeated === undefined || item === undefined) return [values(name, whole)];
  return [
    (element) =>
      element
        .i32(3, whole)
        .binary(4, name)
        .i32(5, 1)
        .i32(6, Meaning.list)
        .struct(10, (logical) => logical.struct(LogicalMeaning.list, () => undefined)),
    (element) => element.i32(3, Repetition.repeated).binary(4, repeated).i32(5, 1),
    values(item, Repetition.required),
  ];
}

function writeGroup(struct: ThriftStruct, { rows, at, chunks }: WrittenGroup, footer: Footer): void {
  struct
    .structs(1, chunks, (chunk, written) =>
      // The second field is of no use any more, but readers want it there.
      chunk.i64(2, 0).struct(3, (details) => writeChunk(details, written, footer.codec)),
    )
    .i64(
      2,
      sumOf(chunks, (chunk) => chunk.uncompressedBytes),
    )
    .i64(3, rows);
  const { table, sorted } = footer;
  if (sorted && table.key.length > 0) {
    const order = table.key.map((name) => table.columns.findIndex((column) => column.name === name));
    struct.structs(4, order, (key, column) => key.i32(1, column).boolean(2, false).boolean(3, true));
  }
  struct.i64(5, at).i64(
    6,
    sumOf(chunks, (chunk) => chunk.bytes),
  );
}

function writeChunk(details: ThriftStruct, chunk: WrittenChunk, codec: number): void {
  const { dictionaryAt, bounds } = chunk;
  const encoding = dictionaryAt === null ? Encoding.plain : Encoding.dictionary;
  details
    .i32(1, chunk.physical)
    .i32s(2, dictionaryAt === null ? [Encoding.plain, Encoding.runs] : [Encoding.plain, Encoding.runs, encoding])
    .texts(3, chunk.path)
    .i32(4, codec)
    .i64(5, chunk.values)
    .i64(6, chunk.uncompressedBytes)
    .i64(7, chunk.bytes)
    .i64(9, chunk.dataAt);
  if (dictionaryAt !== null) details.i64(11, dictionaryAt);
  const pages = [
    ...(dictionaryAt === null ? [] : [{ kind: Page.dictionary, encoding: Encoding.plain, count: 1 }]),
    { kind: Page.data, encoding, count: chunk.dataPages },
  ];
  details
    .struct(12, (statistics) => {
      statistics.i64(3, chunk.nulls);
      if (bounds !== null) statistics.binary(5, bounds.max).binary(6, bounds.min);
    })
    .structs(13, pages, (page, { kind, encoding, count }) => page.i32(1, kind).i32(2, encoding).i32(3, count));
}

function sumOf(chunks: readonly WrittenChunk[], count: (chunk: WrittenChunk) => number): number {
  return chunks.reduce((sum, chunk) => sum + count(chunk), 0);
}
