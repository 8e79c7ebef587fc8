// Parquet files and pyarrow, which shares no code with anything here: what we write it reads, what it writes we read.
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import fc from "fast-check";
import { parquetReader } from "../infra/services/parquet-reader/parquet-reader";
import { runProgram } from "../infra/services/programs";
import { openParquet } from "../io/lake/parquet";
import { parquetGroups, readParquetGroup } from "../io/lake/parquet-read";
import { type FileBytes } from "../io/lake/row-file";
import { formatDecimal, tenTo } from "../schema/decimal";
import { type ColumnType, type Row, type Table } from "../schema/table";

const directory = mkdtempSync(path.join(os.tmpdir(), "beamline-pyarrow-"));
let python: string;

beforeAll(async () => {
  python = await parquetReader();
});

afterAll(() => rmSync(directory, { recursive: true, force: true }));

/** What a script in Python prints, as JSON. */
async function said(script: string): Promise<unknown> {
  const { code, output } = await runProgram(python, ["-I", "-X", "utf8", "-c", script]);
  if (code !== 0) throw new Error(output);
  return JSON.parse(output) as unknown;
}

const KINDS: Readonly<Record<string, ColumnType>> = {
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
  list: { kind: "json", of: { kind: "text" } },
};

const columns = Object.entries(KINDS).map(([name, type]) => ({ name, type, nullable: true, description: "" }));
const table: Table = { name: "t", mode: "upsert", key: ["time"], columns };

const orNull = <T>(values: fc.Arbitrary<T>) => fc.option(values, { nil: null });
const digits = (precision: number) => fc.bigInt({ min: 1n - tenTo(precision), max: tenTo(precision) - 1n });
const DAY = 24 * 3_600_000;
const times = fc.integer({ min: -62_135_596_800_000, max: 253_402_300_799_999 });

const anyRow = fc.record({
  text: orNull(fc.oneof(fc.string({ unit: "grapheme" }), fc.constantFrom("", "again", "\0", "\uffff", "😀"))),
  integer: orNull(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n })),
  double: orNull(fc.double({ noNaN: true, noDefaultInfinity: true })),
  boolean: orNull(fc.boolean()),
  small: orNull(digits(9)),
  middle: orNull(digits(18)),
  large: orNull(digits(38)),
  odd: orNull(digits(21)),
  time: orNull(times),
  day: orNull(times.map((time) => new Date(time - (((time % DAY) + DAY) % DAY)).toISOString().slice(0, 10))),
  raw: orNull(fc.uint8Array()),
  doc: orNull(fc.jsonValue()),
  list: orNull(fc.array(fc.string({ unit: "grapheme" }), { maxLength: 3 })),
});

/** The rows of a sample, and what of them is to be read: decimals by their units, times in microseconds. */
function sample(): { rows: Row[]; expected: unknown[] } {
  const values = fc.sample(anyRow, { numRuns: 3000, seed: 20_260_101 });
  const scaleOf = (name: string): number => {
    const type = KINDS[name];
    return type?.kind === "decimal" ? type.scale : 0;
  };
  const rows = values.map((row) => {
    const decimals = (["small", "middle", "large", "odd"] as const).map((name) => {
      const units = row[name];
      return [name, units === null ? null : formatDecimal(units, scaleOf(name))] as const;
    });
    return { ...row, ...Object.fromEntries(decimals) };
  });
  const text = (value: bigint | null) => (value === null ? null : String(value));
  const expected = values.map((row) => ({
    ...row,
    integer: text(row.integer),
    double: row.double === null ? null : Buffer.from(new Float64Array([row.double]).buffer).toString("hex"),
    small: text(row.small),
    middle: text(row.middle),
    large: text(row.large),
    odd: text(row.odd),
    time: row.time === null ? null : String(BigInt(row.time) * 1000n),
    raw: row.raw === null ? null : Buffer.from(row.raw).toString("hex"),
    doc: row.doc === null ? null : JSON.stringify(row.doc),
  }));
  return { rows, expected };
}

