import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { promisify } from "node:util";
import { DuckDBInstance, type DuckDBConnection } from "@duckdb/node-api";
import fc from "fast-check";
import { RunError, UsageError } from "../../schema/errors";
import { formatDecimal, tenTo } from "../../schema/decimal";
import { type Column, type ColumnType, type Row, type Table } from "../../schema/table";
import { openParquet, type ParquetSettings } from "./parquet";
import { type WrittenFile } from "./row-file";

const directory = mkdtempSync(path.join(os.tmpdir(), "beamline-parquet-"));
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

const column = (name: string, type: ColumnType, nullable = true): Column => ({
  name,
  type,
  nullable,
  description: "",
});

const tableWith = (columns: readonly Column[], key: readonly string[] = []): Table => ({
  name: "t",
  columns,
  key,
  mode: "upsert",
});

/** Of a test that makes many files, on a machine that has much else to do. */
jest.setTimeout(60_000);

const settings: ParquetSettings = { compression: "zstd", sorted: false };

let files = 0;
const nextFile = (): string => path.join(directory, `${(files += 1)}.parquet`);

async function written(
  table: Table,
  batches: readonly (readonly Row[])[],
  more: Partial<ParquetSettings> = {},
): Promise<WrittenFile> {
  const file = await openParquet({ ...settings, ...more })(nextFile(), table);
  try {
    for (const batch of batches) await file.write(batch);
    return await file.finish();
  } catch (error) {
    await file.abort();
    throw error;
  }
}

/** What an independent reader makes of a file. */
async function asked(sql: string): Promise<Record<string, unknown>[]> {
  return (await duckdb.runAndReadAll(sql)).getRowObjectsJson();
}

const KINDS = {
  text: { kind: "text" },
  integer: { kind: "integer" },
  double: { kind: "double" },
  boolean: { kind: "boolean" },
  small: { kind: "decimal", precision: 9, scale: 2 },
  middle: { kind: "decimal", precision: 18, scale: 6 },
  large: { kind: "decimal", precision: 38, scale: 8 },
  odd: { kind: "decimal", precision: 21, scale: 0 },
  time: { kind: "timestamp" },
  day: { kind: "date" },
  raw: { kind: "bytes" },
  doc: { kind: "json" },
} as const satisfies Record<string, ColumnType>;

const everything = tableWith(Object.entries(KINDS).map(([name, type]) => column(name, type)));

test("every kind of column is a real type for an independent reader", async () => {
  const { path: file } = await written(everything, [[]]);
  const described = await asked(`DESCRIBE FROM '${file}'`);
  expect(Object.fromEntries(described.map((one) => [one["column_name"], one["column_type"]]))).toEqual({
    text: "VARCHAR",
    integer: "BIGINT",
    double: "DOUBLE",
    boolean: "BOOLEAN",
    small: "DECIMAL(9,2)",
    middle: "DECIMAL(18,6)",
    large: "DECIMAL(38,8)",
    odd: "DECIMAL(21,0)",
    time: "TIMESTAMP WITH TIME ZONE",
    day: "DATE",
    raw: "BLOB",
    doc: "JSON",
  });
});

const digits = (precision: number, scale: number) =>
  fc.bigInt({ min: 1n - tenTo(precision), max: tenTo(precision) - 1n }).map((units) => formatDecimal(units, scale));
const orNull = <T>(values: fc.Arbitrary<T>) => fc.option(values, { nil: null });
/** Few different ones and many, so that there are dictionaries and none. */
const texts = fc.oneof(
  fc.constantFrom("", "a", "ü", "😀", "￿", "\0", "\ud83d", "x\udc00y", "ab".repeat(200)),
  fc.string({ unit: "binary" }),
);
const day = (year: number, month: number, date: number) =>
  `${String(year).padStart(4, "0")}-${String(month).padStart(2, "0")}-${String(date).padStart(2, "0")}`;

const anyRow: fc.Arbitrary<Row> = fc.record({
  text: orNull(texts),
  integer: orNull(fc.oneof(fc.integer(), fc.maxSafeInteger(), fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }))),
  double: orNull(fc.double({ noNaN: true, noDefaultInfinity: true })),
  boolean: orNull(fc.boolean()),
  small: orNull(digits(9, 2)),
  middle: orNull(digits(18, 6)),
  large: orNull(fc.oneof(digits(38, 8), fc.constantFrom("0", "-0", "1.50", "-0.00000001", "007"))),
  odd: orNull(digits(21, 0)),
  time: orNull(fc.integer({ min: -62_135_596_800_000, max: 253_402_300_799_999 })),
  day: orNull(
    fc
      .tuple(fc.integer({ min: 1, max: 9999 }), fc.integer({ min: 1, max: 12 }), fc.integer({ min: 1, max: 28 }))
      .map(([year, month, date]) => day(year, month, date)),
  ),
  raw: orNull(fc.oneof(fc.uint8Array(), fc.string())),
  doc: orNull(fc.jsonValue()),
});

