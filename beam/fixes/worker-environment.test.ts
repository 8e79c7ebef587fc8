import childProcess from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import { CapturingRunner } from "./testing/captured-job";
import { nameEnvironmentWithoutNpm, processEnvironment, withEnvironment } from "./worker-environment";
import * as beam from "apache-beam";
import { Pipeline } from "apache-beam/internal/pipeline";
import { DockerPayload, ExternalPayload, ProcessPayload } from "apache-beam/proto/beam_runner_api";
import { Root } from "apache-beam/pvalue";
import { quietSdkLogs } from "../quiet";

const commands: string[] = [];

beforeAll(() => {
  quietSdkLogs();
});

beforeEach(() => {
  commands.length = 0;
  jest.spyOn(console, "debug").mockImplementation();
  jest.spyOn(childProcess, "spawnSync").mockImplementation(((command: string, args: string[]) => {
    commands.push([command, ...args.slice(0, 2)].join(" "));
    if (args.includes("apache-beam@2_49_rc")) return { status: 1, output: "ETARGET No matching version found" };
    fs.writeFileSync(path.join(args.at(-1)!, "project.tgz"), "");
    return { status: 0, stdout: "project.tgz" };
  }) as unknown as typeof childProcess.spawnSync);
});

afterEach(() => jest.restoreAllMocks());

/** The environment that a job is submitted with. */
async function submit(options: object) {
  const runner = new CapturingRunner({ jobEndpoint: "nowhere:0", ...options });
  await runner.runAsync((root) => root.apply(beam.create([1])));
  return Object.values(runner.job!.pipeline!.components!.environments)[0]!;
}

test("without the fix the SDK packs a version of itself that does not exist", async () => {
  await expect(submit({ environmentType: "DOCKER", sdkContainerImage: "prices:1" })).rejects.toThrow("ETARGET");
  expect(commands).toEqual(["npm pack --pack-destination", "npm pack apache-beam@2_49_rc"]);
});

describe("with the fix", () => {
  beforeAll(() => {
    nameEnvironmentWithoutNpm();
    nameEnvironmentWithoutNpm();
  });

  afterEach(() => expect(commands).toEqual([]));

  test.each([{ sdkContainerImage: "prices:1" }, { environmentType: "DOCKER", environmentConfig: "prices:1" }])(
    "a container by %p",
    async (options) => {
      const { urn, payload, dependencies, capabilities } = await submit(options);
      expect([urn, DockerPayload.fromBinary(payload).containerImage]).toEqual(["beam:env:docker:v1", "prices:1"]);
      expect(dependencies).toEqual([]);
      expect(capabilities).toContain("beam:protocol:sibling_workers:v1");
    },
  );

  test.each([
    ["/app/worker", {}],
    ['{"command": "/app/worker", "env": {"LEVEL": "info"}}', { LEVEL: "info" }],
  ])("a process by %s", async (environmentConfig, env) => {
    const { urn, payload } = await submit({ environmentType: "PROCESS", environmentConfig });
    expect(urn).toBe("beam:env:process:v1");
    expect(ProcessPayload.fromBinary(payload)).toMatchObject({ command: "/app/worker", env });
  });

  test("a pool by its address", async () => {
    const { urn, payload } = await submit({ environmentType: "EXTERNAL", environmentConfig: "pool:50000" });
    expect(urn).toBe("beam:env:external:v1");
    expect(ExternalPayload.fromBinary(payload).endpoint?.url).toBe("pool:50000");
  });

  test.each([
    [{}, "a container image with the project in it: set the option sdkContainerImage"],
    [{ environmentType: "PROCESS" }, "a command that starts a worker: set the option environmentConfig"],
  ])("without what it needs (%p) nothing is submitted", async (options, message) => {
    await expect(submit(options)).rejects.toThrow(message);
  });

  test("the pipeline that was built stays as it is", () => {
    const pipeline = new Pipeline();
    new Root(pipeline).apply(beam.create([1]));
    const placed = withEnvironment(pipeline.getProto(), processEnvironment("/app/worker"));
    const urns = [pipeline.getProto(), placed].map(({ components }) => Object.values(components!.environments)[0]!.urn);
    expect(urns).toEqual(["js_default", "beam:env:process:v1"]);
  });
});
