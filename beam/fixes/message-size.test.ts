import { FakeRunner, encodeValues } from "./testing/fake-runner";
import { liftMessageLimit } from "./message-size";
import { quietSdkLogs } from "../quiet";

const FIVE_MEBIBYTES = 5 * 1024 * 1024;

let runner: FakeRunner;

beforeAll(() => {
  quietSdkLogs();
});

beforeEach(async () => {
  runner = await FakeRunner.start();
});

afterEach(() => runner.stop());

/** A bundle of one small element through a worker, so that its data channel is there. */
async function connect() {
  runner.describe();
  const worker = runner.connectWorker();
  const first = runner.process("1");
  await runner.send("1", encodeValues("small"), true);
  await first;
  return [...worker.dataChannels.values()][0]!.dataChannel;
}

test("without the fix a message above 4 MiB breaks the data channel", async () => {
  const stream = await connect();
  stream.removeAllListeners("error");
  const broken = new Promise<Error>((resolve) => stream.on("error", resolve));
  await runner.send("2", encodeValues("x".repeat(FIVE_MEBIBYTES)), true);
  expect((await broken).message).toContain("RESOURCE_EXHAUSTED");
});

describe("with the fix", () => {
  beforeAll(() => {
    liftMessageLimit();
    liftMessageLimit();
  });

  test("a message above 4 MiB arrives", async () => {
    await connect();
    const bundle = runner.process("2");
    await runner.send("2", encodeValues("x".repeat(FIVE_MEBIBYTES)), true);
    expect((await bundle).error).toBe("");
    await runner.ended("2");
    expect((runner.output("2") as string[]).map((value) => value.length)).toEqual([FIVE_MEBIBYTES]);
  });

  test("a descriptor above 4 MiB arrives", async () => {
    runner.describe();
    runner.padDescriptor(FIVE_MEBIBYTES);
    runner.connectWorker();
    const bundle = runner.process("1");
    await runner.send("1", encodeValues("small"), true);
    expect((await bundle).error).toBe("");
  });
});