const whole = (text: string) => Buffer.from(text).toString();

/** A row as it should be read: each value in the one form that is compared below. */
function expected(row: Row): Record<string, unknown> {
  const units = (name: "small" | "middle" | "large" | "odd") => {
    const { scale } = KINDS[name];
    const [left = "", right = ""] = String(row[name]).split(".");
    return row[name] === null
      ? null
      : String(BigInt(`${left.replace("-", "")}${right.padEnd(scale, "0")}`) * (left.startsWith("-") ? -1n : 1n));
  };
  const raw = row["raw"] as string | Uint8Array | null;
  return {
    text: row["text"] === null ? null : whole(row["text"] as string),
    integer: row["integer"] === null ? null : (row["integer"] as bigint).toString(),
    double: row["double"],
    boolean: row["boolean"],
    small: units("small"),
    middle: units("middle"),
    large: units("large"),
    odd: units("odd"),
    time: row["time"] === null ? null : String(BigInt(row["time"] as number) * 1000n),
    day: row["day"],
    raw: raw === null ? null : Buffer.from(raw as string).toString("hex"),
    doc: row["doc"] === null ? null : JSON.stringify(row["doc"]),
  };
}

/** The same of what DuckDB reads: exact, whatever becomes of a value on its way into JavaScript. */
const READ = `SELECT "text", "integer"::VARCHAR AS "integer", "double", "boolean",
  (small * 100)::HUGEINT::VARCHAR AS small, (middle::DECIMAL(38, 6) * 1000000)::HUGEINT::VARCHAR AS middle,
  replace("large"::VARCHAR, '.', '') AS "large", odd::VARCHAR AS odd,
  epoch_us("time")::VARCHAR AS "time", "day"::VARCHAR AS "day", lower(hex(raw)) AS raw, doc::VARCHAR AS doc`;

/** Decimal digits as a whole number, without the zeros in front that their text has. */
const asWhole = (text: unknown) => (text === null ? null : String(BigInt(text as string)));

test("what is written is what an independent reader reads, whatever the values are", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(anyRow, { minLength: 1, maxLength: 60 }),
      fc.integer({ min: 1, max: 4 }),
      async (some, times) => {
        const rows = Array.from({ length: times }, () => some).flat();
        const { path: file } = await written(everything, [rows], { groupRows: 50 });
        const read = await asked(`${READ} FROM '${file}'`);
        expect(read.map((row) => ({ ...row, large: asWhole(row["large"]) }))).toEqual(rows.map(expected));
      },
    ),
    { numRuns: 60 },
  );
});

const anyRows = fc
  .tuple(fc.array(anyRow, { minLength: 1, maxLength: 40 }), fc.integer({ min: 1, max: 8 }))
  .map(([some, times]) => Array.from({ length: times }, () => some).flat());

test.each(["in the order given", "in the order of the key"])(
  "the same rows give the same bytes, however they come: %s",
  async (order) => {
    const table = { ...everything, key: ["time", "text"] };
    const more = { groupRows: 100, groupBytes: 4000, sorted: order === "in the order of the key" };
    await fc.assert(
      fc.asyncProperty(anyRows, fc.array(fc.integer({ min: 0, max: 70 })), async (rows, sizes) => {
        const batches: Row[][] = [];
        let rest = rows;
        for (const size of sizes) {
          batches.push(rest.slice(0, size));
          rest = rest.slice(size);
        }
        const one = await written(table, [rows], more);
        const other = await written(table, [...batches, rest], more);
        const bytes = readFileSync(one.path);
        expect(readFileSync(other.path).equals(bytes)).toBe(true);
        const sha256 = createHash("sha256").update(bytes).digest("hex");
        expect(one).toEqual({ path: one.path, rows: rows.length, bytes: bytes.length, sha256 });
        expect(other).toEqual({ ...one, path: other.path });
      }),
      { numRuns: 30 },
    );
  },
);

