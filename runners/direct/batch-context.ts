// What the graph of a batch on this machine is built for, by the options of its run.
import { type RunContext } from "../../beam";
import { type Pipeline } from "../../pipelines/definition";
import { type RunOptions } from "../run-options";

export function batchContext(
  { pipeline, options }: { readonly pipeline: Pipeline; readonly options: RunOptions },
  {
    duplicates = "in order",
    ...batch
  }: Pick<RunContext, "job" | "batch" | "batchTime" | "goesOn"> & Partial<Pick<RunContext, "duplicates">>,
): RunContext {
  return {
    pipeline: pipeline.name,
    version: pipeline.version,
    ...batch,
    attempt: 1,
    deadLetterLimit: {
      share: options["dead-letter-share"],
      consecutive: options["dead-letter-run"],
      sample: options["dead-letter-sample"],
    },
    maxRecordBytes: options["max-record-bytes"],
    duplicates,
  };
}
