import { z } from "zod";
import { parseAddress } from "../../io/address";
import { UsageError } from "../../schema/errors";
import { date, decimal, raw, tableOf, timestamp } from "../../schema/table";
import { snowflakeSql } from "./snowflake";

const table = tableOf(
  "candles",
  z.object({
    symbol: z.string(),
    window_start: timestamp(),
    day_of: date(),
    volume: decimal(38, 8),
    trades: z.int(),
    share: z.number(),
    late: z.boolean(),
    body: raw(),
    tree: z.record(z.string(), z.unknown()),
  }),
  { key: ["symbol", "window_start"] },
);
const sql = (uri: string) => snowflakeSql(table, parseAddress(uri), { integration: "beamline" });

test("files in folders are a table with all columns, of their types", () => {
  expect(sql("s3://bucket/lake/?partition=day(window_start),symbol").join(";\n\n")).toMatchSnapshot();
});

test("without folders nothing is partitioned; Google's buckets have another name there", () => {
  const [, stage = "", external = ""] = sql("gs://bucket/lake");
  expect(stage).toContain("URL = 'gcs://bucket/lake/candles/'");
  expect(external).not.toContain("PARTITION BY");
  expect(external).toContain('"SYMBOL" VARCHAR AS (value:"symbol"::VARCHAR)');
});

test("folders of a time's value, and of what is no text", () => {
  const [, , external] = sql("s3://bucket/?partition=window_start,trades,day_of,month(window_start)");
  expect(external).toMatch(
    /"WINDOW_START" TIMESTAMP_LTZ AS \(REPLACE\(.*'\/window_start=', .*'%3A', ':'\)::TIMESTAMP_LTZ\)/,
  );
  expect(external).toMatch(/"TRADES" NUMBER\(38, 0\) AS/);
  expect(external).toMatch(/"DAY_OF" DATE AS/);
  expect(external).toMatch(/"MONTH" VARCHAR AS/);
});

test.each([
  ["sqlite:data/app.db", /Snowflake reads buckets: .*not sqlite:/],
  ["s3://bucket/?format=csv", /has csv: Parquet is read/],
  ["s3://bucket/?partition=nothing", /no such column/],
])("%s cannot be read", (uri, message) => {
  expect(() => sql(uri)).toThrow(UsageError);
  expect(() => sql(uri)).toThrow(message);
});
