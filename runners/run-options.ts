// What every run takes, whatever its pipeline: the one model behind the flags, the environment variables, their help and
// the reference.
import { z } from "zod";
import { duration, positiveDuration } from "../schema/duration";

export const RunOptions = z.object({
  runner: z
    .enum(["direct", "flink"])
    .default("direct")
    .describe("where it runs: direct is this process; flink is Apache Flink, with a small cluster started for the run"),
  "flink-master": z
    .string()
    .optional()
    .describe(
      "with --runner=flink: host:port of a cluster's REST interface, where the job is to run; else a small cluster is started for it",
    )
    .meta({ value: "host:port" }),
  workers: z
    .string()
    .default("here")
    .describe(
      "with --flink-master: where the pipeline's code runs: here is this process; process, processes that each TaskManager starts, with the project at the same path; host:port, pools beside them (npm run worker). Rows are written from here, but for --detach",
    )
    .meta({ value: "here|process|host:port" }),
  detach: z
    .boolean()
    .default(false)
    .describe(
      "with --workers=process or host:port: the command comes back when the cluster has the job, whose workers write the rows, into places that many may write at once, some at a time, each in the place of the row of its key",
    ),
  "checkpoint-interval": positiveDuration()
    .default(10_000)
    .describe("with --streaming on Flink: how often the cluster keeps where the job stands"),
  "from-savepoint": z
    .string()
    .min(1)
    .optional()
    .describe(
      "with --streaming on Flink: goes on from there: what the verbs stop and savepoint have printed, or a checkpoint",
    )
    .meta({ value: "path" }),
  "worker-host": z
    .string()
    .min(1)
    .optional()
    .describe("with --flink-master: the address of this machine under which the cluster's TaskManagers reach it")
    .meta({ value: "host" }),
  parallelism: z
    .int()
    .positive()
    .max(1024)
    .optional()
    .describe(
      "with --runner=flink: how many parts of a step run at the same time; else as many as there are processors, and with --flink-master one",
    ),
  "fallback-runner": z
    .enum(["direct"])
    .optional()
    .describe("with --runner=flink: where the run goes on when Flink cannot take the job"),
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
  fallback: z
    .string()
    .optional()
    .describe(
      "a directory, such as file:data/fallback, where rows wait whose place does not answer; the next run delivers them first",
    )
    .meta({ value: "URI" }),
  strict: z.boolean().default(false).describe("with --fallback: exit code 1 when rows wait at the end"),
  "batch-time": z.iso
    .datetime()
    .optional()
    .describe("the time that the run takes for now, so that an old run can be repeated; else the time it starts"),
  streaming: z
    .boolean()
    .default(false)
    .describe("goes on: reads what comes, batch after batch, until it is stopped; where it is, it keeps in its state"),
  once: z
    .boolean()
    .default(false)
    .describe(
      "with --streaming: ends when all is read that was there at the start, and what is given only once, to its end; open windows wait in the state",
    ),
  flush: z
    .boolean()
    .default(false)
    .describe("with --streaming: reads as --once does, closes all windows and ends the job for good"),
  "start-at": z.enum(["earliest", "latest"]).default("earliest").describe("with --streaming: where a new job begins"),
  since: z.iso
    .datetime()
    .optional()
    .describe(
      "only windows that begin at this time or later; of a pipeline without windows, records. With --streaming: a new job begins with the records of this time",
    ),
  until: z.iso
    .datetime()
    .optional()
    .describe("only windows that end at this time or before; of a pipeline without windows, records before it"),
  "batch-interval": duration().default(1000).describe("with --streaming: the longest wait until what has come is read"),
  "max-batch": z.int().positive().default(200_000).describe("with --streaming: records of a batch at most"),
  disorder: duration()
    .default(10_000)
    .describe(
      "how much older than one before it a record may be; for --since and --until also how far from its own time at the source",
    ),
  idle: positiveDuration()
    .default(30_000)
    .describe("with --streaming: a source that gives nothing for so long holds no window back"),
  retain: duration()
    .default(30 * 24 * 3_600_000)
    .describe("with --streaming: how long closed windows are kept for dead letters that are repaired"),
  "on-gap": z
    .enum(["fail", "continue"])
    .default("fail")
    .describe("with --streaming: what is done when records are gone before they were read"),
  "partial-windows": z
    .enum(["skip", "write"])
    .default("skip")
    .describe(
      "whether windows are written of which the source has only the end or, with --streaming, a new job knows only that",
    ),
  "state-dir": z
    .string()
    .min(1)
    .default("data/state")
    .describe("where jobs keep their state; without --streaming, the plan of a run whose files go by its name"),
  "inbox-records": z
    .int()
    .positive()
    .default(1_000_000)
    .describe(
      "with --streaming: records, of a source that gives each only once, that wait at most until they are read",
    ),
  "inbox-bytes": z
    .int()
    .positive()
    .default(268_435_456)
    .describe("with --streaming: bytes that such records take on disk at most"),
  "give-up-after": duration()
    .default(300_000)
    .describe("with --streaming: how long a server that does not answer is tried again"),
  http: z
    .string()
    .optional()
    .describe(
      "with --streaming: serves /ping, /ready and /metrics at this port, of this machine unless a host is named",
    )
    .meta({ value: "[host:]port" }),
  log: z.enum(["human", "json"]).default("human").describe("with --streaming: how events are logged"),
  reset: z
    .boolean()
    .default(false)
    .describe(
      "forgets what the job has left first: with --streaming its state, after asking; else the plans of runs that were killed",
    ),
  migrate: z
    .boolean()
    .default(false)
    .describe(
      "with --streaming: goes on with another definition of its windows; those that are open are closed by the old one",
    ),
  yes: z.boolean().default(false).describe("does not ask"),
});
export type RunOptions = z.infer<typeof RunOptions>;

/** What the verb status takes. */
export const StatusOptions = RunOptions.pick({ "state-dir": true }).extend({
  "max-age": duration()
    .optional()
    .describe("fails when a job does not run, or its newest window, or else its newest record, is older than this"),
  "flink-master": RunOptions.shape["flink-master"].describe(
    "host:port of a cluster's REST interface: shows the jobs there, and fails when one of them has failed",
  ),
});

/** What the verb cancel takes. */
export const CancelOptions = z.object({
  "flink-master": RunOptions.shape["flink-master"].describe("host:port of the REST interface of the job's cluster"),
});

/** What the verbs savepoint and stop take. */
export const SavepointOptions = CancelOptions.extend({
  "savepoint-dir": z
    .string()
    .min(1)
    .optional()
    .describe("a directory or bucket that the cluster can write to, such as s3://bucket/savepoints; else its own")
    .meta({ value: "path" }),
});

/** What the verb replay takes. What is not said is as the job was last run. */
export const ReplayOptions = RunOptions.pick({
  job: true,
  from: true,
  to: true,
  "max-record-bytes": true,
  "batch-time": true,
  "state-dir": true,
  "give-up-after": true,
  log: true,
}).extend({
  reason: z.array(z.string()).default([]).describe("only letters of this reason").meta({ value: "reason" }),
  since: z.iso.datetime().optional().describe("only letters of records that were written at this time or later"),
  fallback: RunOptions.shape.fallback.describe("delivers the rows that wait in this directory, and does nothing else"),
  "dry-run": z.boolean().default(false).describe("shows what would be tried again, and changes nothing"),
});
export type ReplayOptions = z.infer<typeof ReplayOptions>;
