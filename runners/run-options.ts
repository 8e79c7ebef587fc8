// What every run takes, whatever its pipeline: the one model behind the flags, the environment variables, their help and
// the reference.
import { z } from "zod";

export const RunOptions = z.object({
  runner: z.enum(["direct"]).default("direct").describe("where it runs: direct is this machine"),
  from: z
    .array(z.string())
    .default([])
    .describe("where to read: URI, or input=URI; sample: is the bundled sample data")
    .meta({ value: "URI" }),
  to: z
    .array(z.string())
    .default([])
    .describe("where to write: URI for all outputs, or output=URI for one; else sqlite:data/app.db")
    .meta({ value: "URI" }),
  job: z
    .string()
    .min(1)
    .optional()
    .describe("name of the job, under which dead letters are kept; else the pipeline's name"),
  "dead-letter-share": z
    .number()
    .min(0)
    .max(1)
    .default(0.5)
    .describe("the run fails when more than this share of a source's records cannot be used"),
  "dead-letter-run": z
    .int()
    .nonnegative()
    .default(1000)
    .describe("the run fails when more than so many records in a row cannot be used"),
  "dead-letter-sample": z.int().nonnegative().default(100).describe("records to see before either limit counts"),
  "max-record-bytes": z
    .int()
    .positive()
    .default(1_048_576)
    .describe("a longer record is not parsed, but a dead letter"),
  "batch-time": z.iso
    .datetime()
    .optional()
    .describe("the time that the run takes for now, so that an old run can be repeated; else the time it starts"),
});
export type RunOptions = z.infer<typeof RunOptions>;
