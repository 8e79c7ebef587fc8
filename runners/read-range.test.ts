import { type SourceRecord } from "../schema/record";
import { ReadRange, watchReading } from "./read-range";

const record = (position: number, timestamp: number | null): SourceRecord => ({
  value: "",
  source: "s",
  position,
  key: null,
  timestamp,
  headers: null,
  fields: null,
});
const range = { connector: "own", source: "s", from: 0, to: 6, detail: {} };

async function positions(times?: { since: number | null; until: number | null }): Promise<number[]> {
  const found: number[] = [];
  const records = [record(0, 10), record(1, 19), record(2, null), record(3, 9), record(4, 20), record(5, 15)];
  const stop = watchReading("b", { readers: { own: () => [records.slice(0, 3), records.slice(3)] } });
  const ranges = times === undefined ? range : { ...range, times };
  for await (const some of new ReadRange("b").read(ranges)) found.push(...some.map(({ position }) => position));
  stop();
  return found;
}

test("of a range with times, the records of these are read, wherever they lie", async () => {
  expect(await positions()).toEqual([0, 1, 2, 3, 4, 5]);
  expect(await positions({ since: 10, until: 20 })).toEqual([0, 1, 5]);
  expect(await positions({ since: 15, until: null })).toEqual([1, 4, 5]);
  expect(await positions({ since: null, until: 10 })).toEqual([3]);
});
