import fc from "fast-check";
import { sum, last } from "./measures";
import { KeepRows, type UniqueRows } from "./unique-rows";

const keep = new KeepRows({ total: sum("amount"), last: last("note") });

type Row = readonly [id: number | string | null, time: number, amount: string, note?: string];

const addTo = (rows: UniqueRows, [id, time, amount, note]: Row) => keep.add(rows, { amount, note }, time, id);

function rowsOf(...rows: readonly Row[]): UniqueRows {
  const unique = keep.create();
  for (const row of rows) addTo(unique, row);
  return unique;
}

const resultOf = (rows: UniqueRows) => keep.results(rows.freeze());

test("an id counts once, rows without one count each", () => {
  const rows = keep.create();
  expect(addTo(rows, [7, 1, "1"])).toBe(true);
  expect(addTo(rows, [7, 1, "1"])).toBe(false);
  expect(addTo(rows, ["7", 1, "1"])).toBe(true);
  expect(addTo(rows, [null, 1, "1"])).toBe(true);
  expect(addTo(rows, [null, 1, "1"])).toBe(true);
  expect(rows.size).toBe(4);
  expect(resultOf(rows)).toEqual({ total: "4", last: null });
});

test("of rows with one id the earliest stays, of those of one time always the same one", () => {
  const early: Row = [7, 1, "2", "early"];
  const late: Row = [7, 2, "1", "late"];
  for (const rows of [rowsOf(early, late), rowsOf(late, early)])
    expect(resultOf(rows)).toEqual({ total: "2", last: "early" });
  const other: Row = [7, 1, "3", "early"];
  expect(resultOf(rowsOf(early, other))).toEqual(resultOf(rowsOf(other, early)));
});

test("two that become one tell how many rows both had, and are as if all had come to one of them", () => {
  const row = fc.tuple(
    fc.oneof(fc.nat(5), fc.constantFrom("1", null)),
    fc.nat(3),
    fc.nat(9).map(String),
    fc.constantFrom("a", "b", undefined),
  );
  fc.assert(
    fc.property(fc.array(row), fc.array(row), (some, more) => {
      const [one, other] = [rowsOf(...some), rowsOf(...more)];
      const [before, all] = [one.size + other.size, rowsOf(...more, ...some)];
      // Over JSON, as they are stored.
      const again = one.merge(JSON.parse(JSON.stringify(other.freeze())) as never);
      expect(again).toBe(before - one.size);
      expect(one.size).toBe(all.size);
      expect(resultOf(one)).toEqual(resultOf(all));
    }),
  );
});

test("a row that cannot be added up fails when it comes, and not when its session is over", () => {
  expect(() => addTo(keep.create(), [1, 1, "much"])).toThrow("amount is “much”, which is no decimal");
});
