import { reportMetrics } from "./metrics";
import { aggregateMetrics, MetricsContainer, MetricsShortIdCache } from "apache-beam/worker/metrics";
import { type MonitoringInfo } from "apache-beam/proto/metrics";

const COUNTER = "beam:metric:user:sum_int64:v1";
const DISTRIBUTION = "beam:metric:user:distribution_int64:v1";

/** The reports of bundles that a worker processes one after the other, each updating metrics so. */
function reports(...bundles: ((update: (kind: string, value: number) => void) => void)[]): MonitoringInfo[][] {
  const container = new MetricsContainer();
  const ids = new MetricsShortIdCache();
  return bundles.map((bundle) => {
    container.reset();
    bundle((metricType, value) => container.getMetric("parse", undefined, { name: "rows", metricType }).update(value));
    return [...container.monitoringData(ids)].map(([id, payload]) => ids.asMonitoringInfo(id, payload));
  });
}

function distributionOf(...values: number[]): MonitoringInfo {
  return reports((update) => values.forEach((value) => update(DISTRIBUTION, value)))[0]![0]!;
}

const count = (value: number) => (update: (kind: string, value: number) => void) => update(COUNTER, value);

test("without the fix metrics are labelled and coded as no Java runner reads them, and counted again", () => {
  const [[first], [second]] = reports(count(3), count(4)) as [[MonitoringInfo], [MonitoringInfo]];
  expect(first.labels).toEqual({ NAME: "rows", NAMESPACE: "", TRANSFORM: "parse" });
  expect(aggregateMetrics([first, second], COUNTER).get("rows")).toBe(3 + (3 + 4));
  expect([...distributionOf(1, 2).payload]).toEqual([0, 0, 0, 4, 2, 3, 1, 2]);
  const [[big]] = reports(count(3e9)) as [[MonitoringInfo]];
  expect(aggregateMetrics([big], COUNTER).get("rows")).toBe(3e9 - 2 ** 32);
});

describe("with the fix", () => {
  beforeAll(() => {
    reportMetrics();
    reportMetrics();
  });

  test("labels are those that Beam defines", () => {
    const [[info]] = reports(count(1)) as [[MonitoringInfo]];
    expect(info.labels).toEqual({ NAME: "rows", NAMESPACE: "beamline", PTRANSFORM: "parse" });
    expect([info.urn, info.type]).toEqual([COUNTER, "beam:metrics:sum_int64:v1"]);
  });

  test("element counts keep their label", () => {
    const info = new MetricsContainer().elementCountMetric("pc").toEmptyMonitoringInfo();
    expect(info.labels).toEqual({ PCOLLECTION: "pc" });
  });

  test("a distribution is four varints", () => {
    expect([...distributionOf(1, 2).payload]).toEqual([2, 3, 1, 2]);
    expect([...distributionOf(300).payload]).toEqual([1, 172, 2, 172, 2, 172, 2]);
  });

  test("each bundle counts from zero", () => {
    const infos = reports(count(3), count(4), () => undefined).flat();
    expect(aggregateMetrics(infos, COUNTER).get("rows")).toBe(7);
  });

  test("numbers beyond 32 bits come back", () => {
    expect(aggregateMetrics(reports(count(3e9)).flat(), COUNTER).get("rows")).toBe(3e9);
    const distributions = aggregateMetrics([distributionOf(-5e9, 3e9)], DISTRIBUTION);
    expect([...distributions]).toEqual([["rows", { count: 2, sum: -2e9, min: -5e9, max: 3e9 }]]);
  });

  test("what is not a whole number does not fail the bundle", () => {
    expect(aggregateMetrics(reports(count(1.6)).flat(), COUNTER).get("rows")).toBe(2);
    expect(aggregateMetrics(reports(count(NaN)).flat(), COUNTER).get("rows")).toBe(0);
  });
});
