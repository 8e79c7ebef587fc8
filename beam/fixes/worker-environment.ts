// For every runner that does not run the worker in this process (createRunner("dataflow") among them) the SDK packs the
// project and "apache-beam@2_49_rc" with npm, a version that does not exist, and fails. The fix names the environment
// from the options, as Beam's other languages do, and runs nothing: the image, command or pool brings the project.
import "../node-compat";
import "apache-beam";
import { defaultJsEnvironment, TYPESCRIPT_DEFAULT_ENVIRONMENT_URN } from "apache-beam/internal/environments";
import {
  DockerPayload,
  type Environment,
  ExternalPayload,
  Pipeline,
  ProcessPayload,
} from "apache-beam/proto/beam_runner_api";
import { PortableRunner } from "apache-beam/runners/portable_runner/runner";
import { once } from "./once";

/** The options that say where a pipeline's own code runs, as Beam knows them. */
export interface EnvironmentOptions {
  /** DOCKER unless it is said; LOOPBACK is this process. */
  readonly environmentType?: "DOCKER" | "PROCESS" | "EXTERNAL" | "LOOPBACK";
  /** DOCKER: the image. PROCESS: the command, or JSON with its command and env. EXTERNAL: the address of a pool. */
  readonly environmentConfig?: string;
  /** The image, as Dataflow has it. */
  readonly sdkContainerImage?: string;
}

const environment = (urn: string, payload: Uint8Array): Environment => ({ ...defaultJsEnvironment(), urn, payload });

export function dockerEnvironment(containerImage: string): Environment {
  return environment("beam:env:docker:v1", DockerPayload.toBinary({ containerImage }));
}

export function processEnvironment(command: string, env: Readonly<Record<string, string>> = {}): Environment {
  return environment("beam:env:process:v1", ProcessPayload.toBinary({ os: "", arch: "", command, env: { ...env } }));
}

export function externalEnvironment(address: string): Environment {
  return environment("beam:env:external:v1", ExternalPayload.toBinary({ endpoint: { url: address }, params: {} }));
}

function needed(value: string | undefined, option: string, what: string): string {
  if (value === undefined || value === "") throw new Error(`The runner needs ${what}: set the option ${option}`);
  return value;
}

/** The environment that options name; undefined is this process. */
export function environmentOf(options: EnvironmentOptions): Environment | undefined {
  const { environmentType = "DOCKER", environmentConfig, sdkContainerImage } = options;
  switch (environmentType) {
    case "LOOPBACK":
      return undefined;
    case "DOCKER": {
      const image = sdkContainerImage ?? environmentConfig;
      return dockerEnvironment(needed(image, "sdkContainerImage", "a container image with the project in it"));
    }
    case "PROCESS": {
      const config = needed(environmentConfig, "environmentConfig", "a command that starts a worker");
      if (!config.startsWith("{")) return processEnvironment(config);
      const { command, env } = JSON.parse(config) as { command: string; env?: Record<string, string> };
      return processEnvironment(command, env);
    }
    case "EXTERNAL":
      return externalEnvironment(needed(environmentConfig, "environmentConfig", "the address of a worker pool"));
  }
}

/** A copy of a pipeline with the SDK's placeholder replaced. */
export function withEnvironment(pipeline: Pipeline, its: Environment): Pipeline {
  const copy = Pipeline.clone(pipeline);
  const environments = copy.components?.environments ?? {};
  for (const [id, { urn }] of Object.entries(environments)) {
    if (urn === TYPESCRIPT_DEFAULT_ENVIRONMENT_URN) environments[id] = its;
  }
  return copy;
}

export function nameEnvironmentWithoutNpm(): void {
  const runner = PortableRunner.prototype;
  once(runner, "worker-environment", () => {
    const { runPipelineWithProto } = runner;
    runner.runPipelineWithProto = async function (pipeline, options) {
      const named = environmentOf({ ...(this.defaultOptions as EnvironmentOptions | undefined), ...options });
      const placed = named === undefined ? pipeline : withEnvironment(pipeline, named);
      return runPipelineWithProto.call(this, placed, options);
    };
  });
}