test.each(["zstd", "gzip"] as const)("pyarrow reads equal values and types, packed by %s", async (compression) => {
  const name = path.join(directory, `${compression}.parquet`);
  const { rows, expected } = sample();
  const file = await openParquet({ compression, sorted: false, groupRows: 1100 })(name, table);
  for (let at = 0; at < rows.length; at += 700) await file.write(rows.slice(at, at + 700));
  await file.finish();
  const read = (await said(`
import json, struct, pyarrow as pa, pyarrow.parquet as pq
file = pq.ParquetFile(${JSON.stringify(name)})
table = file.read()
def column(field):
    values = table.column(field.name)
    if pa.types.is_timestamp(field.type): return [None if v is None else str(v) for v in values.cast(pa.int64()).to_pylist()]
    if pa.types.is_decimal(field.type): return [None if v is None else str(int(v.scaleb(field.type.scale, __import__("decimal").Context(prec=60)))) for v in values.to_pylist()]
    if pa.types.is_floating(field.type): return [None if v is None else struct.pack("<d", v).hex() for v in values.to_pylist()]
    if pa.types.is_binary(field.type): return [None if v is None else v.hex() for v in values.to_pylist()]
    if pa.types.is_int64(field.type): return [None if v is None else str(v) for v in values.to_pylist()]
    if pa.types.is_date(field.type): return [None if v is None else v.isoformat() for v in values.to_pylist()]
    return values.to_pylist()
columns = {field.name: column(field) for field in table.schema}
group = file.metadata.row_group(1)
statistics = {group.column(i).path_in_schema: group.column(i).statistics for i in range(group.num_columns)}
time = statistics["time"]
print(json.dumps({
  "types": {field.name: str(field.type) for field in table.schema},
  "rows": [dict(zip(columns, values)) for values in zip(*columns.values())],
  "groups": [file.metadata.row_group(i).num_rows for i in range(file.metadata.num_row_groups)],
  "times": [str(time.min_raw), str(time.max_raw), time.null_count],
}))`)) as { types: object; rows: unknown[]; groups: number[]; times: unknown[] };
  expect(read.types).toEqual({
    text: "string",
    integer: "int64",
    double: "double",
    boolean: "bool",
    small: "decimal128(9, 2)",
    middle: "decimal128(18, 6)",
    large: "decimal128(38, 8)",
    odd: "decimal128(21, 0)",
    time: "timestamp[us, tz=UTC]",
    day: "date32[day]",
    raw: "binary",
    doc: "extension<arrow.json>",
    list: "list<element: string not null>",
  });
  expect(read.groups).toEqual([1100, 1100, 800]);
  expect(read.rows).toEqual(expected);
  const inGroup = rows.slice(1100, 2200).map((row) => row["time"] as number | null);
  const known = inGroup.filter((time) => time !== null).sort((a, b) => a - b);
  const micros = (time: number | undefined) => String(BigInt(time ?? 0) * 1000n);
  expect(read.times).toEqual([micros(known[0]), micros(known[known.length - 1]), inGroup.length - known.length]);
});

async function rowsOf(name: string): Promise<unknown[]> {
  const content = readFileSync(name);
  const bytes: FileBytes = {
    name,
    size: content.length,
    read: async (from, to) => new Uint8Array(content.subarray(from, to)),
  };
  const texts: string[] = [];
  const groups = await parquetGroups(bytes);
  for (const number of groups.keys()) for await (const some of readParquetGroup(bytes, number)) texts.push(...some);
  return texts.map((text) => JSON.parse(text) as unknown);
}

const WAYS: Readonly<Record<string, string>> = {
  "snappy, in pages of the first version": "compression='snappy', data_page_version='1.0'",
  "zstd, in pages of the second version": "compression='zstd', data_page_version='2.0'",
  "lz4, without dictionaries": "compression='lz4', use_dictionary=False",
  "brotli, in small pages": "compression='brotli', data_page_size=512, write_page_index=True",
  "times as INT96, as Spark writes them": "use_deprecated_int96_timestamps=True",
  "differences instead of values": `use_dictionary=False, data_page_version='2.0', column_encoding={
     'i': 'DELTA_BINARY_PACKED', 't': 'DELTA_BINARY_PACKED', 's': 'DELTA_BYTE_ARRAY', 'b': 'DELTA_LENGTH_BYTE_ARRAY', 'f': 'BYTE_STREAM_SPLIT'}`,
  "decimals as whole numbers": "store_decimal_as_integer=True",
};

