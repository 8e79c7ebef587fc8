// One column in one row group: which of its rows have a value, the values, and the pages that both are written in.
import { RunError } from "../../schema/errors";
import { type Column, type ItemType, type Row, type Table } from "../../schema/table";
import { cellOf } from "../cell";
import { Bytes, Numbers } from "./parquet-bytes";
import { type Bounds, type Leaf } from "./parquet-leaf";
import { bitsOf, writeRuns } from "./parquet-runs";
import { formOf, itemOf, type ValueForm } from "./parquet-schema";
import { writeStruct, type ThriftStruct } from "./parquet-thrift";

/** Of a page before it is compressed, about. */
const PAGE_BYTES = 1024 * 1024;

/** The numbers that the format has for its encodings and pages. */
export const Encoding = { plain: 0, runs: 3, dictionary: 8 } as const;
export const Page = { data: 0, dictionary: 2 } as const;

export interface Compression {
  /** The number that the format has for it. */
  readonly codec: number;
  readonly compress: (bytes: Uint8Array) => Uint8Array;
}

/** What a file's end says of a column in a row group. */
export interface WrittenChunk {
  readonly path: readonly string[];
  readonly physical: number;
  readonly values: number;
  readonly nulls: number;
  readonly bounds: Bounds | null;
  /** From the file's first byte on. */
  readonly dictionaryAt: number | null;
  readonly dataAt: number;
  readonly dataPages: number;
  readonly bytes: number;
  readonly uncompressedBytes: number;
}

export class ColumnChunk {
  readonly form: ValueForm;
  /** Of the values in the schema: the column's name, and what is below it in that of a list. */
  readonly path: readonly [string, ...string[]];
  private readonly leaf: Leaf;
  private readonly item: ItemType | null;
  /**
   * How much there is of each value, empty where there is always all of it. Of a column that may be null 0 for null; of a
   * list, which has an entry for each item or one alone, 0 for null, then one for no items, then one for an item.
   */
  private readonly levels = new Numbers();
  private readonly fullLevel: number;
  /** Of each entry of a list 0 when a row begins with it, else 1. */
  private readonly repeats = new Numbers();
  private readonly page = new Bytes();

  constructor(
    private readonly table: Table,
    readonly column: Column,
    private readonly compression: Compression,
  ) {
    this.form = formOf(table, column);
    this.leaf = this.form.leaf();
    this.item = itemOf(column.type);
    this.path = this.item === null ? [column.name] : [column.name, "list", "element"];
    this.fullLevel = (column.nullable ? 1 : 0) + (this.item === null ? 0 : 1);
  }

  /** How much memory its rows take. */
  get size(): number {
    return this.leaf.size + (this.levels.length + this.repeats.length) * 4;
  }

  add(rows: readonly Row[], from: number, to: number): void {
    const { column, leaf, levels } = this;
    const { name, nullable } = column;
    const isJson = column.type.kind === "json";
    for (let at = from; at < to; at += 1) {
      const row = rows[at] as Row;
      const value = row[name];
      if (value === null || value === undefined) {
        if (!nullable) this.refuse(row);
        levels.push(0);
        if (this.item !== null) this.repeats.push(0);
      } else if (this.item !== null) this.addList(row, value);
      else {
        if (!leaf.add(isJson ? cellOf(this.table, column, row) : value)) this.refuse(row);
        if (nullable) levels.push(1);
      }
    }
  }

  private addList(row: Row, value: unknown): void {
    const { leaf, levels, repeats, fullLevel } = this;
    if (!Array.isArray(value)) this.refuse(row);
    const items = value as readonly unknown[];
    for (let at = 0; at < items.length; at += 1) {
      if (!leaf.add(items[at])) this.refuse(row);
      levels.push(fullLevel);
      repeats.push(at === 0 ? 0 : 1);
    }
    if (items.length > 0) return;
    levels.push(fullLevel - 1);
    repeats.push(0);
  }

