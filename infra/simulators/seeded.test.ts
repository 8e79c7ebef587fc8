import { Chance, draw } from "./seeded";

test("the same names give the same number, others another", () => {
  expect(draw(1, "gap", 7)).toBe(draw(1, "gap", 7));
  expect(draw(1, "gap", 7)).not.toBe(draw(1, "gap", 8));
  // Names are parted: "1", "23" is not "12", "3".
  expect(draw(1, 23)).not.toBe(draw(12, 3));
});

test("draws for numbers in a row are spread evenly and do not hang together", () => {
  const draws = Array.from({ length: 20_000 }, (_, at) => draw(42, "duplicate", "BTCUSDT", at));
  for (let tenth = 0; tenth < 10; tenth += 1) {
    const share = draws.filter((number) => Math.floor(number * 10) === tenth).length / draws.length;
    expect(Math.abs(share - 0.1)).toBeLessThan(0.01);
  }
  const pairs = draws.filter((number, at) => number < 0.1 && (draws[at + 1] ?? 1) < 0.1).length / draws.length;
  expect(Math.abs(pairs - 0.01)).toBeLessThan(0.003);
});

test("a sequence comes again, stays in its bounds and reaches them", () => {
  const [one, same, other] = [new Chance("a", 1), new Chance("a", 1), new Chance("a", 2)];
  const numbers = (chance: Chance) => Array.from({ length: 1000 }, () => chance.between(1, 6));
  const [first, second, third] = [numbers(one), numbers(same), numbers(other)];
  expect(second).toEqual(first);
  expect(third).not.toEqual(first);
  expect(new Set(first)).toEqual(new Set([1, 2, 3, 4, 5, 6]));
  expect(new Chance(3).pick(["only"])).toBe("only");
  expect(() => new Chance(3).pick([])).toThrow("nothing to pick");
});
