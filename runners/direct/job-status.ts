// How jobs stand, told from their state files alone and from their sources; a job that is running is not disturbed.
import { existsSync, readdirSync } from "node:fs";
import { type Address } from "../../io/connector";
import { openDatabase, type Database } from "../../io/sqlite/database";
import { formatDuration } from "../../schema/duration";
import { messageOf, UsageError } from "../../schema/errors";
import { rowsWaiting } from "./fallback";
import { isInboxFile } from "./inbox";
import { lookAtSources, nextOf, partId } from "./job-sources";
import { checkJobName, isRunning, positionsIn, stateFile, type Position } from "./job-state";

export interface JobStatus {
  readonly job: string;
  readonly pipeline: string | null;
  readonly state: "running" | "stopped" | "ended";
  readonly lastBatch: number;
  /** When the last batch was planned, in milliseconds. */
  readonly lastBatchTime: number | null;
  /** Null also behind --flush, which closes windows of all times. */
  readonly watermark: number | null;
  readonly openWindows: number;
  /** The end of the newest window that has begun, or when records were read last where there are no windows. */
  readonly newest: number | null;
  /** Records a second in the last batches. */
  readonly recordsPerSecond: number | null;
  readonly read: number;
  readonly deadLetters: number;
  /** Rows that an output refused. */
  readonly rejected: number;
  /** Rows that wait on this machine, since their place did not answer, by output. */
  readonly waiting: Readonly<Record<string, number>>;
  readonly lost: number;
  readonly lag: readonly { readonly input: string; readonly source: string; readonly records: number }[];
  /** Why the lag is not known. */
  readonly lagError: string | null;
  readonly lastError: string | null;
}

/** The jobs that have a state in this directory. */
export function jobsIn(directory: string): string[] {
  if (!existsSync(directory)) return [];
  return readdirSync(directory)
    .filter((file) => file.endsWith(".db") && !isInboxFile(file))
    .map((file) => file.slice(0, -".db".length))
    .filter((job) => isBegun(stateFile(directory, job)))
    .sort();
}

/** Whether there is more than the file: a process that begins a job makes it a moment before there is anything in it. */
function isBegun(file: string): boolean {
  if (!existsSync(file)) return false;
  const database = openDatabase(file);
  try {
    return database.prepare("SELECT 1 FROM sqlite_master WHERE name = 'meta'").all([]).length > 0;
  } finally {
    database.close();
  }
}

export async function jobStatus(directory: string, job: string): Promise<JobStatus> {
  checkJobName(job);
  const file = stateFile(directory, job);
  if (!isBegun(file)) {
    const known = jobsIn(directory);
    throw new UsageError(
      `There is no job ${job} in ${directory}${known.length === 0 ? "" : `; there is ${known.join(", ")}`}`,
    );
  }
  const database = openDatabase(file);
  try {
    database.exec("PRAGMA busy_timeout = 5000; PRAGMA query_only = 1");
    const meta = metaOf(database);
    const one = (sql: string) => database.prepare(sql).all([])[0] ?? {};
    const { batch, time } = one("SELECT max(batch) AS batch, max(batch_time) AS time FROM plan WHERE committed = 1");
    const { records, seconds } = one(
      "SELECT sum(records) AS records, sum(seconds) AS seconds FROM (SELECT * FROM plan WHERE committed = 1 ORDER BY batch DESC LIMIT 10)",
    );
    const totals = JSON.parse(meta.get("totals") ?? "{}") as Record<string, number>;
    const positions = positionsIn(database);
    const watermark = meta.get("watermark");
    return {
      job,
      pipeline: meta.get("pipeline") ?? null,
      state: meta.has("ended") ? "ended" : isRunning(directory, job) ? "running" : "stopped",
      lastBatch: Number(batch ?? 0),
      lastBatchTime: time == null ? null : Number(time),
      watermark: watermark === undefined || meta.has("ended") ? null : Number(watermark),
      openWindows: Number(one("SELECT count(*) AS n FROM accumulator WHERE closed = 0")["n"] ?? 0),
      newest: newestOf(database, meta.get("aggregates")),
      recordsPerSecond: seconds == null || Number(seconds) === 0 ? null : Math.round(Number(records) / Number(seconds)),
      read: totals["read"] ?? 0,
      deadLetters: totals["dead"] ?? 0,
      rejected: totals["rejected"] ?? 0,
      waiting: rowsWaiting(directory, job),
      lost: totals["lost"] ?? 0,
      ...(await lagOf(meta.get("inputs"), job, directory, positions)),
      lastError: meta.get("last error") ?? null,
    };
  } finally {
    database.close();
  }
}

/** What is wrong with a job whose newest window must not be older than so many milliseconds; null when all is well. */
export function troubleOf({ job, state, newest, lastError }: JobStatus, maxAge: number, now: number): string | null {
  if (state !== "running") return `The job ${job} does not run${lastError === null ? "" : `: ${lastError}`}`;
  if (newest === null) return `The job ${job} has no window yet`;
  if (now - newest <= maxAge) return null;
  return `The newest window of ${job} ended ${formatDuration(Math.round((now - newest) / 1000) * 1000)} ago, at ${new Date(newest).toISOString()}`;
}

/** Windows that have not begun do not count: a record may be of the future. */
function newestOf(database: Database, aggregates: string | undefined): number | null {
  const newest = database.prepare(
    "SELECT window_end AS at FROM accumulator WHERE aggregate = ? AND window_start <= ? ORDER BY window_end DESC LIMIT 1",
  );
  const names = (JSON.parse(aggregates ?? "[]") as { name: string }[]).map(({ name }) => name);
  const lastRead = "SELECT max(batch_time) AS at FROM plan WHERE committed = 1 AND records > 0";
  const found =
    names.length === 0 ? database.prepare(lastRead).all([]) : names.flatMap((name) => newest.all([name, Date.now()]));
  const times = found.flatMap(({ at }) => (at == null ? [] : [Number(at)]));
  return times.length === 0 ? null : Math.max(...times);
}

function metaOf(database: Database): Map<string, string> {
  const rows = database.prepare("SELECT name, value FROM meta").all([]);
  return new Map(rows.map(({ name, value }) => [String(name), String(value)]));
}

async function lagOf(
  inputs: string | undefined,
  job: string,
  directory: string,
  positions: readonly Position[],
): Promise<Pick<JobStatus, "lag" | "lagError">> {
  if (inputs === undefined) return { lag: [], lagError: "the job has not begun" };
  try {
    const next = nextOf(positions);
    const parts = await lookAtSources(JSON.parse(inputs) as Record<string, Address>, job, directory);
    const lag = parts.map((part) => ({
      input: part.input,
      source: part.source,
      records: Math.max(0, part.end - (next.get(partId(part)) ?? part.first)),
    }));
    return { lag, lagError: null };
  } catch (error) {
    return { lag: [], lagError: messageOf(error) };
  }
}
