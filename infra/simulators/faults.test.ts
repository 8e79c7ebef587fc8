import { parametersOf } from "../../cli/parameters";
import { BinanceFaults, Faults, HttpFaults } from "./faults";

test("nothing goes wrong unless it is said", () => {
  const { gapLength, retryAfter, ...others } = new Faults(BinanceFaults).now;
  expect([gapLength, retryAfter]).toEqual([5, 1000]);
  expect(new Set(Object.values(others))).toEqual(new Set([0, false]));
});

test("what is named changes, the rest stays", () => {
  const faults = new Faults(BinanceFaults, { garbage: 0.5, disorder: "2s" });
  expect(faults.now).toMatchObject({ garbage: 0.5, disorder: 2000, duplicates: 0 });
  faults.change({ duplicates: 1, slow: 250 });
  expect(faults.now).toMatchObject({ garbage: 0.5, disorder: 2000, duplicates: 1, slow: 250 });
  faults.change({ garbage: 0, refuse: true });
  expect(faults.now).toMatchObject({ garbage: 0, refuse: true, duplicates: 1 });
});

test.each<[Record<string, unknown>, string]>([
  [{ hangin: 0.5 }, "There is no fault “hangin”: did you mean “hanging”?"],
  [{ gaps: 0.5 }, "There is no fault “gaps”: it must be one of refuse, answer451"],
  [{ cut: 2 }, "--cut 2: it must be at most 1"],
  [{ cut: "many" }, "--cut many: it must be a number"],
  [{ refuse: "maybe" }, "--refuse maybe: it must be true or false"],
  [{ slow: "soon" }, "--slow soon: not a duration"],
  [{ cut: 0.5, slow: -1 }, "--slow -1ms: not a duration"],
])("%j is refused in a sentence, and changes nothing", (changes, message) => {
  const faults = new Faults(HttpFaults);
  expect(() => faults.change(changes)).toThrow(message);
  expect(faults.now).toEqual(new Faults(HttpFaults).now);
});

test("each has a flag with a description", () => {
  const parameters = parametersOf(BinanceFaults);
  expect(parameters.filter(({ description }) => description.length < 10)).toEqual([]);
  expect(parameters.map(({ flag }) => flag)).toContain("disconnect-every");
});