test("row groups go to the disk as they fill: no more than one is in memory", async () => {
  const table = tableWith([column("n", { kind: "integer" }, false)]);
  const name = nextFile();
  const file = await openParquet({ ...settings, groupRows: 1000 })(name, table);
  // Numbers that do not repeat, and of which each takes all of its bytes.
  let next = 1;
  const batch = () =>
    Array.from({ length: 250 }, () => ({ n: (next = (next * 6_364_136_223_846_793) % 9_007_199_254_740_881) }));
  const sizes: number[] = [];
  for (let at = 0; at < 12; at += 1) {
    await file.write(batch());
    sizes.push(statSync(name).size);
  }
  const grown = sizes.map((size, at) => size > (sizes[at - 1] ?? 4));
  expect(grown).toEqual([false, false, false, true, false, false, false, true, false, false, false, true]);
  await file.finish();
  expect(await asked(`SELECT row_group_id AS id, row_group_num_rows AS rows FROM parquet_metadata('${name}')`)).toEqual(
    [0, 1, 2].map((id) => ({ id: String(id), rows: "1000" })),
  );
});

test("a row group is full, too, when its rows take much memory", async () => {
  const table = tableWith([column("t", { kind: "text" }), column("d", { kind: "json" })], ["t"]);
  const rows = Array.from({ length: 1000 }, (_, at) => ({ t: `${at}`.padEnd(5_000, "x"), d: ["y".repeat(5_000), at] }));
  for (const sorted of [false, true]) {
    const { path: file } = await written(table, [rows], { groupBytes: 1_000_000, sorted });
    const groups = await asked(
      `SELECT DISTINCT row_group_id, row_group_num_rows AS rows FROM parquet_metadata('${file}')`,
    );
    expect(groups.map(({ rows: count }) => Number(count)).sort((a, b) => b - a)).toEqual([
      128, 128, 128, 128, 128, 128, 128, 104,
    ]);
  }
});

test("columns in many pages, with and without a dictionary", async () => {
  const columns = [
    column("long", { kind: "text" }),
    column("few", { kind: "text" }),
    column("first", { kind: "integer" }),
    column("maybe", { kind: "decimal", precision: 38, scale: 2 }),
    column("flag", { kind: "boolean" }),
  ];
  const rows = Array.from({ length: 70_000 }, (_, at) => ({
    long: at % 5 === 0 ? null : `${at} ${"ü".repeat(at % 90)}`,
    few: `value ${at % 13}`,
    // Looks as if it repeated, for a while.
    first: at < 3000 ? at % 10 : at * 1_000_003,
    maybe: at % 3 === 0 ? null : `${at}.25`,
    flag: at % 7 === 0 ? null : at % 2 === 0,
  }));
  const { path: file } = await written(tableWith(columns), [rows]);
  const chunks = await asked(`SELECT path_in_schema AS name, encodings, num_values FROM parquet_metadata('${file}')`);
  const hasDictionary = chunks.filter(({ encodings }) => String(encodings).includes("DICTIONARY"));
  expect(hasDictionary.map(({ name }) => name)).toEqual(["few"]);
  const texts = rows.map(({ long, few, first, maybe, flag }) =>
    [long, few, first, maybe, flag].map((v) => v ?? "-").join(),
  );
  const digest = createHash("md5").update(texts.join("\n")).digest("hex");
  const read = await asked(
    `SELECT md5(string_agg(concat_ws(',', coalesce("long", '-'), few, "first", coalesce(maybe::VARCHAR, '-'), coalesce(flag::VARCHAR, '-')), chr(10) ORDER BY file_row_number)) AS digest
     FROM read_parquet('${file}', file_row_number = true)`,
  );
  expect(read).toEqual([{ digest }]);
});

const LISTS = {
  texts: { kind: "json", of: { kind: "text" } },
  numbers: { kind: "json", of: { kind: "integer" } },
  doubles: { kind: "json", of: { kind: "double" } },
  flags: { kind: "json", of: { kind: "boolean" } },
  prices: { kind: "json", of: { kind: "decimal", precision: 38, scale: 2 } },
  days: { kind: "json", of: { kind: "date" } },
} as const satisfies Record<string, ColumnType>;

const listColumns = Object.entries(LISTS).map(([name, type]) => column(name, type));
const sureList = column("sure", LISTS.numbers, false);

