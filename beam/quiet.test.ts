import "./node-compat";
import * as beam from "apache-beam";
import { directRunner } from "apache-beam/runners/direct_runner";
import { Worker } from "apache-beam/worker/worker";
import { quietSdkLogs } from "./quiet";

const written: unknown[][] = [];
const levels = ["log", "debug", "info", "warn", "error"] as const;

beforeAll(() => {
  for (const level of levels)
    jest.spyOn(console, level).mockImplementation((...args) => void written.push([level, ...args]));
});
beforeEach(() => (written.length = 0));
afterAll(() => jest.restoreAllMocks());

function writeLines(element: string): string {
  console.debug("Processing ", element);
  console.log("Processing order", element);
  return element;
}

const userLines = [
  ["debug", "Processing ", "a"],
  ["log", "Processing order", "a"],
];

const runPipeline = () => directRunner({}).run((root) => root.apply(beam.create(["a"])).map(writeLines));

/** One request through the SDK's worker, without a runner behind it. */
async function splitRequest(): Promise<void> {
  const worker = Object.assign(Object.create(Worker.prototype) as Worker, {
    activeBundleProcessors: new Map(),
    controlChannel: { write: () => true },
  });
  const request = { oneofKind: "processBundleSplit", processBundleSplit: { instructionId: "1", desiredSplits: {} } };
  await worker.handleRequest({ instructionId: "2", request });
}

test("without it the SDK writes between the pipeline's lines", async () => {
  await runPipeline();
  expect(written).toEqual([["debug", "Processing ", "", "for", "bundle_id"], ...userLines]);
  written.length = 0;
  await splitRequest();
  expect(written).toHaveLength(2);
});

describe("with it", () => {
  beforeAll(() => {
    quietSdkLogs();
    quietSdkLogs();
  });

  test("a run writes the pipeline's lines alone", async () => {
    await runPipeline();
    expect(written).toEqual(userLines);
  });

  test("a worker's requests are not written", async () => {
    await splitRequest();
    expect(written).toEqual([]);
  });

  test.each([
    ["log", { instructionId: "of my factory", request: "for a machine" }],
    ["log", { instructionId: "1", desiredSplits: {} }],
    ["log", "Running job."],
    ["debug", "Preparing job.", 7],
    ["info", "Server bound on port: 80, said the log"],
    ["warn", "Control channel closed.", "by us"],
    ["error", "DATA ERROR"],
  ] as const)("what only looks like it is written: %s %p", (level, ...args) => {
    console[level](...args);
    expect(written).toEqual([[level, ...args]]);
  });

  test.each([
    ["debug", "Running job."],
    ["info", "Server bound on port: 8099"],
    ["info", "Starting loopback workers at ", "localhost:0"],
    ["warn", "Control channel closed."],
  ] as const)("the SDK's %s %p is not", (level, ...args) => {
    console[level](...args);
    expect(written).toEqual([]);
  });
});
