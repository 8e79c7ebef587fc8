// Reads a table, a view or a query: every row is a JSON text. The plan runs the query, as the table is at that moment;
// BigQuery keeps what came out for a day, and does not change it: ranges are pieces of that, and reading one again gives
// the same rows.
import { RunError, UsageError } from "../../schema/errors";
import { type Range, type SourceRecord } from "../../schema/record";
import { suggestion } from "../address";
import { EVERYTHING, type Address, type Finding, type SourceConnector, type Stretch } from "../connector";
import { stretchText } from "../stretch-text";
import { BigQueryFailure, explain, NOT_FOUND } from "./failures";
import { Jobs, nameOfNoOther, querying, type Bound, type FieldSchema, type Job } from "./jobs";
import { quoteName, quoteTable } from "./names";
import { Rest } from "./rest";
import { millisecondsOf, rowJsonOf } from "./row-json";
import { shownPlace, sourceSettingsOf, type SourceSettings } from "./settings";

const RANGE_ROWS = 100_000;
const PAGE_ROWS = 2_000;
const TIMES = ["TIMESTAMP", "DATE", "DATETIME"];

export const bigquerySource: SourceConnector = {
  plan: planRows,
  withoutTimes: ({ options }) => (options["time"] === undefined ? "name the column that has it: ?time=column" : null),
  read: (range, signal) => readRows(range, signal),
  check: checkSource,
};

interface Origin {
  readonly name: string;
  /** As a part of FROM. */
  readonly sql: string;
  readonly fields: readonly FieldSchema[];
  readonly location: string;
}

async function planRows(address: Address, stretch: Stretch): Promise<Range[]> {
  const settings = sourceSettingsOf(address);
  const rest = new Rest(settings);
  try {
    const origin = await findOrigin(rest, settings);
    const jobs = new Jobs(rest, origin.location);
    const times = settings.time === null ? EVERYTHING : stretch;
    const { sql, bound } = selectOf(settings, origin, times);
    const reading = { ...querying(sql, bound), ...inDataset(settings) };
    const { jobId } = await jobs.once(nameOfNoOther("read"), jobs.begin({ query: reading }));
    const { total } = await jobs.rowsOf(jobId);
    const detail = {
      path: address.path,
      options: JSON.stringify(address.options),
      job: jobId,
      location: origin.location,
      since: times.since,
      until: times.until,
    };
    const ranges: Range[] = [];
    for (let from = 1; from <= Math.max(1, total); from += RANGE_ROWS) {
      const to = Math.min(from + RANGE_ROWS, total + 1);
      ranges.push({ connector: "bigquery", source: `${origin.name}${stretchText(times)}`, from, to, detail });
    }
    return ranges;
  } catch (error) {
    throw explain(error, settings);
  }
}

interface FoundSource {
  readonly schema?: { readonly fields?: readonly FieldSchema[] };
}

/** Tables in a query that are named without their dataset lie in this one. */
const inDataset = ({ project, dataset }: SourceSettings) => ({
  defaultDataset: { projectId: project, datasetId: dataset },
});

/** What is to be read, and that it can be. Costs nothing. */
async function findOrigin(rest: Rest, settings: SourceSettings): Promise<Origin> {
  const { project, dataset, table, query } = settings;
  const shown = shownPlace(settings);
  const lies = await rest.find<{ location?: string }>({ method: "GET", path: `/datasets/${dataset}` });
  if (lies === null) throw new UsageError(`${shown} is not there: check the project and the dataset in the address`);
  const location = settings.location ?? lies.location ?? "US";
  if (query !== null) {
    const trial = await rest.ask<Job>({
      method: "POST",
      path: "/jobs",
      body: {
        jobReference: { projectId: project, location },
        configuration: { dryRun: true, query: { ...querying(query), ...inDataset(settings) } },
      },
    });
    const fields = trial.statistics?.query?.schema?.fields ?? [];
    return checked(settings, { name: `${dataset} query`, sql: `(${query}\n)`, fields, location });
  }
  const path = `/datasets/${dataset}/tables/${encodeURIComponent(table ?? "")}`;
  const found = await rest.find<FoundSource>({ method: "GET", path });
  if (found === null) throw new UsageError(`${shown} has no table ${table}: check table=`);
  const fields = found.schema?.fields ?? [];
  const sql = quoteTable(settings, table ?? "");
  return checked(settings, { name: `${dataset}.${table}`, sql, fields, location });
}

