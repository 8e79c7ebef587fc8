// The law that any runner gives the same rows, and counts the same: every pipeline of the catalogue on its sample, and
// pipelines that are generated, on Flink and on Beam's own Python runner, which knows nothing of either.
//
//   npm run test:integration -- test/differential
//   BEAMLINE_SEED=7 …        other generated pipelines; a failure tells its seed
//   BEAMLINE_NIGHTLY=1 …     many more of them, others each day
import { readdirSync, readFileSync, rmSync } from "node:fs";
import fc from "fast-check";
import { quietSdkLogs, submit, type Counters } from "../beam";
import { readParameters } from "../cli/parameters";
import { catalog } from "../pipelines/catalog";
import { type Pipeline } from "../pipelines/definition";
import { inputAddresses, outputAddresses, type InputAddress } from "../runners/addresses";
import { runBatch } from "../runners/direct/run-batch";
import { direct, type Engine } from "../runners/engine";
import { startPythonRunner, type PythonRunner } from "../infra/services/python-runner/python-runner";
import { startJobServer } from "../runners/flink/job-server";
import { RunOptions } from "../runners/run-options";
import { lines, scene } from "./command-scene";
import { countsOf, generated, inputName, pipelineOf, type Generated } from "./generated-pipelines";

const { at, write } = scene();

beforeAll(quietSdkLogs);

const isNightly = process.env["BEAMLINE_NIGHTLY"] === "1";
const seed = Number(process.env["BEAMLINE_SEED"] ?? (isNightly ? Math.floor(Date.now() / 86_400_000) : 20_261_129));

/** A failure is made smaller for a while, but not for ever. */
const LIMIT_MS = isNightly ? 1_800_000 : 300_000;

// --- the places -------------------------------------------------------------------------------------------------------

type Inputs = Readonly<Record<string, InputAddress>>;

interface Outcome {
  /** The lines of every file that was written, in an order of their own: a cluster gives them in none. */
  readonly rows: Readonly<Record<string, readonly string[]>>;
  readonly counters: Counters;
}

/** Where pipelines run. */
interface Place {
  readonly name: string;
  run(pipeline: Pipeline, inputs: Inputs): Promise<Outcome>;
}

/** An engine of bounded runs. */
const bounded = (name: string, engine: () => Engine): Place => ({
  name,
  async run(pipeline, inputs) {
    let counters: Counters = {};
    const used = engine();
    const to = `${name.replace(/\W/g, "-")}/`;
    rmSync(at(to), { recursive: true, force: true });
    await runBatch({
      pipeline,
      params: pipeline.params.parse({}),
      options: readParameters(RunOptions, new Map([["batch-time", ["2026-01-06T00:00:00Z"]]]), {}),
      inputs,
      outputs: outputAddresses(pipeline, [`file:${to}`], {}),
      engine: {
        duplicates: used.duplicates,
        async run(graph, signal) {
          const ran = await used.run(graph, signal);
          counters = ran.counters;
          return ran;
        },
      },
    });
    const files = readdirSync(at(to)).sort();
    const rows = files.map((file) => [file, readFileSync(at(to, file), "utf8").split("\n").sort()] as const);
    return { rows: Object.fromEntries(rows), counters };
  },
});

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

const here = bounded("direct", () => direct);
/** Each is held against the direct runner. */
const places: readonly Place[] = [
  bounded("Flink", () => jobService(() => flink.endpoint)),
  bounded("Beam's Python runner", () => jobService(() => python.endpoint)),
];

// --- the law ----------------------------------------------------------------------------------------------------------

const COUNTED = ["read", "ok", "dead", "dropped", "to aggregate", "aggregated", "duplicate", "late"] as const;
type Counted = Record<(typeof COUNTED)[number], number>;

const counted = (counters: Counters) =>
  Object.fromEntries(COUNTED.map((name) => [name, counters[name] ?? 0])) as unknown as Counted;

/** Runs it here and there; answers with what both say. */
async function agreed(place: Place, pipeline: Pipeline, inputs: Inputs): Promise<Counted> {
  const wanted = await here.run(pipeline, inputs);
  const found = await place.run(pipeline, inputs);
  expect(found.rows).toEqual(wanted.rows);
  const counts = counted(wanted.counters);
  expect(counted(found.counters)).toEqual(counts);
  expect(counts.ok + counts.dead + counts.dropped).toBe(counts.read);
  expect(counts.aggregated + counts.duplicate + counts.late).toBe(counts["to aggregate"]);
  return counts;
}

describe.each(places)("$name gives the rows of the direct runner, and counts the same:", (place) => {
  test.each(catalog.map((pipeline) => [pipeline.name, pipeline] as const))("%s", async (_name, pipeline) => {
    const counts = await agreed(place, pipeline, inputAddresses(pipeline, [], pipeline.params.parse({})));
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
        const counts = await agreed(place, pipeline, inputAddresses(pipeline, inputs, {}));
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
