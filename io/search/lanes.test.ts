import { setImmediate as turn } from "node:timers/promises";
import { Lanes } from "./lanes";

test("never more than so many at a time, and all results", async () => {
  const lanes = new Lanes<number>(2);
  let underWay = 0;
  let most = 0;
  for (let n = 0; n < 10; n += 1) {
    await lanes.free();
    lanes.start(async () => {
      most = Math.max(most, (underWay += 1));
      for (let turns = 0; turns < n % 4; turns += 1) await turn();
      underWay -= 1;
      return n;
    });
  }
  expect([...(await lanes.empty())].sort((a, b) => a - b)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
  expect(most).toBe(2);
});

test("the first failure is told when nothing is under way any more", async () => {
  const lanes = new Lanes<void>(2);
  let isDone = false;
  lanes.start(async () => {
    for (let turns = 0; turns < 5; turns += 1) await turn();
    isDone = true;
  });
  lanes.start(async () => {
    throw new Error("first");
  });
  await expect(lanes.free()).rejects.toThrow("first");
  expect(isDone).toBe(true);
  await expect(lanes.empty()).rejects.toThrow("first");
});
