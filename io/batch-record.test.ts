import { RunError } from "../schema/errors";
import { isWritten } from "./batch-record";
import { type Batch } from "./connector";

const batch = (epoch: number | null): Batch => ({
  job: "j",
  pipeline: "p",
  id: "b1",
  plan: "p1",
  ranges: [],
  replays: [],
  turn: epoch === null ? null : { number: 1, epoch },
});

it.each([
  ["nothing is on record", 1, undefined, false],
  ["the batch is on record", 1, { batch: "b1", epoch: 1 }, true],
  ["the batch is on record of an older process", 2, { batch: "b1", epoch: 1 }, true],
  ["another batch is on record", 1, { batch: "b0", epoch: 1 }, false],
  ["a run on its own was the last", 1, { batch: "b1", epoch: null }, true],
  ["it is a run on its own", null, { batch: "b1", epoch: 7 }, false],
] as const)("%s", (_name, epoch, recorded, expected) => {
  expect(isWritten(batch(epoch), recorded)).toBe(expected);
});

it.each(["b0", "b1"])("a younger process has written %s", (id) => {
  expect(() => isWritten(batch(1), { batch: id, epoch: 2 })).toThrow(
    new RunError("The job j was taken over by another process (its epoch is 2, ours 1): this one is too old to write"),
  );
});
