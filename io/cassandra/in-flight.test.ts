import { setImmediate } from "node:timers/promises";
import { eachAtOnce } from "./in-flight";

const numbers = Array.from({ length: 20 }, (_, n) => n);

test("each is done once, so many at a time", async () => {
  const done: number[] = [];
  let underWay = 0;
  let most = 0;
  await eachAtOnce(numbers, 4, async (n) => {
    underWay += 1;
    most = Math.max(most, underWay);
    await setImmediate();
    underWay -= 1;
    done.push(n);
  });
  expect(done.sort((a, b) => a - b)).toEqual(numbers);
  expect(most).toBe(4);
});

test("after a failure nothing is begun, and it is thrown when nothing is under way", async () => {
  let begun = 0;
  let underWay = 0;
  const failing = eachAtOnce(numbers, 4, async (n) => {
    begun += 1;
    underWay += 1;
    await setImmediate();
    if (n > 1) await setImmediate();
    underWay -= 1;
    if (n === 1) throw new Error("the second");
  });
  await expect(failing).rejects.toThrow("the second");
  expect(underWay).toBe(0);
  expect(begun).toBeLessThan(8);
});
