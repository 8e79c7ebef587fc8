// Addresses of Cassandra, as people write them, and the tables that are made.
import { writeFileSync } from "node:fs";
import { z } from "zod";
import { scratchDirectory } from "../../test/scratch";
import { UsageError } from "../../schema/errors";
import { date, decimal, raw, tableOf, timestamp } from "../../schema/table";
import { parseAddress } from "../address";
import { settingsOf } from "./options";
import { checkOutputs, createSql } from "./shape";

const at = scratchDirectory();
const settings = (uri: string, environment = {}) => settingsOf(parseAddress(uri), environment);

describe("an address", () => {
  it("says servers and a keyspace, and how", () => {
    expect(settings("cassandra://Two,one:9043,two/market")).toMatchObject({
      hosts: ["one:9043", "two:9042"],
      keyspace: "market",
      shown: "cassandra://one:9043,two:9042/market",
      ...{ replication: 1, datacenter: null, partitionKey: null, consistency: "local_quorum", inFlight: 256 },
      ...{ user: null, tls: null, connectTimeout: 10_000, timeout: 12_000, giveUp: 60_000 },
    });
    const uri = "cassandra://h/k?replication=east:3,dc-2:2&consistency=all&partition-key=a,b&tls=true&in-flight=5";
    expect(settings(uri)).toMatchObject({
      ...{ replication: { east: 3, "dc-2": 2 }, consistency: "all", partitionKey: ["a", "b"], inFlight: 5 },
      tls: { certificates: null },
    });
  });

  it("has its user in the environment or in files", () => {
    writeFileSync(at("password"), "geheim\n");
    const environment = { CASSANDRA_USERNAME: "me", CASSANDRA_PASSWORD_FILE: at("password") };
    expect(settings("cassandra://h/k", environment).user).toEqual({ username: "me", password: "geheim" });
  });

  it.each([
    ["cassandra:", /names no server: write it like cassandra:\/\/localhost:9042\/keyspace/],
    ["cassandra://host", /names no keyspace/],
    ["cassandra://host/a-b", /“a-b” cannot be a keyspace/],
    ["cassandra://host:99999/k", /“host:99999” of .* is no server/],
    ["cassandra://me:secret@host/k", /must not have a user or a password in it.*CASSANDRA_USERNAME/],
    ["cassandra://host/k?datacentre=a", /did you mean “datacenter”\?/],
    ["cassandra://host/k?replication=0", /replication=0: write a number of copies/],
    ["cassandra://host/k?replication=east:3,west", /write a number of copies, or one for each data centre/],
    ["cassandra://host/k?replication=a':3", /write a number of copies/],
    ["cassandra://host/k?consistency=qorum", /did you mean “quorum”\?/],
    ["cassandra://host/k?in-flight=0", /write a whole number, 1 or more/],
  ])("%s is refused", (uri, message) => {
    expect(() => settings(uri)).toThrow(UsageError);
    expect(() => settings(uri)).toThrow(message);
    expect(() => settings(uri)).not.toThrow(/secret/);
  });

  it.each([
    [{ CASSANDRA_USERNAME: "me" }, /no password: set CASSANDRA_PASSWORD or CASSANDRA_PASSWORD_FILE/],
    [{ CASSANDRA_PASSWORD: "x" }, /CASSANDRA_USERNAME is not: set both or none/],
    [{ CASSANDRA_TLS_CA: "/nowhere" }, /names the file \/nowhere, which does not exist/],
  ])("%j is refused", (environment, message) => {
    expect(() => settings("cassandra://h/k", environment)).toThrow(message);
  });
});

describe("a table", () => {
  const model = z.object({
    symbol: z.string(),
    start: timestamp(),
    day: date(),
    price: decimal().nullable(),
    n: z.int(),
    d: z.number(),
    ok: z.boolean(),
    raw: raw(),
    'j"': z.record(z.string(), z.string()),
  });
  const table = tableOf("Candles", model, { key: ["symbol", "start", "day"] });

  it("is made with its key's first column for where rows lie, or with those that are said", () => {
    const columns =
      '"symbol" text, "start" timestamp, "day" date, "price" decimal, "n" bigint, "d" double, "ok" boolean, "raw" blob, "j""" text';
    const begin = `CREATE TABLE IF NOT EXISTS "k"."Candles" (${columns}, PRIMARY KEY (`;
    expect(createSql(table, settings("cassandra://h/k"))).toBe(`${begin}("symbol"), "start", "day"))`);
    expect(createSql(table, settings("cassandra://h/k?partition-key=day,symbol"))).toBe(
      `${begin}("day", "symbol"), "start"))`,
    );
    expect(createSql(table, settings("cassandra://h/k?partition-key=other"))).toBe(
      `${begin}("symbol"), "start", "day"))`,
    );
  });

  it.each([
    [{ ...table, name: "a b" }, "", /its name is of letters, digits and _/],
    [{ ...table, name: "beamline_batches" }, "", /is reserved for the record of batches/],
    [{ ...table, key: [] }, "", /has no key/],
    [{ ...table, key: ["price"] }, "", /The key column price of Candles may be null/],
    [
      table,
      "?partition-key=n",
      /partition-key=n, but no table has all of that in its key: Candles \(symbol, start, day\)/,
    ],
  ])("is refused", (one, options, message) => {
    const outputs = [{ name: "candles", table: one }];
    expect(() => checkOutputs(settings(`cassandra://h/k${options}`), outputs)).toThrow(message);
  });
});
