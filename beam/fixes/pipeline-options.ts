// The SDK's runAsync forgets the options, an option that is undefined breaks the submission, and a whole number reaches
// the runner as 2.0, which Python refuses. The fix passes the options on, leaves out what is undefined and sends whole
// numbers as text, as Beam's Python does: every runner reads that.
import "../node-compat";
import "apache-beam";
import { Pipeline } from "apache-beam/internal/pipeline";
import { type Pipeline as PipelineProto } from "apache-beam/proto/beam_runner_api";
import { type PValue, Root } from "apache-beam/pvalue";
import { PortableRunner } from "apache-beam/runners/portable_runner/runner";
import { Runner } from "apache-beam/runners/runner";
import { once } from "./once";

export type BuildPipeline = (root: Root) => PValue<unknown> | Promise<PValue<unknown>>;

/** The description of a pipeline, as it is submitted. */
export async function buildPipeline(build: BuildPipeline): Promise<PipelineProto> {
  const pipeline = new Pipeline();
  await build(new Root(pipeline));
  return pipeline.getProto();
}

function clean(value: unknown): unknown {
  if (typeof value === "bigint" || Number.isInteger(value)) return String(value);
  if (Array.isArray(value)) return value.filter((item) => item !== undefined).map(clean);
  if (typeof value === "object" && value !== null) return cleanOptions(value);
  return value;
}

/** Options as every runner reads them. */
export function cleanOptions(options: object): Record<string, unknown> {
  const defined = Object.entries(options).filter(([, value]) => value !== undefined);
  return Object.fromEntries(defined.map(([name, value]) => [name, clean(value)]));
}

export function passOptions(): void {
  const runner = Runner.prototype;
  once(runner, "pipeline-options", () => {
    runner.runAsync = async function (build, options) {
      return this.runPipeline(await buildPipeline(build), options);
    };

    const portable = PortableRunner.prototype;
    const { runPipelineWithProto } = portable;
    portable.runPipelineWithProto = async function (pipeline, options = {}) {
      this.defaultOptions = cleanOptions((this.defaultOptions as object | undefined) ?? {});
      return runPipelineWithProto.call(this, pipeline, cleanOptions(options));
    };
  });
}
