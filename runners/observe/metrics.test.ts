import fs from "node:fs";
import path from "node:path";
import { type Counts } from "../report";
import { allMetrics, METRICS, metricsTable, PREFIX } from "./catalogue";
import { Metrics } from "./metrics";

const metrics = (job = "a") => new Metrics({ job, pipeline: "trades", version: "3" });

/** The lines of one metric, without its help. */
async function lines(of: Metrics, name: string): Promise<string[]> {
  return (await of.text()).split("\n").filter((line) => line.startsWith(PREFIX + name));
}

describe("the catalogue", () => {
  it("is what the registry has", async () => {
    const text = await metrics().text();
    const types = [...text.matchAll(/^# TYPE (beamline_\S+) (\S+)$/gm)].map(([, name, kind]) => `${name} ${kind}`);
    expect(types).toEqual(allMetrics().map(([name, { kind }]) => `${PREFIX}${name} ${kind}`));
  });

  it("is what the docs have", () => {
    const page = fs.readFileSync(path.join(__dirname, "../../docs/reference/observability.md"), "utf8");
    const documented = [...page.matchAll(/^\| `(beamline_\w+)`/gm)].map(([, name]) => name);
    expect(documented).toEqual(Object.keys(METRICS).map((name) => PREFIX + name));
    expect(metricsTable().every((cells) => cells.length === 4)).toBe(true);
  });

  it("names metrics as Prometheus wants them", () => {
    for (const [name, { kind, labels, buckets }] of allMetrics()) {
      expect(`${name} ${name.endsWith("_total")}`).toBe(`${name} ${kind === "counter"}`);
      for (const label of Object.keys(labels)) expect(label).toMatch(/^[a-z]+$/);
      expect(buckets !== undefined).toBe(kind === "histogram");
      expect(buckets ?? []).toEqual([...(buckets ?? [])].sort((a, b) => a - b));
    }
  });

  it("is what compiles", () => {
    const some = metrics();
    // @ts-expect-error There is no such metric.
    some.add("records_red_total", 1);
    // @ts-expect-error A gauge is set, not added to.
    expect(() => some.add("open_windows", 1)).not.toThrow();
    // @ts-expect-error An output is needed.
    some.add("rows_written_total", 1);
    // @ts-expect-error One label is missing.
    some.set("lag_records", 1, { input: "trades" });
    // @ts-expect-error There is no such result, but at run time it fails nothing.
    some.add("batches_total", 1, { result: "great" });
    // @ts-expect-error This one has no labels.
    expect(() => some.set("open_windows", 1, { input: "trades" })).not.toThrow();
    some.observe("batch_seconds", 1);
  });

  it("is all that is taken at run time", async () => {
    const some = metrics();
    const more = { input: "trades", source: "trades/0", value: "4" };
    some.set("lag_records", 4, more);
    expect(await lines(some, "lag_records")).toEqual([
      'beamline_lag_records{input="trades",source="trades/0",job="a",pipeline="trades"} 4',
    ]);
  });
});

test("two jobs in one process have their own counts and labels", async () => {
  const [one, two] = [metrics("one"), metrics("two")];
  one.add("records_read_total", 5);
  two.add("records_read_total", 7);
  expect(await lines(one, "records_read_total")).toEqual([
    'beamline_records_read_total{job="one",pipeline="trades"} 5',
  ]);
  expect(await lines(two, "records_read_total")).toEqual([
    'beamline_records_read_total{job="two",pipeline="trades"} 7',
  ]);
});

test("every series carries job and pipeline, and those of the process are there once", async () => {
  const some = metrics();
  some.observe("batch_seconds", 1);
  const text = await some.text();
  const own = text.split("\n").filter((line) => line.startsWith(PREFIX));
  expect(own.length).toBeGreaterThan(40);
  for (const line of own) expect(line).toContain('job="a",pipeline="trades"');
  expect(text.match(/^process_cpu_seconds_total /gm)).toHaveLength(1);
  expect(await lines(some, "build_info")).toEqual(['beamline_build_info{version="3",job="a",pipeline="trades"} 1']);
});

describe("a gauge", () => {
  it("is absent until it is known, and when it no longer is", async () => {
    const some = metrics();
    expect(await lines(some, "watermark_seconds")).toEqual([]);
    some.set("watermark_seconds", 12.5);
    expect(await lines(some, "watermark_seconds")).toEqual([
      'beamline_watermark_seconds{job="a",pipeline="trades"} 12.5',
    ]);
    some.set("watermark_seconds", Number.NEGATIVE_INFINITY);
    expect(await lines(some, "watermark_seconds")).toEqual([]);
  });

  it("loses the series of parts that vanished", async () => {
    const some = metrics();
    const lag = (source: string, value: number) => ({ labels: { input: "trades", source }, value });
    some.replace("lag_records", [lag("trades/0", 4), lag("trades/1", 5), lag("trades/2", Number.NaN)]);
    some.replace("lag_records", [lag("trades/1", 6)]);
    expect(await lines(some, "lag_records")).toEqual([
      'beamline_lag_records{input="trades",source="trades/1",job="a",pipeline="trades"} 6',
    ]);
  });

  it("puts the smallest of very many parts together, and keeps the sum", async () => {
    const some = metrics();
    const series = Array.from({ length: 1_500 }, (_, at) => ({
      labels: { input: "files", source: `${at}.ndjson` },
      value: at,
    }));
    some.replace("lag_records", series);
    const shown = await lines(some, "lag_records");
    expect(shown).toHaveLength(1_001);
    expect(shown.map((line) => Number(line.split(" ").at(-1))).reduce((a, b) => a + b)).toBe((1_499 * 1_500) / 2);
    expect(shown.at(-1)).toContain('source="(others)"');
  });
});

test("a number that says nothing fails no batch and changes nothing", async () => {
  const some = metrics();
  for (const by of [-1, Number.NaN, Number.POSITIVE_INFINITY]) some.add("records_read_total", by);
  some.observe("batch_seconds", Number.NaN);
  expect(await lines(some, "records_read_total")).toEqual(['beamline_records_read_total{job="a",pipeline="trades"} 0']);
  expect(await lines(some, "batch_seconds_count")).toEqual([
    'beamline_batch_seconds_count{job="a",pipeline="trades"} 0',
  ]);
});

test("a label shows no credentials and stays on its line", async () => {
  const some = metrics();
  some.set("lag_records", 1, { input: 'a\nb"c', source: "ws://u:secret@h/x" });
  expect(await lines(some, "lag_records")).toEqual([
    'beamline_lag_records{input="a\\nb\\"c",source="ws://u:***@h/x",job="a",pipeline="trades"} 1',
  ]);
});

test("a committed batch's counts are added at once", async () => {
  const some = metrics();
  const counts: Counts = {
    read: 10,
    ok: 7,
    dead: 2,
    dropped: 1,
    duplicate: 3,
    late: 4,
    written: { candles: 5, dead_letters: 2, empty: 0 },
    rejected: 0,
  };
  some.addCounts(counts);
  some.addCounts(counts);
  const text = await some.text();
  const value = (start: string) =>
    Number(
      text
        .split("\n")
        .find((line) => line.startsWith(PREFIX + start))
        ?.split(" ")
        .at(-1),
    );
  expect(["read", "ok", "dead", "dropped"].map((name) => value(`records_${name}_total`))).toEqual([20, 14, 4, 2]);
  expect(["duplicate", "late"].map((name) => value(`rows_${name}_total`))).toEqual([6, 8]);
  expect(value('rows_written_total{output="candles"')).toBe(10);
  expect(value('rows_written_total{output="empty"')).toBe(0);
  expect(value("batch_records_count")).toBe(2);
});
