import { wholeAtLeast } from "./options";

test.each([
  [1, 1],
  [1, 5],
  [0, 0],
  [0, Infinity],
])("at least %p: %p is good", (least, value) => {
  expect(() => wholeAtLeast(least, "retries", value)).not.toThrow();
});

test.each([
  [1, 0],
  [0, -1],
  [1, 1.5],
  [1, NaN],
  [1, -Infinity],
])("at least %p: %p is refused", (least, value) => {
  expect(() => wholeAtLeast(least, "retries", value)).toThrow(
    `retries must be a whole number, ${least} or more, not ${value}`,
  );
});
