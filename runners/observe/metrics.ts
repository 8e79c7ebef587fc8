// The metrics of one job, in a registry of its own: two jobs in one process do not add up.
import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from "prom-client";
import { type Counts } from "../report";
import {
  allMetrics,
  METRICS,
  PREFIX,
  type CounterName,
  type GaugeName,
  type HistogramName,
  type LabelArgument,
  type LabelledGaugeName,
  type LabelsOf,
  type MetricName,
} from "./catalogue";
import { maskCredentials } from "./safe-text";

/** More series than this of one gauge would burden who collects them, more than they tell: the smallest go together. */
const MOST_SERIES = 1_000;
const THE_OTHERS = "(others)";

/** One for the process, whatever its jobs: prom-client's observers never end. Made when it is asked for first. */
let processRegistry: Registry | null = null;

function processMetrics(): Registry {
  if (processRegistry === null) {
    processRegistry = new Registry();
    collectDefaultMetrics({ register: processRegistry });
  }
  return processRegistry;
}

export interface MetricsOf {
  readonly job: string;
  readonly pipeline: string;
  readonly version: string;
}

/** A number that says nothing (NaN, a counter that would go back) is not taken: metrics must never fail a batch. */
export class Metrics {
  private readonly registry = new Registry();
  private readonly counters = new Map<string, Counter>();
  private readonly gauges = new Map<string, Gauge>();
  private readonly histograms = new Map<string, Histogram>();

  constructor({ job, pipeline, version }: MetricsOf) {
    this.registry.setDefaultLabels({ job, pipeline });
    for (const [key, { kind, labels, help, buckets }] of allMetrics()) {
      const config = { name: PREFIX + key, help, labelNames: Object.keys(labels), registers: [this.registry] };
      if (kind === "counter") this.counters.set(key, new Counter(config));
      else if (kind === "histogram")
        this.histograms.set(key, new Histogram({ ...config, buckets: [...(buckets ?? [])] }));
      else {
        const gauge = new Gauge(config);
        // prom-client begins with 0, which for a watermark would be 1970: what is not known yet is not there.
        gauge.remove({});
        this.gauges.set(key, gauge);
      }
    }
    // A counter that appears only with its first failure has no increase that an alert could see.
    for (const result of METRICS.batches_total.labels.result) this.add("batches_total", 0, { result });
    this.set("build_info", 1, { version });
    processMetrics();
  }

  /** Adds to a counter. */
  add<Name extends CounterName>(name: Name, by: number, ...labels: LabelArgument<Name>): void {
    if (by >= 0 && by < Number.POSITIVE_INFINITY) this.counters.get(name)?.inc(labelsFor(name, labels[0]), by);
  }

  /** Sets a gauge; what is not a finite number, or null, is not known and takes it away. */
  set<Name extends GaugeName>(name: Name, value: number | null, ...labels: LabelArgument<Name>): void {
    if (value !== null && Number.isFinite(value)) this.gauges.get(name)?.set(labelsFor(name, labels[0]), value);
    else this.gauges.get(name)?.remove(labelsFor(name, labels[0]));
  }

  /** Adds a measurement to a histogram. */
  observe<Name extends HistogramName>(name: Name, value: number, ...labels: LabelArgument<Name>): void {
    if (Number.isFinite(value)) this.histograms.get(name)?.observe(labelsFor(name, labels[0]), value);
  }

  /** All that a gauge says from now on: series that are not among these, such as those of vanished parts, are gone. */
  replace<Name extends LabelledGaugeName>(
    name: Name,
    series: readonly { labels: LabelsOf<Name>; value: number }[],
  ): void {
    const gauge = this.gauges.get(name);
    gauge?.reset();
    const known = series.filter(({ value }) => Number.isFinite(value));
    const largest = known.length <= MOST_SERIES ? known : [...known].sort((a, b) => b.value - a.value);
    for (const [at, { labels, value }] of largest.entries()) {
      const own = labelsFor(name, labels);
      if (at < MOST_SERIES) gauge?.set(own, value);
      else gauge?.inc(Object.fromEntries(Object.keys(own).map((label) => [label, THE_OTHERS])), value);
    }
  }

  /** What a committed batch counted. */
  addCounts(counts: Counts): void {
    this.add("records_read_total", counts.read);
    this.add("records_ok_total", counts.ok);
    this.add("records_dead_total", counts.dead);
    this.add("records_dropped_total", counts.dropped);
    this.add("rows_duplicate_total", counts.duplicate);
    this.add("rows_late_total", counts.late);
    for (const [output, rows] of Object.entries(counts.written)) this.add("rows_written_total", rows, { output });
    this.add("rows_rejected_total", counts.rejected);
    this.observe("batch_records", counts.read);
  }

  /** As Prometheus reads it: this job's metrics, then those of the process, which carry no job. */
  async text(): Promise<string> {
    const parts = await Promise.all([this.registry.metrics(), processMetrics().metrics()]);
    return parts.join("\n");
  }

  readonly contentType = this.registry.contentType;
}

/** Just the labels of the catalogue: prom-client throws at others. Masked, since names of parts come from addresses. */
function labelsFor(name: MetricName, given: object = {}): Record<string, string> {
  const values = given as Readonly<Record<string, string | undefined>>;
  return Object.fromEntries(
    Object.keys(METRICS[name].labels).map((label) => [label, maskCredentials(String(values[label] ?? ""))]),
  );
}