  private refuse(row: Row): never {
    const { table, column } = this;
    const cell = cellOf(table, column, row);
    const { type } = column;
    if (this.item !== null)
      throw new RunError(
        `Column ${column.name} of ${table.name} takes a list of ${namesOf(this.item)}, but a row has ${shortened(String(cell))}`,
      );
    switch (type.kind) {
      case "decimal":
        throw new RunError(
          `Column ${column.name} of ${table.name} has ${String(cell)} in a row: DECIMAL(${type.precision}, ${type.scale}) takes ` +
            `${type.precision - type.scale} digits before and ${type.scale} after the point`,
        );
      case "integer":
        throw new RunError(
          `Column ${column.name} of ${table.name} has ${String(cell)} in a row: Parquet's INT64 ends at 2^63`,
        );
      default:
        throw new RunError(
          `Column ${column.name} of ${table.name} takes a day such as 2026-01-31, but a row has ${JSON.stringify(cell)}`,
        );
    }
  }

  /** Gives the pages to `write`, and forgets the rows. `at` is where the first page will be in the file. */
  async finish(at: number, write: (bytes: Uint8Array) => Promise<void>): Promise<WrittenChunk> {
    const { leaf, page } = this;
    let bytes = 0;
    let uncompressedBytes = 0;
    const writePage = async (kind: number, explain: (header: ThriftStruct) => void): Promise<void> => {
      const compressed = this.compression.compress(page.written());
      const header = new Bytes(64);
      writeStruct(header, (struct) => explain(struct.i32(1, kind).i32(2, page.length).i32(3, compressed.length)));
      bytes += header.length + compressed.length;
      uncompressedBytes += header.length + page.length;
      page.length = 0;
      header.append(compressed);
      await write(header.written());
    };

    leaf.settle();
    const { dictionary } = leaf;
    if (dictionary !== null) {
      leaf.writeDictionary(page);
      await writePage(Page.dictionary, (header) =>
        header.struct(7, (it) => it.i32(1, dictionary).i32(2, Encoding.plain)),
      );
    }
    const dataAt = at + bytes;
    const values = this.fullLevel > 0 ? this.levels.length : leaf.count;
    let dataPages = 0;
    for (let from = 0; from < values; dataPages += 1) {
      const to = this.writeValues(from, values);
      const count = to - from;
      await writePage(Page.data, (header) =>
        header.struct(5, (it) =>
          it
            .i32(1, count)
            .i32(2, dictionary === null ? Encoding.plain : Encoding.dictionary)
            .i32(3, Encoding.runs)
            .i32(4, Encoding.runs),
        ),
      );
      from = to;
    }
    const written: WrittenChunk = {
      path: this.path,
      physical: this.form.physical,
      values,
      nulls: values - leaf.count,
      bounds: leaf.bounds(),
      dictionaryAt: dictionary === null ? null : at,
      dataAt,
      dataPages,
      bytes,
      uncompressedBytes,
    };
    leaf.clear();
    this.levels.length = 0;
    this.repeats.length = 0;
    return written;
  }

  /** Fills a page from an entry on, and says before which one it ends: always one that a row begins with. */
  private writeValues(from: number, end: number): number {
    const { leaf, levels, repeats, page, fullLevel } = this;
    const fitting = leaf.fitting(PAGE_BYTES);
    if (fullLevel === 0) {
      leaf.write(page, fitting);
      return from + fitting;
    }
    let to = from;
    let values = 0;
    for (; to < end; to += 1) {
      if (levels.array[to] !== fullLevel) continue;
      if (values >= fitting && (this.item === null || repeats.array[to] === 0)) break;
      values += 1;
    }
    if (this.item !== null) this.writeLevels(repeats, from, to, 1);
    this.writeLevels(levels, from, to, bitsOf(fullLevel));
    leaf.write(page, values);
    return to;
  }

  /** How many bytes they take stands before them. */
  private writeLevels({ array }: Numbers, from: number, to: number, width: number): void {
    const { page } = this;
    page.room(4);
    const at = page.length;
    page.length += 4;
    writeRuns(page, array, from, to, width);
    page.view.setUint32(at, page.length - at - 4, true);
  }
}

/** In messages. */
function namesOf(item: ItemType): string {
  switch (item.kind) {
    case "text":
      return "texts";
    case "integer":
      return "whole numbers";
    case "double":
      return "finite numbers";
    case "boolean":
      return "true and false";
    case "date":
      return "days such as 2026-01-31";
    case "decimal":
      return `decimals with ${item.precision - item.scale} digits before and ${item.scale} after the point`;
  }
}

const shortened = (text: string): string => (text.length > 60 ? `${text.slice(0, 60)}…` : text);
