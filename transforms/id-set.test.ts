import fc from "fast-check";
import { IdSet, type Id } from "./id-set";

const ids = fc.oneof(
  fc.integer({ min: -20, max: 20 }),
  fc.maxSafeInteger(),
  fc.constantFrom(Number.MAX_SAFE_INTEGER, Number.MIN_SAFE_INTEGER, 2 ** 53, 1.5, Number.NaN, -0, 0),
  fc.constantFrom("1.5", "#1.5", "1", "", "a", "__proto__"),
  fc.string({ maxLength: 2 }),
);

function answers(given: readonly Id[]): boolean[] {
  const set = new IdSet();
  return given.map((id) => set.add(id));
}

describe("a set of ids", () => {
  it("answers as a Set does, in whatever order ids come", () => {
    fc.assert(
      fc.property(fc.array(ids, { maxLength: 200 }), (given) => {
        const seen = new Set<Id>();
        const expected = given.map((id) => seen.size < seen.add(id).size);
        expect(answers(given)).toEqual(expected);
      }),
    );
  });

  it("keeps as many ranges as there are gaps", () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 60 }), { maxLength: 100 }), (given) => {
        const set = new IdSet();
        for (const id of given) set.add(id);
        const distinct = new Set(given);
        expect(set.ranges).toBe([...distinct].filter((id) => !distinct.has(id - 1)).length);
      }),
    );
  });

  it("takes one range for a sequence, in order, backwards and shuffled", () => {
    const sequence = Array.from({ length: 1000 }, (_, id) => id);
    const shuffled = sequence.map((id) => (id * 7) % 1000);
    for (const order of [sequence, [...sequence].reverse(), shuffled]) {
      const set = new IdSet();
      expect(order.every((id) => set.add(id))).toBe(true);
      expect(set.ranges).toBe(1);
      expect(order.some((id) => set.add(id))).toBe(false);
    }
  });

  it("holds numbers and the texts of them apart", () => {
    expect(answers([1, "1", 1.5, "1.5", "#1.5", 1, "1", 1.5, "1.5"])).toEqual([
      ...[true, true, true, true, true],
      ...[false, false, false, false],
    ]);
  });
});
