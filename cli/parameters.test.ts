import { z } from "zod";
import { duration, positiveDuration } from "../schema/duration";
import { UsageError } from "../schema/errors";
import { RunOptions } from "../runners/run-options";
import { parametersOf, readParameters } from "./parameters";

const model = z
  .object({
    window: positiveDuration().default(60_000).describe("length of a window"),
    grace: duration().optional(),
    mode: z.enum(["update", "final"]).default("update"),
    share: z.number().min(0).lt(1).default(0.5),
    maxRows: z.int().positive().default(10),
    dry_run: z.boolean().default(false),
    symbols: z.array(z.string()).default(["BTC", "ETH"]),
    sizes: z.array(z.number()).default([]),
    places: z.array(z.string()).default([]).meta({ value: "URI" }),
    name: z.string().min(1).max(5).meta({ env: "WHO" }),
  })
  .refine(({ share, maxRows }) => share * maxRows <= 5, { message: "share times max-rows is at most 5" });

const read = (said: Record<string, string[]>, environment: Record<string, string> = {}) =>
  readParameters(model, new Map(Object.entries({ name: ["ada"], ...said })), environment);

test("a model's fields become flags, variables and help", () => {
  expect(parametersOf(model).map(({ flag, environment, value, usual }) => [flag, environment, value, usual])).toEqual([
    ["window", "BEAMLINE_WINDOW", "duration", "1m"],
    ["grace", "BEAMLINE_GRACE", "duration", null],
    ["mode", "BEAMLINE_MODE", "update|final", "update"],
    ["share", "BEAMLINE_SHARE", "number", "0.5"],
    ["max-rows", "BEAMLINE_MAX_ROWS", "number", "10"],
    ["dry-run", "BEAMLINE_DRY_RUN", "", "false"],
    ["symbols", "BEAMLINE_SYMBOLS", "text", "BTC ETH"],
    ["sizes", "BEAMLINE_SIZES", "number", null],
    ["places", "BEAMLINE_PLACES", "URI", null],
    ["name", "WHO", "text", null],
  ]);
  expect(parametersOf(model)[0]).toMatchObject({ description: "length of a window", kind: "duration" });
});

test("every flag of every run has a description", () => {
  expect(parametersOf(RunOptions).filter(({ description }) => description === "")).toEqual([]);
});

test("values come from flags, else from the environment, else they are as usual", () => {
  expect(read({ window: ["5m"] }, { BEAMLINE_WINDOW: "1h", BEAMLINE_MODE: "final" })).toMatchObject({
    window: 300_000,
    mode: "final",
    maxRows: 10,
  });
  expect(read({}, { BEAMLINE_WINDOW: "" }).window).toBe(60_000);
});

test("numbers, booleans and lists are read from text", () => {
  const said = { "max-rows": ["3"], share: [".25"], "dry-run": ["true"], symbols: ["A", "B C"], sizes: ["1", "2.5"] };
  expect(read(said)).toMatchObject({ maxRows: 3, share: 0.25, dry_run: true, symbols: ["A", "B C"], sizes: [1, 2.5] });
  expect(read({}, { BEAMLINE_SIZES: " 1  2 ", BEAMLINE_DRY_RUN: "false" })).toMatchObject({
    sizes: [1, 2],
    dry_run: false,
  });
  expect(read({ "max-rows": ["1e1"] }).maxRows).toBe(10);
});

test("URIs in a variable are parted where a scheme begins, since paths have blanks too", () => {
  const { places } = read({}, { BEAMLINE_PLACES: "file:my data/a b.csv rows=sqlite:x y.db stdout:" });
  expect(places).toEqual(["file:my data/a b.csv", "rows=sqlite:x y.db", "stdout:"]);
});

test.each<[Record<string, string[]>, Record<string, string>, string]>([
  [{ window: ["5"] }, {}, "--window 5: not a duration: write 250ms, 90s, 5m, 1h30m or 7d"],
  [{ window: ["0"] }, {}, "--window 0: must be longer than 0"],
  [{ window: [""] }, {}, "--window: not a duration: write 250ms, 90s, 5m, 1h30m or 7d"],
  [{ window: ["1m", "2m"] }, {}, "--window is given 2 times"],
  [{}, { BEAMLINE_WINDOW: "x" }, "BEAMLINE_WINDOW=x: not a duration: write 250ms, 90s, 5m, 1h30m or 7d"],
  [{ mode: ["fianl"] }, {}, "--mode fianl: did you mean “final”?"],
  [{ mode: ["?"] }, {}, "--mode ?: it must be one of update, final"],
  [{ share: ["-1"] }, {}, "--share -1: it must be at least 0"],
  [{ share: ["1"] }, {}, "--share 1: it must be less than 1"],
  [{ share: ["much"] }, {}, "--share much: it must be a number"],
  [{ share: [""] }, {}, "--share: it must be a number"],
  [{ share: ["0x1"] }, {}, "--share 0x1: it must be a number"],
  [{ "max-rows": ["0"] }, {}, "--max-rows 0: it must be more than 0"],
  [{ "max-rows": ["1.5"] }, {}, "--max-rows 1.5: it must be a whole number"],
  [{ sizes: ["1", "two"] }, {}, "--sizes 1, two: it must be a number"],
  [{ "dry-run": ["yes"] }, {}, "--dry-run yes: it must be true or false"],
  [{ name: [""] }, {}, "--name: it must not be empty"],
  [{ name: ["abcdef"] }, {}, "--name abcdef: it is too long"],
  [{ share: ["0.9"] }, {}, "share times max-rows is at most 5"],
])("%j with %j is one plain sentence", (said, environment, sentence) => {
  expect(() => read(said, environment)).toThrow(new UsageError(sentence));
});

test("a value without a default is asked for", () => {
  expect(() => readParameters(model, new Map(), {})).toThrow(new UsageError("--name text is missing"));
});

test.each([
  ["dead-letter-share", "2", "it must be at most 1"],
  ["dead-letter-run", "99999999999999999999", "it must be at most 9007199254740991"],
  ["dead-letter-run", "1.5", "it must be a whole number"],
  ["max-record-bytes", "0", "it must be more than 0"],
  ["batch-time", "yesterday", "it must be a time in UTC, such as 2026-01-05T09:30:00Z"],
  ["runner", "dircet", "did you mean “direct”?"],
])("--%s %s: %s", (flag, value, sentence) => {
  const said = new Map([[flag, [value]]]);
  expect(() => readParameters(RunOptions, said, {})).toThrow(new UsageError(`--${flag} ${value}: ${sentence}`));
});
