import { joined } from "./cuts";
import { type Cut } from "./job-state";

const cut = (from: number | null, until: number, source: string | null = null): Cut => ({ from, until, source });

test("stretches that touch are one, of each source by itself, in whatever order they were found", () => {
  expect(joined([cut(20, 30), cut(null, 5), cut(28, 40), cut(5, 6)])).toEqual([cut(null, 6), cut(20, 40)]);
  expect(joined([cut(1, 9, "a"), cut(2, 9, "b"), cut(3, 12, "a"), cut(4, 10, "b")])).toEqual([
    cut(1, 12, "a"),
    cut(2, 10, "b"),
  ]);
  expect(joined([])).toEqual([]);
});

test("there are so many at most: the oldest become one, and nothing that was missing is there again", () => {
  const all = Array.from({ length: 500 }, (_, at) => cut(at * 10, at * 10 + 5));
  const few = joined(all);
  expect(few).toHaveLength(200);
  expect(few[0]).toEqual(cut(0, 3005));
  expect(few.slice(1)).toEqual(all.slice(301));
  expect(joined(all.slice(0, 200))).toEqual(all.slice(0, 200));
});
