import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { DuckDBInstance, type DuckDBConnection } from "@duckdb/node-api";
import fc from "fast-check";
import { formatDecimal, tenTo } from "../../schema/decimal";
import { RunError, UsageError } from "../../schema/errors";
import { type ColumnType, type Table } from "../../schema/table";
import { openParquet } from "./parquet";
import { parquetGroups, readParquetGroup } from "./parquet-read";
import { type FileBytes } from "./row-file";

const directory = mkdtempSync(path.join(os.tmpdir(), "beamline-parquet-read-"));
/** Of a test that makes many files, on a machine that has much else to do. */
jest.setTimeout(60_000);

let instance: DuckDBInstance;
let duckdb: DuckDBConnection;

beforeAll(async () => {
  instance = await DuckDBInstance.create();
  duckdb = await instance.connect();
  await duckdb.run("SET TimeZone = 'UTC'");
});

afterAll(() => {
  duckdb.closeSync();
  instance.closeSync();
  rmSync(directory, { recursive: true, force: true });
});

interface Watched extends FileBytes {
  /** What was read of it. */
  readonly reads: (readonly [number, number])[];
}

function bytesOf(content: Uint8Array, name = "some.parquet"): Watched {
  const reads: [number, number][] = [];
  return {
    name,
    size: content.length,
    reads,
    async read(from, to, signal) {
      signal?.throwIfAborted();
      reads.push([from, to]);
      return new Uint8Array(content.subarray(from, to));
    },
  };
}

const fileBytes = (file: string): Watched => bytesOf(readFileSync(file), path.basename(file));

async function rowsOf(bytes: FileBytes, group = 0, from = 0): Promise<unknown[]> {
  const texts: string[] = [];
  for await (const some of readParquetGroup(bytes, group, from)) texts.push(...some);
  return texts.map((text) => JSON.parse(text) as unknown);
}

let files = 0;

/** The file that DuckDB makes of a query. */
async function fileOf(query: string, options = "compression zstd"): Promise<string> {
  const file = path.join(directory, `${(files += 1)}.parquet`);
  await duckdb.run(`COPY (${query}) TO '${file}' (FORMAT parquet, ${options})`);
  return file;
}

test("values of all kinds as another program writes them", async () => {
  const file = await fileOf(`SELECT
    2::UTINYINT AS u8, 4294967295::UINTEGER AS u32, 18446744073709551615::UBIGINT AS u64, -7::BIGINT AS i64,
    -12345678.9::DECIMAL(9, 1) AS d9, 0.001::DECIMAL(18, 3) AS d18, '-123456789012345678901234567890.12345678'::DECIMAL(38, 8) AS d38, -1.5::DECIMAL(38, 8) AS few,
    TIMESTAMP_NS '2020-01-01 00:00:00.123456789' AS nanos, TIMESTAMP '1969-12-31 23:59:59.999999' AS micros,
    TIMESTAMP_MS '2020-01-01 00:00:00.1' AS millis, TIMESTAMPTZ '2020-01-01 12:00:00+02' AS zoned,
    TIME '12:34:56.789012' AS clock, DATE '0001-01-01' AS early, DATE '9999-12-31' AS late,
    UUID '12345678-1234-1234-1234-123456789abc' AS id, '\\x00\\xff'::BLOB AS raw, 'ü"' || chr(10) AS text, '' AS empty,
    'nan'::DOUBLE AS nothing, '-inf'::FLOAT AS least, 0.1::FLOAT AS float, 0.1::DOUBLE AS double,
    INTERVAL '1 month 2 days 3.5 seconds' AS span, '{"a": 12345678901234567890.123}'::JSON AS doc,
    true AS yes, 'b'::ENUM('a', 'b') AS one, NULL::BIGINT AS gone`);
  const bytes = fileBytes(file);
  const texts: string[] = [];
  for await (const some of readParquetGroup(bytes, 0)) texts.push(...some);
  // A number of JSON with more digits than a float has is still there.
  expect(texts[0]).toContain('"doc":{"a": 12345678901234567890.123}');
  expect(JSON.parse(texts[0] ?? "")).toEqual({
    u8: 2,
    u32: 4294967295,
    u64: "18446744073709551615",
    i64: -7,
    d9: "-12345678.9",
    d18: "0.001",
    d38: "-123456789012345678901234567890.12345678",
    few: "-1.5",
    nanos: "2020-01-01T00:00:00.123456789Z",
    micros: "1969-12-31T23:59:59.999999Z",
    millis: "2020-01-01T00:00:00.100Z",
    zoned: "2020-01-01T10:00:00.000Z",
    clock: "12:34:56.789012",
    early: "0001-01-01",
    late: "9999-12-31",
    id: "12345678-1234-1234-1234-123456789abc",
    raw: "AP8=",
    text: 'ü"\n',
    empty: "",
    nothing: "NaN",
    least: "-Infinity",
    float: 0.1,
    double: 0.1,
    span: "P1M2DT3.5S",
    doc: { a: Number("12345678901234567890.123") },
    yes: true,
    one: "b",
    gone: null,
  });
});

