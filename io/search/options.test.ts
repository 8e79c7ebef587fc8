// Addresses of search clusters, as people write them, and what is wrong with them.
import { writeFileSync } from "node:fs";
import { scratchDirectory } from "../../test/scratch";
import { UsageError } from "../../schema/errors";
import { parseAddress } from "../address";
import { accessOf } from "./access";
import { settingsOf } from "./options";

const at = scratchDirectory();
const settings = (uri: string) => settingsOf(parseAddress(uri), {});

describe("an address", () => {
  it("says servers, and how", () => {
    expect(settings("elasticsearch://Two,one:9201/?tls=true&replicas=0&bulk-bytes=1000")).toMatchObject({
      kind: "elasticsearch",
      nodes: ["https://one:9201", "https://two:9200"],
      shown: "elasticsearch://one:9201,two:9200",
      ...{ replicas: 0, shards: null, refresh: true, bulkBytes: 1000, giveUp: 60_000, lifecycleDays: null },
    });
    expect(settings("opensearch://[::1]?refresh=false&rollover=month(day)&lifecycle=90d&full-text=a,b")).toMatchObject({
      nodes: ["http://[::1]:9200"],
      ...{ refresh: false, rollover: { period: "month", column: "day" }, lifecycleDays: 90, fullText: ["a", "b"] },
    });
  });

  it.each([
    ["opensearch:", /names no server: write it like opensearch:\/\/localhost:9200/],
    ["opensearch://host/index", /names no server/],
    ["opensearch://host:0", /“host:0” of .* is no server/],
    ["elasticsearch://me:secret@host", /must not have a user or a password in it.*ELASTICSEARCH_USERNAME/],
    ["opensearch://host?idnex=a", /has the option “idnex”: did you mean “index”\?/],
    ["opensearch://host?index=Trades", /index=Trades: the name of an index is in small letters/],
    ["opensearch://host?index=_a", /begins with none of/],
    ["opensearch://host?tls=yes", /tls=yes: it must be one of true, false/],
    ["opensearch://host?rollover=50gb", /rollover=50gb: write day\(column\).*would be in two/],
    ["opensearch://host?rollover=week(at)", /write day\(column\)/],
    ["opensearch://host?lifecycle=30d", /lifecycle=: .*add rollover=/],
    ["opensearch://host?rollover=day(at)&lifecycle=1h", /write a number of days/],
    ["opensearch://host?concurrency=0", /write a whole number, 1 or more/],
  ])("%s is refused", (uri, message) => {
    expect(() => settings(uri)).toThrow(UsageError);
    expect(() => settings(uri)).toThrow(message);
    expect(() => settings(uri)).not.toThrow(/secret/);
  });
});

describe("who logs in", () => {
  it("is said by the environment or by files", () => {
    writeFileSync(at("password"), "geheim\n");
    const user = { username: "me", password: "geheim" };
    const inFile = { OPENSEARCH_USERNAME: "me", OPENSEARCH_PASSWORD_FILE: at("password"), ELASTICSEARCH_USERNAME: "" };
    expect(accessOf("opensearch", inFile)).toEqual({ user, apiKey: null, certificates: null });
    expect(accessOf("elasticsearch", inFile).user).toBeNull();
    expect(accessOf("elasticsearch", { ELASTICSEARCH_API_KEY: "k" })).toMatchObject({ user: null, apiKey: "k" });
  });

  it.each([
    [
      { OPENSEARCH_USERNAME: "me" },
      "OPENSEARCH_USERNAME is set, but no password: set OPENSEARCH_PASSWORD or OPENSEARCH_PASSWORD_FILE",
    ],
    [{ OPENSEARCH_PASSWORD: "x" }, "OPENSEARCH_PASSWORD is set, but OPENSEARCH_USERNAME is not: set both or none"],
    [{ OPENSEARCH_TLS_CA: "/nowhere" }, "OPENSEARCH_TLS_CA names the file /nowhere, which does not exist"],
  ])("%j is refused", (environment, message) => {
    expect(() => accessOf("opensearch", environment)).toThrow(new UsageError(message));
  });
});
