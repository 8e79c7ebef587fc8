import { applyFixes } from ".";
import { FakeRunner, encodeValues } from "./testing/fake-runner";
import * as beam from "apache-beam";
import { directRunner } from "apache-beam/runners/direct_runner";
import { PortableRunner } from "apache-beam/runners/portable_runner/runner";
import { requireForSerialization } from "apache-beam/serialization";
import { SubprocessService } from "apache-beam/utils/service";
import { Worker } from "apache-beam/worker/worker";
import { quietSdkLogs } from "../quiet";

const patched = () => [
  Worker.prototype.getDataChannel,
  Worker.prototype.split,
  PortableRunner.prototype.runPipelineWithProto,
  SubprocessService.prototype.portReady,
  beam.fixedWindows,
];

const seen: unknown[] = [];
const itself = (value: number) => value;
function look(group: { key: number; value: number[] }): number {
  seen.push([group.key, group.value.length]);
  return group.key;
}

beforeAll(() => {
  // A function that is not registered travels as its text, and does not find what it uses.
  requireForSerialization("beam/fixes/index.test", { itself, look });
  quietSdkLogs();
  applyFixes();
});

test("applying them again changes nothing", () => {
  const first = patched();
  applyFixes();
  expect(patched()).toEqual(first);
});

test("a pipeline runs in this process with all of them", async () => {
  await directRunner({}).run((root) => {
    const values = root.apply(beam.create([1_700_000_000_000, 1_700_000_000_000 + 2 ** 32, -0.5, -0.5]));
    const groups = values.apply(beam.groupBy(itself)) as beam.PCollection<{ key: number; value: number[] }>;
    return groups.map(look);
  });
  expect(seen).toEqual([
    [1_700_000_000_000, 1],
    [1_700_000_000_000 + 2 ** 32, 1],
    [-0.5, 2],
  ]);
});

test("a worker processes bundles with all of them and keeps nothing of them", async () => {
  const runner = await FakeRunner.start();
  try {
    runner.describe();
    const worker = runner.connectWorker();
    const values = [2 ** 40, new Date(5), "x".repeat(5 * 1024 * 1024), { deep: [1.5, null] }];
    for (const bundle of ["1", "2"]) {
      const answer = runner.process(bundle);
      await runner.send(bundle, encodeValues(...values), true);
      expect((await answer).error).toBe("");
      await runner.ended(bundle);
      expect(runner.output(bundle)).toEqual(values);
    }
    expect([...worker.dataChannels.values()].map((channel) => channel.consumers.size)).toEqual([0]);
  } finally {
    runner.stop();
  }
});