test("a list of plain values is a list", async () => {
  const { path: file } = await written(tableWith([...listColumns, sureList]), [[]]);
  const described = await asked(`DESCRIBE FROM '${file}'`);
  expect(described.map((one) => [one["column_name"], one["column_type"]])).toEqual([
    ["texts", "VARCHAR[]"],
    ["numbers", "BIGINT[]"],
    ["doubles", "DOUBLE[]"],
    ["flags", "BOOLEAN[]"],
    ["prices", "DECIMAL(38,2)[]"],
    ["days", "DATE[]"],
    ["sure", "BIGINT[]"],
  ]);
});

test("lists are read as they were written, empty ones and none too", async () => {
  const list = <T>(items: fc.Arbitrary<T>) => orNull(fc.array(items, { maxLength: 5 }));
  const anyLists = fc.record({
    texts: list(fc.string({ unit: "grapheme" })),
    numbers: list(fc.maxSafeInteger()),
    doubles: list(fc.double({ noNaN: true, noDefaultInfinity: true })),
    flags: list(fc.boolean()),
    prices: list(digits(38, 2)),
    days: list(fc.constantFrom("0001-01-01", "1969-12-31", "9999-12-31")),
    sure: fc.array(fc.integer()),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(anyLists, { minLength: 1, maxLength: 40 }), async (rows) => {
      const { path: file } = await written(tableWith([...listColumns, sureList]), [rows], { groupRows: 30 });
      const read = await asked(
        `SELECT * REPLACE (list_transform(prices, lambda p: replace(p::VARCHAR, '.', '')) AS prices) FROM '${file}'`,
      );
      const plain = read.map((row) => ({
        ...row,
        prices: (row["prices"] as string[] | null)?.map(asWhole) ?? null,
        numbers: (row["numbers"] as string[] | null)?.map(Number) ?? null,
        sure: (row["sure"] as string[]).map(Number),
      }));
      const units = (price: string) => {
        const [whole = "", cents = ""] = price.split(".");
        return String(BigInt(whole + cents.padEnd(2, "0")));
      };
      expect(plain).toEqual(rows.map((row) => ({ ...row, prices: row.prices?.map(units) ?? null })));
    }),
    { numRuns: 40 },
  );
});

test("lists in many pages", async () => {
  const table = tableWith([column("n", { kind: "integer" }), column("texts", LISTS.texts)]);
  // The second one alone is larger than a page.
  const lengths = [3, 40_000, 0, 5, 20_000, 20_000, 1];
  const rows = lengths.map((length, n) => ({
    n,
    texts: Array.from({ length }, (_, at) => `${n} ${at} and what makes it longer than it was`),
  }));
  const { path: file } = await written(table, [[...rows, { n: 7, texts: null }, ...rows]]);
  const lists = await asked(
    `SELECT len(texts)::INT AS length, md5(array_to_string(texts, ',')) AS digest FROM '${file}'`,
  );
  const expected = rows.map(({ texts }) => ({
    length: texts.length,
    digest: createHash("md5").update(texts.join()).digest("hex"),
  }));
  expect(lists).toEqual([...expected, { length: null, digest: null }, ...expected]);
});

test("the least and the greatest value of each column are known from the file's end", async () => {
  const rows: Row[] = [
    {
      text: "\uffff",
      integer: 5,
      double: 0,
      boolean: true,
      small: "-1.5",
      middle: "2.5",
      large: "-3",
      time: -1,
      day: "1969-12-31",
    },
    {
      text: "😀",
      integer: -(2n ** 63n),
      double: -2.5,
      boolean: false,
      small: "0.25",
      middle: "-99999.5",
      large: "12345678901234567890",
      time: 1,
      day: "2000-02-29",
    },
    {
      text: "a",
      integer: 7,
      double: null,
      boolean: true,
      small: null,
      middle: "7",
      large: "-3.5",
      time: -86_400_000_000_001,
      day: "0001-01-01",
    },
  ].map((row) => ({ odd: null, raw: "x", doc: {}, ...row }));
  const { path: file } = await written(everything, [rows]);
  const found = await asked(
    `SELECT path_in_schema AS name, stats_min_value AS min, stats_max_value AS max, stats_null_count::INT AS nulls FROM parquet_metadata('${file}')`,
  );
  const bounds: unknown = Object.fromEntries(
    found.map(({ name, min, max, nulls }): [unknown, unknown] => [name, [min, max, nulls]]),
  );
  expect(bounds).toEqual({
    // By UTF-8, in which the order is that of the characters.
    text: ["a", "😀", 0],
    integer: ["-9223372036854775808", "7", 0],
    double: ["-2.5", "0.0", 1],
    boolean: ["false", "true", 0],
    small: ["-1.50", "0.25", 1],
    middle: ["-99999.500000", "7.000000", 0],
    large: ["-3.50000000", "12345678901234567890.00000000", 0],
    odd: [null, null, 3],
    time: ["0769-02-03 (BC) 23:59:59.999+00", "1970-01-01 00:00:00.001+00", 0],
    day: ["0001-01-01", "2000-02-29", 0],
    raw: [null, null, 0],
    doc: [null, null, 0],
  });
  // A reader that goes by them finds what it looks for.
  expect(
    await asked(
      `SELECT count(*)::INT AS n FROM '${file}' WHERE "text" = '😀' AND "large" > 3 AND "time" > '1970-01-01'`,
    ),
  ).toEqual([{ n: 1 }]);
});

