// The one door to hyparquet, which reads the pages of Parquet files. It is ESM, and this package is not: it is loaded when
// the first file is read. Under jest this file is compiled by the preset in jest/, since jest itself cannot load ESM.

/** What of hyparquet is used. */
export type ParquetLibrary = Awaited<ReturnType<typeof load>>;

let library: Promise<ParquetLibrary> | null = null;

async function load() {
  const [parquet, column, convert, assemble, schema, packed] = await Promise.all([
    import("hyparquet"),
    import("hyparquet/src/column.js"),
    import("hyparquet/src/convert.js"),
    import("hyparquet/src/assemble.js"),
    import("hyparquet/src/schema.js"),
    import("hyparquet-compressors"),
  ]);
  return {
    parquetMetadata: parquet.parquetMetadata,
    parquetSchema: parquet.parquetSchema,
    parquetHeader: column.parquetHeader,
    readPage: column.readPage,
    readColumn: column.readColumn,
    convert: convert.convert,
    parsers: convert.DEFAULT_PARSERS,
    assembleNested: assemble.assembleNested,
    getTreePath: schema.getTreePath,
    isFlatColumn: schema.isFlatColumn,
    compressors: packed.compressors,
  };
}

export function parquetLibrary(): Promise<ParquetLibrary> {
  return (library ??= load());
}
