// What may stand behind the question mark of an elasticsearch: or opensearch: address, and what it means.
import { UsageError } from "../../schema/errors";
import { GivenOptions, type AddressOption } from "../address-options";
import { type Address } from "../connector";
import { accessOf, type Access, type Environment, type SearchKind } from "./access";

export const writeOptions = [
  { name: "index", usual: null, description: "the index, where one output goes there; else the table's name" },
  { name: "tls", usual: "false", description: "true for https" },
  {
    name: "full-text",
    usual: null,
    description: "text columns, with commas between, that can also be searched by their words, as <column>.text",
  },
  {
    name: "rollover",
    usual: null,
    description:
      "day(column), month(column) or year(column): an index for each of them, and an alias over all; the column is of the key",
  },
  {
    name: "lifecycle",
    usual: null,
    description: "how long such an index is kept, in days: 30d; the server's index management must be there",
  },
  { name: "shards", usual: null, description: "how many shards an index that is made gets; else as the server says" },
  { name: "replicas", usual: null, description: "how many copies of each; else as the server says" },
  { name: "refresh", usual: "true", description: "whether the rows can be found as soon as their batch is done" },
  { name: "bulk-bytes", usual: "5000000", description: "how many bytes of rows go with one request" },
  { name: "concurrency", usual: "2", description: "how many such requests are under way at once" },
  { name: "timeout", usual: "30s", description: "how long the server may be silent" },
  { name: "give-up", usual: "1m", description: "how long what failed and may pass is tried again" },
] as const satisfies readonly AddressOption[];

const PERIODS = ["day", "month", "year"] as const;
export type Period = (typeof PERIODS)[number];

/** An index for each day, month or year of a column. */
export interface Rollover {
  readonly period: Period;
  readonly column: string;
}

/** An address with everything that was left out of it. Times in milliseconds. */
export interface SearchSettings {
  readonly kind: SearchKind;
  /** `http://host:9200`, one or more. */
  readonly nodes: readonly string[];
  /** The address without its options, as a person would write it. */
  readonly shown: string;
  readonly access: Access;
  readonly index: string | null;
  readonly fullText: readonly string[];
  readonly rollover: Rollover | null;
  readonly lifecycleDays: number | null;
  readonly shards: number | null;
  readonly replicas: number | null;
  readonly refresh: boolean;
  readonly bulkBytes: number;
  readonly concurrency: number;
  readonly timeout: number;
  readonly giveUp: number;
}

/** The settings of an address; a UsageError for what is wrong with it. */
export function settingsOf(address: Address, environment: Environment = process.env): SearchSettings {
  const kind: SearchKind = address.scheme === "opensearch" ? "opensearch" : "elasticsearch";
  const hosts = hostsOf(address);
  const shown = `${kind}://${hosts.join(",")}`;
  const given = new GivenOptions(shown, address.options, writeOptions);
  const yes = (name: "tls" | "refresh") => given.choice(name, ["true", "false"]) === "true";
  const rollover = rolloverOf(given);
  const lifecycleDays = lifecycleOf(given);
  if (lifecycleDays !== null && rollover === null)
    throw new UsageError(
      `${shown} has the option lifecycle=: what is old can only be taken out where it has an index of its own; add rollover=, such as rollover=day(window_start)`,
    );
  const index = given.text("index");
  if (index !== null) checkIndexName(index, `${shown} has the option index=${index}`);
  return {
    kind,
    nodes: hosts.map((host) => `${yes("tls") ? "https" : "http"}://${host}`),
    shown,
    access: accessOf(kind, environment),
    index,
    fullText: given.text("full-text")?.split(",") ?? [],
    rollover,
    lifecycleDays,
    shards: given.whole("shards", 1),
    replicas: given.whole("replicas", 0),
    refresh: yes("refresh"),
    bulkBytes: given.whole("bulk-bytes", 1) ?? 0,
    concurrency: given.whole("concurrency", 1) ?? 1,
    timeout: given.duration("timeout") ?? 0,
    giveUp: given.duration("give-up") ?? 0,
  };
}

/** The servers of an address, `host:port`, in order and without doubles. */
export function hostsOf({ scheme, path }: Address): readonly string[] {
  const example = `${scheme}://localhost:9200`;
  if (path.includes("@"))
    throw new UsageError(
      `An address must not have a user or a password in it, since addresses are shown and recorded: set ${scheme.toUpperCase()}_USERNAME and ${scheme.toUpperCase()}_PASSWORD`,
    );
  const form = /^\/\/([^/]+)\/?$/.exec(path);
  if (form === null) throw new UsageError(`“${scheme}:${path}” names no server: write it like ${example}`);
  const hosts = (form[1] ?? "").split(",").map((text) => {
    const match = /^(\[[0-9a-f:.]+\]|[\w.-]+)(?::(\d{1,5}))?$/i.exec(text.trim());
    const port = Number(match?.[2] ?? 9200);
    if (match === null || port < 1 || port > 65_535)
      throw new UsageError(`“${text}” of “${scheme}:${path}” is no server: write it like ${example}`);
    return `${match[1]?.toLowerCase()}:${port}`;
  });
  return [...new Set(hosts)].sort();
}

type Given = GivenOptions<(typeof writeOptions)[number]["name"]>;

function rolloverOf(given: Given): Rollover | null {
  const text = given.text("rollover");
  if (text === null) return null;
  const match = /^(\w+)\((.+)\)$/.exec(text);
  const period = PERIODS.find((one) => one === match?.[1]);
  if (period === undefined || match?.[2] === undefined)
    throw given.refused(
      "rollover",
      text,
      "write day(column), month(column) or year(column). By size or age of an index it does not go: a row that is written again would be in two",
    );
  return { period, column: match[2] };
}

function lifecycleOf(given: Given): number | null {
  const text = given.text("lifecycle");
  if (text === null) return null;
  const days = /^([1-9]\d{0,5})d$/.exec(text)?.[1];
  if (days === undefined) throw given.refused("lifecycle", text, "write a number of days, such as 30d");
  return Number(days);
}

/** Refuses what no index can be called. */
export function checkIndexName(name: string, what: string): void {
  if (
    name === "" ||
    name !== name.toLowerCase() ||
    /[\\/*?"<>|\s,#:]|^[-_+.]/.test(name) ||
    Buffer.byteLength(name) > 200
  )
    throw new UsageError(
      `${what}: the name of an index is in small letters, up to 200 bytes, begins with none of - _ + . and has none of \\ / * ? " < > | , # : or spaces in it`,
    );
}
