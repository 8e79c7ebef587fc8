// What can be set about a bigquery: address: by its options and by the environment.
import { UsageError } from "../../schema/errors";
import { type EnvironmentSetting } from "../about";
import { GivenOptions, type AddressOption } from "../address-options";
import { type Address, type Gathering } from "../connector";
import { gatheringOf, gatheringOptions } from "../gathering";
import { type Place } from "./names";

const option = <Name extends string>(name: Name, usual: string | null, description: string) => ({
  name,
  usual,
  description,
});

const common = [
  option("location", null, "where the dataset lies or is made, such as EU or europe-west3; else it is asked for"),
  option("give-up", "30s", "how long a service that is down, or says that it is asked too often, is tried again"),
  option("timeout", "1h", "how long one job of BigQuery's may take"),
] as const;

/** The options of an address that is written. */
export const writeOptions = [
  option(
    "via",
    null,
    "load: batches become files that load jobs take; write: they go through the Storage Write API; " +
      "else load, and write in a job that goes on, since load jobs are limited per day",
  ),
  option("staging", null, "where files for load jobs are put, such as gs://bucket/prefix; else they are uploaded"),
  option(
    "partition",
    null,
    "the timestamp or date by whose days a table that is made is partitioned, or none; else the first of its key",
  ),
  option(
    "cluster",
    null,
    "the columns by which a table that is made is clustered, with commas between, or none; else the rest of its key",
  ),
  option("create", "false", "true makes the dataset when it is missing"),
  ...gatheringOptions("1m"),
  ...common,
] as const;

/** The options of an address that is read. */
export const readOptions = [
  option("table", null, "the table or view to read"),
  option("query", null, "the SELECT whose rows to read, instead of a table"),
  option("columns", null, "the columns to read, with commas between; else all"),
  option("time", null, "a column of times, by which --since and --until choose rows"),
  option(
    "order",
    null,
    "columns, with commas between, that put rows in an order: a row has the same position in every run then",
  ),
  ...common,
] as const;

const variable = (name: string, usual: string | null, description: string): EnvironmentSetting => ({
  name,
  ...(usual === null ? {} : { usual }),
  description,
  secret: false,
});

export const bigquerySettings: readonly EnvironmentSetting[] = [
  variable(
    "GOOGLE_APPLICATION_CREDENTIALS",
    "who is logged in with gcloud, or the machine's own account",
    "a file with the key of a service account",
  ),
  variable("BIGQUERY_EMULATOR_HOST", null, "an emulator instead of Google, host:port of its REST interface"),
  variable("BIGQUERY_STORAGE_EMULATOR_HOST", null, "host:port of its gRPC interface, for via=write"),
  variable("STORAGE_EMULATOR_HOST", null, "an emulator of Cloud Storage, for staging=gs://…"),
];

export type Environment = Readonly<Record<string, string | undefined>>;

/** Where an address leads and how it is reached. Times in milliseconds. No secret is in it. */
export interface BigQuerySettings extends Place {
  readonly location: string | null;
  readonly giveUp: number;
  readonly timeout: number;
  /** The REST interface of an emulator, such as http://127.0.0.1:9050. */
  readonly emulator: string | null;
  /** The gRPC interface of an emulator. */
  readonly storageEmulator: { readonly host: string; readonly port: number } | null;
}

export type Via = "load" | "write";

export interface SinkSettings extends BigQuerySettings {
  /** Null: as it is usual for the batch. */
  readonly via: Via | null;
  /** The REST interface of an emulator of Cloud Storage. */
  readonly bucketEmulator: string | null;
  readonly staging: { readonly bucket: string; readonly prefix: string } | null;
  /** Null: as it is usual for the table; an empty text or list: by none. */
  readonly partition: string | null;
  readonly cluster: readonly string[] | null;
  readonly create: boolean;
  readonly gathering: Gathering;
}

export interface SourceSettings extends BigQuerySettings {
  readonly table: string | null;
  readonly query: string | null;
  readonly columns: readonly string[] | null;
  readonly time: string | null;
  readonly order: readonly string[];
}

const EXAMPLE = "bigquery://project/dataset";

