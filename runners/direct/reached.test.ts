import { completeBefore, withReached, type Reached } from "./reached";

const noted = (step: number, ...all: readonly Reached[]) =>
  all.reduce<readonly Reached[]>((before, reached) => withReached(before, reached, step), []);
const at = (next: number, watermark: number | null): Reached => ({ next, watermark });

test("what was missing in front of a position is no older than what was complete when it was reached", () => {
  const known = noted(1, at(10, null), at(20, 500), at(30, 600));
  expect([9, 10, 19, 20, 29, 30, 99].map((position) => completeBefore(known, position))).toEqual([
    null,
    null,
    null,
    500,
    500,
    600,
    600,
  ]);
  expect(completeBefore([], 5)).toBeNull();
});

test("time that goes on without a record says nothing of what was missing", () => {
  expect(completeBefore(noted(1, at(10, 100), at(10, 9_000)), 10)).toBe(100);
});

test("of those that are near to each other the last is kept and no more, and of all so many", () => {
  const known = noted(100, ...Array.from({ length: 10_000 }, (_, next) => at(next, next * 10)));
  expect(known).toHaveLength(100);
  for (const position of [9_999, 9_998, 9_990, 9_950]) {
    const complete = completeBefore(known, position) ?? 0;
    expect(complete).toBeLessThanOrEqual(position * 10);
    expect(complete).toBeGreaterThan(position * 10 - 200);
  }
  expect(completeBefore(known, 9_999)).toBe(99_990);
  expect(completeBefore(known, 10)).toBeNull();
});
