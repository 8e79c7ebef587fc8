// What the SDK reports of user metrics a Java runner does not find or misreads: the transform is labelled TRANSFORM
// instead of PTRANSFORM, the namespace is empty, a distribution is framed as an iterable, and numbers are cut to 32
// bits. And a worker's second bundle counts the first one's numbers again. The fix labels and encodes as Beam defines
// it and starts each bundle at zero.
import "../node-compat";
import "apache-beam";
import { type MonitoringInfo } from "apache-beam/proto/metrics";
import { MetricsContainer } from "apache-beam/worker/metrics";
import { Reader, Writer } from "protobufjs";
import { once } from "./once";
import { readInt64, writeInt64 } from "./varint";

/** The namespace of every user metric: Java refuses an empty one, and the SDK's names have none. */
const NAMESPACE = "beamline";

interface Counter extends Cell {
  value: number;
}

interface Distribution extends Cell {
  count: number;
  sum: number;
  min: number;
  max: number;
}

interface Cell {
  reset(): void;
  payload(): Uint8Array;
  loadFromPayload(payload: Uint8Array): void;
}

interface ScopedCell {
  value: Cell;
  reset(): void;
  toEmptyMonitoringInfo(): MonitoringInfo;
}

/** Metrics are whole numbers; one that is not must not fail the bundle that it only counts. */
function encode(...numbers: number[]): Uint8Array {
  const writer = new Writer();
  for (const number of numbers) writeInt64(writer, Number.isFinite(number) ? Math.round(number) : 0);
  return writer.finish();
}

function decoder(payload: Uint8Array): () => number {
  const reader = new Reader(payload);
  return () => Number(readInt64(reader));
}

// The SDK keeps the classes of its metrics to itself.
function sample(kind: string): ScopedCell {
  const spec = { name: "sample", metricType: `beam:metric:user:${kind}:v1` };
  return new MetricsContainer().getMetric(undefined, undefined, spec);
}

const prototypeOf = <T extends object>(value: object) => Object.getPrototypeOf(value) as T;

export function reportMetrics(): void {
  once(MetricsContainer, "metrics", () => {
    const scoped = prototypeOf<ScopedCell>(sample("sum_int64"));
    const counter = prototypeOf<Counter>(sample("sum_int64").value);
    const distribution = prototypeOf<Distribution>(sample("distribution_int64").value);

    const { reset, toEmptyMonitoringInfo } = scoped;
    scoped.reset = function () {
      reset.call(this);
      this.value.reset();
    };
    scoped.toEmptyMonitoringInfo = function () {
      const info = toEmptyMonitoringInfo.call(this);
      const { TRANSFORM, ...labels } = info.labels;
      if (TRANSFORM !== undefined) labels["PTRANSFORM"] = TRANSFORM;
      if (labels["NAMESPACE"] === "") labels["NAMESPACE"] = NAMESPACE;
      return { ...info, labels };
    };

    counter.payload = function () {
      return encode(this.value);
    };
    counter.loadFromPayload = function (payload) {
      this.value = decoder(payload)();
    };

    distribution.payload = function () {
      return encode(this.count, this.sum, this.min, this.max);
    };
    distribution.loadFromPayload = function (payload) {
      const next = decoder(payload);
      this.count = next();
      this.sum = next();
      this.min = next();
      this.max = next();
    };
  });
}
