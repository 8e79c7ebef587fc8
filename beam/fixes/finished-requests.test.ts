import { FakeRunner, SOURCE, encodeValues } from "./testing/fake-runner";
import { answerForFinishedBundles } from "./finished-requests";
import { type InstructionResponse } from "apache-beam/proto/beam_fn_api";
import { quietSdkLogs } from "../quiet";

let runner: FakeRunner;

beforeAll(() => {
  quietSdkLogs();
});

beforeEach(async () => {
  runner = await FakeRunner.start();
  runner.describe();
  runner.connectWorker();
});

afterEach(() => runner.stop());

let asked = 0;

function askProgress(instructionId: string): Promise<InstructionResponse> {
  const processBundleProgress = { instructionId };
  return runner.ask(`progress ${++asked}`, { oneofKind: "processBundleProgress", processBundleProgress });
}

function askSplit(instructionId: string): Promise<InstructionResponse> {
  const desiredSplit = { fractionOfRemainder: 0.5, allowedSplitPoints: [], estimatedInputElements: 10n };
  const processBundleSplit = { instructionId, desiredSplits: { [SOURCE]: desiredSplit } };
  return runner.ask(`split ${++asked}`, { oneofKind: "processBundleSplit", processBundleSplit });
}

async function finish(bundle: string): Promise<void> {
  const answer = runner.process(bundle);
  await runner.send(bundle, encodeValues("a"), true);
  await answer;
}

test("without the fix a finished bundle's progress and split are errors", async () => {
  await finish("1");
  expect((await askProgress("1")).error).toContain("Cannot read properties of undefined");
  expect((await askSplit("1")).error).toBe("Unknown process bundle: 1");
});

describe("with the fix", () => {
  beforeAll(() => {
    answerForFinishedBundles();
    answerForFinishedBundles();
  });

  test("a finished bundle has no progress and no split", async () => {
    await finish("1");
    const [progress, split] = [await askProgress("1"), await askSplit("1")];
    expect([progress.error, split.error]).toEqual(["", ""]);
    expect(progress.response).toEqual({
      oneofKind: "processBundleProgress",
      processBundleProgress: { monitoringInfos: [], monitoringData: {} },
    });
    expect(split.response).toEqual({
      oneofKind: "processBundleSplit",
      processBundleSplit: { primaryRoots: [], residualRoots: [], channelSplits: [] },
    });
  });

  test("a running bundle still has both", async () => {
    await finish("0");
    const running = runner.process("1");
    const split = await askSplit("1");
    expect(split.response).toMatchObject({ processBundleSplit: { channelSplits: [{ transformId: SOURCE }] } });
    const progress = await askProgress("1");
    expect(progress.response).toMatchObject({ oneofKind: "processBundleProgress" });
    expect(progress.error).toBe("");
    await runner.send("1", encodeValues("a"), true);
    expect((await running).error).toBe("");
  });
});
