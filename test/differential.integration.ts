// The law that any runner gives the same rows, and counts the same: every pipeline of the catalogue on its sample, and
// pipelines that are generated, on Flink and on Beam's own Python runner, which knows nothing of either.
//
//   npm run test:integration -- test/differential
//   BEAMLINE_SEED=7 …        other generated pipelines; a failure tells its seed
//   BEAMLINE_NIGHTLY=1 …     many more of them, others each day
import { rmSync } from "node:fs";
import fc from "fast-check";
import { quietSdkLogs, submit } from "../beam";
import { catalog } from "../pipelines/catalog";
import { inputAddresses } from "../runners/addresses";
import { direct, type Engine } from "../runners/engine";
import { startPythonRunner, type PythonRunner } from "../infra/services/python-runner/python-runner";
import { startJobServer } from "../runners/flink/job-server";
import { lines, scene } from "./command-scene";
import { agreed, bounded, filesIn, isNightly, seed, type Place } from "./differential-scene";
import { countsOf, generated, inputName, pipelineOf, type Generated } from "./generated-pipelines";

const { at, write } = scene();

beforeAll(quietSdkLogs);

/** A failure is made smaller for a while, but not for ever. */
const LIMIT_MS = isNightly ? 1_800_000 : 300_000;

/** A job service that is up: the pipelines' code runs in this process. */
const jobService = (endpoint: () => string): Engine => ({
  duplicates: "grouped",
  async run(graph) {
    const job = await submit(graph, {
      ...{ endpoint: endpoint(), jobName: "differential", here: "127.0.0.1:0" },
      ...{ options: { parallelism: 2 }, code: { kind: "here" }, isDetached: false },
    });
    try {
      return { counters: await job.ended, on: "flink" };
    } finally {
      job.close();
    }
  },
});

let flink: Awaited<ReturnType<typeof startJobServer>>;
let python: PythonRunner;
beforeAll(async () => {
  flink = await startJobServer({ cluster: null, tell: () => undefined });
  python = await startPythonRunner();
});
afterAll(async () => {
  await flink.stop();
  await python.stop();
});

const here = bounded("direct", filesIn(at), () => direct);
/** Each is held against the direct runner. */
const places: readonly Place[] = [
  bounded("Flink", filesIn(at), () => jobService(() => flink.endpoint)),
  bounded("Beam's Python runner", filesIn(at), () => jobService(() => python.endpoint)),
];

describe.each(places)("$name gives the rows of the direct runner, and counts the same:", (place) => {
  test.each(catalog.map((pipeline) => [pipeline.name, pipeline] as const))("%s", async (_name, pipeline) => {
    const counts = await agreed(here, place, pipeline, inputAddresses(pipeline, [], pipeline.params.parse({})));
    expect(counts.ok).toBeGreaterThan(0);
  });

  test(
    "generated pipelines",
    async () => {
      const seen = { dead: 0, dropped: 0, aggregated: 0, duplicate: 0 };
      const one = async (all: readonly Generated[]): Promise<void> => {
        rmSync(at("in"), { recursive: true, force: true });
        for (const [n, { files }] of all.entries())
          for (const [part, file] of files.entries())
            write(`in/${inputName(n)}/${part}.ndjson`, lines(...file.map(({ text }) => text)));
        const inputs = all.map((_, n) => `${inputName(n)}=file:in/${inputName(n)}/*.ndjson`);
        const pipeline = pipelineOf(all);
        const counts = await agreed(here, place, pipeline, inputAddresses(pipeline, inputs, {}));
        expect(counts).toMatchObject(countsOf(all));
        for (const name of Object.keys(seen) as (keyof typeof seen)[]) seen[name] += counts[name];
      };
      // Without a bias for what is small: that is for what fails to be made of.
      const arrays = fc.noBias(fc.array(generated, { minLength: 1, maxLength: 10, size: "max" }));
      const limits = { interruptAfterTimeLimit: LIMIT_MS - 60_000, markInterruptAsFailure: true };
      await fc.assert(fc.asyncProperty(arrays, one), { seed, numRuns: isNightly ? 60 : 6, ...limits });
      // They have all that the law speaks of.
      for (const times of Object.values(seen)) expect(times).toBeGreaterThan(0);
    },
    LIMIT_MS,
  );
});
