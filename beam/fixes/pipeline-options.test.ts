import { CapturingRunner } from "./testing/captured-job";
import { cleanOptions, passOptions } from "./pipeline-options";
import { nameEnvironmentWithoutNpm } from "./worker-environment";
import * as beam from "apache-beam";
import { Struct } from "apache-beam/proto/google/protobuf/struct";
import { quietSdkLogs } from "../quiet";

const place = { jobEndpoint: "nowhere:0", environmentType: "EXTERNAL", environmentConfig: "pool:50000" };

/** The options that a job is submitted with. */
async function submit(defaults: object, given?: object): Promise<Record<string, unknown>> {
  const runner = new CapturingRunner({ ...place, ...defaults });
  await runner.runAsync((root) => root.apply(beam.create([1])), given);
  return runner.options;
}

beforeAll(() => {
  quietSdkLogs();
  nameEnvironmentWithoutNpm();
});

test("without the fix options are forgotten, break the submission or arrive as another", async () => {
  expect(await submit({}, { parallelism: 2 })).not.toHaveProperty("beam:option:parallelism:v1");
  await expect(submit({ savepointPath: undefined })).rejects.toThrow("google.protobuf.Value");
  // What a runner prints of it is 2.0: the wire knows doubles only.
  expect(await submit({ parallelism: 2 })).toHaveProperty("beam:option:parallelism:v1", 2);
});

describe("with the fix", () => {
  beforeAll(() => {
    passOptions();
    passOptions();
  });

  test("the options of a run arrive, before those of its runner", async () => {
    const options = await submit({ jobName: "prices", parallelism: 1 }, { parallelism: 2, savepointPath: undefined });
    expect(options).toMatchObject({
      "beam:option:job_name:v1": "prices",
      "beam:option:parallelism:v1": "2",
      "beam:option:environment_type:v1": "EXTERNAL",
    });
    expect(options).not.toHaveProperty("beam:option:savepoint_path:v1");
    expect(options["beam:option:registered_node_modules:v1"]).toContain("apache-beam/coders/js_coders");
  });

  test("a runner without options takes those of the run", async () => {
    const runner = new CapturingRunner();
    runner.defaultOptions = undefined;
    await runner.runAsync((root) => root.apply(beam.create([1])), { ...place, streaming: true });
    expect(runner.options).toMatchObject({ "beam:option:streaming:v1": true });
  });

  test("options are cleaned all the way down", () => {
    const options = {
      gone: undefined,
      whole: 2,
      large: 2n ** 60n,
      part: 0.5,
      flag: false,
      none: null,
      list: [1, undefined, "a"],
      deep: { gone: undefined, whole: -3 },
    };
    expect(cleanOptions(options)).toStrictEqual({
      whole: "2",
      large: "1152921504606846976",
      part: 0.5,
      flag: false,
      none: null,
      list: ["1", "a"],
      deep: { whole: "-3" },
    });
    expect(() => Struct.fromJson(cleanOptions(options) as never)).not.toThrow();
  });
});
