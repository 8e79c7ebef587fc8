import fc from "fast-check";
import { GeneralObjectCoder } from "apache-beam/coders/js_coders";
import { Context } from "apache-beam/coders/coders";
import { Reader, Writer } from "protobufjs";
import "../beam";
import { type Id } from "./id-set";
import { RowColumns, UnpackedRows, type PackedRows } from "./row-columns";

const FIELDS = ["price", "quantity"];
type Gathered = readonly [id: Id | null, time: number, price: unknown, quantity: unknown];

function packed(rows: readonly Gathered[]): PackedRows {
  const columns = new RowColumns(FIELDS);
  for (const [id, time, price, quantity] of rows) columns.add({ price, quantity, other: 1 }, time, id);
  return columns.pack();
}

/** As it is on a worker that got it. */
function sent<T>(value: T): T {
  const coder = new GeneralObjectCoder<T>();
  const writer = new Writer();
  coder.encode(value, writer, Context.needsDelimiters);
  return coder.decode(new Reader(writer.finish()), Context.needsDelimiters);
}

function unpacked(value: PackedRows): Gathered[] {
  const rows = new UnpackedRows(FIELDS, value);
  return Array.from({ length: rows.length }, (_, at) => {
    const { price, quantity, ...others } = rows.row(at);
    expect(others).toEqual({});
    return [rows.id(at), rows.time(at), price, quantity];
  });
}

const time = fc.oneof(fc.integer({ min: 1_767_225_600_000, max: 1_767_225_660_000 }), fc.maxSafeInteger(), fc.double());
const id = fc.oneof(fc.maxSafeNat(), fc.maxSafeInteger(), fc.string({ unit: "binary" }), fc.constant(null));
const value = fc.oneof(
  fc.string({ unit: "binary" }),
  fc.double({ noNaN: false }),
  fc.boolean(),
  fc.constant(null),
  fc.date({ noInvalidDate: true }),
  fc.uint8Array(),
  fc.array(fc.string()),
);

test("rows arrive as they were, whatever is in them", () => {
  // Zero has no sign inside of what travels.
  const plain = (one: unknown) => (Object.is(one, -0) ? 0 : one);
  const finite = time.filter(Number.isFinite);
  fc.assert(
    fc.property(fc.array(fc.tuple(id, finite, value, value), { minLength: 1 }), (rows) => {
      const wanted = rows.map((row) => row.map(plain));
      expect(unpacked(sent({ rows: packed(rows) }).rows).map((row) => row.map(plain))).toEqual(wanted);
    }),
  );
});

test("the usual rows are a short text", () => {
  const at = Date.UTC(2026, 0, 5);
  const rows: Gathered[] = [
    [4_000_000_001, at, "1.50", "2"],
    [4_000_000_002, at + 7, "1.51", null],
  ];
  expect(packed(rows)).toBe(`[[0,7],${at},[0,1],4000000001,["1.50","1.51"],["2",null]]`);
  expect(unpacked(packed(rows))).toEqual(rows);
});

test.each([NaN, Infinity, new Date(7), new Uint8Array([1]), { a: 1 }])("%p is not made a text of", (price) => {
  const rows: Gathered[] = [[1, 2, price, "1"]];
  expect(typeof packed(rows)).toBe("object");
  expect(unpacked(sent(packed(rows)))).toEqual(rows);
});