test("half a character is U+FFFD in them, as in the values", async () => {
  const table = tableWith([column("text", { kind: "text" })]);
  const { path: file } = await written(table, [[{ text: "\ud83d" }, { text: "\uffff" }]]);
  expect(await asked(`SELECT stats_min_value AS min, stats_max_value AS max FROM parquet_metadata('${file}')`)).toEqual(
    [{ min: "\ufffd", max: "\uffff" }],
  );
});

test("rows of a group are in the order of the key when that is asked for", async () => {
  const table = tableWith(
    [column("symbol", { kind: "text" }), column("price", { kind: "decimal", precision: 38, scale: 8 })],
    ["symbol", "price"],
  );
  const keys = [
    ["b", "10"],
    ["b", "9.5"],
    ["\uffff", "1"],
    ["😀", "1"],
    ["a", "-2"],
    ["a", "-10"],
    ["b", "123456789012345678.5"],
  ];
  const rows = keys.map(([symbol, price]) => ({ symbol, price }));
  const { path: file } = await written(table, [rows], { sorted: true });
  expect(
    (await asked(`SELECT symbol, price::VARCHAR AS price FROM '${file}'`)).map((row) => Object.values(row).join(" ")),
  ).toEqual([
    "a -10.00000000",
    "a -2.00000000",
    "b 9.50000000",
    "b 10.00000000",
    "b 123456789012345678.50000000",
    "\uffff 1.00000000",
    "😀 1.00000000",
  ]);
});

test("packed by gzip, and a column that always has a value", async () => {
  const table = tableWith([column("n", { kind: "integer" }, false), column("t", { kind: "text" }, false)]);
  const rows = Array.from({ length: 5000 }, (_, n) => ({ n, t: `text ${n % 10}` }));
  const { path: file } = await written(table, [rows], { compression: "gzip" });
  expect(await asked(`SELECT DISTINCT compression FROM parquet_metadata('${file}')`)).toEqual([
    { compression: "GZIP" },
  ]);
  expect(await asked(`SELECT sum(n)::INT AS n, count(DISTINCT t)::INT AS t FROM '${file}'`)).toEqual([
    { n: 12_497_500, t: 10 },
  ]);
  expect(
    await asked(`SELECT name, repetition_type AS r FROM parquet_schema('${file}') WHERE name <> 'schema'`),
  ).toEqual([
    { name: "n", r: "REQUIRED" },
    { name: "t", r: "REQUIRED" },
  ]);
});

test("the name of the table is kept, and no time or machine", async () => {
  const { path: file } = await written(everything, [[]]);
  expect(await asked(`SELECT decode("key") AS k, decode("value") AS v FROM parquet_kv_metadata('${file}')`)).toEqual([
    { k: "beamline.table", v: "t" },
  ]);
  expect(await asked(`SELECT created_by, num_rows::INT AS n FROM parquet_file_metadata('${file}')`)).toEqual([
    { created_by: "beamline version 1", n: 0 },
  ]);
});

