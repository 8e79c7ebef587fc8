import { FakeRunner, encodeValues } from "./testing/fake-runner";
import { orderDataChannel } from "./data-channel";
import { type ProcessResult, registerOperatorConstructor } from "apache-beam/worker/operators";
import { type Worker } from "apache-beam/worker/worker";
import { type MultiplexingDataChannel } from "apache-beam/worker/data";
import { type WindowedValue } from "apache-beam/values";
import { quietSdkLogs } from "../quiet";

const WAITS = "test:waits:v1";
/** What the operator waits for before it passes an element on. */
let gate: (value: unknown) => Promise<void>;

registerOperatorConstructor(WAITS, (transformId, transform, context) => {
  const receiver = context.getReceiver(Object.values(transform.outputs)[0]);
  return {
    transformId,
    startBundle: async () => undefined,
    process: (element: WindowedValue<unknown>): ProcessResult =>
      gate(element.value).then(async () => {
        await receiver.receive(element);
      }),
    finishBundle: async () => undefined,
  };
});

const aTurn = () => new Promise<void>((resolve) => setImmediate(resolve));

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await aTurn();
}

let runner: FakeRunner;
let worker: Worker;

beforeAll(() => {
  quietSdkLogs();
});

beforeEach(async () => {
  gate = aTurn;
  runner = await FakeRunner.start();
  runner.describe(WAITS);
  worker = runner.connectWorker();
  jest.spyOn(console, "error").mockImplementation();
});

afterEach(() => {
  runner.stop();
  jest.restoreAllMocks();
});

/** Three messages of a bundle; the runner does not wait for the worker. */
async function sendBundle(bundle: string): Promise<string> {
  const answer = runner.process(bundle);
  await runner.send(bundle, encodeValues(1, 2, 3));
  await runner.send(bundle, encodeValues(4, 5, 6));
  await runner.send(bundle, new Uint8Array(), true);
  const { error } = await answer;
  await runner.ended(bundle);
  return error;
}

const channelOf = (of: Worker): MultiplexingDataChannel => [...of.dataChannels.values()][0]!;

test("without the fix elements are lost and the bundle succeeds", async () => {
  expect(await sendBundle("1")).toBe("");
  expect(runner.output("1").length).toBeLessThan(6);
});

describe("with the fix", () => {
  beforeAll(() => {
    orderDataChannel();
    orderDataChannel();
  });

  test("every element arrives, in order, before the bundle ends", async () => {
    expect(await sendBundle("1")).toBe("");
    expect(runner.output("1")).toEqual([1, 2, 3, 4, 5, 6]);
  });

  test("data that comes before its bundle waits for it", async () => {
    runner.describe(WAITS);
    await sendBundle("0");
    await runner.send("1", encodeValues(1, 2));
    await runner.send("1", encodeValues(3), true);
    await until(() => channelOf(worker).consumers.has("1"));
    await runner.process("1");
    await runner.ended("1");
    expect(runner.output("1")).toEqual([1, 2, 3]);
  });

  test("one bundle does not wait for another", async () => {
    let release: () => void = () => undefined;
    const held = new Promise<void>((resolve) => (release = resolve));
    gate = (value) => (value === "slow" ? held : aTurn());
    const slow = runner.process("slow");
    await runner.send("slow", encodeValues("slow"), true);
    expect(await sendBundle("quick")).toBe("");
    expect(runner.output("slow")).toEqual([]);
    release();
    expect((await slow).error).toBe("");
  });

  test("several parts in one message end after the last of them", async () => {
    const answer = runner.process("1");
    const part = (value: number, isLast = false) => ({
      instructionId: "1",
      transformId: "source",
      data: encodeValues(value),
      isLast,
    });
    const stream = await runner.data.promise;
    stream.write({ data: [part(1), part(2), part(3)], timers: [] });
    stream.write({ data: [part(4, true)], timers: [] });
    await answer;
    await runner.ended("1");
    expect(runner.output("1")).toEqual([1, 2, 3, 4]);
  });

  test("an error fails its bundle alone, and what still comes for it is dropped", async () => {
    gate = async (value) => {
      if (value === "bad") throw new Error("cannot do this one");
    };
    const failing = runner.process("1");
    await runner.send("1", encodeValues("bad", "never"));
    expect((await failing).error).toContain("cannot do this one");
    await runner.send("1", encodeValues("late"));
    await runner.send("1", encodeValues("last"), true);
    expect(await sendBundle("2")).toBe("");
    expect(runner.output("2")).toEqual([1, 2, 3, 4, 5, 6]);
    expect(channelOf(worker).consumers.get("1")?.size ?? 0).toBe(0);
  });

  test("reading stops while much is waiting, and goes on", async () => {
    let release: () => void = () => undefined;
    const held = new Promise<void>((resolve) => (release = resolve));
    gate = () => held;
    const answer = runner.process("1");
    const megabyte = encodeValues("x".repeat(1024 * 1024));
    await runner.send("1", megabyte);
    await until(() => worker.dataChannels.size > 0);
    const stream = channelOf(worker).dataChannel;
    for (let i = 0; i < 40; i++) await runner.send("1", megabyte);
    await runner.send("1", new Uint8Array(), true);
    await until(() => stream.isPaused());
    release();
    expect((await answer).error).toBe("");
    expect(stream.isPaused()).toBe(false);
    await runner.ended("1");
    expect(runner.output("1")).toHaveLength(41);
  });
});
