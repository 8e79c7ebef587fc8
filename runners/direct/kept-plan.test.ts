import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { UsageError } from "../../schema/errors";
import { scratchDirectory } from "../../test/scratch";
import { type Plan } from "../plan";
import { KeptPlan, type Work } from "./kept-plan";

const scratch = scratchDirectory();
const address = (path: string) => ({ scheme: "file", path, options: {} });
const work = (more: Partial<Work> = {}): Work => ({
  job: "j",
  pipeline: "p",
  inputs: { lines: { address: address("in"), as: null } },
  outputs: { rows: address("out/") },
  stretch: { since: null, until: null },
  ...more,
});
const terms = { "the pipeline's version": "1", window: 60_000 };
const plan: Plan = { id: "b1-0a", batch: "b1", batchTime: 0, ranges: { lines: [] }, wholeFrom: null };

let told: string[] = [];
beforeEach(() => void (told = []));
const open = (more: { work?: Work; terms?: Record<string, unknown>; reset?: boolean } = {}) =>
  KeptPlan.open(scratch(), more.work ?? work(), more.terms ?? terms, {
    reset: more.reset ?? false,
    tell: (sentence) => told.push(sentence),
  });

/** What a run leaves that is killed. */
async function leave(of: Work = work(), as: Plan = plan): Promise<void> {
  const kept = await open({ work: of });
  await kept.keep(as);
  kept.close();
}

test("what a killed run has left, the next one of the same work gets, and nothing stays when it is done", async () => {
  await leave();
  const kept = await open();
  expect(kept.left).toEqual(plan);
  expect(told).toEqual([
    "Going on with the plan b1-0a of 1970-01-01T00:00:00Z, whose run was killed: what has come since then is for the next run",
  ]);
  kept.forget();
  kept.close();
  expect(readdirSync(scratch())).toEqual([]);
  const next = await open();
  expect(next.left).toBeNull();
  next.close();
});

test("while one runs, a second one is refused; other work runs beside it", async () => {
  const one = await open();
  await one.keep(plan);
  await expect(open()).rejects.toThrow(
    "The job j is being run over the same inputs and outputs by another process: wait for it, or choose another --job",
  );
  const other = await open({ work: work({ stretch: { since: 0, until: 60_000 } }) });
  expect({ left: other.left, told }).toEqual({ left: null, told: [] });
  other.close();
  one.forget();
  one.close();
  (await open()).close();
});

test("another version, parameter or batch time cannot go on with it: the sentence says what differs", async () => {
  await leave();
  const refused = open({ terms: { "the pipeline's version": "2", window: 1, "--batch-time": "2026-01-05T09:30:00Z" } });
  await expect(refused).rejects.toThrow(UsageError);
  await expect(refused).rejects.toThrow(
    `A run of j was killed, and this one cannot go on with its plan b1-0a, for the pipeline's version was "1" and is "2"; window was 60000 and is 1; --batch-time was not there and is "2026-01-05T09:30:00Z": run it once more as it was, or forget it with --reset`,
  );
  // It was only asked for: the run as it was still goes on.
  const kept = await open();
  expect(kept.left).toEqual(plan);
  kept.close();
  const anew = await open({ terms: { window: 1 }, reset: true });
  expect(anew.left).toBeNull();
  anew.close();
  expect(readdirSync(scratch())).toEqual([]);
});

test("plans of other work are told, and forgotten with --reset; those of other jobs are not ours", async () => {
  const ofOther = work({ stretch: { since: 0, until: 60_000 } });
  await leave(ofOther, { ...plan, id: "b2-0b" });
  await leave(work({ job: "j.k" }), { ...plan, id: "b3-0c" });
  (await open()).close();
  expect(told).toEqual([
    "A run of j that was killed has left the plan b2-0b, of other inputs, outputs or times: run it again as it was, or forget it with --reset",
  ]);
  (await open({ reset: true })).close();
  expect(told[1]).toMatch(/^A run of j that was killed has left the plan b2-0b, .*: it is forgotten$/);
  const again = await open({ work: ofOther });
  expect(again.left).toBeNull();
  again.close();
  const theirs = await open({ work: work({ job: "j.k" }) });
  expect(theirs.left?.id).toBe("b3-0c");
  theirs.close();
});

test.each(["", "{", '{"format":2}', "[]"])("a file that is no plan of ours: %s", async (text) => {
  await leave();
  const [name = ""] = readdirSync(scratch()).filter((file) => file.endsWith(".json"));
  writeFileSync(scratch(name), text);
  await expect(open()).rejects.toThrow(/\.plan\.json is no plan that this version of beamline can read: .* --reset$/);
  expect(readFileSync(scratch(name), "utf8")).toBe(text);
  const anew = await open({ reset: true });
  expect(anew.left).toBeNull();
  anew.close();
});

test("the name of a job is no path", async () => {
  await leave(work({ job: "../../etc/x y" }));
  expect(readdirSync(scratch())).toEqual([expect.stringMatching(/^\.\._\.\._etc_x_y\.[0-9a-f]{12}\.plan\.json$/)]);
  const kept = await open({ work: work({ job: "../../etc/x y" }) });
  expect(kept.left).toEqual(plan);
  kept.close();
});

test("a directory that cannot be written is a sentence", async () => {
  writeFileSync(scratch("file"), "");
  await expect(KeptPlan.open(scratch("file"), work(), terms, { reset: false, tell: () => {} })).rejects.toThrow(
    /^The plan of the run cannot be kept in .*: name another directory by --state-dir$/,
  );
});
