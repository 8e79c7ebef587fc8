// Takes the plan of one piece of work again and again, in competition with others that do the same, and says how often it
// had it at the same time as somebody else.
import { closeSync, openSync, rmSync } from "node:fs";
import path from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { JobIsRunningError } from "../runners/direct/job-state";
import { KeptPlan } from "../runners/direct/kept-plan";

async function main(directory: string, rounds: number): Promise<void> {
  const marker = path.join(directory, "held");
  let [held, together] = [0, 0];
  for (let round = 0; round < rounds; round += 1) {
    try {
      const work = { job: "j", pipeline: "p", inputs: {}, outputs: {}, stretch: { since: null, until: null } };
      const kept = await KeptPlan.open(directory, work, {}, { reset: false, tell: () => {} });
      held += 1;
      try {
        closeSync(openSync(marker, "wx"));
      } catch {
        together += 1;
      }
      await pause(Math.random() * 3);
      rmSync(marker, { force: true });
      kept.close();
    } catch (error) {
      if (!(error instanceof JobIsRunningError)) throw error;
    }
  }
  process.stdout.write(JSON.stringify({ held, together }));
}

void main(process.argv[2] ?? "", Number(process.argv[3]));
