import { writeFileSync } from "node:fs";
import { scratchDirectory } from "../test/scratch";
import { type InputAddress } from "./addresses";
import { planAll, type Choice } from "./plan";

const scratch = scratchDirectory();
const work = { job: "j", pipeline: "p", version: "1", params: { window: 60_000, lateness: 0 } };
const input = (pattern: string, as: string | null = null): Record<string, InputAddress> => ({
  lines: { address: { scheme: "file", path: scratch(pattern), options: {} }, as },
});

beforeEach(() => {
  for (const name of ["a", "b"]) writeFileSync(scratch(name), "{}\n");
});

test("a plan covers what lies there, in order", async () => {
  const { ranges, batchTime } = await planAll(work, input("*"), 7);
  expect(ranges["lines"]?.map(({ source, from, to }) => [source.slice(-1), from, to])).toEqual([
    ["a", 1, null],
    ["b", 1, null],
  ]);
  expect(batchTime).toBe(7);
});

test("the same work has the same name, at any time and in any order of its parameters", async () => {
  const { batch } = await planAll(work, input("*"), 1);
  expect(batch).toMatch(/^[0-9a-f]{12}$/);
  expect((await planAll(work, input("*"), 2)).batch).toBe(batch);
  const turned = { ...work, params: { lateness: 0, window: 60_000 } };
  expect((await planAll(turned, input("*"), 1)).batch).toBe(batch);
});

test("other work has another name", async () => {
  const works = [
    [work, "*"],
    [work, "a"],
    [{ ...work, job: "k" }, "*"],
    [{ ...work, pipeline: "q" }, "*"],
    [{ ...work, version: "2" }, "*"],
    [{ ...work, params: { window: 1, lateness: 0 } }, "*"],
  ] as const;
  const names = await Promise.all(works.map(async ([what, pattern]) => (await planAll(what, input(pattern), 1)).batch));
  expect(new Set(names).size).toBe(works.length);
});

const choice = (more: Partial<Choice>): Choice => ({
  stretch: { since: 0, until: 60_000 },
  of: "windows",
  disorder: 10_000,
  partialWindows: "skip",
  ...more,
});

test("another stretch, or other windows of it, is other work; how far it is widened is not", async () => {
  const choices = [
    choice({}),
    choice({ stretch: { since: 0, until: 120_000 } }),
    choice({ stretch: { since: -60_000, until: 60_000 } }),
    choice({ stretch: { since: 0, until: null } }),
    choice({ stretch: { since: null, until: 60_000 } }),
    choice({ stretch: { since: null, until: null } }),
    choice({ partialWindows: "write" }),
  ];
  const nameOf = async (chosen: Choice) => (await planAll(work, input("*"), 1, chosen)).batch;
  const names = await Promise.all(choices.map(nameOf));
  expect(new Set(names).size).toBe(choices.length);
  expect(await nameOf(choice({ disorder: 0 }))).toBe(names[0]);
});

test("files have no times: all of them is read for windows, and records cannot be chosen", async () => {
  const { ranges, wholeFrom } = await planAll(work, input("a"), 1, choice({}));
  expect(ranges["lines"]).toEqual([expect.not.objectContaining({ times: expect.anything() as unknown })]);
  expect(wholeFrom).toBeNull();
  await expect(planAll(work, input("a"), 1, choice({ of: "records" }))).rejects.toThrow(
    "p has no windows, so --since and --until choose records by their times, but those of “file:” have none",
  );
  const all = choice({ of: "records", stretch: { since: null, until: null } });
  expect((await planAll(work, input("a"), 1, all)).ranges).toEqual(ranges);
});

test("the same files read as another input are other work", async () => {
  const both = { lines: input("*")["lines"] as InputAddress, more: input("a")["lines"] as InputAddress };
  const turned = { lines: both.more, more: both.lines };
  const one = { lines: both.lines };
  const batches = await Promise.all([both, turned, one].map(async (inputs) => (await planAll(work, inputs, 1)).batch));
  expect(new Set(batches).size).toBe(3);
});

test("a bundled sample goes by its name and not by where it lies", async () => {
  const { ranges } = await planAll(work, input("a", "sample:lines"), 1);
  expect(ranges["lines"]).toMatchObject([{ source: "sample:lines", detail: { path: scratch("a") } }]);
});

test("what is not there is refused before anything is read", async () => {
  await expect(planAll(work, input("c"), 1)).rejects.toThrow("does not exist");
});
