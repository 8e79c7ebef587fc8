// A dead letter: a record that could not be used, as it was found, with where and why. And the limit beyond which a
// run stops making them, because then it is not the records that are wrong.
import { z } from "zod";
import { type DeadLetterLimit } from "../beam";
import { RunError } from "../schema/errors";
import { raw, tableOf, timestamp } from "../schema/table";

/** Its key is (job, step, source, position): reading the same records again replaces their letters. */
export const DeadLetter = z.object({
  job: z.string().describe("the job that read the record"),
  source: z.string().describe("where the record lies: a file, a topic and partition"),
  position: z.int().describe("which record there: the line, the offset"),
  step: z.string().describe("the step that refused it"),
  reason: z.string().describe("why, in a few constant words"),
  error: z.string().describe("what exactly was wrong with it"),
  value: raw().describe("the record's bytes as they were found"),
  key: raw().nullable().describe("the record's key, where the source has keys"),
  timestamp: timestamp().nullable().describe("when the source says that it was written"),
  headers: z.string().nullable().describe("the record's headers as JSON, where the source has headers"),
  fields: z.string().nullable().describe("its columns by name as JSON, where its format names them in another place"),
  pipeline: z.string(),
  version: z.string().describe("the version of the pipeline"),
  batch: z.string().describe("the batch that read it, named by what it covered"),
  attempt: z.int().describe("how often it was tried"),
});
export type DeadLetter = z.infer<typeof DeadLetter>;

export const deadLettersTable = tableOf("dead_letters", DeadLetter, {
  key: ["job", "source", "position", "step"],
  mode: "by-origin",
});

/** The reason of a record whose window is no longer kept: trying it again cannot help. */
export const WINDOW_CLOSED = "window-closed";

/** Thrown when nearly everything is bad. Nothing of the batch is kept. */
export class DeadLetterLimitError extends RunError {}

/** Watches the share of dead records, and how many come in a row. */
export class DeadLetterGuard {
  private seen = 0;
  private dead = 0;
  private row = 0;

  constructor(
    private readonly limit: DeadLetterLimit,
    private readonly step: string,
    private readonly things: "records" | "rows" = "records",
  ) {}

  passed(): void {
    this.seen += 1;
    this.row = 0;
  }

  /** `why` is told when this one is too much. */
  died(why: string): void {
    this.seen += 1;
    this.dead += 1;
    this.row += 1;
    const { share, consecutive, sample } = this.limit;
    if (this.seen < sample) return;
    if (this.row > consecutive) this.stop(`${this.row} ${this.things} in a row (the limit is ${consecutive})`, why);
    if (this.dead > share * this.seen)
      this.stop(
        `${this.dead} of ${this.seen} ${this.things} (the limit is ${Number((share * 100).toPrecision(6))} %)`,
        why,
      );
  }

  private stop(what: string, why: string): never {
    throw new DeadLetterLimitError(
      `Stopped at “${this.step}”: ${what} could not be used, so nothing of this run was kept. The last one: ${why}. ` +
        `Repair the input or the step, or raise --dead-letter-share or --dead-letter-run`,
    );
  }
}
