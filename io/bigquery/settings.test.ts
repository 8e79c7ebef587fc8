import { UsageError } from "../../schema/errors";
import { parseAddress } from "../address";
import { placeOf, sinkSettingsOf, sourceSettingsOf } from "./settings";

const sink = (uri: string, environment = {}) => sinkSettingsOf(parseAddress(uri), environment);
const source = (uri: string) => sourceSettingsOf(parseAddress(uri), {});

test("an address is a project and a dataset, and what is usual", () => {
  expect(sink("bigquery://my-project/my_data")).toEqual({
    ...{ project: "my-project", dataset: "my_data", location: null, giveUp: 30_000, timeout: 3_600_000 },
    ...{
      emulator: null,
      storageEmulator: null,
      bucketEmulator: null,
      via: null,
      staging: null,
      partition: null,
      cluster: null,
      create: false,
      gathering: { every: 60_000, shards: 1 },
    },
  });
  expect(placeOf({ path: "//example.com:my-project/d" }).project).toBe("example.com:my-project");
});

test("options and emulators", () => {
  const environment = { BIGQUERY_EMULATOR_HOST: "localhost:9050", BIGQUERY_STORAGE_EMULATOR_HOST: "localhost:9060" };
  expect(
    sink("bigquery://p/d?staging=gs://bucket/a/b/&partition=none&cluster=x, y&create=true", environment),
  ).toMatchObject({
    ...{ staging: { bucket: "bucket", prefix: "a/b" }, partition: "", cluster: ["x", "y"], create: true },
    ...{ emulator: "http://localhost:9050", storageEmulator: { host: "localhost", port: 9060 } },
  });
  expect(sink("bigquery://p/d?cluster=none").cluster).toEqual([]);
  expect(source("bigquery://p/d?query=SELECT * FROM x WHERE a = 1&time=at")).toMatchObject({
    ...{ table: null, query: "SELECT * FROM x WHERE a = 1", time: "at", columns: null, order: [] },
  });
});

test.each([
  ["bigquery://p", "An address of BigQuery has the form bigquery://project/dataset"],
  ["bigquery://p/d/t", "An address of BigQuery has the form bigquery://project/dataset"],
  ["bigquery://P x/d", "“P x” is not the id of a Google Cloud project: it has small letters, digits and “-”"],
  ["bigquery://p/a-b", "“a-b” is not the name of a dataset: it has letters, digits and “_”"],
  ["bigquery://p/d?stagin=x", "bigquery://p/d has the option “stagin”: did you mean “staging”?"],
  ["bigquery://p/d?staging=s3://x", "bigquery://p/d has the option staging=s3://x: write it like gs://bucket/prefix"],
  ["bigquery://p/d?via=lode", "bigquery://p/d has the option via=lode: did you mean “load”?"],
  [
    "bigquery://p/d?via=write&staging=gs://b",
    "bigquery://p/d has the option staging=gs://b: via=write sends rows without files, so leave one of the two out",
  ],
])("%s", (uri, says) => {
  expect(() => sink(uri)).toThrow(new UsageError(says));
});

test("a source is one table or one query", () => {
  expect(() => source("bigquery://p/d")).toThrow("Say what of bigquery://p/d to read: ?table=name, or ?query=SELECT …");
  expect(() => source("bigquery://p/d?table=t&query=SELECT 1")).toThrow("has both table= and query=");
});
