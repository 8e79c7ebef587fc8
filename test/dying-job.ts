// trades-aggregate as a job that ends itself by SIGKILL where it is told to, for the tests of what a crash may not do.
// And the same job built wrong on purpose, to show that those tests would notice.
import { readParameters } from "../cli/parameters";
import { quietSdkLogs } from "../beam";
import { parseAddress } from "../io/address";
import { openDatabase } from "../io/sqlite/database";
import { tradesAggregate } from "../pipelines/trades/trades-aggregate";
import { inboxFile } from "../runners/direct/inbox";
import { JobState, type BatchCommit } from "../runners/direct/job-state";
import { replayLetters, runContinuous, type JobRequest, type Point } from "../runners/direct/run-continuous";
import { RunOptions } from "../runners/run-options";
import { messageOf } from "../schema/errors";

export interface DyingJob {
  readonly from: string;
  readonly to: string;
  readonly flags: Readonly<Record<string, string>>;
  /** Ends at the so-many-th time that this point is reached. */
  readonly die: { readonly point: Point; readonly nth: number } | null;
  readonly wrong: "positions before targets" | "accumulators apart" | "inbox emptied before the commit" | null;
  /** Tries all dead letters again, instead of reading. */
  readonly replays: boolean;
}

/** Accumulators in a transaction of their own, behind the positions: a crash between the two loses what was counted. */
class AccumulatorsApart extends JobState {
  override commit(commit: BatchCommit): void {
    this.together(() => this.putPositions(commit));
    if (Math.random() < 0.3) process.kill(process.pid, "SIGKILL");
    this.together(() => this.putAccumulators(commit));
  }
}

async function main({ from, to, flags, die, wrong, replays }: DyingJob): Promise<void> {
  quietSdkLogs();
  let reached = 0;
  const said = new Map(Object.entries({ streaming: "true", ...flags }).map(([flag, value]) => [flag, [value]]));
  const request: JobRequest = {
    pipeline: tradesAggregate,
    params: tradesAggregate.params.parse({}),
    options: readParameters(RunOptions, said, {}),
    inputs: { trades: parseAddress(from) },
    outputs: { candles: parseAddress(to), dead_letters: parseAddress(to) },
    onPoint: (point) => {
      if (die === null || point !== die.point) return;
      reached += 1;
      if (reached === die.nth) process.kill(process.pid, "SIGKILL");
    },
    ...(wrong === "accumulators apart"
      ? { openState: (directory, job) => AccumulatorsApart.open(directory, job) }
      : {}),
    ...(wrong === "inbox emptied before the commit"
      ? {
          commitInOrder: async (targets, state) => {
            const inbox = openDatabase(inboxFile(request.options["state-dir"], tradesAggregate.name, "trades"));
            inbox.exec("PRAGMA busy_timeout = 5000; DELETE FROM record");
            inbox.close();
            if (Math.random() < 0.3) process.kill(process.pid, "SIGKILL");
            await targets();
            state();
          },
        }
      : {}),
    ...(wrong === "positions before targets"
      ? {
          commitInOrder: async (targets, state) => {
            state();
            if (Math.random() < 0.3) process.kill(process.pid, "SIGKILL");
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
