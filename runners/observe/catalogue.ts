// The one catalogue of metrics: the registry of a job and the table in the docs are both made from it, and a name or a
// label that is not in it does not compile.

interface MetricSpec {
  readonly kind: "counter" | "gauge" | "histogram";
  readonly help: string;
  /** Label → what it says, or all the values it can have. */
  readonly labels: Readonly<Record<string, string | readonly string[]>>;
  readonly buckets?: readonly number[];
}

export const PREFIX = "beamline_";

/** Every metric of the catalogue carries these. */
export const JOB_LABELS = { job: "the job's name", pipeline: "the pipeline's name" } as const;

export const METRICS = {
  records_read_total: { kind: "counter", labels: {}, help: "Records read of the sources, in committed batches" },
  records_ok_total: { kind: "counter", labels: {}, help: "Records that passed all steps" },
  records_dead_total: { kind: "counter", labels: {}, help: "Records that became dead letters" },
  records_dropped_total: { kind: "counter", labels: {}, help: "Records that a step left out with a reason" },
  rows_duplicate_total: { kind: "counter", labels: {}, help: "Rows that were the same row again, counted once" },
  rows_late_total: { kind: "counter", labels: {}, help: "Rows behind the watermark, counted in no window" },
  rows_written_total: { kind: "counter", labels: { output: "the output's name" }, help: "Rows written, by output" },
  rows_rejected_total: {
    kind: "counter",
    labels: {},
    help: "Rows that a sink refused while it took others: each became a dead letter",
  },
  records_lost_total: {
    kind: "counter",
    labels: {},
    help: "Records that the source no longer had when they were to be read",
  },
  batches_total: {
    kind: "counter",
    labels: { result: ["committed", "failed", "skipped"] },
    help: "Batches, by how they ended; one that is tried again counts as failed each time",
  },
  batch_seconds: {
    kind: "histogram",
    labels: {},
    buckets: [0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300],
    help: "Seconds from a batch's plan to its commit",
  },
  batch_records: {
    kind: "histogram",
    labels: {},
    buckets: [0, 1, 10, 100, 1_000, 10_000, 100_000, 1_000_000],
    help: "Records of a batch",
  },
  commit_seconds: {
    kind: "histogram",
    labels: {},
    buckets: [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30],
    help: "Seconds that the sinks and the job's state took to commit a batch",
  },
  lag_records: {
    kind: "gauge",
    labels: { input: "the input's name", source: "the part of it, such as a partition" },
    help: "Records that lie in the source and are not committed yet",
  },
  watermark_seconds: {
    kind: "gauge",
    labels: {},
    help: "The watermark, in seconds since 1970; absent before the first",
  },
  watermark_delay_seconds: { kind: "gauge", labels: {}, help: "How far the watermark is behind the batch's time" },
  open_windows: { kind: "gauge", labels: {}, help: "Windows that can still change" },
  state_bytes: { kind: "gauge", labels: {}, help: "Size of the job's state on disk" },
  last_commit_timestamp_seconds: { kind: "gauge", labels: {}, help: "When a batch was committed last, since 1970" },
  retries_total: {
    kind: "counter",
    labels: { what: "what was tried again" },
    help: "What was tried again, and how often",
  },
  source_news_total: {
    kind: "counter",
    labels: {
      input: "the input's name",
      what: ["retry", "wait", "reconnect", "filled", "lost", "garbage", "left"],
    },
    help: "What happened to a source that gives each record once: requests and connections made again, records filled in, lost, garbled, or left there",
  },
  dead_letters_waiting: { kind: "gauge", labels: {}, help: "Dead letters that were not replayed yet" },
  rows_waiting: {
    kind: "gauge",
    labels: {},
    help: "Rows that wait on this machine (--fallback), since their place does not answer; absent without --fallback",
  },
  inbox_records: { kind: "gauge", labels: {}, help: "Records in the inbox that no committed batch has read yet" },
  build_info: {
    kind: "gauge",
    labels: { version: "the pipeline's version" },
    help: "Always 1; what it is about are its labels",
  },
} as const satisfies Readonly<Record<string, MetricSpec>>;

export type Catalogue = typeof METRICS;
export type MetricName = keyof Catalogue;
type OfKind<Kind> = { [Name in MetricName]: Catalogue[Name]["kind"] extends Kind ? Name : never }[MetricName];
export type CounterName = OfKind<"counter">;
export type GaugeName = OfKind<"gauge">;
export type HistogramName = OfKind<"histogram">;

type LabelSpecs<Name extends MetricName> = Catalogue[Name]["labels"];

/** Gauges that have a series for each of several things. */
export type LabelledGaugeName = {
  [Name in GaugeName]: keyof LabelSpecs<Name> extends never ? never : Name;
}[GaugeName];

/** The labels of a metric, each with the values it can have. */
export type LabelsOf<Name extends MetricName> = {
  readonly [Label in keyof LabelSpecs<Name>]: LabelSpecs<Name>[Label] extends readonly (infer Value)[] ? Value : string;
};

/** The labels as last argument: not there when a metric has none, and needed when it has some. */
export type LabelArgument<Name extends MetricName> = keyof LabelSpecs<Name> extends never
  ? []
  : [labels: LabelsOf<Name>];

/** The catalogue without its exact types, to go through all of it. */
export const allMetrics = (): [MetricName, MetricSpec][] => Object.entries(METRICS) as [MetricName, MetricSpec][];

/** For the docs: name, kind, labels, what it says. */
export function metricsTable(): string[][] {
  return allMetrics().map(([name, { kind, labels, help }]) => [
    `\`${PREFIX}${name}\``,
    kind,
    Object.entries(labels)
      .map(([label, said]) => `\`${label}\`: ${typeof said === "string" ? said : said.join(", ")}`)
      .join("; "),
    help,
  ]);
}
