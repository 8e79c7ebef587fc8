// Dead letters of a job, tried again: by the process that runs the job, which is asked by way of the job's state, or here
// when no process runs it.
import { setTimeout as pause } from "node:timers/promises";
import { type Address } from "../../io/connector";
import { openDatabase, type Database } from "../../io/sqlite/database";
import { UsageError } from "../../schema/errors";
import { hasState, isRunning, JobIsRunningError, positionsIn, stateFile } from "./job-state";
import { sortLetters, type LetterChoice, type LetterPlace, type SortedLetters } from "./letters";
import { replayLetters, type JobRequest, type Replayed, type ReplayAnswer } from "./run-continuous";

/** What a job was last run with. */
export interface JobSettings {
  readonly pipeline: string;
  readonly inputs: Readonly<Record<string, Address>>;
  readonly outputs: Readonly<Record<string, Address>>;
  readonly params: Readonly<Record<string, unknown>>;
}

export function jobSettings(directory: string, job: string): JobSettings {
  return withState(directory, job, (database) => {
    const rows = database.prepare("SELECT name, value FROM meta").all([]);
    const meta = new Map(rows.map(({ name, value }) => [String(name), String(value)]));
    const parsed = (name: string) => JSON.parse(meta.get(name) ?? "{}") as never;
    return {
      pipeline: meta.get("pipeline") ?? "",
      inputs: parsed("inputs"),
      outputs: parsed("outputs"),
      params: parsed("params"),
    };
  });
}

/** What a replay would try again; nothing is changed. */
export function lookForLetters(directory: string, place: LetterPlace, choice: LetterChoice): Promise<SortedLetters> {
  const positions = withState(directory, place.job, positionsIn);
  return sortLetters({ positions: () => positions }, place, choice);
}

export async function replay(request: JobRequest, choice: LetterChoice): Promise<Replayed & { by: "job" | "replay" }> {
  const job = request.options.job ?? request.pipeline.name;
  for (;;) {
    try {
      return { ...(await replayLetters(request, choice)), by: "replay" };
    } catch (error) {
      if (!(error instanceof JobIsRunningError)) throw error;
    }
    const answer = await askRunningJob(request, job, choice);
    if (answer === null) continue;
    if ("error" in answer) throw new UsageError(answer.error);
    return { ...answer.replayed, by: "job" };
  }
}

const LOOK_EVERY = 200;

/** The answer of the process that runs the job; null when it ended without one. */
async function askRunningJob(
  { options, signal }: JobRequest,
  job: string,
  choice: LetterChoice,
): Promise<ReplayAnswer | null> {
  const directory = options["state-dir"];
  const database = openState(directory, job);
  try {
    const [row] = database
      .prepare("INSERT INTO request (request) VALUES (?) RETURNING id")
      .all([JSON.stringify(choice)]);
    const id = Number(row?.["id"]);
    const answerOf = database.prepare("SELECT answer FROM request WHERE id = ?");
    try {
      for (;;) {
        const answer = answerOf.all([id])[0]?.["answer"];
        if (typeof answer === "string") return JSON.parse(answer) as ReplayAnswer;
        if (!isRunning(directory, job)) return null;
        await pause(LOOK_EVERY, undefined, { signal });
      }
    } finally {
      database.prepare("DELETE FROM request WHERE id = ?").run([id]);
    }
  } finally {
    database.close();
  }
}

function withState<T>(directory: string, job: string, body: (database: Database) => T): T {
  const database = openState(directory, job);
  try {
    return body(database);
  } finally {
    database.close();
  }
}

function openState(directory: string, job: string): Database {
  if (!hasState(directory, job))
    throw new UsageError(
      `There is no job ${job} in ${directory}: only a job that goes on (--streaming) can replay; a run without --streaming is run again as a whole, which replaces its letters`,
    );
  const database = openDatabase(stateFile(directory, job));
  database.exec("PRAGMA busy_timeout = 5000");
  return database;
}