function checked(settings: SourceSettings, origin: Origin): Origin {
  const names = origin.fields.map(({ name }) => name);
  const missing = (option: string, asked: readonly string[]) => {
    const absent = asked.find((name) => !names.includes(name));
    if (absent !== undefined)
      throw new UsageError(`${option}=${absent}: ${origin.name} has no such column; ${suggestion(absent, names)}`);
  };
  const { columns, time, order } = settings;
  missing("columns", columns ?? []);
  missing("order", order);
  if (time !== null) {
    missing("time", [time]);
    const type = origin.fields.find(({ name }) => name === time)?.type ?? "";
    if (!TIMES.includes(type))
      throw new UsageError(`time=${time}: that column of ${origin.name} is ${type}, and not a time`);
  }
  return origin;
}

function selectOf({ columns, time, order }: SourceSettings, origin: Origin, { since, until }: Stretch) {
  const names = columns ?? origin.fields.map(({ name }) => name);
  const shown = [...new Set(time === null ? names : [...names, time])];
  const bound: Bound[] = [];
  const conditions: string[] = [];
  const limit = (name: string, sign: string, value: number | null) => {
    if (time === null || value === null) return;
    bound.push({ name, type: "INT64", value });
    const type = origin.fields.find((field) => field.name === time)?.type;
    const column = `q.${quoteName(time)}`;
    conditions.push(`${type === "TIMESTAMP" ? column : `TIMESTAMP(${column})`} ${sign} TIMESTAMP_MILLIS(@${name})`);
  };
  limit("since", ">=", since);
  limit("until", "<", until);
  const sql =
    `SELECT ${shown.map((name) => `q.${quoteName(name)}`).join(", ")} FROM ${origin.sql} AS q` +
    (conditions.length === 0 ? "" : ` WHERE ${conditions.join(" AND ")}`) +
    (order.length === 0 ? "" : ` ORDER BY ${order.map((name) => `q.${quoteName(name)}`).join(", ")}`);
  return { sql, bound };
}

async function* readRows(range: Range, signal?: AbortSignal): AsyncGenerator<SourceRecord[]> {
  const { path, options, job, location } = range.detail;
  const address: Address = {
    scheme: "bigquery",
    path: String(path),
    options: JSON.parse(String(options)) as Record<string, string>,
  };
  const settings = sourceSettingsOf(address);
  const jobs = new Jobs(new Rest(settings), String(location));
  const jobId = String(job);
  try {
    const { fields, total } = await jobs.rowsOf(jobId, signal);
    const { columns, time } = settings;
    // A column that only chooses rows is no part of them.
    const isShown = ({ name }: FieldSchema) => columns === null || columns.includes(name);
    const shown = fields.flatMap((field, at) => (isShown(field) ? [{ field, at }] : []));
    const write = rowJsonOf(shown.map(({ field }) => field));
    const timeAt = fields.findIndex(({ name }) => name === time);
    const end = Math.min(range.to ?? total + 1, total + 1);
    for (let position = range.from; position < end;) {
      const rows = await jobs.some({ jobId }, position - 1, Math.min(PAGE_ROWS, end - position), signal);
      signal?.throwIfAborted();
      if (rows.length === 0) break;
      const first = position;
      position += rows.length;
      yield rows.map(({ f }, at) => ({
        value: write({ f: shown.map(({ at: from }) => f[from] ?? { v: null }) }),
        source: range.source,
        position: first + at,
        key: null,
        timestamp: timeAt < 0 ? null : millisecondsOf(fields[timeAt]?.type ?? "", f[timeAt]?.v ?? null),
        headers: null,
        fields: null,
      }));
    }
  } catch (error) {
    signal?.throwIfAborted();
    if (error instanceof BigQueryFailure && error.status === NOT_FOUND)
      throw new RunError(
        `${shownPlace(settings)} no longer has the rows that were planned (job ${jobId}): it keeps them for a day. Run anew`,
      );
    throw explain(error, settings);
  }
}

async function checkSource(address: Address): Promise<readonly Finding[]> {
  try {
    const settings = sourceSettingsOf(address);
    try {
      const { name, fields } = await findOrigin(new Rest(settings), settings);
      return [{ state: "fine", text: `${shownPlace(settings)} answers, and ${name} has ${fields.length} columns` }];
    } catch (error) {
      throw explain(error, settings);
    }
  } catch (error) {
    return [{ state: "wrong", text: (error as Error).message }];
  }
}