/** Which dataset it is. */
export function placeOf({ path }: Pick<Address, "path">): Place {
  const [, project = "", dataset = ""] = /^\/\/([^/]*)\/([^/]*)$/.exec(path) ?? [];
  if (project === "" || dataset === "") throw new UsageError(`An address of BigQuery has the form ${EXAMPLE}`);
  if (!/^(?:[a-z0-9.-]+:)?[a-z0-9][a-z0-9-]*$/.test(project))
    throw new UsageError(`“${project}” is not the id of a Google Cloud project: it has small letters, digits and “-”`);
  if (!/^\w{1,1024}$/.test(dataset))
    throw new UsageError(`“${dataset}” is not the name of a dataset: it has letters, digits and “_”`);
  return { project, dataset };
}

/** One text for a dataset, as a person would write it. */
export const shownPlace = ({ project, dataset }: Place): string => `bigquery://${project}/${dataset}`;

const given = <Name extends string>(address: Address, list: readonly (AddressOption & { readonly name: Name })[]) =>
  new GivenOptions(shownPlace(placeOf(address)), address.options, list);

const listOf = (text: string | null): readonly string[] | null =>
  text === null
    ? null
    : text
        .split(",")
        .map((name) => name.trim())
        .filter((name) => name !== "");

/** What every address was given. */
interface GivenCommon {
  text(name: "location"): string | null;
  duration(name: "give-up" | "timeout"): number | null;
}

function commonOf(address: Address, options: GivenCommon, environment: Environment): BigQuerySettings {
  return {
    ...placeOf(address),
    location: options.text("location"),
    giveUp: options.duration("give-up") ?? 0,
    timeout: options.duration("timeout") ?? 0,
    emulator: emulatorOf(environment["BIGQUERY_EMULATOR_HOST"]),
    storageEmulator: storageEmulatorOf(environment["BIGQUERY_STORAGE_EMULATOR_HOST"]),
  };
}

export function sinkSettingsOf(address: Address, environment: Environment = process.env): SinkSettings {
  const options = given(address, writeOptions);
  const staging = options.text("staging");
  const [, bucket = "", prefix = ""] = /^gs:\/\/([^/]+)\/?(.*)$/.exec(staging ?? "") ?? [];
  if (staging !== null && bucket === "") throw options.refused("staging", staging, "write it like gs://bucket/prefix");
  const via = options.choice("via", ["load", "write"]);
  if (via === "write" && staging !== null)
    throw options.refused("staging", staging, "via=write sends rows without files, so leave one of the two out");
  const cluster = options.text("cluster");
  const partition = options.text("partition");
  return {
    ...commonOf(address, options, environment),
    bucketEmulator: emulatorOf(environment["STORAGE_EMULATOR_HOST"]),
    via,
    staging: staging === null ? null : { bucket, prefix: prefix.replace(/\/+$/, "") },
    partition: partition === "none" ? "" : partition,
    cluster: cluster === "none" ? [] : listOf(cluster),
    create: options.choice("create", ["true", "false"]) === "true",
    gathering: gatheringOf(options),
  };
}

export function sourceSettingsOf(address: Address, environment: Environment = process.env): SourceSettings {
  const options = given(address, readOptions);
  const [table, query] = [options.text("table") || null, options.text("query") || null];
  const shown = shownPlace(placeOf(address));
  if (table === null && query === null)
    throw new UsageError(`Say what of ${shown} to read: ?table=name, or ?query=SELECT …`);
  if (table !== null && query !== null)
    throw new UsageError(`${shown} has both table= and query=: leave one of the two out`);
  const columns = listOf(options.text("columns"));
  return {
    ...commonOf(address, options, environment),
    table,
    query,
    columns: columns?.length === 0 ? null : columns,
    time: options.text("time") || null,
    order: listOf(options.text("order")) ?? [],
  };
}

function emulatorOf(host: string | undefined): string | null {
  if (host === undefined || host === "") return null;
  return (/^https?:\/\//.test(host) ? host : `http://${host}`).replace(/\/+$/, "");
}

function storageEmulatorOf(host: string | undefined): { host: string; port: number } | null {
  if (host === undefined || host === "") return null;
  const [, name = "", port = ""] = /^(?:[a-z]+:\/\/)?([^/]+):(\d+)\/?$/.exec(host) ?? [];
  if (name === "") throw new UsageError(`BIGQUERY_STORAGE_EMULATOR_HOST is “${host}”: write host:port`);
  return { host: name, port: Number(port) };
}
