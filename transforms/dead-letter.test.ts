import { type DeadLetterLimit } from "../beam";
import { RunError } from "../schema/errors";
import { DeadLetterGuard, DeadLetterLimitError, deadLettersTable } from "./dead-letter";

/** How many of these records pass before the guard stops, and what it says; `x` is a dead one. */
function stoppedAt(limit: DeadLetterLimit, records: string): { at: number; message: string } | null {
  const guard = new DeadLetterGuard(limit, "clean: decode");
  for (const [at, record] of [...records].entries()) {
    try {
      if (record === "x") guard.died(`test, ${at + 1}: not JSON`);
      else guard.passed();
    } catch (error) {
      expect(error).toBeInstanceOf(DeadLetterLimitError);
      expect(error).toBeInstanceOf(RunError);
      return { at: at + 1, message: (error as Error).message };
    }
  }
  return null;
}

describe("the limit of dead letters", () => {
  it.each<[string, Partial<DeadLetterLimit>, string, number | null]>([
    ["the share, and no more, is fine", { share: 0.5 }, ".x.x.x", null],
    ["one above the share stops", { share: 0.5 }, ".x.xx", 5],
    ["a share of 0 stops at the first", { share: 0 }, "....x", 5],
    ["a share of 1 never stops", { share: 1 }, "xxxxxxxx", null],
    ["as many in a row as the limit are fine", { consecutive: 3 }, "xxx.xxx.xxx", null],
    ["one more in a row stops", { consecutive: 3 }, "xxx.xxxx", 8],
    ["nothing stops before the sample", { share: 0, consecutive: 0, sample: 6 }, "xxxxx", null],
    ["the sample counts the record at hand", { share: 0, sample: 6 }, "xxxxxx", 6],
    ["a good record never stops", { share: 0, sample: 3 }, "xx.....", null],
    ["bad ones from before the sample count", { share: 0.5, sample: 4 }, "xx.x", 4],
  ])("%s", (_name, limit, records, at) => {
    const stopped = stoppedAt({ share: 1, consecutive: 1000, sample: 0, ...limit }, records);
    expect(stopped?.at ?? null).toBe(at);
  });

  it("says what was wrong, with an example, and what to do", () => {
    expect(stoppedAt({ share: 0.07, consecutive: 1000, sample: 0 }, ".x")?.message).toBe(
      "Stopped at “clean: decode”: 1 of 2 records (the limit is 7 %) could not be used, so nothing of this run was kept. " +
        "The last one: test, 2: not JSON. Repair the input or the step, or raise --dead-letter-share or --dead-letter-run",
    );
    expect(stoppedAt({ share: 1, consecutive: 1, sample: 0 }, "xx")?.message).toContain(
      "2 records in a row (the limit is 1) could not be used",
    );
  });
});

describe("the table of dead letters", () => {
  it("replaces the letters of what is read again", () => {
    expect(deadLettersTable).toMatchObject({
      name: "dead_letters",
      mode: "by-origin",
      key: ["job", "source", "position", "step"],
    });
  });

  it("keeps values and keys as bytes", () => {
    const types = Object.fromEntries(
      deadLettersTable.columns.map(({ name, type, nullable }) => [name, [type.kind, nullable]]),
    );
    expect(types).toEqual({
      job: ["text", false],
      source: ["text", false],
      position: ["integer", false],
      step: ["text", false],
      reason: ["text", false],
      error: ["text", false],
      value: ["bytes", false],
      key: ["bytes", true],
      timestamp: ["timestamp", true],
      headers: ["text", true],
      fields: ["text", true],
      pipeline: ["text", false],
      version: ["text", false],
      batch: ["text", false],
      attempt: ["integer", false],
    });
  });
});
