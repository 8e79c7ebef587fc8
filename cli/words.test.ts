import fc from "fast-check";
import { z } from "zod";
import { UsageError } from "../schema/errors";
import { parametersOf } from "./parameters";
import { namesIn, sortWords, splitWords } from "./words";

const parameters = parametersOf(
  z.object({ window: z.string().default("1m"), from: z.array(z.string()), dryRun: z.boolean().default(false) }),
);
const sort = (...args: string[]) => {
  const { names, said } = sortWords(splitWords(args), parameters, ["json", "help"]);
  return { names, said: Object.fromEntries(said) };
};

test("a flag takes its value from behind = or from the next word", () => {
  expect(sort("run", "--window", "5m", "p")).toEqual({ names: ["run", "p"], said: { window: ["5m"] } });
  expect(sort("--window=5m", "run")).toEqual({ names: ["run"], said: { window: ["5m"] } });
  expect(sort("--from=out=file:a=b")).toEqual({ names: [], said: { from: ["out=file:a=b"] } });
});

test("a value may be a number below zero, empty, or of several lines", () => {
  expect(sort("--window", "-5").said).toEqual({ window: ["-5"] });
  expect(sort("--window=").said).toEqual({ window: [""] });
  expect(sort("--window=a\nb").said).toEqual({ window: ["a\nb"] });
});

test("a flag that is said again is kept in order", () => {
  expect(sort("--from", "a", "--json", "--from=b").said).toEqual({ from: ["a", "b"], json: ["true"] });
});

test("a boolean parameter stands alone or has a value behind =", () => {
  expect(sort("--dry-run", "run")).toEqual({ names: ["run"], said: { "dry-run": ["true"] } });
  expect(sort("--dry-run=false").said).toEqual({ "dry-run": ["false"] });
});

test("everything behind -- is a name", () => {
  expect(sort("run", "--", "--window", "-x")).toEqual({ names: ["run", "--window", "-x"], said: {} });
});

test("-h is --help", () => {
  expect(sort("-h").said).toEqual({ help: ["true"] });
});

test.each([
  [["-x"], "“-x” is not a flag: flags have two hyphens, such as --x"],
  [["--window"], "--window needs a value: --window text"],
  [["--window", "--json"], "--window needs a value: --window text"],
  [["--widnow", "5m"], "There is no flag --widnow: did you mean --window?"],
  [["--entirely-else"], "There is no flag --entirely-else; --help lists all"],
  [["--json=false"], "--json stands alone: it takes no value"],
])("%j is a mistake with one sentence", (args, sentence) => {
  expect(() => sort(...args)).toThrow(new UsageError(sentence));
});

test("names are found before the pipeline's flags are known", () => {
  const names = (...args: string[]) => namesIn(splitWords(args), parameters);
  expect(names("--window", "5m", "list")).toEqual(["list"]);
  expect(names("--dry-run", "list")).toEqual(["list"]);
  expect(names("--window=5m", "list", "--from", "x")).toEqual(["list"]);
});

test("whatever the words: sorted, or refused with one sentence, and no name is lost", () => {
  const word = fc.oneof(fc.string(), fc.constantFrom("--window", "--json", "--from=x", "--", "run", "-h", "--dry-run"));
  fc.assert(
    fc.property(fc.array(word), (args) => {
      try {
        const words = splitWords(args);
        const { names, said } = sortWords(words, parameters, ["json", "help"]);
        expect(names).toEqual(namesIn(words, parameters));
        for (const values of said.values()) expect(values.length).toBeGreaterThan(0);
      } catch (error) {
        expect(error).toBeInstanceOf(UsageError);
      }
    }),
  );
});
