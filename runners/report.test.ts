import fc from "fast-check";
import { z } from "zod";
import { RunError } from "../schema/errors";
import { tableOf, type Row } from "../schema/table";
import { deadLettersTable } from "../transforms/dead-letter";
import { checkCounts, Tasting, type Delivered } from "./report";

const counters = {
  read: 10,
  ok: 7,
  dead: 2,
  dropped: 1,
  "to aggregate": 10,
  outside: 3,
  aggregated: 4,
  duplicate: 2,
  late: 1,
  "written rows": 4,
  "written letters": 2,
};
const delivered = (written: Readonly<Record<string, number>>, rejected = {}, added = {}): Delivered => ({
  written: new Map(Object.entries(written)),
  rejected: new Map(Object.entries(rejected)),
  added: new Map(Object.entries(added)),
});
const written = delivered({ rows: 4, letters: 2 });

test("counts that add up are what the run tells", () => {
  expect(checkCounts(counters, written, true)).toEqual({
    read: 10,
    ok: 7,
    dead: 2,
    dropped: 1,
    duplicate: 2,
    late: 1,
    written: { rows: 4, letters: 2 },
    rejected: 0,
  });
  expect(checkCounts({}, delivered({ rows: 0 }), true)).toMatchObject({ read: 0, written: { rows: 0 } });
});

test.each(Object.keys(counters))("one too few or too many of “%s” is refused", (name) => {
  for (const by of [-1, 1]) {
    const wrong = { ...counters, [name]: counters[name as keyof typeof counters] + by };
    expect(() => checkCounts(wrong, written, true)).toThrow(RunError);
    expect(() => checkCounts(wrong, written, true)).toThrow(/^The counts do not add up: .*\. Nothing was kept/);
  }
});

test("a sink that wrote other than it got is refused", () => {
  expect(() => checkCounts(counters, delivered({ rows: 3, letters: 2 }), true)).toThrow(
    "The counts do not add up: 4 rows for rows, but 3 written and rejected ones. Nothing was kept; please report this",
  );
});

test("refused rows are counted, and their letters come to those of records", () => {
  const refused = delivered({ rows: 3, letters: 3 }, { rows: 1 }, { letters: 1 });
  expect(checkCounts(counters, refused, true)).toMatchObject({ written: { rows: 3, letters: 3 }, rejected: 1 });
  for (const wrong of [
    delivered({ rows: 3, letters: 3 }, {}, { letters: 1 }),
    delivered({ rows: 3, letters: 3 }, { rows: 1 }, {}),
    delivered({ rows: 3, letters: 2 }, { rows: 1 }, { letters: 1 }),
  ])
    expect(() => checkCounts(counters, wrong, true)).toThrow("The counts do not add up");
});

test("no single lost record or row goes unseen, whatever the counts", () => {
  const n = fc.nat(1_000_000);
  fc.assert(
    fc.property(n, n, n, n, n, n, fc.constantFrom(...Object.keys(counters)), (ok, dead, dropped, a, b, c, lost) => {
      const right: Record<string, number> = {
        read: ok + dead + dropped,
        ...{ ok, dead, dropped, aggregated: a, duplicate: b, late: c, "to aggregate": a + b + c },
        ...{ "written rows": a, "written letters": dead },
      };
      const rows = delivered({ rows: a, letters: dead });
      expect(() => checkCounts(right, rows, true)).not.toThrow();
      expect(() => checkCounts({ ...right, [lost]: (right[lost] ?? 0) - 1 }, rows, true)).toThrow(RunError);
    }),
  );
});

test("of rows the first five are kept, of dead letters one of each reason, most frequent first", () => {
  const tasting = new Tasting();
  const table = tableOf("rows", z.object({ id: z.int() }), { key: ["id"] });
  const rows = (from: number, to: number): Row[] => Array.from({ length: to - from }, (_, at) => ({ id: from + at }));
  tasting.taste("rows", table, rows(0, 3));
  tasting.taste("rows", table, rows(3, 3000));
  const letters = ["a", "b", "b"].map((reason, position) => ({ reason, position, value: "v", error: "e" }));
  tasting.taste("letters", deadLettersTable, letters);
  expect(tasting.sample()).toEqual({
    firstRows: [{ output: "rows", table, rows: rows(0, 5) }],
    deadReasons: [
      { reason: "b", count: 2, example: letters[1] },
      { reason: "a", count: 1, example: letters[0] },
    ],
  });
});

test("a pipeline that takes its records otherwise than by one clean is not measured by it", () => {
  const own = { read: 10, "written rows": 10 };
  expect(checkCounts(own, delivered({ rows: 10 }), false)).toMatchObject({ read: 10, ok: 0 });
  expect(() => checkCounts(own, delivered({ rows: 10 }), true)).toThrow("10 records read, but 0 good");
});

test("what is shown of dead letters is little, however large and however different they are", () => {
  const tasting = new Tasting();
  const letters = Array.from({ length: 500 }, (_, at) => ({
    reason: `${at}`,
    value: "x".repeat(9999),
    error: "y".repeat(9999),
  }));
  tasting.taste("letters", deadLettersTable, letters);
  const { deadReasons } = tasting.sample();
  expect(deadReasons).toHaveLength(20);
  expect(deadReasons[0]?.example).toMatchObject({ value: "x".repeat(200), error: "y".repeat(200) });
});
