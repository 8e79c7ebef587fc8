import { readdirSync, readFileSync } from "node:fs";
import { z } from "zod";
import {
  create,
  defaultContext,
  fixed,
  newGraph,
  perElement,
  register,
  runDirect,
  windowingStrategy,
  type DoFn,
  type Emitters,
  type Place,
} from "../../beam";
import { type Output } from "../../io/connector";
import { tableOf, timestamp, type Row } from "../../schema/table";
import { scratchDirectory } from "../../test/scratch";
import { Deal, writeGathered } from "./write-gathered";

const scratch = scratchDirectory();
const table = tableOf("rows", z.object({ id: z.string(), at: timestamp() }), { key: ["id"] });
const output: Output = { name: "rows", table };
const T0 = Date.UTC(2026, 0, 5, 9, 30);
const NOW = T0 + 3_600_000;

interface Dealt {
  readonly key: string;
  readonly start: number;
  readonly end: number;
}

/** Where a row goes that lies there. */
function dealt(deal: Deal, row: Row, place: Partial<Place>): Dealt[] {
  const found: Dealt[] = [];
  const emit = { dealt: ({ key }: { key: string }, to: Omit<Dealt, "key">) => void found.push({ key, ...to }) };
  const there: Place = { start: 0, end: 1, timestamp: T0, pane: "on time", ...place };
  deal.process(row, emit as never, () => there);
  return found;
}

const row = (id: string) => ({ id, at: T0 });
const deal = (shards: number, delay?: number) =>
  new Deal(table, { every: 60_000, shards }, delay === undefined ? { kind: "window" } : { kind: "record", delay });

test("a row goes to the stretch of its time, and only when it is the last word", () => {
  const [found] = dealt(deal(1), row("a"), { timestamp: T0 + 59_999 });
  expect(found).toEqual({ key: "0of1", start: T0, end: T0 + 60_000 });
  expect(dealt(deal(1), row("a"), { pane: "only" })).toHaveLength(1);
  expect(dealt(deal(1), row("a"), { pane: "early" })).toEqual([]);
});

test("the share of a key is always the same, and all have some", () => {
  const ids = Array.from({ length: 200 }, (_, n) => `key ${n}`);
  const shardsOf = () => ids.map((id) => dealt(deal(4), { ...row(id), at: Math.random() }, {})[0]?.key);
  expect(shardsOf()).toEqual(shardsOf());
  const shards = shardsOf();
  for (const shard of ["0of4", "1of4", "2of4", "3of4"])
    expect(shards.filter((key) => key === shard).length).toBeGreaterThan(20);
});

describe("a row of no window", () => {
  beforeEach(() => void jest.useFakeTimers({ now: NOW }));
  afterEach(() => void jest.useRealTimers());

  const startOf = (timestamp: number) => dealt(deal(1, 10_000), row("a"), { timestamp, pane: "only" })[0]?.start;

  test("goes by the time of its record as long as that is kept, so that it goes there again", () => {
    expect(startOf(NOW - 5_000)).toBe(NOW - 60_000);
    expect(startOf(NOW - 3_600_000)).toBe(T0);
    expect(startOf(NOW + 50_000)).toBe(NOW);
  });

  test.each([
    ["is later than what is kept", NOW - 3_600_000 - 10_001],
    ["has no time", Number.MIN_SAFE_INTEGER],
    ["says that it is of the future", NOW + 61_000],
  ])("that %s is of now: else it would be dropped, or wait for its time", (_, timestamp) => {
    expect(startOf(timestamp)).toBe(NOW);
  });
});

/** Puts rows into the windows of their time. */
class AtItsTime implements DoFn<Row, { rows: Row }> {
  readonly outputs = ["rows"] as const;

  process(one: Row, emit: Emitters<{ rows: Row }>): void {
    const start = Number(one["at"]);
    emit.rows(one, { start, end: start + 60_000 });
  }
}
register("beamline/runners/worker/write-gathered.test", { AtItsTime });

test("rows of a stretch and a share are one file, in the order of keys; the same again leaves one", async () => {
  const run = async (rows: readonly Row[]) => {
    const graph = newGraph(defaultContext);
    const windowed = perElement("windows", new AtItsTime(), {
      rows: (pipeline) => ({ windowing: windowingStrategy(pipeline, fixed(60_000), 0) }),
    });
    const address = { scheme: "file", path: `${scratch("lake")}/`, options: { format: "ndjson" } };
    const origin = { job: "j", pipeline: "p", id: "j" };
    graph.root
      .apply(create(rows))
      .apply(windowed)
      .rows.apply(writeGathered(output, address, origin, { every: 120_000, shards: 1 }, 0));
    return runDirect(graph);
  };
  const rows = [
    { id: "c", at: T0 },
    { id: "b", at: T0 + 60_000 },
    { id: "a", at: T0 },
    { id: "d", at: T0 + 120_000 },
  ];
  expect(await run(rows)).toMatchObject({ "written rows": 4 });
  await run(rows.toReversed());
  const files = readdirSync(scratch("lake/rows")).filter((name) => name.endsWith(".ndjson"));
  expect(files.sort()).toEqual([
    "j-rows-20260105T093000Z-20260105T093200Z-0of1-00000.ndjson",
    "j-rows-20260105T093200Z-20260105T093400Z-0of1-00000.ndjson",
  ]);
  const text = readFileSync(scratch("lake/rows", files[0] ?? ""), "utf8");
  expect([...text.matchAll(/"id":"(.)"/g)].map(([, id]) => id)).toEqual(["a", "b", "c"]);
});
