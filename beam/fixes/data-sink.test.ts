import { Writable } from "node:stream";
import { FakeRunner, encodeValues } from "./testing/fake-runner";
import { sendEachBufferOnce } from "./data-sink";
import { MultiplexingDataChannel } from "apache-beam/worker/data";
import { ProcessResultBuilder, registerOperatorConstructor } from "apache-beam/worker/operators";
import { quietSdkLogs } from "../quiet";

const FAN_OUT = "test:fan-out:v1";
const PARTS = 15;

// Each element becomes 15 of 100 kB, as a synchronous flatMap makes them.
registerOperatorConstructor(FAN_OUT, (transformId, transform, context) => {
  const receiver = context.getReceiver(Object.values(transform.outputs)[0]);
  return {
    transformId,
    startBundle: async () => undefined,
    process: (element) => {
      const results = new ProcessResultBuilder();
      for (let i = 0; i < PARTS; i++) results.add(receiver.receive({ ...element, value: `${i} `.padEnd(100_000) }));
      return results.build();
    },
    finishBundle: async () => undefined,
  };
});

async function fanOut(): Promise<number[]> {
  const runner = await FakeRunner.start();
  try {
    runner.describe(FAN_OUT);
    runner.connectWorker();
    const answer = runner.process("1");
    await runner.send("1", encodeValues("one"), true);
    expect((await answer).error).toBe("");
    await runner.ended("1");
    return runner.output("1").map(Number);
  } finally {
    runner.stop();
  }
}

/** A channel whose runner reads one message when it is told to. */
function slowRunner(): { channel: MultiplexingDataChannel; read: () => void; stream: Writable } {
  const unread: (() => void)[] = [];
  const stream = new Writable({ objectMode: true, highWaterMark: 2, write: (_, __, done) => void unread.push(done) });
  const channel = Object.assign(Object.create(MultiplexingDataChannel.prototype) as object, { dataChannel: stream });
  return { channel: channel as MultiplexingDataChannel, read: () => unread.shift()?.(), stream };
}

const aTurn = () => new Promise((resolve) => setImmediate(resolve));

async function isDone(promise: Promise<unknown>): Promise<boolean> {
  let done = false;
  void promise.then(() => (done = true));
  await aTurn();
  return done;
}

beforeAll(() => {
  quietSdkLogs();
});

test("without the fix one element's fan-out arrives more than once", async () => {
  expect((await fanOut()).length).toBeGreaterThan(PARTS);
});

test("without the fix a slow runner is not felt", async () => {
  const sink = slowRunner().channel.getSendChannel("1", "sink");
  await sink.sendData(new Uint8Array(1));
  await sink.sendData(new Uint8Array(1));
  expect(await isDone(sink.sendData(new Uint8Array(1)))).toBe(true);
});

describe("with the fix", () => {
  beforeAll(() => {
    sendEachBufferOnce();
    sendEachBufferOnce();
  });

  test("one element's fan-out arrives once, in order", async () => {
    expect(await fanOut()).toEqual(Array.from({ length: PARTS }, (_, i) => i));
  });

  test("a slow runner makes the sink wait until it has read", async () => {
    const { channel, read } = slowRunner();
    const sink = channel.getSendChannel("1", "sink");
    expect(await isDone(sink.sendData(new Uint8Array(1)))).toBe(true);
    const second = sink.sendData(new Uint8Array(1));
    const third = sink.sendData(new Uint8Array(1));
    expect(await isDone(second)).toBe(false);
    for (let i = 0; i < 3; i++) {
      read();
      await aTurn();
    }
    expect(await isDone(Promise.all([second, third]))).toBe(true);
  });

  test("a runner that is gone holds nobody", async () => {
    const { channel, stream } = slowRunner();
    const sink = channel.getSendChannel("1", "sink");
    await sink.sendData(new Uint8Array(1));
    const waiting = sink.sendData(new Uint8Array(1));
    stream.emit("status");
    await waiting;
    stream.on("error", () => undefined).destroy();
    await sink.sendData(new Uint8Array(1));
  });
});
