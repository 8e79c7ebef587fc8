import { mkdtempSync, rmSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { DuckDBInstance, type DuckDBConnection } from "@duckdb/node-api";
import fc from "fast-check";
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

const settings: ParquetSettings = { compression: "zstd", sorted: false };

let files = 0;
const nextFile = (): string => path.join(directory, `${(files += 1)}.parquet`);

async function written(
  table: Table,
  batches: readonly (readonly Row[])[],
  more: Partial<ParquetSettings> = {},
): Promise<WrittenFile> {
  const file = await openParquet({ ...settings, ...more })(nextFile(), table);
  for (const batch of batches) await file.write(batch);
  return file.finish();
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
    integer: row["integer"] === null ? null : String(row["integer"]),
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