describe("what does not fit is refused in a sentence", () => {
  test.each<[keyof typeof KINDS, unknown, string]>([
    ["integer", 2n ** 63n, "Column integer of t has 9223372036854775808 in a row: Parquet's INT64 ends at 2^63"],
    ["integer", 1.5, "Column integer of t takes a whole number of at most 2^53, but a row has 1.5"],
    ["double", NaN, "Column double of t takes a finite number, but a row has NaN"],
    [
      "small",
      "12345678.5",
      "Column small of t has 12345678.5 in a row: DECIMAL(9, 2) takes 7 digits before and 2 after the point",
    ],
    [
      "small",
      "0.125",
      "Column small of t has 0.125 in a row: DECIMAL(9, 2) takes 7 digits before and 2 after the point",
    ],
    [
      "large",
      `1${"0".repeat(30)}`,
      `Column large of t has 1${"0".repeat(30)} in a row: DECIMAL(38, 8) takes 30 digits before and 8 after the point`,
    ],
    ["large", "1e5", 'Column large of t takes a decimal text, but a row has "1e5"'],
    ["large", 5, "Column large of t takes a decimal text, but a row has 5"],
    ["time", 9e15, "Column time of t takes milliseconds since 1970, but a row has 9000000000000000"],
    ["day", "2026-02-30", 'Column day of t takes a day such as 2026-01-31, but a row has "2026-02-30"'],
    ["day", "+012026-02-01", 'Column day of t takes a day such as 2026-01-31, but a row has "+012026-02-01"'],
    ["text", 5, "Column text of t takes text, but a row has 5"],
    ["doc", 5n, "Column doc of t takes something that has a JSON form, but a row has 5"],
  ])("%s: %p", async (name, value, message) => {
    const error = await written(everything, [[{ [name]: value }]]).catch((failure: unknown) => failure);
    expect(error).toBeInstanceOf(RunError);
    expect((error as Error).message).toBe(message);
  });

  test.each<[keyof typeof LISTS, unknown, string]>([
    ["texts", "a", 'Column texts of t takes a list of texts, but a row has "a"'],
    ["texts", ["a", null], 'Column texts of t takes a list of texts, but a row has ["a",null]'],
    ["numbers", [1.5], "Column numbers of t takes a list of whole numbers, but a row has [1.5]"],
    ["doubles", [1, NaN], "Column doubles of t takes a list of finite numbers, but a row has [1,null]"],
    [
      "prices",
      ["1.125"],
      'Column prices of t takes a list of decimals with 36 digits before and 2 after the point, but a row has ["1.125"]',
    ],
  ])("in a list: %s: %p", async (name, value, message) => {
    await expect(written(tableWith(listColumns), [[{ [name]: value }]])).rejects.toThrow(message);
  });

  test("nothing, in a column that always has a value", async () => {
    const table = tableWith([column("n", { kind: "integer" }, false)]);
    await expect(written(table, [[{}]])).rejects.toThrow("Column n of t takes a value, but a row has nothing there");
  });

  test("a decimal of more digits than readers take", async () => {
    const table = tableWith([column("d", { kind: "decimal", precision: 50, scale: 8 })]);
    const error = await written(table, [[]]).catch((failure: unknown) => failure);
    expect(error).toBeInstanceOf(UsageError);
    expect((error as Error).message).toBe("Column d of t has 50 digits: a decimal in Parquet has 38 at most");
  });
});

describe("files", () => {
  const table = tableWith([column("n", { kind: "integer" })]);

  test("one that is there already is left as it is", async () => {
    const name = nextFile();
    writeFileSync(name, "mine");
    await expect(openParquet(settings)(name, table)).rejects.toThrow(/a file of that name is there already$/);
    expect(readFileSync(name, "utf8")).toBe("mine");
  });

  test("one that is given up is taken away, a finished one is not", async () => {
    const name = nextFile();
    const file = await openParquet(settings)(name, table);
    await file.write([{ n: 1 }]);
    await file.abort();
    await file.abort();
    expect(existsSync(name)).toBe(false);
    const finished = await openParquet(settings)(name, table);
    await finished.finish();
    await finished.abort();
    expect(existsSync(name)).toBe(true);
  });

  test("a disk that takes no more is said with the file's name", async () => {
    const name = nextFile();
    // A limit on the size of files stands for it: the system refuses the same write in the same place.
    const program = `
      const { openParquet } = require(${JSON.stringify(path.join(__dirname, "parquet.ts"))});
      const table = ${JSON.stringify(table)};
      const rows = Array.from({ length: 50000 }, (_, n) => ({ n: n * 1000003 * 1009 }));
      openParquet({ compression: "zstd", sorted: false })(${JSON.stringify(name)}, table)
        .then(async (file) => { await file.write(rows); await file.finish(); })
        .catch((error) => console.log(error.name + ": " + error.message));`;
    const script = 'trap "" XFSZ; ulimit -f 16; exec "$@"';
    const node = [process.execPath, "--require", "tsx/cjs", "-e", program];
    const { stdout: output } = await promisify(execFile)("sh", ["-c", script, "sh", ...node]);
    expect(output).toMatch(/^RunError: .*\.parquet could not be written: .+\n$/);
    expect(output).toContain(path.basename(name));
  });
});
