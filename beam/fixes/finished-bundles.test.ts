import { forgetFinishedBundles } from "./finished-bundles";
import { MultiplexingDataChannel } from "apache-beam/worker/data";

const consumer = {
  sendData: async () => undefined,
  sendTimers: async () => undefined,
  close: () => undefined,
  onError: () => undefined,
};

/** A channel that reads bundles with two sources each; it never connects. */
async function readBundles(count: number): Promise<MultiplexingDataChannel> {
  const channel = Object.assign(Object.create(MultiplexingDataChannel.prototype) as MultiplexingDataChannel, {
    consumers: new Map(),
  });
  for (let bundle = 0; bundle < count; bundle++) {
    for (const source of ["left", "right"]) await channel.registerConsumer(`${bundle}`, source, consumer);
    for (const source of ["left", "right"]) channel.unregisterConsumer(`${bundle}`, source);
  }
  return channel;
}

test("without the fix every finished bundle stays", async () => {
  expect((await readBundles(10)).consumers.size).toBe(10);
});

describe("with the fix", () => {
  beforeAll(() => {
    forgetFinishedBundles();
    forgetFinishedBundles();
  });

  test("no finished bundle stays", async () => {
    expect((await readBundles(10)).consumers.size).toBe(0);
  });

  test("a bundle stays while one of its sources is read", async () => {
    const channel = await readBundles(0);
    await channel.registerConsumer("1", "left", consumer);
    await channel.registerConsumer("1", "right", consumer);
    channel.unregisterConsumer("1", "left");
    expect([...channel.consumers.get("1")!.keys()]).toEqual(["right"]);
  });

  test("a bundle that is not there is no error", async () => {
    const channel = await readBundles(0);
    expect(() => channel.unregisterConsumer("1", "left")).not.toThrow();
  });
});
