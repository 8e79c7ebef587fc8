// A job that ends itself by SIGKILL where it is told to, for the tests of what a crash may not do. And the same job built
// wrong on purpose, to show that those tests would notice.
import { appendFileSync } from "node:fs";
import { readParameters } from "../cli/parameters";
import { quietSdkLogs } from "../beam";
import { parseAddress } from "../io/address";
import { type Address } from "../io/connector";
import { sourceOf } from "../io/registry";
import { openDatabase } from "../io/sqlite/database";
import { catalog } from "../pipelines/catalog";
import { outputAddresses } from "../runners/addresses";
import { Inbox, inboxFile } from "../runners/direct/inbox";
import { JobState, type BatchCommit } from "../runners/direct/job-state";
import { replayLetters, runContinuous, type JobRequest, type Point } from "../runners/direct/run-continuous";
import { RunOptions } from "../runners/run-options";
import { messageOf } from "../schema/errors";

/** Where what flows can be interrupted: before the inbox has it, and behind that. */
export type FlowPoint = "came" | "taken in";

/** A line of the journal: some records of a source that flows, before and behind their way into the inbox. */
export interface JournalLine {
  readonly point: FlowPoint;
  readonly values: readonly string[];
}

export interface DyingJob {
  /** Its name. */
  readonly pipeline: string;
  readonly from: string;
  /** As behind --to. */
  readonly to: string | readonly string[];
  readonly flags: Readonly<Record<string, string>>;
  /** Ends at the so-many-th time that this point is reached. */
  readonly die: { readonly point: Point | FlowPoint; readonly nth: number } | null;
  readonly wrong:
    | "positions before targets"
    | "accumulators apart"
    | "inbox emptied before the commit"
    | "inbox answers before it has the records"
    | null;
  /** Tries all dead letters again, instead of reading. */
  readonly replays: boolean;
  /** A file that gets what a source that flows has given. */
  readonly journal: string | null;
}

/** Accumulators in a transaction of their own, behind the positions: a crash between the two loses what was counted. */
class AccumulatorsApart extends JobState {
  override commit(commit: BatchCommit): void {
    this.together(() => this.putPositions(commit));
    process.kill(process.pid, "SIGKILL");
    this.together(() => this.putAccumulators(commit));
  }
}

/** What has come is written into the journal, and so is that it was taken in. */
function watchFlow(address: Address, journal: string, onPoint: (point: FlowPoint) => void): void {
  const source = sourceOf(address);
  const flow = source.flow?.bind(source);
  if (flow === undefined) throw new Error(`${address.scheme}: does not flow`);
  source.flow = async function* (...asked) {
    for await (const records of flow(...asked)) {
      // Nothing could be lost of an answer in which nothing is.
      if (records.length === 0) {
        yield records;
        continue;
      }
      const values = records.map(({ value }) => String(value));
      const reach = (point: FlowPoint): void => {
        const line: JournalLine = { point, values };
        appendFileSync(journal, `${JSON.stringify(line)}\n`);
        onPoint(point);
      };
      reach("came");
      yield records;
      // Whoever takes in asks for more when it is done.
      reach("taken in");
    }
  };
}

/** The note about records is kept, and the source goes on: the records themselves follow a moment later. */
function answerTooEarly(): void {
  const append = Reflect.get(Inbox.prototype, "append");
  Inbox.prototype.append = async function (records, signal, note) {
    await append.call(this, [], signal, note);
    setTimeout(() => void append.call(this, records, signal, null), 50);
  };
}

async function main({ pipeline: name, from, to, flags, die, wrong, replays, journal }: DyingJob): Promise<void> {
  quietSdkLogs();
  const pipeline = catalog.find((one) => one.name === name);
  if (pipeline === undefined) throw new Error(`There is no pipeline ${name}`);
  const [input = ""] = Object.keys(pipeline.inputs);
  const params = pipeline.params.parse({});
  const source = parseAddress(from);
  let reached = 0;
  const onPoint = (point: Point | FlowPoint): void => {
    if (die === null || point !== die.point) return;
    reached += 1;
    if (reached === die.nth) process.kill(process.pid, "SIGKILL");
  };
  if (journal !== null) watchFlow(source, journal, onPoint);
  if (wrong === "inbox answers before it has the records") answerTooEarly();
  const said = new Map(Object.entries({ streaming: "true", ...flags }).map(([flag, value]) => [flag, [value]]));
  const request: JobRequest = {
    pipeline,
    params,
    options: readParameters(RunOptions, said, {}),
    inputs: { [input]: source },
    outputs: outputAddresses(pipeline, [to].flat(), params),
    onPoint,
    ...(wrong === "accumulators apart"
      ? { openState: (directory, job) => AccumulatorsApart.open(directory, job) }
      : {}),
    ...(wrong === "inbox emptied before the commit"
      ? {
          commitInOrder: async (targets, state) => {
            const inbox = openDatabase(inboxFile(request.options["state-dir"], name, input));
            inbox.exec("PRAGMA busy_timeout = 5000; DELETE FROM record");
            inbox.close();
            process.kill(process.pid, "SIGKILL");
            await targets();
            state();
          },
        }
      : {}),
    ...(wrong === "positions before targets"
      ? {
          commitInOrder: async (targets, state) => {
            state();
            process.kill(process.pid, "SIGKILL");
            await targets();
          },
        }
      : {}),
  };
  if (replays) await replayLetters(request, { reasons: [], since: null });
  else await runContinuous(request);
}

main(JSON.parse(process.argv[2] ?? "{}") as DyingJob).then(
  () => process.exit(0),
  (error: unknown) => {
    process.stderr.write(`${messageOf(error)}\n`);
    process.exit(1);
  },
);