test.each(Object.keys(WAYS))("what pyarrow writes is read: %s", async (way) => {
  const name = path.join(directory, `way-${Object.keys(WAYS).indexOf(way)}.parquet`);
  const expected = await said(`
import base64, datetime, decimal, json, random, pyarrow as pa, pyarrow.parquet as pq
pick = random.Random(7)
D, UTC = decimal.Decimal, datetime.timezone.utc
def maybe(value): return None if pick.random() < 0.2 else value
def row(n):
    return {
      "i": maybe(pick.randrange(-2**53 + 1, 2**53)), "few": maybe(f"value {n % 5}"), "s": maybe("ü" * pick.randrange(20) + str(n)),
      "b": maybe(pick.randbytes(pick.randrange(10))), "f": maybe(pick.uniform(-1e9, 1e9)), "yes": maybe(pick.random() < 0.5),
      "t": maybe(datetime.datetime(1900, 1, 1, tzinfo=UTC) + datetime.timedelta(microseconds=pick.randrange(10**16))),
      "d": maybe(datetime.date(1, 1, 1) + datetime.timedelta(days=pick.randrange(3_000_000))),
      "p": maybe(D(pick.randrange(-10**17, 10**17)).scaleb(-8)), "large": maybe(D(pick.randrange(-10**37, 10**37)).scaleb(-8, decimal.Context(prec=40))),
      "list": maybe([maybe(pick.randrange(100)) for _ in range(pick.randrange(4))]),
      "deep": maybe([maybe({"x": maybe(pick.randrange(9)), "y": maybe([D("1.25"), None])}) for _ in range(pick.randrange(3))]),
      "map": maybe([("a", 1), ("b", maybe(2))]),
      "sure": n, "in": {"name": f"n{n}", "gone": None},
    }
schema = pa.schema([
  ("i", pa.int64()), ("few", pa.string()), ("s", pa.string()), ("b", pa.binary()), ("f", pa.float64()), ("yes", pa.bool_()),
  ("t", pa.timestamp("us", tz="UTC")), ("d", pa.date32()), ("p", pa.decimal128(18, 8)), ("large", pa.decimal128(38, 8)),
  ("list", pa.list_(pa.int32())), ("deep", pa.list_(pa.struct([("x", pa.int32()), ("y", pa.list_(pa.decimal128(9, 2)))]))),
  ("map", pa.map_(pa.string(), pa.int64())), pa.field("sure", pa.int64(), nullable=False),
  pa.field("in", pa.struct([pa.field("name", pa.string(), nullable=False), ("gone", pa.float32())]), nullable=False),
])
rows = [row(n) for n in range(2000)]
pq.write_table(pa.Table.from_pylist(rows, schema), ${JSON.stringify(name)}, row_group_size=900, ${WAYS[way]})
def plain(value):
    if isinstance(value, bytes): return base64.b64encode(value).decode()
    if isinstance(value, D): return format(value.normalize(decimal.Context(prec=40)), "f") if value != 0 else "0"
    if isinstance(value, datetime.datetime):
        text = value.replace(tzinfo=None).isoformat(timespec="microseconds")
        return (text[:-3] if text.endswith("000") else text) + "Z"
    if isinstance(value, datetime.date): return value.isoformat()
    if isinstance(value, dict): return {key: plain(one) for key, one in value.items()}
    if isinstance(value, list): return [plain(one) for one in value]
    return value
def shown(row): return {**{key: plain(value) for key, value in row.items()}, "map": row["map"] and dict(row["map"])}
print(json.dumps([shown(row) for row in rows]))`);
  expect(await rowsOf(name)).toEqual(expected);
});