test("lists, structs and maps, with nulls in all of them", async () => {
  const file = await fileOf(`SELECT
    CASE i WHEN 0 THEN [] WHEN 1 THEN NULL ELSE [['a', 'b'], [], NULL] END AS lists,
    CASE WHEN i = 1 THEN NULL ELSE {a: i, b: [{c: 'x', d: NULL::DATE}], e: 1.25::DECIMAL(38, 2)} END AS struct,
    MAP {'k' || i: TIMESTAMP '2020-01-01 00:00:00', 'none': NULL} AS map, [DATE '2020-01-02', NULL] AS days
    FROM range(3) t(i)`);
  const map = (i: number) => ({ [`k${i}`]: "2020-01-01T00:00:00.000Z", none: null });
  const days = ["2020-01-02", null];
  const struct = (a: number) => ({ a, b: [{ c: "x", d: null }], e: "1.25" });
  expect(await rowsOf(fileBytes(file))).toEqual([
    { lists: [], struct: struct(0), map: map(0), days },
    { lists: null, struct: null, map: map(1), days },
    { lists: [["a", "b"], [], null], struct: struct(2), map: map(2), days },
  ]);
});

test.each(["uncompressed", "snappy", "gzip", "zstd", "brotli", "lz4_raw"])("pages packed by %s", async (codec) => {
  const file = await fileOf(
    "SELECT i, 'text ' || i % 7 AS t, [i, i + 1] AS l FROM range(4000) t(i)",
    `compression ${codec}`,
  );
  const rows = await rowsOf(fileBytes(file));
  expect(rows).toHaveLength(4000);
  expect(rows[2345]).toEqual({ i: 2345, t: "text 0", l: [2345, 2346] });
});

test("a row group at a time, and from a row in it on", async () => {
  const file = await fileOf("SELECT i, [i] AS l FROM range(10000) t(i)", "row_group_size 4096");
  const bytes = fileBytes(file);
  const groups = await parquetGroups(bytes);
  expect(groups.map(({ rows }) => rows)).toEqual([4096, 4096, 1808]);
  expect(groups.every((group) => group.bytes > 0)).toBe(true);
  expect(await rowsOf(bytes, 2, 1806)).toEqual([
    { i: 9998, l: [9998] },
    { i: 9999, l: [9999] },
  ]);
  expect(await rowsOf(bytes, 0, 4096)).toEqual([]);
  // The end once, and each time only the pages of one row group.
  expect(bytes.reads).toHaveLength(4);
  expect(bytes.reads.slice(2).every(([from, to]) => to - from < bytes.size / 2)).toBe(true);
});

const numbers: Table = {
  name: "numbers",
  mode: "upsert",
  key: [],
  columns: ["n", "text"].map((name) => ({
    name,
    type: { kind: name === "n" ? "integer" : "text" },
    nullable: true,
    description: "",
  })),
};

async function ownFile(rows: number): Promise<string> {
  const name = path.join(directory, `${(files += 1)}.parquet`);
  const file = await openParquet({ compression: "zstd", sorted: false })(name, numbers);
  await file.write(
    Array.from({ length: rows }, (_, n) => ({ n: n % 3 === 0 ? null : n, text: `${n} ${"x".repeat(100)}` })),
  );
  await file.finish();
  return name;
}

test("our own files, in pages", async () => {
  const bytes = fileBytes(await ownFile(30_000));
  const given: number[] = [];
  for await (const some of readParquetGroup(bytes, 0, 25_000)) given.push(some.length);
  expect(given.reduce((sum, count) => sum + count, 0)).toBe(5000);
  expect(Math.max(...given)).toBeLessThanOrEqual(1000);
  expect((await rowsOf(bytes, 0, 29_998))[1]).toEqual({ n: 29_999, text: `29999 ${"x".repeat(100)}` });
});

