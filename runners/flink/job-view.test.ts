import { nameInMetrics, viewOf, type Ask } from "./job-view";

const ID = "0be7";
const STEP = "[3]{clean: decode, write dead_letters, aggregate by symbol}";
const answers = {
  [`/jobs/${ID}`]: {
    plan: { type: "STREAMING" },
    vertices: [
      { id: "a", name: `Source: read trades -> ${STEP}` },
      { id: "b", name: "aggregate by symbol/group -> [2]{aggregate by symbol, write candles}" },
    ],
  },
  [`/jobs/${ID}/metrics?get=numRestarts`]: [{ id: "numRestarts", value: "2" }],
  [`/jobs/${ID}/checkpoints`]: {
    counts: { completed: 7, failed: 1 },
    latest: {
      completed: {
        latest_ack_timestamp: 5,
        end_to_end_duration: 22,
        state_size: 154,
        external_path: "file:/kept/chk-7",
      },
    },
  },
  [`/jobs/${ID}/vertices/a/watermarks`]: [],
  [`/jobs/${ID}/vertices/b/watermarks`]: [
    { id: "0", value: "1767605400000" },
    { id: "1", value: "1767605300000" },
  ],
};

const metrics: Record<string, readonly [string, number, number?][]> = {
  a: [
    ["Source__read_trades_from_live.numRecordsOut", 100],
    ["[3]{clean}.beamline_to_aggregate", 90],
    ["[3]{clean}.beamline_written_dead_letters", 3],
    ["[3]{clean}.beamline_late", 50],
    ["Map.numRecordsOut", 7],
    ["backPressuredTimeMsPerSecond", 900, 750],
  ],
  b: [
    ["[2]{x}.beamline_aggregated", 80],
    ["[2]{x}.beamline_written_candles", 12],
    ["aggregate_by_symbol/group.org_apache_beam_LateDataDroppingDoFnRunner_droppedDueToLateness", 4],
    ["backPressuredTimeMsPerSecond", 0, 0],
  ],
};

/** Flink's interface as it answers for this job. */
const ask: Ask = async (path, shape) => {
  const [, vertex = "", query = ""] = /vertices\/(\w)\/subtasks\/metrics(?:\?get=(.*))?$/.exec(path) ?? [];
  const of = metrics[vertex];
  if (of === undefined) return shape.parse(answers[path as keyof typeof answers]);
  const wanted = decodeURIComponent(query).split(",");
  return shape.parse(
    query === ""
      ? of.map(([id]) => ({ id }))
      : of.filter(([id]) => wanted.includes(id)).map(([id, sum, max = sum]) => ({ id, sum, max })),
  );
};

test("counters have their names again, what is late is the runner's count, and the slowest part says how far windows are", async () => {
  expect(await viewOf(ask, ID)).toEqual({
    counters: { read: 100, "to aggregate": 90, aggregated: 80, late: 4 },
    written: { dead_letters: 3, candles: 12 },
    watermark: 1_767_605_300_000,
    restarts: 2,
    checkpoints: { done: 7, failed: 1, last: { at: 5, milliseconds: 22, bytes: 154, path: "file:/kept/chk-7" } },
    heldBack: { step: "clean: decode, write dead_letters, aggregate by symbol", share: 0.75 },
  });
});

test("a further place of an output is found by its name", () => {
  expect(nameInMetrics("candles-2")).toBe("candles_2");
});
