// Tells of a job that goes on, what happens to it: to the log, to the metrics, and to who asks whether it is ready.
import { Metrics } from "../observe/metrics";
import { Readiness } from "../observe/readiness";
import { startEndpoints, type Endpoints } from "../observe/endpoints";
import { type Log } from "../observe/log";
import { type JobEvent, type JobRequest } from "./run-continuous";

/** All are counted. */
const MOST_NAMED = 20;

export class JobObserver {
  private readonly metrics: Metrics;
  private readonly readiness: Readiness;
  private endpoints: Endpoints | null = null;

  constructor(
    private readonly request: JobRequest,
    job: string,
    private readonly log: Log,
  ) {
    const { name, version } = request.pipeline;
    this.metrics = new Metrics({ job, pipeline: name, version });
    this.readiness = new Readiness({ sources: Object.keys(request.inputs), sinks: Object.keys(request.outputs) });
  }

  async listen(): Promise<void> {
    const { http } = this.request.options;
    if (http === undefined) return;
    try {
      this.endpoints = await startEndpoints({ listen: http, metrics: this.metrics, readiness: this.readiness });
    } catch (error) {
      this.tell({ kind: "failed", error });
      throw error;
    }
    this.log.event("listening", { url: this.endpoints.url });
  }

  async close(): Promise<void> {
    this.log.close();
    await this.endpoints?.close();
  }

  tell(event: JobEvent): void {
    const { log, metrics, readiness, request } = this;
    switch (event.kind) {
      case "started":
        log.event("job started", { version: request.pipeline.version, next_batch: event.batch, epoch: event.epoch });
        break;
      case "connected": {
        const names = event.what === "sources" ? request.inputs : request.outputs;
        for (const name of Object.keys(names)) readiness[event.what].connected(name);
        break;
      }
      case "looked":
        metrics.replace(
          "lag_records",
          event.lag.map(({ input, source, records }) => ({ labels: { input, source }, value: records })),
        );
        metrics.set("inbox_records", event.inbox);
        break;
      case "planned": {
        const ranges = event.plan.parts.filter(({ range }) => range !== null);
        const records = ranges.reduce((sum, { from, to }) => sum + to - from, 0);
        log.event("plan made", { batch: event.plan.batch, ranges: ranges.length, records });
        break;
      }
      case "committed": {
        const { plan, counts, seconds, watermark, openWindows, lettersWaiting, stateBytes } = event;
        readiness.batchCommitted();
        metrics.addCounts(counts);
        metrics.add("records_lost_total", plan.lost);
        metrics.add("batches_total", 1, { result: "committed" });
        metrics.observe("batch_seconds", seconds);
        metrics.set("open_windows", openWindows);
        metrics.set("dead_letters_waiting", lettersWaiting);
        metrics.set("state_bytes", stateBytes);
        metrics.set("rows_waiting", event.rowsWaiting);
        metrics.set("watermark_seconds", watermark === null ? null : watermark / 1000);
        metrics.set("watermark_delay_seconds", watermark === null ? null : (Date.now() - watermark) / 1000);
        metrics.set("last_commit_timestamp_seconds", Date.now() / 1000);
        log.event("batch committed", {
          batch: plan.batch,
          ...counts,
          seconds,
          open_windows: openWindows,
          // Behind --flush there is none that says anything.
          watermark: plan.kind === "flush" ? null : watermark,
        });
        break;
      }
      case "rows wait":
        log.event("rows wait", { batch: event.batch, rows: event.rows, error: event.error });
        break;
      case "rows delivered":
        metrics.set("rows_waiting", event.waiting);
        log.event("rows delivered", { rows: event.rows, waiting: event.waiting });
        break;
      case "announced":
        log.event("rows announced", { said: event.said, rows: event.rows });
        break;
      case "retrying": {
        const { what, attempt, error } = event;
        metrics.add("retries_total", 1, { what });
        if (what === "batch") {
          metrics.add("batches_total", 1, { result: "failed" });
          readiness.batchFailed(error);
        } else if (what === "source") {
          readiness.sourcesFailed(error);
        }
        log.event("retrying", { what, attempt, next_in: event.pause / 1000, error });
        break;
      }
      case "back":
        if (event.what === "source") readiness.sourcesAnswered();
        break;
      case "new part":
        log.event("partition new", { input: event.input, source: event.source, from: event.from });
        break;
      case "inbox full": {
        const { input, held, bounds } = event;
        log.event("inbox full", {
          input,
          records: held.records,
          limit: bounds.records,
          bytes: held.bytes,
          limit_bytes: bounds.bytes,
        });
        break;
      }
      case "flow lost":
        metrics.add("retries_total", 1, { what: "source" });
        readiness.sources.lost(event.input);
        break;
      case "flow back":
        readiness.sources.connected(event.input);
        break;
      case "flow news": {
        const { kind: what, count, text } = event.news;
        metrics.add("source_news_total", count, { input: event.input, what });
        if (what === "lost") metrics.add("records_lost_total", count);
        log.event("source news", { input: event.input, what, count, said: text });
        break;
      }
      case "gap": {
        const { input, source, next, lost } = event;
        log.event("gap found", { input, source, from: next, to: next + lost, lost });
        break;
      }
      case "partial":
        log.event("windows not whole", {
          windows: event.windows.length,
          named: event.windows.slice(0, MOST_NAMED).join("; "),
        });
        break;
      case "replayed": {
        const { letters, ok, dead } = event.replayed;
        log.event("replay done", { replayed: letters, ok, dead, seconds: event.seconds });
        break;
      }
      case "stopped":
        log.event("job stopped", {
          reason: event.reason,
          batches: event.batches,
          read: event.read,
          seconds: event.seconds,
        });
        break;
      case "failed":
        readiness.batchFailed(event.error);
        log.event("job failed", { error: event.error });
        break;
    }
  }
}