test("every value comes back as it was written", async () => {
  const kinds: Record<string, ColumnType> = {
    integer: { kind: "integer" },
    double: { kind: "double" },
    small: { kind: "decimal", precision: 9, scale: 2 },
    large: { kind: "decimal", precision: 38, scale: 8 },
    time: { kind: "timestamp" },
    text: { kind: "text" },
    doc: { kind: "json" },
    list: { kind: "json", of: { kind: "decimal", precision: 38, scale: 8 } },
  };
  const columns = Object.entries(kinds).map(([name, type]) => ({ name, type, nullable: true, description: "" }));
  const table: Table = { name: "t", mode: "upsert", key: [], columns };
  const digits = (precision: number, scale: number) =>
    fc.bigInt({ min: 1n - tenTo(precision), max: tenTo(precision) - 1n }).map((units) => formatDecimal(units, scale));
  const row = fc.record({
    integer: fc.option(fc.maxSafeInteger()),
    double: fc.option(fc.double({ noNaN: true, noDefaultInfinity: true }).filter((value) => !Object.is(value, -0))),
    small: fc.option(digits(9, 2)),
    // Around the numbers up to which floats are exact, too.
    large: fc.option(
      fc.oneof(
        digits(38, 8),
        fc.bigInt({ min: -3n, max: 3n }).map((more) => formatDecimal(2n ** 53n + more, 8)),
        fc.bigInt({ min: -3n, max: 3n }).map((more) => formatDecimal(-(2n ** 53n) + more, 8)),
      ),
    ),
    time: fc.option(fc.integer({ min: -8.64e15, max: 8.64e15 })),
    text: fc.option(fc.string({ unit: "grapheme" })),
    doc: fc.option(fc.jsonValue()),
    list: fc.option(fc.array(digits(38, 8), { maxLength: 3 })),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(row, { minLength: 1 }), async (rows) => {
      const name = path.join(directory, `${(files += 1)}.parquet`);
      const file = await openParquet({ compression: "zstd", sorted: false })(name, table);
      await file.write(rows);
      await file.finish();
      const expected = rows.map(({ time, doc, ...same }) => ({
        ...same,
        time: time === null ? null : new Date(time).toISOString(),
        doc: JSON.parse(JSON.stringify(doc)) as unknown,
      }));
      expect(await rowsOf(fileBytes(name))).toEqual(expected);
    }),
    { numRuns: 50 },
  );
});

test("a file without rows has no row groups", async () => {
  expect(await parquetGroups(fileBytes(await ownFile(0)))).toEqual([]);
});

describe("what is no whole Parquet file is said in one sentence", () => {
  let whole: Buffer;
  beforeAll(async () => {
    whole = readFileSync(await ownFile(1000));
  });

  const lengthOfEnd = (length: number): Buffer => {
    const changed = Buffer.from(whole);
    changed.writeUInt32LE(length, changed.length - 8);
    return changed;
  };

  test.each<[string, () => Uint8Array, RegExp]>([
    ["empty", () => new Uint8Array(), /^some.parquet is empty: /],
    [
      "cut off",
      () => whole.subarray(0, whole.length / 2),
      /^some.parquet is cut off: it begins as a Parquet file and has no end/,
    ],
    ["something else", () => Buffer.from("a,b\n1,2\n".repeat(50)), /^some.parquet is not a Parquet file: /],
    ["something else, and short", () => Buffer.from("a,b\n"), /^some.parquet is not a Parquet file: /],
    [
      "an end larger than the file",
      () => lengthOfEnd(0xffffffff),
      /^some.parquet is damaged: its end should take 4294967295 bytes of \d+$/,
    ],
    [
      "an end that begins elsewhere",
      () => lengthOfEnd(100),
      /^some.parquet is damaged: its end cannot be read \(.+\)$/,
    ],
    ["encrypted", () => Buffer.concat([whole.subarray(0, -4), Buffer.from("PARE")]), /^some.parquet is encrypted: /],
    [
      "without its first half",
      () => whole.subarray(whole.length / 2),
      /^some.parquet is damaged: its end tells of pages that are not in it$/,
    ],
    [
      "with a page of zeros",
      () => Buffer.concat([whole.subarray(0, 40), Buffer.alloc(2000), whole.subarray(2040)]),
      /^some.parquet is damaged: row group 1 cannot be read \(.+\)$/,
    ],
  ])("%s", async (_, content, message) => {
    const failure = await rowsOf(bytesOf(content())).then(
      () => null,
      (error: unknown) => error,
    );
    expect(failure instanceof RunError || failure instanceof UsageError ? failure.message : failure).toMatch(message);
  });

  test("shorter than it was when its end was read", async () => {
    const bytes = bytesOf(whole);
    await parquetGroups(bytes);
    const shorter: FileBytes = { ...bytes, read: async (from, to) => whole.subarray(from, Math.min(to, 100)) };
    await expect(rowsOf(shorter)).rejects.toThrow(/^some.parquet changed while it was read: /);
  });
});

test("nothing more is read once the signal says so", async () => {
  const bytes = fileBytes(await ownFile(10_000));
  const control = new AbortController();
  let rows = 0;
  const reading = async (): Promise<void> => {
    for await (const some of readParquetGroup(bytes, 0, 0, control.signal)) {
      rows += some.length;
      control.abort(new Error("stopped"));
    }
  };
  await expect(reading()).rejects.toThrow("stopped");
  expect(rows).toBe(1000);
});
