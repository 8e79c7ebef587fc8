import { z } from "zod";
import { parseAddress } from "../../io/address";
import { tableOf } from "../../schema/table";
import { checkPlaces, placesOf, takesUpdates } from "./write-there";

const table = tableOf("rows", z.object({ id: z.string(), day: z.string() }), { key: ["id"] });
const places = (to: Readonly<Record<string, string>>, of = table) =>
  placesOf(
    Object.keys(to).map((name) => ({ name, table: of })),
    Object.fromEntries(Object.entries(to).map(([name, uri]) => [name, parseAddress(uri)])),
  );

test.each([
  ["--streaming", "postgres://u@h/d"],
  ["--detach", "postgres://u@h/d"],
  ["--streaming", "cassandra://h/k"],
  ["--detach", "cassandra://h/k"],
  ["--streaming", "opensearch://h:9200"],
  ["--detach", "elasticsearch://h:9200"],
  ["--streaming", "bigquery://project/d"],
  ["--streaming", "gs://bucket/lake/?partition=day(day)"],
  ["--streaming", "s3://bucket/lake/?shards=4&every=1h"],
  ["--streaming", "file:/lake/?format=parquet"],
] as const)("%s takes %s", (flag, uri) => {
  expect(() => checkPlaces(places({ rows: uri }), flag)).not.toThrow();
});

test.each([
  ["--streaming", "kafka://h/t", /many workers cannot write at the same time: use --runner=direct/],
  ["--detach", "sqlite:x.db", /many workers cannot write at the same time: leave --detach out/],
  ["--streaming", "stdout:", /many workers cannot write/],
  ["--streaming", "file:/out.parquet", /one file.*name a directory, such as file:\/out\.parquet\//],
  ["--streaming", "file:lake/", /give the whole path of a directory that all machines of it share/],
  ["--streaming", "file:/lake/?replace=true", /replace: that is for a run on its own/],
  ["--streaming", "gs://bucket/lake/?success=true", /success: that is for a run on its own/],
  ["--streaming", "gs://bucket/lake/?every=soon", /every=soon: write a length of time/],
  ["--streaming", "bigquery://project/d?shards=0", /shards=0: write a whole number, 1 or more/],
  ["--detach", "gs://bucket/lake/", /a run with an end has all of its rows at once: leave --detach out/],
] as const)("%s refuses %s", (flag, uri, says) => {
  expect(() => checkPlaces(places({ rows: uri }), flag)).toThrow(says);
});

test("what needs a commit is refused, and two outputs in one table", () => {
  const whole = { ...table, recomputedBy: "day" };
  expect(() => checkPlaces(places({ rows: "postgres://u@h/d" }, whole), "--streaming")).toThrow(/which takes a commit/);
  const twice = places({ a: "postgres://u@h/d", b: "postgres://u@h/d" });
  expect(() => checkPlaces(twice, "--streaming")).toThrow(/two outputs go to rows in the same place/);
  expect(() => checkPlaces(places({ a: "postgres://u@h/d", b: "postgres://u@h/e" }), "--streaming")).not.toThrow();
});

test("where rows are written together, a window gives its last word alone", () => {
  expect(takesUpdates(parseAddress("postgres://u@h/d"))).toBe(true);
  expect(takesUpdates(parseAddress("bigquery://project/d"))).toBe(false);
});
